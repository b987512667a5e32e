"""Several labels for one row: each is a yes or no of its own. Letters: R rows, C labels."""

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from tunesmith.train.objectives import LossSum
from tunesmith.train.objectives.distribution import at_least_float32
from tunesmith.train.objectives.inputs import MultiLabelInputs


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiLabel:
    """Binary cross-entropy of every label, averaged over the C labels of a row.

    (1 / C) sum_c [ -w_c t_c log s(z_c) - (1 - t_c) log(1 - s(z_c)) ], s the logistic function. Focal loss (Lin et al.,
    2017, eq. 4) multiplies either term by (1 - its probability)^g. Divided by the sum of row weights.
    """

    focal_gamma: float = 0.0
    class_weights: tuple[float, ...] | None = None
    """What having a label counts against not having it, one number per label: `class_weights.resolve_positive_weights`."""

    inputs: ClassVar[str] = "multilabels"
    needs: ClassVar[frozenset[str]] = frozenset()

    def __call__(self, x: MultiLabelInputs) -> LossSum:
        logits_RC = at_least_float32(x.logits_RC)
        having_RC, lacking_RC = self._minus_log(logits_RC), self._minus_log(-logits_RC)
        if self.class_weights is not None:
            having_RC = having_RC * logits_RC.new_tensor(self.class_weights)
        loss_RC = x.target_RC * having_RC + (1 - x.target_RC) * lacking_RC
        return LossSum.of(loss_RC.mean(dim=-1), x.weight_R)

    def _minus_log(self, logits_RC: Tensor) -> Tensor:
        """-(1 - p)^g log p with p = s(z). log(1 - p) is -softplus(z), which keeps the power finite where p is 1."""
        loss_RC = F.softplus(-logits_RC)
        return loss_RC * (-self.focal_gamma * F.softplus(logits_RC)).exp() if self.focal_gamma else loss_RC
