"""The space of a search as coordinates: what samplers, surrogates and importance work on instead of settings.

A setting is an axis. A coordinate is a position in a list for what can be counted, else a share of the way from the lower end to the
upper one. Numbers in a list stand in their order, so that a sampler knows that 8 lies between 4 and 16. A setting that hangs on another
one and is not searched beside it is left out of the settings, and stands at the middle of its axis in the coordinates.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from tunesmith.core.hashing import digest
from tunesmith.recipe.search_config import RangeConfig, SearchConfig, as_json, is_active, rounded
from tunesmith.search.trial import Settings

Coordinate = int | float
"""A position in a list, or a share from 0 to 1."""

_MOST_COUNTED = 1000
"""Values of an axis of whole numbers that is still taken for a list."""


@dataclass(frozen=True, slots=True)
class Listed:
    """Values that can be counted."""

    values: tuple[Any, ...]
    ordered: bool
    """They are numbers, ascending."""

    @property
    def size(self) -> int | None:
        return len(self.values)

    @property
    def middle(self) -> Coordinate:
        return len(self.values) // 2

    def at(self, share: float) -> Coordinate:
        """The coordinate at a share of the axis, from 0 to below 1."""
        return min(int(share * len(self.values)), len(self.values) - 1)

    def value(self, coordinate: Coordinate) -> Any:
        return self.values[int(coordinate)]

    def coordinate(self, value: Any) -> Coordinate | None:
        """Where a value stands; None where it is none of the list."""
        texts = [as_json(listed) for listed in self.values]
        return texts.index(as_json(value)) if as_json(value) in texts else None

    def features(self, coordinate: Coordinate) -> list[float]:
        """Numbers from 0 to 1 in which what is near is alike: one where there is an order, else one a value."""
        if self.ordered:
            return [coordinate / (len(self.values) - 1)]
        return [float(position == coordinate) for position in range(len(self.values))]


@dataclass(frozen=True, slots=True)
class Span:
    """Numbers between two."""

    low: float
    high: float
    log: bool
    step: int = 0
    """Distance of whole numbers from one another; 0 where any number will do."""

    @property
    def size(self) -> int | None:
        return None

    @property
    def middle(self) -> Coordinate:
        return 0.5

    def at(self, share: float) -> Coordinate:
        """The coordinate at a share of the axis."""
        return share

    def value(self, coordinate: Coordinate) -> Any:
        """The number there, to three digits: finer differences are lost in the noise, and nobody wants to read them."""
        if self.log:
            found = math.exp(math.log(self.low) + coordinate * (math.log(self.high) - math.log(self.low)))
            near = rounded(found)
        else:
            found = self.low + coordinate * (self.high - self.low)
            near = round(found, 3 - math.floor(math.log10(self.high - self.low)))
        if self.step:
            steps = round((found - self.low) / self.step)
            return int(self.low) + self.step * min(steps, int(self.high - self.low) // self.step)
        return min(max(near, self.low), self.high)

    def coordinate(self, value: Any) -> Coordinate | None:
        """Where a number lies; None where it lies outside, or is none."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.low <= value <= self.high:
            return None
        if self.log:
            return min(max(math.log(value / self.low) / math.log(self.high / self.low), 0.0), 1.0)
        return (value - self.low) / (self.high - self.low)

    def features(self, coordinate: Coordinate) -> list[float]:
        """The share itself."""
        return [float(coordinate)]


Axis = Listed | Span


@dataclass(frozen=True, slots=True)
class Space:
    """All that a search may ask for."""

    axes: Mapping[str, Axis]
    """In the order of the settings' names."""
    ranges: Mapping[str, RangeConfig]

    @classmethod
    def of(cls, config: SearchConfig) -> "Space":
        """The space of a `search` section."""
        ranges = dict(config.ranges())
        return cls({name: _axis(found) for name, found in ranges.items()}, ranges)

    @property
    def size(self) -> int | None:
        """How many combinations of values there are; None where they can't be counted."""
        sizes = [axis.size for axis in self.axes.values()]
        return math.prod(size for size in sizes if size is not None) if None not in sizes else None

    def settings(self, coordinates: Mapping[str, Coordinate]) -> dict[str, Any]:
        """The settings at a place, without those that are not searched beside the others."""
        chosen = {name: axis.value(coordinates[name]) for name, axis in self.axes.items()}
        return {name: value for name, value in chosen.items() if is_active(self.ranges[name], chosen)}

    def named(self, settings: Settings) -> dict[str, Any]:
        """The same settings as the space itself names them: without those that are not searched beside the others."""
        return {name: value for name, value in settings.items() if name not in self.ranges or is_active(self.ranges[name], settings)}

    def coordinates(self, settings: Settings) -> dict[str, Coordinate] | None:
        """The place of settings; None where it lies outside of the space."""
        found: dict[str, Coordinate] = {}
        for name, axis in self.axes.items():
            if name not in settings:
                if is_active(self.ranges[name], settings):
                    return None
                found[name] = axis.middle
                continue
            at = axis.coordinate(settings[name])
            if at is None:
                return None
            found[name] = at
        return found if settings.keys() <= self.axes.keys() else None

    def features(self, coordinates: Mapping[str, Coordinate]) -> list[float]:
        """A place as numbers from 0 to 1, for surrogates."""
        return [number for name, axis in self.axes.items() for number in axis.features(coordinates[name])]

    def columns(self) -> dict[str, slice]:
        """Which of the features are whose."""
        found: dict[str, slice] = {}
        start = 0
        for name, axis in self.axes.items():
            width = len(axis.features(axis.middle))
            found[name] = slice(start, start + width)
            start += width
        return found

    def at(self, shares: Sequence[float]) -> dict[str, Coordinate]:
        """The place at a point of the unit cube."""
        return {name: axis.at(share) for (name, axis), share in zip(self.axes.items(), shares, strict=True)}

    def everywhere(self) -> Iterator[dict[str, Any]]:
        """Every point once, in the order of the lists; for spaces that can be counted."""
        seen: set[str] = set()
        for places in product(*(range(axis.size or 0) for axis in self.axes.values())):
            settings = self.settings(dict(zip(self.axes, places, strict=True)))
            if key_of(settings) not in seen:
                seen.add(key_of(settings))
                yield settings


def key_of(settings: Settings) -> str:
    """A text that is equal for equal settings, whatever their order."""
    return digest({name: as_json(value) for name, value in settings.items()})


def _axis(found: RangeConfig) -> Axis:
    size = found.size()
    if found.choices is not None:
        numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in found.choices)
        return Listed(tuple(sorted(found.choices) if numbers else found.choices), ordered=numbers)
    if found.whole is not None and size is not None:
        low, high = found.whole
        if found.log is True or size > _MOST_COUNTED:
            return Span(low, high, log=bool(found.log), step=found.step or 1)
        return Listed(tuple(range(low, high + 1, found.step or 1)), ordered=True)
    pair = found.linear or found.log
    assert isinstance(pair, tuple)
    return Span(*pair, log=found.linear is None)
