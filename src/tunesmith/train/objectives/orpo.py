"""Odds-ratio preference optimisation: instruction tuning and preferences in one, without a reference."""

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F

from tunesmith.train.objectives import LossSum
from tunesmith.train.objectives.distribution import log1mexp
from tunesmith.train.objectives.inputs import PairInputs
from tunesmith.train.objectives.pairs import mean_logps


@dataclass(frozen=True, slots=True, kw_only=True)
class ORPO:
    """Learn the chosen answer, and raise its odds over the rejected one's (Hong et al., 2024, eq. 6 and 7).

    -l_w - lambda log s(log odds_w - log odds_l), l the mean log-probability of an answer's tokens and
    odds = exp(l) / (1 - exp(l)). The first term is a mean per answer, so that every pair counts by its weight, however
    long. Divided by the sum of pair weights.
    """

    odds_weight: float = 0.1
    """The paper's lambda."""

    inputs: ClassVar[str] = "pairs"
    needs: ClassVar[frozenset[str]] = frozenset()

    def __call__(self, x: PairInputs) -> LossSum:
        chosen_P, rejected_P = mean_logps(x)
        log_odds_ratio_P = (chosen_P - log1mexp(chosen_P)) - (rejected_P - log1mexp(rejected_P))
        return LossSum.of(self.odds_weight * F.softplus(-log_odds_ratio_P) - chosen_P, x.weight_P)
