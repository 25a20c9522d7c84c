#!/bin/sh
# Installs what this project needs and the machine lacks: `tools/setup.sh [core] [console] [tests]`.
#
#   core      a C compiler (SQLite and zstd are compiled in), Python for the example, Rust's components
#   console   WebKitGTK for the desktop console, and what its tests open a window and its pages with
#   tests     what the tests write databases with as an application would: SQLAlchemy
#
# Debian and its relatives are served through apt. Rust and Node are not installed behind anybody's
# back: what is missing is said, with the way to get it. Nothing is done where nothing is missing.
set -eu

rust_wanted=1.95
node_wanted=20.19
missing=

say() { printf 'setup: %s\n' "$*"; }
lacks() { missing="${missing}
  - $*"; }

# at_least WANTED HAVE: compares the dotted numbers.
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null 2>&1; then sudo "$@"
    else return 127
    fi
}

apt_updated=
# packages NAME…: installs those of them that are not there.
packages() {
    command -v dpkg-query >/dev/null 2>&1 || return 0
    wanted=
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || wanted="$wanted $package"
    done
    [ -n "$wanted" ] || return 0
    say "installing$wanted"
    if [ -z "$apt_updated" ]; then
        as_root apt-get update -qq || true
        apt_updated=yes
    fi
    # shellcheck disable=SC2086 # a list of words
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq -o Dpkg::Use-Pty=0 --no-install-recommends $wanted >/dev/null ||
        lacks "the packages$wanted: apt could not install them (as root: apt-get install$wanted)"
}

core() {
    # Only what can't be found: a compiler or a Python from elsewhere will do.
    need=
    command -v cc >/dev/null 2>&1 || need="$need gcc libc6-dev"
    command -v python3 >/dev/null 2>&1 || need="$need python3"
    # shellcheck disable=SC2086
    [ -z "$need" ] || packages $need
    command -v cc >/dev/null 2>&1 || lacks "a C compiler named cc"
    if ! python3 -c 'import sqlite3' >/dev/null 2>&1; then
        lacks "Python 3 with its sqlite3 module"
    fi

    if ! command -v cargo >/dev/null 2>&1 && [ -x "$HOME/.cargo/bin/cargo" ]; then
        lacks "cargo on the PATH: add $HOME/.cargo/bin to it"
    elif ! command -v cargo >/dev/null 2>&1; then
        lacks "Rust $rust_wanted or newer: install it with rustup (Debian's own is too old)"
    else
        have=$(rustc --version | cut -d ' ' -f 2)
        at_least "$rust_wanted" "$have" || lacks "Rust $rust_wanted or newer, here is $have: rustup update stable"
    fi
}

console() {
    packages pkg-config libwebkit2gtk-4.1-dev xvfb xauth x11-utils xdotool dbus webkit2gtk-driver
    command -v chromium >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 || packages chromium fonts-dejavu-core
    for tool in fmt clippy; do
        cargo "$tool" --version >/dev/null 2>&1 || rustup component add "$(echo $tool | sed 's/^fmt$/rustfmt/')" ||
            lacks "cargo $tool"
    done
    if ! command -v pkg-config >/dev/null 2>&1 || ! pkg-config --exists webkit2gtk-4.1; then
        lacks "WebKitGTK 4.1 with its headers (Fedora: webkit2gtk4.1-devel, Arch: webkit2gtk-4.1)"
    fi
    have=$(node --version 2>/dev/null | tr -d v || true)
    if [ -z "$have" ] && command -v apt-cache >/dev/null 2>&1; then
        offered=$(apt-cache policy nodejs 2>/dev/null | sed -n 's/^ *Candidate: \([0-9.]*\).*/\1/p')
        if [ -n "$offered" ] && at_least "$node_wanted" "$offered"; then
            packages nodejs npm
            have=$(node --version 2>/dev/null | tr -d v || true)
        fi
    fi
    if [ -z "$have" ]; then
        lacks "Node.js $node_wanted or newer with npm, which builds the console's pages"
    elif ! at_least "$node_wanted" "$have"; then
        lacks "Node.js $node_wanted or newer, here is $have"
    fi
}

# Debian's package is for Debian's own Python, which need not be the first on the PATH.
sqlalchemy() {
    for python in python3 /usr/bin/python3; do
        "$python" -c 'import sqlalchemy' >/dev/null 2>&1 && return
    done
    return 1
}

tests() {
    sqlalchemy || packages python3-sqlalchemy
    sqlalchemy || lacks "SQLAlchemy 1.4 or newer for python3 (pip install SQLAlchemy)"
}

for part in "$@"; do
    case $part in
        core) core ;;
        console) console ;;
        tests) tests ;;
        *) echo "usage: tools/setup.sh [core] [console] [tests]" >&2; exit 2 ;;
    esac
done

if [ -n "$missing" ]; then
    printf 'setup: this has to be installed by you:%s\n' "$missing" >&2
    exit 1
fi
