"""`search-steps`: share of a grid's optimiser steps after which a search is, and stays, within one standard error of the grid's best.

Three grids of 64 points each (benchmarks/searching/spaces.py), measured once with few rows and one budget, are replayed. The grid's best is
the point with the highest value on `select`, judged on fresh rows; the error is its standard error over those rows, or the deviation over
seeds where that is less. Each search has a third of the grid's steps, 10 seeds; one that is not within at its end counts as 1. A data set's
figure is that of the default sampler with the default pruner, by the median over seeds; the case's is the second best of the three data
sets. The other samplers with the same pruner stand beside it, random search among them, and the default sampler without a pruner, and with
its stopping rule off: that rule's least number of trials was set after seeing these grids, so what it does here is no test of it.
"""

import statistics
from collections.abc import Callable
from typing import Any

from searching.replay import replay
from searching.rows import NAMES
from searching.table import Table

from tunesmith.recipe.search_config import SearchConfig

SEEDS = 10
TO_REACH = 0.33
SAMPLERS = ("gp", "tpe", "random")
DEFAULT = SearchConfig.model_fields["sampler"].default


def cases() -> dict[str, Callable[[], dict[str, Any]]]:
    """Name -> what measures it."""
    return {"search-steps": search_steps}


def search_steps() -> dict[str, Any]:
    """All samplers over all grids."""
    told = {name: _searched(Table.newest(name)) for name in NAMES}
    second = sorted(told, key=lambda name: told[name][DEFAULT]["median"])[1]
    each = told[second][DEFAULT]["each"]
    return {
        "case": "search-steps",
        "value": told[second][DEFAULT]["median"],
        "unit": f"of the grid's steps, second best of three data sets ({second})",
        "spread": [min(each), max(each)],
        "repeats": SEEDS,
        "to_reach": TO_REACH,
        "data": told,
    }


def _searched(table: Table) -> dict[str, Any]:
    runs: dict[str, dict[str, Any]] = {name: {"sampler": name} for name in SAMPLERS}
    runs[f"{DEFAULT}, nothing pruned"] = {"sampler": DEFAULT, "pruner": "none"}
    runs[f"{DEFAULT}, never ended early"] = {"sampler": DEFAULT, "stop_early": False}
    best = table.best
    return {
        "grid": {
            "steps": table.steps,
            "best": best["settings"],
            "fresh": best["fresh"],
            "error_over_rows": best["fresh_error"],
            "error_over_seeds": None if table.deviation is None else round(table.deviation, 5),
            "bound": round(table.bound, 5),
            "points_within": sum(one["fresh"] is not None and one["fresh"] >= table.bound for one in table.grid.values()),
            "highest": table.highest["fresh"],
        },
        **{name: _ten(table, asked) for name, asked in runs.items()},
    }


def _ten(table: Table, asked: dict[str, Any]) -> dict[str, Any]:
    found = [replay(table, seed=seed, **asked) for seed in range(SEEDS)]
    each = [round(1.0 if one.within_at is None else one.within_at, 4) for one in found]
    return {
        "median": round(statistics.median(each), 4),
        "each": each,
        "within": sum(one.within_at is not None for one in found),
        "fresh": round(statistics.median(one.fresh for one in found), 5),
        "searches": [one.to_json() for one in found],
    }
