"""The learning rate over the steps of a run: warm-up, then a shape. One file each, named in the table.

A shape comes to its final share one step after the last, so that the last step of a fall to nothing still changes
something; the first step of a warm-up does too. A share is a pure function of the step, the number of steps and the validation losses so far: nothing is kept between
steps, so a continued run needs no state for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import ClassVar, Protocol, Self

from tunesmith.core.errors import RecipeError, did_you_mean
from tunesmith.train.config import TrainConfig


@dataclass(frozen=True, slots=True)
class Span:
    """How long a run is."""

    steps: int
    warmup_steps: int

    def part(self, step: int) -> float:
        """How far step `step` is from the end of warm-up to the step that would follow the last, in [0, 1)."""
        return max(0, step - self.warmup_steps) / self.length

    @property
    def length(self) -> int:
        """Steps from the end of warm-up to the one that would follow the last."""
        return self.steps - self.warmup_steps + 1


class Shape(Protocol):
    """What the rate does once it has reached its peak."""

    WARMUP: ClassVar[float]
    """Share of the steps to warm up over, where the recipe names none."""
    START: ClassVar[float]
    """Share of the peak that warm-up begins above."""

    @classmethod
    def of(cls, config: TrainConfig, span: Span) -> Self:
        """The shape a config asks for."""
        ...

    def __call__(self, part: float, losses: Sequence[float]) -> float:
        """Share of the peak, in [0, 1], after `part` of the way past warm-up (`Span.part`) and these validation losses, oldest first."""
        ...


_TABLE = {
    "constant": "tunesmith.train.schedules.constant:Constant",
    "linear": "tunesmith.train.schedules.linear:Linear",
    "cosine": "tunesmith.train.schedules.cosine:Cosine",
    "wsd": "tunesmith.train.schedules.wsd:WarmupStableDecay",
    "one_cycle": "tunesmith.train.schedules.one_cycle:OneCycle",
    "plateau": "tunesmith.train.schedules.plateau:Plateau",
}


@dataclass(frozen=True, slots=True)
class Schedule:
    """The rate at a step as a share of the peak, in [0, 1]."""

    shape: Shape
    span: Span

    def share(self, step: int, losses: Sequence[float] = ()) -> float:
        """Share of the peak for step `step`, counted from 1, after these validation losses, oldest first."""
        if self.span.steps == 1:
            return 1.0  # neither a rise nor a fall: the rate that was asked for
        if step <= self.span.warmup_steps:
            rising = self.shape.START + (1 - self.shape.START) * step / self.span.warmup_steps
            return min(1.0, rising * self.shape(0.0, losses))  # rounding may put the peak a hair above itself
        return self.shape(self.span.part(step), losses)


def schedule_of(config: TrainConfig, steps: int) -> Schedule:
    """The schedule a config asks for over so many steps. Raises RecipeError for a name that is not known."""
    if config.schedule not in _TABLE:
        raise RecipeError(f"train.schedule {config.schedule!r} is not known.{did_you_mean(config.schedule, _TABLE)}")
    module, attribute = _TABLE[config.schedule].split(":")
    kind: type[Shape] = getattr(import_module(module), attribute)
    warmup = kind.WARMUP if config.warmup is None else config.warmup
    span = Span(steps, round(warmup * steps))
    return Schedule(kind.of(config, span), span)
