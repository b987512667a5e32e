"""Reduce on plateau: the rate falls by a factor each time the validation loss has stopped falling.

How often it has fallen is counted from the validation losses anew at each step, so there is no state to lose.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from tunesmith.train.config import TrainConfig
from tunesmith.train.schedules import Span

FACTOR = 0.5
PATIENCE = 1


@dataclass(frozen=True, slots=True)
class Plateau:
    """`factor` to the number of reductions, never below `final_share`."""

    factor: float
    patience: int
    minimum_gain: float
    final_share: float
    WARMUP: ClassVar = 0.05
    START: ClassVar = 0.0

    @classmethod
    def of(cls, config: TrainConfig, span: Span) -> Self:
        """What counts as a lower loss is what early stopping counts as one."""
        factor, patience = config.plateau.factor, config.plateau.patience
        gain = config.early_stopping.minimum_gain
        return cls(FACTOR if factor is None else factor, PATIENCE if patience is None else patience, gain, config.final_share)

    def __call__(self, part: float, losses: Sequence[float]) -> float:
        """1 before the first reduction."""
        return max(self.final_share, self.factor ** self.reductions(losses))

    def reductions(self, losses: Sequence[float]) -> int:
        """How often `patience` losses in a row were not lower than the best before them; counting restarts after each."""
        best, stale, found = math.inf, 0, 0
        for loss in losses:
            if loss < best - self.minimum_gain:
                best, stale = loss, 0
            else:
                stale += 1
            if stale >= self.patience:
                found, stale = found + 1, 0
        return found
