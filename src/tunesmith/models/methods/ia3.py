"""IA3 (Liu et al., 2022): learnt factors on keys, values and what enters the last matrix of the feed-forward; all start at one.

Costs one product by element for each of them, and trains the fewest weights of all adapters. Where keys, values and
queries come from one matrix, queries are scaled too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from tunesmith.core.errors import RecipeError
from tunesmith.models.config import MethodConfig
from tunesmith.models.forward import inner
from tunesmith.models.layers import decoder_layers
from tunesmith.models.methods.adapters import AdapterMethod, is_transposed

_KEYS_VALUES = ("k_proj", "v_proj", "query_key_value", "qkv_proj", "c_attn", "Wqkv")
_FEEDFORWARD = ("down_proj", "fc2", "dense_4h_to_h", "mlp.c_proj", "fc_out", "w2")


@dataclass(frozen=True)
class Ia3(AdapterMethod):
    """Learnt factors of activations. Rate: 3e-3 for 11 billion parameters in the paper; smaller models take 1e-2."""

    name: str = "ia3"
    summary: str = "IA3"
    rate_factor: float = 200.0
    most_rate: float = 1e-2

    def apply(self, model: nn.Module, config: MethodConfig, seed: int, new_ids: Sequence[int] = ()) -> nn.Module:
        """See Method.apply."""
        from peft import IA3Config, get_peft_model

        feedforward = _named(model, _FEEDFORWARD)
        targets = _named(model, _KEYS_VALUES) + feedforward
        if not targets:
            raise RecipeError(
                f"method.name: ia3 finds neither keys, values nor feed-forward layers by name in {inner(model).config.model_type} models: "
                "set method.name: lora."
            )
        ia3: Any = IA3Config(
            task_type="CAUSAL_LM", target_modules=targets, feedforward_modules=feedforward, fan_in_fan_out=is_transposed(model)
        )
        wrapped: nn.Module = get_peft_model(inner(model), ia3)
        return wrapped


def _named(model: nn.Module, endings: tuple[str, ...]) -> list[str]:
    """Those of the endings that some matrix inside the layers is named by."""
    names = [f".{name}" for layer in decoder_layers(model) for name, module in layer.named_modules() if hasattr(module, "weight")]
    return [ending for ending in endings if any(name.endswith(f".{ending}") for name in names)]
