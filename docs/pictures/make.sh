#!/usr/bin/env bash
# Makes what the README shows: data-report.png, of the sample; report-card.png of the demo, and the verdict between its two "demo" marks.
# Runs the demo in a workspace, or takes the round that it finished there, or the one that is named.
#
#   docs/pictures/make.sh                             the demo's round in ./.tunesmith
#   docs/pictures/make.sh WORKSPACE [ROUND]
#   docs/pictures/make.sh data                        data-report.png alone
set -euo pipefail
cd "$(dirname "$0")/../.."
workspace=${1:-.tunesmith}
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# --no-sandbox only where it must be: chromium refuses root otherwise.
[ "$(id -u)" = 0 ] && root=(--no-sandbox) || root=()
photograph() {  # page, height, picture
  "$browser" --headless "${root[@]}" --disable-gpu --hide-scrollbars --force-device-scale-factor=1 \
    --user-data-dir="$scratch/profile" --window-size="1100,$2" --screenshot="$scratch/shot.png" "file://$1" 2>"$scratch/browser.log" ||
    { cat "$scratch/browser.log" >&2; exit 1; }
  mv "$scratch/shot.png" "docs/pictures/$3"
}

echo "data: {path: sample, anonymise: {}}" >"$scratch/sample.yaml"
.venv/bin/tunesmith prepare "$scratch/sample.yaml" --quiet --workspace "$scratch/workspace" >/dev/null
photograph "$(ls "$scratch"/workspace/datasets/*/report.html)" 1000 data-report.png
if [ "${1:-}" = data ]; then exit; fi

if [ $# -gt 1 ]; then asked=(show "$2"); else asked=(demo); fi
.venv/bin/tunesmith "${asked[@]}" --quiet --workspace "$workspace" >"$scratch/verdict.txt"
round=$(sed -n 's/^Round: \(r-[0-9a-f-]*\), in .*/\1/p' "$scratch/verdict.txt")
card=$(realpath "$workspace/rounds/$round/report.html")

photograph "$card" 1420 report-card.png

.venv/bin/python docs/pictures/write_verdict.py "$workspace/rounds/$round/report.json" "$scratch/verdict.txt" README.md
echo "docs/pictures/report-card.png and README.md show round $round"
