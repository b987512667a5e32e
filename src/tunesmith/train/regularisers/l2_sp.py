"""L2-SP (Li et al., 2018, eq. 2): weights are pulled toward the base's instead of toward zero.

Adds strength / 2 * ||w - w0||^2 to what is minimised, as its gradient, strength * (w - w0), without a graph. Costs one
pass over the weights a step and a copy of the base's. The copy belongs to no checkpoint: it is the base.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class L2SP:
    """The pull toward where training started."""

    def __init__(self, strength: float, base: Mapping[str, Tensor]) -> None:
        """`base`: the base's value of each tensor that has one (`interpolation.base_values`), before any step; copied."""
        self.strength = strength
        self.base = {name: value.detach().clone() for name, value in base.items()}

    @torch.no_grad()
    def add_gradient(self, named: Mapping[str, nn.Parameter]) -> Tensor:
        """Add the pull to the gradients of `named`; returns the penalty, a scalar.

        Tensors without a gradient are frozen for now and left alone. Where a tensor has more rows than the base's, as
        resized embeddings do, only the base's rows are pulled.
        """
        total = torch.zeros((), device=next(iter(named.values())).device)
        for name, value in self.base.items():
            parameter = named.get(name)
            if parameter is None or parameter.grad is None:
                continue
            part = ... if parameter.shape == value.shape else slice(len(value))
            distance = parameter[part] - value
            parameter.grad[part].add_(distance, alpha=self.strength)
            total += 0.5 * self.strength * distance.float().square().sum()
        return total
