"""The `search` section of a recipe: what is varied, how points are asked for, what ends a trial early, and what the search may cost.

What can be said of the section alone is said here; whether its values make valid recipes is looked at by `search_space`.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, SerializerFunctionWrapHandler, Tag, field_validator, model_serializer, model_validator

from tunesmith.section import Section

SamplerName = Literal["grid", "random", "tpe", "gp"]
PrunerName = Literal["none", "median", "hyperband", "asha"]
DEFAULT_TRIALS = 20
MOST_GRID_POINTS = 10_000
_Pair = tuple[float, float]


class RangeConfig(Section):
    """What one setting may be. One of `choices`, `log`, `linear` and `int`."""

    choices: list[Any] | None = None
    """Values, as a plain list does; numbers among numbers are taken in their order."""
    log: _Pair | bool | None = None
    """Any number between two, spread evenly over its logarithm; beside `int`, true spreads whole numbers so."""
    linear: _Pair | None = None
    """Any number between two, spread evenly."""
    whole: tuple[int, int] | None = Field(default=None, alias="int")
    """Whole numbers between two, both included."""
    step: int | None = Field(default=None, ge=1)
    """Distance of the whole numbers from one another, counted from the lower end; 1 where absent."""
    when: dict[str, list[Any]] | None = None
    """Another setting of the space -> the values beside which this one is searched; elsewhere it keeps the recipe's own value."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        pair = self.log if isinstance(self.log, tuple) else None
        given = [kind for kind in (self.choices, pair, self.linear, self.whole) if kind is not None]
        if len(given) != 1:
            raise ValueError("a range is one of a list, {choices: [a, b]}, {log: [a, b]}, {linear: [a, b]} and {int: [a, b]}")
        if self.step is not None and (self.whole is None or self.log):
            raise ValueError("step belongs to {int: [a, b]} without log: remove it")
        if isinstance(self.log, bool) and self.whole is None:
            raise ValueError("log: true belongs beside int; for other numbers write {log: [a, b]}")
        if self.choices is not None:
            _check_listed(self.choices)
        return self

    @model_validator(mode="after")
    def _ends_in_order(self) -> Self:
        for pair in (self.log, self.linear, self.whole):
            if isinstance(pair, tuple) and not pair[0] < pair[1]:
                raise ValueError(f"the range from {pair[0]:g} to {pair[1]:g} is empty: its first end must be below its second")
            if isinstance(pair, tuple) and self.log and pair[0] <= 0:
                raise ValueError(f"a range of logarithms can't begin at {pair[0]:g}: begin above 0, or take linear")
        if isinstance(self.log, tuple) and rounded(self.log[0]) == rounded(self.log[1]):
            raise ValueError(
                f"the range from {self.log[0]!r} to {self.log[1]!r} is one value to three digits, as they are tried: take ends further apart"
            )
        if self.whole is not None and self.step is not None and self.step > self.whole[1] - self.whole[0]:
            raise ValueError(f"step {self.step} leaves one value between {self.whole[0]} and {self.whole[1]}: take a smaller one")
        return self

    @model_serializer(mode="wrap")
    def _as_it_is_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value is not None}

    def ends(self) -> list[Any]:
        """The values a recipe must hold with: every choice, or both ends."""
        if self.choices is not None:
            return self.choices
        pair = self.whole or self.linear or self.log
        assert isinstance(pair, tuple)
        return list(pair)

    def size(self) -> int | None:
        """How many values there are; None where they can't be counted."""
        if self.choices is not None:
            return len(self.choices)
        if self.whole is not None:
            return (self.whole[1] - self.whole[0]) // (self.step or 1) + 1
        return None


def _kind(value: Any) -> str:
    return "listed" if isinstance(value, list | tuple) else "range"


Range = Annotated[Annotated[list[Any], Tag("listed")] | Annotated[RangeConfig, Tag("range")], Discriminator(_kind)]


