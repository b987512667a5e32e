"""PiSSA (Meng et al., 2024): LoRA that starts as the r largest singular directions, which are taken out of the frozen weights.

Costs one singular value decomposition of each adapted matrix at the start, and a copy of the first adapters. They are
kept with signs turned: s (B A - B0 A0) is a plain LoRA of rank 2 r over the base as it was, which any tool reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.core.errors import RecipeError
from tunesmith.models.config import MethodConfig
from tunesmith.models.methods.adapters import save_adapter
from tunesmith.models.methods.lora import Lora


@dataclass(frozen=True)
class Pissa(Lora):
    """Principal singular adapters. Rate: twice full fine-tuning's, since what learns is the largest part of the weights
    themselves; the paper takes 2e-5 for 7 billion parameters, as for full fine-tuning."""

    name: str = "pissa"
    summary: str = "PiSSA"
    rate_factor: float = 2.0
    most_rate: float = 1e-3

    def apply(self, model: nn.Module, config: MethodConfig, seed: int, new_ids: Sequence[int] = ()) -> nn.Module:
        """See Method.apply."""
        wrapped = self.wrap(model, config, new_ids, init_lora_weights="pissa")
        for name, layer in _layers(wrapped):
            first_A, first_B = layer.lora_A["default"].weight, layer.lora_B["default"].weight
            if len(first_A) < config.rank:
                raise RecipeError(
                    f"method.rank {config.rank} is more than the {len(first_A)} singular directions of {name}: "
                    f"set method.rank to {len(first_A)} or less, or method.name: lora."
                )
            layer.register_buffer("first_A", first_A.detach().clone(), persistent=False)
            layer.register_buffer("first_B", first_B.detach().clone(), persistent=False)
        return wrapped

    def save(self, trunk: nn.Module, folder: Path) -> None:
        """See Method.save."""
        adapted: Any = trunk
        state: dict[str, Tensor] = trunk.state_dict()
        for name, layer in _layers(trunk):
            state[f"{name}.lora_A.default.weight"] = torch.cat([layer.lora_A["default"].weight.detach(), layer.first_A])
            state[f"{name}.lora_B.default.weight"] = torch.cat([layer.lora_B["default"].weight.detach(), -layer.first_B], dim=1)
        own = adapted.peft_config["default"]
        save_adapter(trunk, folder, state=state, changed={"r": 2 * own.r, "lora_alpha": 2 * own.lora_alpha, "init_lora_weights": True})


def _layers(wrapped: nn.Module) -> list[tuple[str, Any]]:
    from peft.tuners.lora import LoraLayer

    return [(name, module) for name, module in wrapped.named_modules() if isinstance(module, LoraLayer)]
