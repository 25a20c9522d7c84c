#!/bin/sh
# Draws every icon file of this folder from lockstep.svg (`make icons`). Needs rsvg-convert and Python.
set -eu
cd "$(dirname "$0")"
command -v rsvg-convert >/dev/null || { echo "icons: rsvg-convert is missing (package librsvg2-bin)" >&2; exit 1; }
for size in 32 64 128 256 512; do
    rsvg-convert --width $size --height $size lockstep.svg --output ${size}x${size}.png
done
python3 pack.py
