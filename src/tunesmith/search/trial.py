"""What a search asks of whoever trains, and what it is told: settings in, a measure on `select` out.

Both sides of it are written against these values alone, so that a search runs over real trainings and over a table of earlier ones alike.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

Settings = Mapping[str, Any]
"""Dotted path in the recipe (`train.learning_rate`) -> JSON value."""


@dataclass(frozen=True, slots=True)
class Point:
    """How a training stood at one of its evaluations."""

    step: int
    """Optimiser steps made."""
    share: float
    """Of the training's whole length, above 0 and at most 1: what trials of different lengths are compared at."""
    value: float
    """The best so far of the deciding measure on `select`; higher is better, whatever the measure (errors are negated)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A trial that ended."""

    value: float | None
    """The deciding measure on `select` of the checkpoint that was kept, higher is better; None where training diverged."""
    steps: int
    """Optimiser steps that were made for it now: those of a training that was taken up, or shared with another trial, are not counted."""
    seconds: float
    """Of processor time."""
    pruned: bool = False
    """It was ended early, as its report was answered."""
    diverged: str | None = None
    """The sentence, where it did."""
    curve: tuple[Point, ...] = ()


BUDGET: Final = "budget"
Answer = bool | Literal["budget"]
"""To an evaluation. False: go on. True: end here, the trial does not promise enough. BUDGET: end here, what the search may cost is spent; a
search with more to spend goes on with the trial, so what it trained so far is to be kept."""

Report = Callable[[Point], Answer]
"""Told of each evaluation, in order."""


class Trainer(Protocol):
    """Trains a recipe with some settings changed, and measures it on `select`; never sees the test set."""

    def train(self, number: int, settings: Settings, seed: int, report: Report) -> Measured:
        """One trial.

        Args:
            number: of the trial, from 0; a trial of the same number and settings that was killed goes on where it stopped.
            settings: what differs from the recipe.
            seed: of its training.
            report: told of each evaluation, in order.

        Raises:
            TunesmithError: where no trial could work (memory, data, a broken file); the search ends with it.
        """
        ...
