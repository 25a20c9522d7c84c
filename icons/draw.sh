#!/bin/sh
# Draws every icon file of this folder from its SVG (`make icons`). Needs rsvg-convert and Python.
set -eu
cd "$(dirname "$0")"
command -v rsvg-convert >/dev/null || { echo "icons: rsvg-convert is missing (package librsvg2-bin)" >&2; exit 1; }
for size in 32 64 128 256 512; do
    rsvg-convert --width $size --height $size lockstep.svg --output ${size}x${size}.png
done
python3 pack.py
# The tray's, one for each state, for light and for dark desktops.
for theme in light dark; do
    mkdir -p tray/$theme
    for state in tray/*.svg; do
        rsvg-convert --width 48 --height 48 --stylesheet tray/$theme.css "$state" \
            --output "tray/$theme/$(basename "$state" .svg).png"
    done
done
