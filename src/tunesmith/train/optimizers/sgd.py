"""Stochastic gradient descent with momentum (Sutskever et al., 2013). Memory: one momentum a tensor.

Not fused: torch's fused form fails where some tensors have a momentum and others, unfrozen later, have none yet.
Decay is added to the gradient, which for SGD comes to the same as decoupled decay.
"""

from collections.abc import Sequence

from torch.optim import SGD, Optimizer

from tunesmith.train.config import TrainConfig
from tunesmith.train.optimizers.groups import Member, param_groups

MOMENTUM = 0.9


def build(members: Sequence[Member], config: TrainConfig, rate: float) -> list[Optimizer]:
    """One SGD over all of them."""
    momentum = MOMENTUM if config.momentum is None else config.momentum
    groups = param_groups(members, config.weight_decay, rate)
    return [SGD(groups, lr=rate, momentum=momentum, nesterov=bool(config.nesterov))]
