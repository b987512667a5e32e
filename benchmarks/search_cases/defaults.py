"""`defaults-share`: how near a recipe that names nothing but its data comes to what a search of 40 trials finds, on the same rows and budget.

The defaults are trained for real (benchmarks/results/*-search-defaults.json, three seeds, the mean); the searches, with the product's own
defaults but that all 40 trials are made, are replayed over the measured grids of the same rows, 10 seeds, the median of what they return. Both are judged on
fresh rows. Of accuracy the share is default over found; of written answers it is that of the probability the model gives to a token of the
reference, exp(default - found). The figure is the worst of three data sets. What the grids hold is all that the searches could find
(benchmarks/searching/spaces.py): rates, layers, pooling, dropout and optimisers, at the default three epochs.
"""

import json
import math
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from searching.replay import replay
from searching.rows import NAMES
from searching.table import RESULTS, Table

from tunesmith.recipe.search_config import SearchConfig

SEEDS, TRIALS = 10, 40
TO_REACH = 0.97
DEFAULT = SearchConfig.model_fields["sampler"].default


def cases() -> dict[str, Callable[[], dict[str, Any]]]:
    """Name -> what measures it."""
    return {"defaults-share": defaults_share}


def defaults_share() -> dict[str, Any]:
    """The defaults beside what is found."""
    told = {name: _shared(name) for name in NAMES}
    worst = min(told, key=lambda name: told[name]["share"])
    shares = [one["share"] for one in told.values()]
    return {
        "case": "defaults-share",
        "value": told[worst]["share"],
        "unit": f"of what a search of {TRIALS} trials finds, worst of three data sets ({worst})",
        "spread": [min(shares), max(shares)],
        "repeats": SEEDS,
        "to_reach": TO_REACH,
        "data": told,
    }


def _shared(name: str) -> dict[str, Any]:
    table = Table.newest(name)
    found = [replay(table, DEFAULT, seed, share=None, trials=TRIALS, stop_early=False).fresh for seed in range(SEEDS)]
    measured = [one for one in _newest_defaults() if one["data"] == name]
    defaults = [one["fresh"] for one in measured if not one["settings"]]
    default, reached = statistics.mean(defaults), statistics.median(found)
    return {
        "share": round(share_of(default, reached), 4),
        "default": round(default, 5),
        "default_each": defaults,
        "former_default": next(one["fresh"] for one in measured if one["settings"]),
        "found": round(reached, 5),
        "found_each": found,
        "grid_best": table.best["fresh"],
    }


def share_of(default: float, found: float) -> float:
    """Of accuracies their ratio; of log-probabilities, which are below 0, that of the probabilities."""
    return math.exp(default - found) if found < 0 else default / found


def _newest_defaults(results: Path = RESULTS) -> list[dict[str, Any]]:
    measured = sorted(results.glob("*-search-defaults.json"))
    if not measured:
        raise FileNotFoundError("the defaults are not measured: run benchmarks/search.py --full")
    trainings: list[dict[str, Any]] = json.loads(measured[-1].read_text())["trainings"]
    return trainings
