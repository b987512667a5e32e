"""The learning rate over the steps of a run: warm-up, then cosine, linear or constant."""

import math
from dataclasses import dataclass

from tunesmith.train.config import TrainConfig


@dataclass(frozen=True, slots=True)
class Schedule:
    """The rate at a step as a share of the peak, in [0, 1]."""

    kind: str
    steps: int
    warmup_steps: int
    final_share: float

    def share(self, step: int) -> float:
        """Share of the peak for step `step`, counted from 1; the last step ends at `final_share`."""
        if self.steps == 1:
            return 1.0  # a single step that ended at a rate of 0 would change nothing
        if step <= self.warmup_steps:
            return step / self.warmup_steps
        done = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        if self.kind == "constant":
            return 1.0
        fall = 1 - done if self.kind == "linear" else 0.5 * (1 + math.cos(math.pi * done))
        return self.final_share + (1 - self.final_share) * fall


def schedule_of(config: TrainConfig, steps: int) -> Schedule:
    """The schedule a config asks for over so many steps."""
    return Schedule(config.schedule, steps, round(config.warmup * steps), config.final_share)