class SearchConfig(Section):
    """A search over settings of this recipe, by `tunesmith search`; `tunesmith run` passes it over."""

    space: dict[str, Range] = Field(min_length=1)
    """Setting (`train.learning_rate`, `method.rank`) -> a list of values, or {log: [a, b]}, {linear: [a, b]}, {int: [a, b]}."""
    sampler: SamplerName = "gp"
    """How the next point is chosen: `grid`, `random`, `tpe` (tree of Parzen estimators) or `gp` (Gaussian process; best up to some hundred trials)."""
    trials: int | None = Field(default=None, ge=1, le=MOST_GRID_POINTS)
    """Trainings at most, repeats of the finalists apart; null: 20, and for `grid` every point."""
    pruner: PrunerName = "hyperband"
    """What ends poor trials early, by their measure on `select`: `none`, `median`, `asha`, or `hyperband`, which lets some trials pass."""
    minutes: float | None = Field(default=None, gt=0, le=10**7)
    """The search ends after so many minutes of work, repeats included."""
    steps: int | None = Field(default=None, gt=0, le=10**12)
    """The search ends after so many optimiser steps, repeats included."""
    money: float | None = Field(default=None, gt=0, le=10**9)
    """The search ends when it has cost so much, repeats included; needs `price_per_hour`."""
    price_per_hour: float | None = Field(default=None, gt=0, le=10**6)
    """What the machine costs an hour, in the currency of `money`."""
    stop_early: bool = True
    """End the search when what a further trial is expected to gain is small against the noise of the measure."""
    patience: int | None = Field(default=None, ge=1, le=MOST_GRID_POINTS)
    """End the search after so many trials in a row that were not the best so far; null: never for that."""
    finalists: int = Field(default=3, ge=1, le=100)
    """How many of the best trials are trained again under other seeds; 1: none is, as nothing is to be chosen."""
    seeds: int = Field(default=2, ge=1, le=100)
    """Seeds that each finalist is trained with, its first one included; the best mean wins. 1: none is trained again."""
    workers: int = Field(default=1, ge=1, le=64)
    """Processes that train at once, the cores divided among them. With one, the same seed asks the same points."""

    @field_validator("space")
    @classmethod
    def _lists_are_lists_of_different_values(cls, space: dict[str, Any]) -> dict[str, Any]:
        for name, values in space.items():
            if isinstance(values, list):
                try:
                    _check_listed(values)
                except ValueError as error:
                    raise ValueError(f"{name}: {error}") from None
        return space

    @model_validator(mode="after")
    def _conditions_can_hold(self) -> Self:
        for name, found in self.ranges():
            for other, values in (found.when or {}).items():
                self._check_condition(name, other, values)
        return self

    @model_validator(mode="after")
    def _settings_are_used(self) -> Self:
        if (self.money is None) != (self.price_per_hour is None):
            missing = "price_per_hour" if self.price_per_hour is None else "money"
            raise ValueError(f"money and price_per_hour go together: set {missing} too, or remove the other")
        if self.sampler == "grid":
            self._check_grid()
        return self

    def ranges(self) -> Iterator[tuple[str, RangeConfig]]:
        """Setting and range, in the order of their names: the order in a file changes no search."""
        for name in sorted(self.space):
            found = self.space[name]
            yield name, found if isinstance(found, RangeConfig) else RangeConfig(choices=found)

    def identity(self) -> dict[str, Any]:
        """What a study is, as JSON: all that decides which points are asked and which trials end early, no budget, so that a study may be prolonged."""
        budgets = {"trials", "minutes", "steps", "money", "price_per_hour", "stop_early", "patience", "finalists", "seeds", "workers"}
        return self.model_dump(mode="json", by_alias=True, exclude=budgets)

    def _check_condition(self, name: str, other: str, values: list[Any]) -> None:
        within = dict(self.ranges()).get(other)
        if within is None or within.choices is None or other == name:
            raise ValueError(
                f"{name} hangs on {other}, which is no other setting of the space with a list of values: add it, or remove when"
            )
        if within.when is not None:
            raise ValueError(f"{name} hangs on {other}, which itself hangs on another setting: name that one in when instead")
        known = {as_json(value) for value in within.choices}
        for value in values:
            if as_json(value) not in known:
                raise ValueError(f"{name} hangs on {other}: {as_json(value)}, which is none of its values: add it there, or remove it here")
        if not values:
            raise ValueError(f"{name} hangs on no value of {other}: name some, or remove when")

    def _check_grid(self) -> None:
        points = 1
        for name, found in self.ranges():
            size = found.size()
            if size is None:
                raise ValueError(f"sampler: grid needs values to visit, and {name} is a range: list some, or take tpe, gp or random")
            points *= size
        if points > MOST_GRID_POINTS:
            raise ValueError(
                f"the grid has {points:,} points, and {MOST_GRID_POINTS:,} is the most: list fewer values, or take tpe, gp or random"
            )


def rounded(number: float) -> float:
    """To three digits, as values of a range of logarithms are tried."""
    return float(f"{number:.3g}")


def as_json(value: Any) -> str:
    """A value as one text, equal where the values are; 1 and 1.0 are one."""
    return json.dumps(int(value) if isinstance(value, float) and value.is_integer() else value, sort_keys=True)


def is_active(found: RangeConfig, chosen: Mapping[str, Any]) -> bool:
    """Whether a setting is searched beside what was chosen for those it hangs on."""
    return all(as_json(chosen.get(other)) in {as_json(value) for value in values} for other, values in (found.when or {}).items())


def _check_listed(values: list[Any]) -> None:
    if len(values) < 2:
        raise ValueError(f"a list of {len(values)} leaves nothing to search: list two values or more, or write the one into the recipe")
    seen: set[str] = set()
    for value in values:
        try:
            text = as_json(value)
        except (TypeError, ValueError):
            raise ValueError(f"{value!r} is no value of a setting: list numbers, text, true, false or null") from None
        if text in seen:
            raise ValueError(f"{text} stands twice in the list: name it once")
        seen.add(text)
