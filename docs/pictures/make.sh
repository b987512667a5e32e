#!/usr/bin/env bash
# Makes what the README shows of the demo: report-card.png, and the verdict between its two "demo" marks.
# Runs the demo in a workspace, or takes the round that it finished there, or the one that is named.
#
#   docs/pictures/make.sh                             the demo's round in ./.tunesmith
#   docs/pictures/make.sh WORKSPACE [ROUND]
set -euo pipefail
cd "$(dirname "$0")/../.."
workspace=${1:-.tunesmith}
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

if [ $# -gt 1 ]; then asked=(show "$2"); else asked=(demo); fi
.venv/bin/tunesmith "${asked[@]}" --quiet --workspace "$workspace" >"$scratch/verdict.txt"
round=$(sed -n 's/^Round: \(r-[0-9a-f-]*\), in .*/\1/p' "$scratch/verdict.txt")
card=$(realpath "$workspace/rounds/$round/report.html")

# --no-sandbox only where it must be: chromium refuses root otherwise.
[ "$(id -u)" = 0 ] && root=(--no-sandbox) || root=()
"$browser" --headless "${root[@]}" --disable-gpu --hide-scrollbars --force-device-scale-factor=1 \
  --user-data-dir="$scratch/profile" --window-size=1100,1420 --screenshot="$scratch/card.png" "file://$card" 2>"$scratch/browser.log" ||
  { cat "$scratch/browser.log" >&2; exit 1; }
mv "$scratch/card.png" docs/pictures/report-card.png

.venv/bin/python docs/pictures/write_verdict.py "$workspace/rounds/$round/report.json" "$scratch/verdict.txt" README.md
echo "docs/pictures/report-card.png and README.md show round $round"
