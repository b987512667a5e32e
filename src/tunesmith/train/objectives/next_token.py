"""Next-token prediction on the supervised tokens: answers for instruction tuning, all of it for raw text."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from tunesmith.train.objectives import LossSum


@dataclass(frozen=True, slots=True)
class TokenInputs:
    """Letters: S supervised tokens."""

    logps_S: Tensor
    """Log-probability of each supervised token."""
    weight_S: Tensor


@dataclass(frozen=True, slots=True)
class NextToken:
    """Weighted negative log-likelihood."""

    inputs: ClassVar[str] = "token_logps"

    def __call__(self, x: TokenInputs) -> LossSum:
        return LossSum(total=-(x.logps_S * x.weight_S).sum(), weight=float(x.weight_S.sum()))
