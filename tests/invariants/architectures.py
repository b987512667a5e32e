"""Random models of 2 or 3 layers and width 32, one of each architecture whose exactness is promised.

Weights are drawn wide (standard deviation 0.2), so that attention is sharp and a wrong mask or position shows.
"""

from typing import Any

import torch
import transformers
from transformers import PreTrainedModel

VOCABULARY = 61
WINDOW = 4
"""Sliding windows are far shorter than the rows of the tests."""

_SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "initializer_range": 0.2,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
}
_MIXED = {"num_hidden_layers": 3, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"], "sliding_window": WINDOW}
_EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 16, "decoder_sparse_step": 1}

CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", _SHAPE),
    "llama, tied": ("Llama", _SHAPE | {"tie_word_embeddings": True}),
    "qwen2": ("Qwen2", _SHAPE),
    "qwen3": ("Qwen3", _SHAPE | {"head_dim": 8}),
    "qwen3, mixed": ("Qwen3", _SHAPE | {"head_dim": 8, "use_sliding_window": True} | _MIXED),
    "qwen3_moe": ("Qwen3Moe", _SHAPE | _EXPERTS | {"head_dim": 8, "num_experts": 4}),
    "qwen3_moe, sliding": ("Qwen3Moe", _SHAPE | _EXPERTS | {"num_experts": 4, "use_sliding_window": True, "sliding_window": WINDOW}),
    "mixtral": ("Mixtral", _SHAPE | {"num_local_experts": 4, "num_experts_per_tok": 2}),
    "mistral": ("Mistral", _SHAPE | {"sliding_window": WINDOW}),
    "mistral, global": ("Mistral", _SHAPE | {"sliding_window": None}),
    "gemma": ("Gemma", _SHAPE | {"head_dim": 8}),
    "gemma2": ("Gemma2", _SHAPE | {"head_dim": 8, "query_pre_attn_scalar": 8, "final_logit_softcapping": 3.0} | _MIXED),
    "gemma3_text": ("Gemma3", _SHAPE | {"head_dim": 8, "query_pre_attn_scalar": 8} | _MIXED),
    "phi": ("Phi", _SHAPE),
    "phi3": ("Phi3", _SHAPE),
    "phi3, sliding": ("Phi3", _SHAPE | {"sliding_window": WINDOW}),
    "gpt2": ("GPT2", _SHAPE | {"n_positions": 128, "n_embd": 32, "n_layer": 2, "n_head": 4}),
    "gpt_neox": ("GPTNeoX", _SHAPE | {"rotary_pct": 0.5}),
    "olmo": ("Olmo", _SHAPE),
    "olmo2": ("Olmo2", _SHAPE),
    "olmo3": ("Olmo3", _SHAPE | _MIXED),
    "smollm3": ("SmolLM3", _SHAPE | {"no_rope_layer_interval": 2}),
    "starcoder2": ("Starcoder2", _SHAPE | {"sliding_window": WINDOW}),
    "stablelm": ("StableLm", _SHAPE),
    "granite": ("Granite", _SHAPE | {"logits_scaling": 4.0, "residual_multiplier": 0.5}),
    "cohere": ("Cohere", _SHAPE | {"logit_scale": 0.25}),
    "cohere2": ("Cohere2", _SHAPE | {"logit_scale": 0.25} | _MIXED),
    "bloom": ("Bloom", _SHAPE | {"n_layer": 2, "n_head": 4}),
    "falcon": ("Falcon", _SHAPE | {"alibi": True}),
    "falcon, rotary": ("Falcon", _SHAPE | {"alibi": False}),
}


def build(name: str, *, dtype: torch.dtype = torch.float32, dropout: float = 0.0) -> PreTrainedModel:
    """A random model of that name, in evaluation mode; the same each time.

    Args:
        name: a key of CONFIGS.
        dtype: of weights and arithmetic.
        dropout: for architectures that have one.
    """
    kind, values = CONFIGS[name]
    rates = dict.fromkeys(("attention_dropout", "hidden_dropout", "resid_pdrop", "embd_pdrop", "attn_pdrop"), dropout)
    family: Any = getattr(transformers, f"{kind}TextConfig" if kind == "Gemma3" else f"{kind}Config")
    config = family(**values, **rates)
    torch.manual_seed(7)
    family = getattr(transformers, "GPT2LMHeadModel" if kind == "GPT2" else f"{kind}ForCausalLM")
    made: PreTrainedModel = family._from_config(config)
    return made.to(dtype).eval()
