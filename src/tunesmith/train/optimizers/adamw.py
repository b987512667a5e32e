"""AdamW (Loshchilov & Hutter, 2019), in torch's fused form where the tensors allow. Memory: two moments a tensor."""

from collections.abc import Sequence

from torch.optim import AdamW, Optimizer

from tunesmith.train.config import TrainConfig
from tunesmith.train.optimizers.groups import Member, fusible, param_groups

BETAS = (0.9, 0.95)


def build(members: Sequence[Member], config: TrainConfig, rate: float) -> list[Optimizer]:
    """One AdamW over all of them."""
    groups = param_groups(members, config.weight_decay, rate)
    return [AdamW(groups, lr=rate, betas=config.betas or BETAS, fused=fusible(members))]
