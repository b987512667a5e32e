"""Next-token prediction on the supervised tokens: answers for instruction tuning, all of it for raw text."""

from dataclasses import dataclass
from typing import ClassVar

from tunesmith.train.objectives import LossSum
from tunesmith.train.objectives.distribution import log1mexp
from tunesmith.train.objectives.inputs import TokenInputs


@dataclass(frozen=True, slots=True, kw_only=True)
class NextToken:
    """Negative log-likelihood, -log p, of each token.

    Label smoothing (Szegedy et al., 2016, section 7) mixes in the mean of -log p over the vocabulary V:
    (1 - e) (-log p) + (e / V) sum_v (-log p_v). Focal loss (Lin et al., 2017, eq. 4) multiplies by (1 - p)^g. With
    both, the smoothed loss is multiplied by the factor of the right token. Divided by the sum of token weights.
    """

    label_smoothing: float = 0.0
    focal_gamma: float = 0.0

    inputs: ClassVar[str] = "tokens"

    @property
    def needs(self) -> frozenset[str]:
        """The mean over the vocabulary, where smoothing asks for it."""
        return frozenset({"mean_logps"} if self.label_smoothing else ())

    def __call__(self, x: TokenInputs) -> LossSum:
        loss_S = -x.logps_S
        if self.label_smoothing:
            assert x.mean_logps_S is not None, "label smoothing is given mean_logps_S"
            loss_S = (1 - self.label_smoothing) * loss_S - self.label_smoothing * x.mean_logps_S
        if self.focal_gamma:
            loss_S = loss_S * (self.focal_gamma * log1mexp(x.logps_S)).exp()
        return LossSum.of(loss_S, x.weight_S)
