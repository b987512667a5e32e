"""Prefix tuning (Li & Liang, 2021): N learnt keys and values stand before every row in every layer; all weights are frozen.

Costs N tokens of every row's context, and a backward pass through the whole model. They start as what the base computes
for tokens drawn from the vocabulary: real activations, which the paper finds better than random values, and which make
the paper's extra network unnecessary at the start. They are handed to the model as its past, which a flat pass has no
place for: rows don't share their prompts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import DynamicCache

from tunesmith.models.config import MethodConfig
from tunesmith.models.forward import inner
from tunesmith.models.methods.adapters import AdapterMethod


@dataclass(frozen=True)
class Prefix(AdapterMethod):
    """Learnt keys and values. Rate: 5e-3 to 1e-2 in P-tuning v2 (Liu et al., 2022), where they are learnt directly as here."""

    name: str = "prefix"
    summary: str = "prefix tuning"
    rate_factor: float = 600.0
    most_rate: float = 1e-2
    shares_prefixes: bool = False

    def apply(self, model: nn.Module, config: MethodConfig, seed: int, new_ids: Sequence[int] = ()) -> nn.Module:
        """See Method.apply."""
        from peft import PrefixTuningConfig, get_peft_model

        keys_values = _activations(inner(model), config.virtual_tokens)
        prefix = PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=config.virtual_tokens)
        wrapped: Any = get_peft_model(inner(model), prefix)
        with torch.no_grad():
            weight = wrapped.prompt_encoder[wrapped.active_adapter].embedding.weight
            weight.copy_(keys_values.reshape(weight.shape))
        adapted: nn.Module = wrapped
        return adapted


@torch.no_grad()
def _activations(model: Any, tokens: int) -> torch.Tensor:
    """Keys and values of drawn tokens, as PEFT lays them out: [N, layers, 2, heads, width of a head]."""
    ids = torch.randint(model.get_input_embeddings().weight.shape[0], (1, tokens), device=model.device)
    past: Any = DynamicCache()  # without the config it keeps all tokens, those outside a sliding window too
    model.get_decoder()(input_ids=ids, past_key_values=past, use_cache=True)
    return torch.stack([torch.stack([layer.keys[0], layer.values[0]]) for layer in past.layers]).permute(3, 0, 1, 2, 4)
