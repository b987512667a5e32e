"""Full fine-tuning: every weight. Costs gradients and moments of the whole model, and keeps a whole model."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from tunesmith.models.config import MethodConfig
from tunesmith.models.methods import Method


@dataclass(frozen=True)
class Full(Method):
    """Every weight."""

    name: str = "full"
    summary: str = "every weight"
    rate_factor: float = 1.0
    most_rate: float = 1.0
    trains_new_rows: bool = True

    def apply(self, model: nn.Module, config: MethodConfig, seed: int, new_ids: Sequence[int] = ()) -> nn.Module:
        """See Method.apply."""
        return model.requires_grad_(True)
