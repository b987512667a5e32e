"""One cycle (Smith, 2018, section 4.4): up from a tenth of the peak, down again as slowly, then far below over the rest.

Momentum is left as it is; Smith lowers it while the rate is high.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from tunesmith.train.config import TrainConfig
from tunesmith.train.schedules import Span


@dataclass(frozen=True, slots=True)
class OneCycle:
    """The way down; the way up is its warm-up."""

    down: float
    """The fall's share of the way past the peak; as many steps as the rise, where so many are left."""
    final_share: float
    WARMUP: ClassVar = 0.45
    START: ClassVar = 0.1

    @classmethod
    def of(cls, config: TrainConfig, span: Span) -> Self:
        """`train.warmup` is the rise."""
        return cls(min(1.0, span.warmup_steps / span.length), config.final_share)

    def __call__(self, part: float, losses: Sequence[float]) -> float:
        """1 at the peak, a tenth after the fall, `final_share` just after the last step."""
        low = max(self.START, self.final_share) if self.down < 1 else self.final_share
        if part < self.down:
            return 1 - (1 - low) * part / self.down
        if self.down == 1:
            return low
        after = (part - self.down) / (1 - self.down)
        return low * (1 - after) + self.final_share * after  # in this form no rounding falls below the lower of the two
