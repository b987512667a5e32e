"""rsLoRA (Kalajdzievski, 2023): LoRA with the scale alpha / sqrt(r), which keeps the update's size from fading with the rank.

Costs what LoRA costs. At the default alpha of 8 and a rank of 16 it is LoRA at its defaults.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from tunesmith.models.config import MethodConfig
from tunesmith.models.methods.lora import Lora


@dataclass(frozen=True)
class RsLora(Lora):
    """Rank-stabilised LoRA. Rate: LoRA's, which its scale makes right for all ranks (section 4 of the paper)."""

    name: str = "rslora"
    summary: str = "rank-stabilised LoRA"

    def apply(self, model: nn.Module, config: MethodConfig, seed: int, new_ids: Sequence[int] = ()) -> nn.Module:
        """See Method.apply."""
        return self.wrap(model, config, new_ids, use_rslora=True)
