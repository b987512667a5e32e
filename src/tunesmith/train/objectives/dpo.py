"""Direct preference optimisation: a classifier of better and worse answers, written in the model's own probabilities."""

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F

from tunesmith.train.objectives import LossSum
from tunesmith.train.objectives.inputs import PairInputs
from tunesmith.train.objectives.pairs import margin_over_reference


@dataclass(frozen=True, slots=True, kw_only=True)
class DPO:
    """Raise the chosen answer above the rejected one, measured from a frozen reference (Rafailov et al., 2023, eq. 7).

    -log s(beta h), h the margin over the reference in nats, s the logistic function. Per token, h is the difference
    of means instead of sums (Lambert et al., 2024), and wants a beta about as many times larger as answers have
    tokens. Divided by the sum of pair weights.
    """

    beta: float = 0.1
    """Pull toward the reference: a small value lets the model roam, a large one holds it close."""
    per_token: bool = False

    inputs: ClassVar[str] = "pairs"
    needs: ClassVar[frozenset[str]] = frozenset({"reference"})

    def __call__(self, x: PairInputs) -> LossSum:
        return LossSum.of(F.softplus(-self.beta * margin_over_reference(x, per_token=self.per_token)), x.weight_P)
