"""A straight fall from the peak to its final share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from tunesmith.train.config import TrainConfig
from tunesmith.train.schedules import Span


@dataclass(frozen=True, slots=True)
class Linear:
    """A straight line."""

    final_share: float
    WARMUP: ClassVar = 0.05
    START: ClassVar = 0.0

    @classmethod
    def of(cls, config: TrainConfig, span: Span) -> Self:
        """Down to `train.final_share`."""
        return cls(config.final_share)

    def __call__(self, part: float, losses: Sequence[float]) -> float:
        """1 at the end of warm-up, `final_share` just after the last step."""
        return self.final_share + (1 - self.final_share) * (1 - part)
