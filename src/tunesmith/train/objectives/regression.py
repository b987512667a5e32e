"""A number for each row: squared error, or Huber's where outliers should not lead."""

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F

from tunesmith.train.objectives import LossSum
from tunesmith.train.objectives.distribution import at_least_float32
from tunesmith.train.objectives.inputs import ValueInputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """Squared error (v - t)^2; with a delta, Huber's loss (Huber, 1964) instead.

    Huber: e^2 / 2 where |e| <= delta, delta (|e| - delta / 2) beyond: half the squared error near the target, and a
    gradient of at most delta. Both are in the target's units: bring targets to a scale of about 1 before. Divided by
    the sum of row weights.
    """

    huber_delta: float | None = None

    inputs: ClassVar[str] = "values"
    needs: ClassVar[frozenset[str]] = frozenset()

    def __call__(self, x: ValueInputs) -> LossSum:
        value_R, target_R = at_least_float32(x.value_R), at_least_float32(x.target_R)
        if self.huber_delta is None:
            return LossSum.of((value_R - target_R).square(), x.weight_R)
        return LossSum.of(F.huber_loss(value_R, target_R, reduction="none", delta=self.huber_delta), x.weight_R)
