"""Kahneman-Tversky optimisation: answers judged good or bad one by one, without pairs. Letters: R rows, M mismatched rows."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tunesmith.train.objectives import LossSum
from tunesmith.train.objectives.inputs import JudgedInputs


def kto_baseline(mismatched_logps_M: Tensor, mismatched_reference_M: Tensor) -> Tensor:
    """The reference point z0: how far the model as a whole has left the reference, in nats, at least 0; a scalar without gradient.

    max(0, mean over M of log(pi(y'|x) / ref(y'|x))), y' the answer of another row (Ethayarajh et al., 2024, section
    4). It is the one thing that couples the rows of a step: give it all the mismatched rows of the step at once, and
    its value to every pass, or dividing the step will change it. 0 where there are none.
    """
    if not len(mismatched_logps_M):
        return mismatched_logps_M.new_zeros(())
    return (mismatched_logps_M - mismatched_reference_M).detach().mean().clamp(min=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class KTO:
    """Raise good answers above the baseline and press bad ones below it, with less pull the further away (Ethayarajh et al., 2024, eq. 8).

    lambda_D (1 - s(beta (r - z0))) for a desirable answer, lambda_U (1 - s(beta (z0 - r))) for another, with
    r = log(pi / ref) of the whole answer, z0 the baseline, s the logistic function. Divided by the sum of row weights:
    the lambdas are not in it.
    """

    beta: float = 0.1
    desirable_weight: float = 1.0
    """The paper's lambda_D. Its authors keep lambda_D n_D : lambda_U n_U between 1:1 and 4:3, n the counts in the data."""
    undesirable_weight: float = 1.0
    """The paper's lambda_U."""

    inputs: ClassVar[str] = "judged"
    needs: ClassVar[frozenset[str]] = frozenset({"reference"})

    def __call__(self, x: JudgedInputs) -> LossSum:
        above_R = self.beta * (x.logps_R - x.reference_R - x.baseline.detach())
        loss_R = torch.where(
            x.desirable_R,
            self.desirable_weight * torch.sigmoid(-above_R),
            self.undesirable_weight * torch.sigmoid(above_R),
        )
        return LossSum.of(loss_R, x.weight_R)
