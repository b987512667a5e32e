"""What a search may cost, and what it has cost: optimiser steps, and time, of which money is a part."""

from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.core.errors import RecipeError
from tunesmith.recipe.search_config import SearchConfig
from tunesmith.search.records import Record
from tunesmith.search.trial import Point

_KEPT_BACK = 1 / 3
"""At most this share of a budget is kept for the repeats of the finalists."""
_CLEARLY = 1.5
"""A first trial that would take so many times the time there is can't be a wrong guess."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What was used of it."""

    steps: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Budget:
    """Bounds; None where there is none."""

    steps: int | None
    seconds: float | None
    told: str
    """How the bound on time was given: `10 minutes`, `5 at 2.5 an hour`."""

    @classmethod
    def of(cls, config: SearchConfig) -> "Budget":
        """The budget of a `search` section; of time and money what ends first."""
        bounds = []
        if config.minutes is not None:
            bounds.append((config.minutes * 60, f"{config.minutes:g} minutes"))
        if config.money is not None and config.price_per_hour is not None:
            bounds.append((config.money / config.price_per_hour * 3600, f"{config.money:g} at {config.price_per_hour:g} an hour"))
        seconds, told = min(bounds) if bounds else (None, "")
        return cls(config.steps, seconds, told)

    def spent(self, used: Spent, kept_back: Spent | None = None) -> str | None:
        """What of it is spent, in words; None where there is some left.

        Args:
            used: so far.
            kept_back: what is to be left for repeats; never more than a third of the whole.
        """
        held = kept_back or Spent(0, 0.0)
        if self.steps is not None and used.steps + min(held.steps, _KEPT_BACK * self.steps) >= self.steps:
            return f"the budget of {self.steps:,} steps"
        if self.seconds is not None and used.seconds + min(held.seconds, _KEPT_BACK * self.seconds) >= self.seconds:
            return f"the budget of {self.told}"
        return None

    def check(self, *, steps: float | None, seconds: float | None) -> None:
        """RecipeError where one trial alone takes more than there is. None: not known."""
        if self.steps is not None and steps is not None and steps > self.steps:
            raise RecipeError(
                f"search.steps: {self.steps:,} is too little for one trial, which takes {round(steps):,}: raise it, or lower train.epochs."
            )
        if self.seconds is not None and seconds is not None and seconds > self.seconds:
            raise RecipeError(
                f"search: {self.told} is too little for one trial, which takes about {seconds / 60:.2g} minutes: raise it, or lower train.epochs."
            )

    def check_first(self, point: Point, seconds: float, share: float) -> None:
        """The same, seen from an evaluation of the very first trial.

        Args:
            point: the evaluation.
            seconds: since an earlier one of the same trial in the same sitting, so that no start-up is taken for training.
            share: of the training that was made in them; 0 where there was none earlier.
        """
        whole = seconds / share if share > 0 and point.share < 1 else None
        clearly = whole is not None and self.seconds is not None and whole > self.seconds * _CLEARLY
        self.check(steps=point.step / point.share, seconds=whole if clearly else None)


def for_repeats(records: Sequence[Record], repeats: int, used: Spent) -> Spent:
    """What so many repeats are expected to take, by the trials that were trained to their end."""
    whole = [record.steps for record in records if record.ended and record.trial().kept and record.steps]
    if not whole or not used.steps:
        return Spent(0, 0.0)
    steps = round(sum(whole) / len(whole) * repeats)
    return Spent(steps, used.seconds * steps / used.steps)
