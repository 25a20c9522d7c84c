#!/bin/sh
# Looks through a .deb, unpacks it, and starts what is in it: `packaging/check_deb.sh FILE`. Nothing is installed.
set -eu
package=$1
say() { printf 'package: %s\n' "$*"; }
fails() { say "$package: $*" >&2; exit 1; }

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
dpkg-deb --extract "$package" "$folder"
for file in bin/lockstep bin/lockstep-console lib/systemd/system/lockstep.service applications/Lockstep.desktop \
    icons/hicolor/128x128/apps/lockstep-console.png doc/lockstep/copyright doc/lockstep/README.md; do
    [ -e "$folder/usr/$file" ] || [ -e "$folder/usr/share/$file" ] || fails "lacks $file"
done
for line in '^Exec=lockstep-console' '^Icon=lockstep-console' '^Name=Lockstep' '^Type=Application'; do
    grep -q "$line" "$folder/usr/share/applications/Lockstep.desktop" || fails "the desktop entry has no line $line"
done
"$folder/usr/bin/lockstep" --version

# The window comes up, on a display of its own and with a home that is not there yet.
cat >"$folder/start.sh" <<'START'
export LOCKSTEP_HOME="$1/home" XDG_DATA_HOME="$1/data" XDG_CONFIG_HOME="$1/config" XDG_CACHE_HOME="$1/cache"
"$1/usr/bin/lockstep-console" >"$1/log" 2>&1 &
console=$!
waited=0
until xwininfo -name Lockstep >/dev/null 2>&1; do
    waited=$((waited + 1))
    if [ "$waited" -gt 60 ] || ! kill -0 "$console"; then cat "$1/log" >&2; exit 1; fi
    sleep 1
done
kill "$console"
wait "$console"
START
WEBKIT_DISABLE_DMABUF_RENDERER=1 LIBGL_ALWAYS_SOFTWARE=1 \
    xvfb-run --auto-servernum dbus-run-session -- sh "$folder/start.sh" "$folder" || fails "the console did not start and end"
dpkg-deb --field "$package" Package Version Depends Installed-Size
say "$package is whole, and its console starts"
