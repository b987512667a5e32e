"""With what a search begins: the recipe's own settings where they lie in its space and its budget, and what one trial takes at the least.

By arithmetic over the number of training rows; time, where a budget of time or money asks for it, by that of `tunesmith estimate` (a
second or two). Trains nothing.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.core.errors import TunesmithError
from tunesmith.core.progress import Listener, Said
from tunesmith.recipe import Recipe
from tunesmith.recipe.scalars import shown
from tunesmith.recipe.search_config import SearchConfig, is_active
from tunesmith.recipe.search_space import with_settings
from tunesmith.search.budget import Budget
from tunesmith.search.space import Space
from tunesmith.search.trial import Settings

if TYPE_CHECKING:
    from tunesmith.pipeline.bench import Bench

_LENGTH = ("train.epochs", "train.batch_rows", "train.max_steps")
"""Settings on which the number of steps hangs."""
_MARGIN = 2.0
"""Time by arithmetic may be so many times the time that is then taken."""


@dataclass(frozen=True)
class Beginning:
    """What is known before the first trial."""

    recipe: Recipe
    config: SearchConfig
    bench: "Bench"

    @cached_property
    def steps(self) -> int | None:
        """Of the shortest trial; None where rows become more or fewer examples."""
        return min(map(self._steps_of, self._lengths())) if self._counted else None

    def first(self, own: Settings, listen: Listener) -> list[Settings]:
        """The point to try before any other: the recipe's own settings, or why not, and where steps are few the shortest trial instead.

        Args:
            own: the recipe's own values of what is searched.
            listen: told why they are not tried.
        """
        active = {name: value for name, value in own.items() if is_active(self.space.ranges[name], own)}
        outside = [name for name in active if self.space.axes[name].coordinate(active[name]) is None]
        taken, most = self._steps_of({}) if self._counted else 0, self.config.steps
        if outside:
            told = ", ".join(f"{name} {shown(own[name])}" for name in outside)
            why = f"{told} {'lies' if len(outside) == 1 else 'lie'} outside of search.space"
        elif most is not None and taken > most:
            why = f"they take {taken:,} steps, and search.steps is {most:,}"
        else:
            return [active]
        listen(Said(f"The recipe's own settings are none of the trials: {why}."))
        return [self._shortest()] if most is not None and self._counted else []

    def seconds(self, study: Path) -> float | None:
        """What the shortest trial takes by arithmetic; None where that is not known, not asked for, or no more than twice what there is.

        Args:
            study: its folder; a search that has begun knows better.
        """
        budget = Budget.of(self.config).seconds
        if budget is None or study.exists():
            return None
        from tunesmith.pipeline.estimating import estimate_of

        try:
            training = estimate_of(self.bench, probing=False).training
        except (TunesmithError, ValueError, TypeError):
            return None  # no figure is no reason to refuse
        if training is None or self.steps is None:
            return None
        taken = training.wall * min(1.0, self.steps / self._steps_of({}))
        return taken if taken > _MARGIN * budget else None

    @cached_property
    def space(self) -> Space:
        """What is searched, as coordinates."""
        return Space.of(self.config)

    @property
    def _counted(self) -> bool:
        """Whether a row is an example."""
        return self.bench.dataset.task != "text"

    def _steps_of(self, changed: Mapping[str, Any]) -> int:
        """Optimiser steps of a trial, replayed rows apart."""
        train, rows = with_settings(self.recipe, changed).train, len(self.bench.sides["train"])
        wanted = max(1, round(train.epochs * math.ceil(rows / train.batch_rows)))
        return min(wanted, train.max_steps or wanted)

    def _lengths(self) -> Iterator[dict[str, Any]]:
        """Every combination of what makes trials long or short: at the ends of ranges lie the shortest."""
        searched = [name for name in _LENGTH if name in self.space.axes]
        for values in product(*(self.space.ranges[name].ends() for name in searched)):
            yield dict(zip(searched, values, strict=True))

    def _shortest(self) -> dict[str, Any]:
        """The point of the space with the fewest steps, in the middle of everything else."""
        middle = {name: axis.middle for name, axis in self.space.axes.items()}
        points = (self.space.settings(middle | self._places(changed)) for changed in self._lengths())
        return min(points, key=self._steps_of)

    def _places(self, changed: Mapping[str, Any]) -> dict[str, Any]:
        return {name: place for name, value in changed.items() if (place := self.space.axes[name].coordinate(value)) is not None}
