"""Virtual tokens: what prompt and prefix tuning put before every row, for whoever runs the decoder without PEFT's wrapper.

Both are differentiable. Virtual tokens take the first N positions: a row's own positions start at N. Letters: N virtual
tokens, D width, R rows, H key-value heads, d width of a head.
"""

from typing import Any

from torch import Tensor, nn
from transformers import Cache

from tunesmith.core.errors import RecipeError


def virtual_states(model: nn.Module) -> Tensor | None:
    """Prompt tuning's learnt embeddings [N, D], in the type of the model's own; None where the model has none.

    They stand where the embeddings of N tokens before the row would: the root that all rows share.
    """
    encoder = _encoder(model, "PROMPT_TUNING")
    if encoder is None:
        return None
    wrapped: Any = model
    states: Tensor = encoder.embedding.weight.to(wrapped.get_base_model().get_input_embeddings().weight.dtype)
    return states


def prefix_cache(model: nn.Module, rows: int) -> Cache | None:
    """Prefix tuning's learnt keys and values as the past of `rows` rows, [R, H, N, d] by layer; None where the model has none.

    A pass appends to it, so each pass needs one of its own. The positions given beside it start at N.

    Raises:
        RecipeError: layers that are recomputed in the backward pass, which transformers then gives no past.
    """
    if _encoder(model, "PREFIX_TUNING") is None:
        return None
    wrapped: Any = model
    if model.training and wrapped.get_base_model().is_activation_checkpointing:
        raise RecipeError(
            "Prefix tuning needs all its layers' keys at hand: set train.gradient_checkpointing: false, or method.name: prompt."
        )
    cache: Cache = wrapped.get_prompt(rows)
    return cache


def virtual_tokens(model: nn.Module) -> int:
    """How many positions prompt or prefix tuning takes before every row; 0 where it is neither."""
    wrapped: Any = model
    found = any(_encoder(model, kind) is not None for kind in ("PROMPT_TUNING", "PREFIX_TUNING"))
    return int(wrapped.active_peft_config.num_virtual_tokens) if found else 0


def has_prefix(model: nn.Module) -> bool:
    """Whether the model is tuned by prefixes: it is then handed a past, which a flat row has no place for."""
    return _encoder(model, "PREFIX_TUNING") is not None


def _encoder(model: nn.Module, kind: str) -> Any:
    """PEFT's module that holds the virtual tokens, where the model is tuned that way."""
    wrapped: Any = model
    if not hasattr(model, "peft_config") or not hasattr(model, "active_peft_config"):
        return None
    return wrapped.prompt_encoder[wrapped.active_adapter] if wrapped.active_peft_config.peft_type == kind else None
