"""Simple preference optimisation: no reference model, a margin instead."""

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F

from tunesmith.train.objectives import LossSum
from tunesmith.train.objectives.inputs import PairInputs
from tunesmith.train.objectives.pairs import mean_logps


@dataclass(frozen=True, slots=True, kw_only=True)
class SimPO:
    """Make the chosen answer likelier per token than the rejected one by a margin (Meng et al., 2024, eq. 6).

    -log s(beta (l_w - l_l) - gamma), l the mean log-probability of an answer's tokens, gamma the margin. Nothing holds
    the model near where it began: keep the learning rate low. Divided by the sum of pair weights.
    """

    beta: float = 2.0
    margin: float = 1.0

    inputs: ClassVar[str] = "pairs"
    needs: ClassVar[frozenset[str]] = frozenset()

    def __call__(self, x: PairInputs) -> LossSum:
        chosen_P, rejected_P = mean_logps(x)
        return LossSum.of(F.softplus(self.margin - self.beta * (chosen_P - rejected_P)), x.weight_P)
