"""Cross-entropy over labels, for a classification head. Letters: N rows or tokens, C labels."""

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from tunesmith.train.objectives import LossSum
from tunesmith.train.objectives.distribution import at_least_float32, log1mexp
from tunesmith.train.objectives.inputs import LabelInputs


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelLoss:
    """-w_y log p_y of the right label y: [N].

    Label smoothing e spreads the target over all C labels, each with its own class weight (Szegedy et al., 2016,
    section 7): (1 - e) w_y (-log p_y) + (e / C) sum_c w_c (-log p_c). Focal loss (Lin et al., 2017, eq. 5, with the
    class weights as its alpha) multiplies by (1 - p_y)^g. With both, the smoothed loss is multiplied by the factor of
    the right label.
    """

    label_smoothing: float = 0.0
    focal_gamma: float = 0.0
    class_weights: tuple[float, ...] | None = None
    """One number per label, in the order of the head's outputs."""

    def loss(self, logits_NC: Tensor, label_N: Tensor) -> Tensor:
        """The loss of each row or token, not yet weighted: [N]."""
        logits_NC = at_least_float32(logits_NC)
        weight_C = logits_NC.new_tensor(self.class_weights) if self.class_weights is not None else None
        loss_N = F.cross_entropy(logits_NC, label_N, weight_C, reduction="none", label_smoothing=self.label_smoothing)
        if not self.focal_gamma:
            return loss_N
        logps_N = -F.cross_entropy(logits_NC, label_N, reduction="none")
        return loss_N * (self.focal_gamma * log1mexp(logps_N)).exp()


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelClass(LabelLoss):
    """One label for each row, with `LabelLoss`. Divided by the sum of row weights: class weights are not in the divisor."""

    inputs: ClassVar[str] = "labels"
    needs: ClassVar[frozenset[str]] = frozenset()

    def __call__(self, x: LabelInputs) -> LossSum:
        return LossSum.of(self.loss(x.logits_RC, x.label_R), x.weight_R)
