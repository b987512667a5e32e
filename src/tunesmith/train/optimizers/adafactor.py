"""Adafactor (Shazeer & Stern, 2018), torch's own. Memory: a row and a column of second moments a matrix, no momentum.

A rate is relative: the step of a tensor is the rate times the root mean square of its values (at least 1e-3).
"""

from collections.abc import Sequence

from torch.optim import Adafactor, Optimizer

from tunesmith.train.config import TrainConfig
from tunesmith.train.optimizers.groups import Member, param_groups


def build(members: Sequence[Member], config: TrainConfig, rate: float) -> list[Optimizer]:
    """One Adafactor over all of them."""
    return [Adafactor(param_groups(members, config.weight_decay, rate), lr=rate)]
