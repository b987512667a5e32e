"""Unlikelihood: outputs that must not be given are learnt away beside those that should."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from tunesmith.train.objectives import LossSum
from tunesmith.train.objectives.distribution import log1mexp
from tunesmith.train.objectives.inputs import TokenInputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlikelihood:
    """-log p for wanted tokens, -alpha log(1 - p) for unwanted ones (Welleck et al., 2020, section 5).

    The paper takes its unwanted tokens from the text before; here they are the answers of rows flagged as unwanted,
    every supervised token of them. Divided by the sum of token weights: alpha is not in it.
    """

    unwanted_weight: float = 1.0
    """The paper's alpha."""

    inputs: ClassVar[str] = "tokens"
    needs: ClassVar[frozenset[str]] = frozenset()

    def __call__(self, x: TokenInputs) -> LossSum:
        loss_S = -x.logps_S
        if x.unwanted_S is not None:
            loss_S = torch.where(x.unwanted_S, -self.unwanted_weight * log1mexp(x.logps_S), loss_S)
        return LossSum.of(loss_S, x.weight_S)
