#!/bin/sh
# Packs the console, the command and its service: `packaging/package.sh PROFILE BUNDLES`.
#
#   PROFILE   release, or dev for a package that is made quickly and is large
#   BUNDLES   deb,appimage,nsis,dmg: those that this system can make, as Tauri's bundler names them
#
# The bundler itself comes through npm. A .deb needs nothing more, and is tried out at the end. An AppImage needs tools
# that the bundler fetches from github.com/tauri-apps/binary-releases; where that can't be reached, it says so and fails.
set -eu
cd "$(dirname "$0")/.."
profile=$1
bundles=$2
target=${CARGO_TARGET_DIR:-target}
bundler=@tauri-apps/cli@2.12.5
case $profile in
    dev) out=$target/debug; flag=--debug ;;
    release) out=$target/release; flag= ;;
    *) echo "package: the profile is dev or release" >&2; exit 2 ;;
esac

${CARGO:-cargo} build --locked --profile "$profile" -p lockstep-console -p lockstep-cli
# tauri.conf.json names these files, whatever the profile and the target folder are.
mkdir -p target/package
cp "$out/lockstep" target/package/lockstep
${PYTHON:-python3} packaging/licences.py target/package/copyright
# shellcheck disable=SC2086 # a flag or nothing
${NPM:-npm} exec --yes --package="$bundler" -- tauri bundle $flag --ci --no-sign --bundles "$bundles"

for package in "$out"/bundle/deb/*.deb; do
    [ -e "$package" ] || continue
    sh packaging/check_deb.sh "$package"
done
