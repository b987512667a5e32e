"""Grids measured once, point by point: a line of JSON each, kept at once, so that a measurement goes on where it was stopped.

    .venv/bin/python benchmarks/searching/grid.py [banking77 ...]      measure what is missing, write the tables
    (also `benchmarks/search.py --full`)

64 points a data set. Then the three best on `select` and the three best on fresh rows are trained again with three other seeds: what luck of
the seed is. In each of the measured tables that makes four points, as two are among both; one of the four is there for its fresh value alone,
which seed 0 may have flattered, so that the deviation over seeds is rather too high than too low. Lines lie in .bench/search/DATASET.jsonl,
tables in benchmarks/results/DATE-search-grid-DATASET.json. About half an hour of one core for all.
"""

import json
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gathered import log, measured_at

from searching.rows import NAMES
from searching.spaces import BASES, SPACES, points

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
WORK = ROOT / ".bench" / "search"
SEEDS = (1, 2, 3)
"""Of the repeated points, beside seed 0, which all points have."""
REPEATED = 3


def measure_grid(name: str, work: Path = WORK) -> Path:
    """Measure what is missing of a grid, and write its table; returns where it lies."""
    lines = Lines(work / f"{name}.jsonl")
    for number, settings in enumerate(points(name)):
        lines.measured(name, BASES[name], settings, 0)
        log(f"{name}: {number + 1} of 64")
    whole = [one for one in lines.found.values() if one["seed"] == 0]
    best = (
        sorted(whole, key=lambda one: _lowest(one["value"]))[-REPEATED:] + sorted(whole, key=lambda one: _lowest(one["fresh"]))[-REPEATED:]
    )
    for one in {_key(one["settings"], 0): one for one in best}.values():
        for seed in SEEDS:
            lines.measured(name, BASES[name], one["settings"], seed)
    return write_table(name, list(lines.found.values()))


def _lowest(value: float | None) -> float:
    return float("-inf") if value is None else value


class Lines:
    """What is measured so far, in a file of lines; a line that was cut short is measured again."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.found: dict[str, dict[str, Any]] = {}
        file.parent.mkdir(parents=True, exist_ok=True)
        text = file.read_text() if file.exists() else ""
        if text and not text.endswith("\n"):
            file.write_text(text + "\n")
        for line in text.splitlines():
            try:
                one = json.loads(line)
            except ValueError:
                continue
            self.found[_key(one["settings"], one["seed"])] = one

    def measured(self, name: str, common: Mapping[str, Any], settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
        """One training, from the file or made now.

        Args:
            name: of the data set.
            common: sections of the recipe that all trainings of the file have.
            settings: what differs, by dotted path.
            seed: of the recipe.
        """
        key = _key(settings, seed)
        if key not in self.found:
            from searching.training import train_point

            trained = train_point(name, common, settings, seed)
            self.found[key] = {"settings": dict(settings), "seed": seed, **asdict(trained)}
            with self.file.open("a") as file:
                file.write(json.dumps(self.found[key]) + "\n")
            log(f"  {key}: select {trained.value}, fresh {trained.fresh}, {trained.seconds} s")
        return self.found[key]


def _key(settings: Mapping[str, Any], seed: int) -> str:
    return json.dumps([dict(sorted(settings.items())), seed])


def write_table(name: str, trainings: list[dict[str, Any]]) -> Path:
    """The table of a grid, a training a line."""
    from searching.rows import rows_of

    rows = rows_of(name)
    head = measured_at() | {
        "data": name,
        "processor": platform.processor() or platform.machine(),
        "rows": {"train": len(rows.train), "select": len(rows.select), "fresh": len(rows.fresh), "labels": len(rows.labels or ())},
        "measure": "accuracy" if rows.labels else "log-probability per answer token, nats",
        "recipe": BASES[name],
        "space": SPACES[name],
    }
    body = ",\n".join("  " + json.dumps(one) for one in trainings)
    path = RESULTS / f"{datetime.now(UTC):%Y-%m-%d}-search-grid-{name}.json"
    path.write_text(json.dumps(head, indent=1)[:-2] + ',\n "trainings": [\n' + body + "\n ]\n}\n")
    return path


if __name__ == "__main__":
    for asked in sys.argv[1:] or NAMES:
        log(str(measure_grid(asked)))
