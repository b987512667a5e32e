"""A measured grid as a trainer: it answers a search from the table, evaluation by evaluation, and counts the steps that it would have made."""

import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tunesmith.search.trial import Measured, Point, Report, Settings

RESULTS = Path(__file__).resolve().parents[1] / "results"


@dataclass(frozen=True)
class Table:
    """A grid's trainings."""

    data: str
    space: Mapping[str, list[Any]]
    trainings: list[dict[str, Any]]

    @classmethod
    def newest(cls, data: str, results: Path = RESULTS) -> "Table":
        """The last one measured of a data set. FileNotFoundError where there is none."""
        found = sorted(results.glob(f"*-search-grid-{data}.json"))
        if not found:
            raise FileNotFoundError(f"no grid of {data} is measured: run benchmarks/search.py --full")
        read = json.loads(found[-1].read_text())
        return cls(data, read["space"], read["trainings"])

    @cached_property
    def grid(self) -> dict[str, dict[str, Any]]:
        """Settings as a key -> the training of seed 0, of every point."""
        return {key_of(one["settings"]): one for one in self.trainings if one["seed"] == 0}

    @cached_property
    def steps(self) -> int:
        """Optimiser steps of the whole grid."""
        return sum(one["of_steps"] for one in self.grid.values())

    @cached_property
    def best(self) -> dict[str, Any]:
        """What a grid search returns: the highest on `select`, between equals the lowest loss there."""
        return max((one for one in self.grid.values() if one["value"] is not None), key=lambda one: (one["value"], -_loss(one)))

    @cached_property
    def highest(self) -> dict[str, Any]:
        """The point with the highest value on fresh rows, which nobody could choose."""
        return max((one for one in self.grid.values() if one["fresh"] is not None), key=lambda one: float(one["fresh"]))

    @cached_property
    def deviation(self) -> float | None:
        """Standard deviation of a fresh value over seeds, pooled over the points that were trained with several; None where none was."""
        found: dict[str, list[float]] = {}
        for one in self.trainings:
            if one["fresh"] is not None:
                found.setdefault(key_of(one["settings"]), []).append(one["fresh"])
        variances = [statistics.variance(values) for values in found.values() if len(values) > 1]
        return statistics.mean(variances) ** 0.5 if variances else None

    @property
    def error(self) -> float:
        """The standard error that a value is held against: over the rows of the grid's best or over seeds, whichever is less."""
        over_rows = float(self.best["fresh_error"])
        return over_rows if self.deviation is None else min(over_rows, self.deviation)

    @property
    def bound(self) -> float:
        """Fresh value of the grid's best less one standard error."""
        return float(self.best["fresh"]) - self.error


def key_of(settings: Settings) -> str:
    """One text for equal settings; 1 and 1.0 are one."""
    return json.dumps({name: float(value) if isinstance(value, int | float) else value for name, value in sorted(settings.items())})


def _loss(one: Mapping[str, Any]) -> float:
    return next(loss for step, loss, _ in one["curve"] if step == one["kept"])


@dataclass
class TableTrainer:
    """Trains nothing. Every trial is told, in the order they were asked for, in `told`."""

    table: Table
    told: list[tuple[Settings, Measured]] = field(default_factory=list)

    def train(self, number: int, settings: Settings, seed: int, report: Report) -> Measured:
        """See `search.trial.Trainer`; whatever the seed, the grid's training is answered. KeyError for settings that are no point of the grid."""
        measured = self._replayed(self.table.grid[key_of(settings)], report)
        self.told.append((dict(settings), measured))
        return measured

    def _replayed(self, one: Mapping[str, Any], report: Report) -> Measured:
        curve: list[Point] = []
        best = float("-inf")
        for step, loss, value in one["curve"]:
            best = max(best, -loss if value is None else value)
            if step == 0:
                continue
            point = Point(step=step, share=step / one["of_steps"], value=best)
            curve.append(point)
            if report(point) and step < one["of_steps"]:
                return Measured(value=best, steps=step, seconds=one["seconds"] * point.share, pruned=True, curve=tuple(curve))
        diverged = "It diverged." if one["value"] is None else None
        return Measured(value=one["value"], steps=one["steps"], seconds=one["seconds"], diverged=diverged, curve=tuple(curve))
