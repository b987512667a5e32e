"""What a search found, as values: its trials, the finalists under several seeds, the winner, what it cost and why it ended."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tunesmith.search.trial import Measured, Point, Settings


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """A trial that ended."""

    number: int
    """Counted from 0, in the order in which trials began."""
    settings: Settings
    """What differs from the recipe."""
    seed: int
    """Of its training."""
    measured: Measured

    @property
    def kept(self) -> bool:
        """It was trained to its end and has a value."""
        return self.measured.value is not None and not self.measured.pruned

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"number": self.number, "settings": dict(self.settings), "seed": self.seed, "measured": measured_json(self.measured)}


@dataclass(frozen=True, slots=True)
class Finalist:
    """One of the best trials, and what other seeds made of the same settings."""

    trials: tuple[TrialRecord, ...]
    """Its own trial first, then its repeats under other seeds."""
    mean: float | None
    """Of the values under the seeds that all finalists were trained with; None where one of them diverged."""
    spread: float | None
    """Standard deviation of those values over seeds (n - 1); None under two."""

    @property
    def first(self) -> TrialRecord:
        """The trial of the search."""
        return self.trials[0]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"trials": [trial.to_json() for trial in self.trials], "mean": self.mean, "spread": self.spread}


@dataclass(frozen=True, slots=True)
class SearchOutcome:
    """A search that ended."""

    trials: tuple[TrialRecord, ...]
    """The search's own, in order; repeats of finalists are with the finalists."""
    best: TrialRecord
    """The winner's trial of the search: the best mean over seeds. Its value was chosen for being high, so it flatters."""
    finalists: tuple[Finalist, ...]
    """The winner first."""
    steps: int
    """Optimiser steps, repeats included."""
    seconds: float
    """During which the search worked, earlier sittings and repeats included."""
    stopped: str
    """Why it ended, a sentence."""
    importance: Mapping[str, float]
    """Setting -> share of the differences between trials that hangs on it, alone or with others; empty where that can't be told."""
    importance_note: str
    """What the shares rest on, or why there are none; a sentence."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "trials": [trial.to_json() for trial in self.trials],
            "best": self.best.to_json(),
            "finalists": [finalist.to_json() for finalist in self.finalists],
            "steps": self.steps,
            "seconds": self.seconds,
            "stopped": self.stopped,
            "importance": dict(self.importance),
            "importance_note": self.importance_note,
        }


def measured_json(measured: Measured) -> dict[str, Any]:
    """A measure as JSON, its curve as a list of [step, share, value]."""
    return asdict(measured) | {"curve": curve_json(measured.curve)}


def measured_from(told: Mapping[str, Any]) -> Measured:
    """The measure that `measured_json` wrote. Raises TypeError, KeyError or ValueError where it did not."""
    return Measured(**{**told, "curve": curve_from(told["curve"])})


def curve_json(curve: tuple[Point, ...]) -> list[list[float]]:
    """A curve as a list of [step, share, value]."""
    return [[point.step, point.share, point.value] for point in curve]


def curve_from(told: list[list[float]]) -> tuple[Point, ...]:
    """The curve that `curve_json` wrote."""
    return tuple(Point(int(step), float(share), float(value)) for step, share, value in told)
