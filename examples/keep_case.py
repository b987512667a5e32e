"""Keeps a finished round beside its case study: report.json, a picture of the card's top, and the card's words between the page's two marks.

    tunesmith run examples/failure/recipe.yaml --workspace .tunesmith
    .venv/bin/python examples/keep_case.py examples/failure .tunesmith/rounds/ROUND

No figure on the page is typed in. The picture wants Chromium or Chrome, and is left as it is where there is neither.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- card: begin -->", "<!-- card: end -->"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDTH, HEIGHT = 1000, 900


def block(report: dict[str, Any]) -> str:
    """What stands between the marks: the verdict, every system's figure, what was noted, the gates."""
    verdict, training = report["verdict"], report["training"]
    name = verdict["metric"]
    lines = [f"> {verdict['sentence']}", "", f"| system | {name.replace('_', ' ')} | 95% interval |", "|---|---|---|"]
    for system in report["systems"]:
        told = system["metrics"][name]
        lines.append(f"| {system['name']} | {told['value']:.1%} | {told['low']:.1%} to {told['high']:.1%} |")
    told = [*training["words"], *verdict["notes"]]
    for gate in verdict["gates"]:
        found = "not measured" if gate["value"] is None else f"{gate['value']:.4g}"
        told.append(f"Gate {gate['name']}: {'holds' if gate['holds'] else 'does not hold'} ({found}, bound {gate['bound']:g}).")
    lines += ["", *(f"- {one}" for one in told)]
    sides, seconds = report["data"]["sides"], report["round"]["seconds"]
    threads = f"{training['threads']} thread" + ("s" if training["threads"] != 1 else "")
    lines += [
        "",
        f"{sides['train']:,} training rows, {sides['test']:,} test rows, {len(training['steps']):,} steps, step {training['chosen_step']:,} kept; "
        f"{seconds / 60:.0f} min on {threads} of a busy {report['environment']['cpu']}, {report['round']['finished'][:10]}.",
    ]
    return "\n".join(lines)


def written(page: str, report: dict[str, Any]) -> str:
    """The page with the report's words between its marks; ValueError where it lacks them."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks the marks {BEGIN} and {END}")
    return f"{before}{begin}\n{block(report)}\n{end}{after}"


def photograph(card: Path, picture: Path) -> None:
    """The top of the card, as docs/pictures/make.sh takes it."""
    browser = next((found for found in map(shutil.which, BROWSERS) if found), None)
    if browser is None:
        print("no Chromium or Chrome: the picture is left as it is", file=sys.stderr)
        return
    root = ["--no-sandbox"] if os.getuid() == 0 else []  # chromium refuses root otherwise
    with tempfile.TemporaryDirectory() as scratch:
        shot = Path(scratch) / "shot.png"
        fixed = ["--headless", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=1", f"--user-data-dir={scratch}/profile"]
        sized = [f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={shot}", card.resolve().as_uri()]
        subprocess.run([browser, *root, *fixed, *sized], check=True, capture_output=True)
        shutil.move(shot, picture)


def main(case: Path, round_folder: Path) -> None:
    """Keep a round."""
    shutil.copyfile(round_folder / "report.json", case / "report.json")
    page = case / "README.md"
    report = json.loads((case / "report.json").read_text(encoding="utf-8"))
    page.write_text(written(page.read_text(encoding="utf-8"), report), encoding="utf-8")
    photograph(round_folder / "report.html", case / "report-card.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
