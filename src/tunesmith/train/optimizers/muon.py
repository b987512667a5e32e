"""Muon (Jordan et al., 2024), torch's own, for matrices of hidden layers; AdamW for embeddings, output layer, heads and the rest.

Memory: one momentum a hidden matrix. Costs five small matrix products a matrix and step.
"""

from collections.abc import Sequence

from torch.optim import Muon, Optimizer

from tunesmith.train.config import TrainConfig
from tunesmith.train.optimizers import adamw
from tunesmith.train.optimizers.groups import Member, param_groups

RATE_OVER_ADAMW = 20.0
"""Its updates are orthogonal, so their size does not shrink with the gradient's."""

MOMENTUM = 0.95


def build(members: Sequence[Member], config: TrainConfig, rate: float) -> list[Optimizer]:
    """Muon and AdamW, each where it has tensors."""
    hidden = [member for member in members if member.hidden]
    rest = [member for member in members if not member.hidden]
    made: list[Optimizer] = []
    if hidden:
        groups = param_groups(hidden, config.weight_decay, rate * RATE_OVER_ADAMW)
        momentum = MOMENTUM if config.momentum is None else config.momentum
        made.append(Muon(groups, lr=rate * RATE_OVER_ADAMW, momentum=momentum, nesterov=True))
    if rest:
        made += adamw.build(rest, config, rate)
    return made
