"""Cross-entropy over labels, for a classification head."""

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from tunesmith.train.objectives import LossSum


@dataclass(frozen=True, slots=True)
class LabelInputs:
    """Letters: R rows, C labels."""

    logits_RC: Tensor
    label_R: Tensor


@dataclass(frozen=True, slots=True)
class LabelClass:
    """Negative log-likelihood of the right label."""

    inputs: ClassVar[str] = "label_logits"

    def __call__(self, x: LabelInputs) -> LossSum:
        return LossSum(total=F.cross_entropy(x.logits_RC, x.label_R, reduction="sum"), weight=float(len(x.label_R)))
