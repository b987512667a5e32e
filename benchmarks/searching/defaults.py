"""What a recipe makes that names its data and nothing else, on the rows of the grids; and, on other data, what other defaults would make.

    .venv/bin/python benchmarks/searching/defaults.py             the three data sets that searches are judged on
    .venv/bin/python benchmarks/searching/defaults.py --others    the four that defaults were chosen on, with the rates and heads tried

Arithmetic and threads are those of the grids, so that nothing but settings differs. Lines lie in .bench/search as those of the grids do.
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gathered import log, measured_at

from searching.grid import RESULTS, WORK, Lines
from searching.rows import NAMES, OTHERS

COMMON: dict[str, Any] = {"train": {"precision": "bf16", "threads": 1, "compile": "off", "checkpoint_minutes": 60}}
"""What changes no figure but time, beside the arithmetic."""
SEEDS = (0, 1, 2)
HEADED = [
    *({"method.head": "tokens", "train.learning_rate": rate} for rate in (4.8e-4, 1e-3)),
    {"method.head": "class", "train.learning_rate": 2e-3},
]
"""Tried where answers are labels; 4.8e-4, and 9.6e-4 for a head, were the rates for runs of any length."""
TRIED: dict[str, list[dict[str, Any]]] = {
    "dialogues_sgd": [
        *HEADED,
        *({"method.head": "class", "train.learning_rate": rate} for rate in (5e-4, 9.6e-4, 4e-3)),
        *({"method.head": "class", "train.epochs": 12, "train.learning_rate": rate} for rate in (9.6e-4, 2e-3)),
    ],
    "hate_offensive": HEADED,
    "cued_nlg": [
        *({"train.learning_rate": rate} for rate in (4.8e-4, 1e-3, 2e-3, 4e-3)),
        *({"train.epochs": 12, "train.learning_rate": rate} for rate in (4.8e-4, 1e-3, 2e-3)),
    ],
    "instructions_alpaca_demo": [{"train.learning_rate": rate} for rate in (4.8e-4, 1e-3, 1.4e-3, 2e-3)],
}
"""By data set; twelve epochs are four times the steps."""
FORMER = {"method.head": "tokens", "train.learning_rate": 4.8e-4}
"""What a recipe without settings was until these were measured: labels as text, one rate for runs of any length."""


def measure_defaults(work: Path = WORK) -> Path:
    """The defaults on the three data sets under three seeds, and the former ones beside them under one."""
    found = []
    for name in NAMES:
        lines = Lines(work / f"defaults-{name}.jsonl")
        found += [{"data": name, **lines.measured(name, COMMON, {}, seed)} for seed in SEEDS]
    found += [{"data": name, **Lines(work / f"defaults-{name}.jsonl").measured(name, COMMON, FORMER, 0)} for name in NAMES]
    return _written("search-defaults", found)


def measure_others(work: Path = WORK) -> Path:
    """What was tried on other data."""
    found = []
    for name in OTHERS:
        lines = Lines(work / f"others-{name}.jsonl")
        found += [{"data": name, **lines.measured(name, COMMON, settings, 0)} for settings in TRIED[name]]
    return _written("search-others", found)


def _written(name: str, found: list[dict[str, Any]]) -> Path:
    path = RESULTS / f"{datetime.now(UTC):%Y-%m-%d}-{name}.json"
    body = ",\n".join("  " + json.dumps(one) for one in found)
    path.write_text(json.dumps(measured_at(), indent=1)[:-2] + ',\n "trainings": [\n' + body + "\n ]\n}\n")
    return path


if __name__ == "__main__":
    log(str(measure_others() if "--others" in sys.argv[1:] else measure_defaults()))
