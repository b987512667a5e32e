"""Warm-up, stable, decay (Hu et al., 2024): the peak for most of the run, then a fall over its last steps.

The fall is 1 - sqrt of the part of it that is done, the best of those compared by Hägele et al. (2024, section 3).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from tunesmith.train.config import TrainConfig
from tunesmith.train.schedules import Span

DECAY_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class WarmupStableDecay:
    """Stable, then falling."""

    tail: float
    """The fall's share of the way past warm-up, in (0, 1]."""
    final_share: float
    WARMUP: ClassVar = 0.05
    START: ClassVar = 0.0

    @classmethod
    def of(cls, config: TrainConfig, span: Span) -> Self:
        """`train.decay_share` counts all steps; the fall never reaches into warm-up."""
        wanted = (DECAY_SHARE if config.decay_share is None else config.decay_share) * span.steps
        return cls(min(1.0, (wanted + 1) / span.length), config.final_share)

    def __call__(self, part: float, losses: Sequence[float]) -> float:
        """1 until the fall begins, `final_share` just after the last step."""
        fallen = (part - (1 - self.tail)) / self.tail
        return 1.0 if fallen <= 0 else self.final_share + (1 - self.final_share) * (1 - math.sqrt(fallen))
