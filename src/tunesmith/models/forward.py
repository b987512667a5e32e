"""Run a causal language model over a pass of the prefix tree.

The decoder gives hidden states; logits are made only at the places something is predicted from, in chunks.
Letters: P places predicted from, S supervised tokens, V vocabulary, D width, T tokens of a flat row.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from tunesmith.tree.plan import Pass

LOGITS_AT_ONCE = 2**24
"""Most logits held at a time: 64 MiB in float32."""

_TREES = frozenset(
    {
        "cohere", "cohere2", "gemma", "gemma2", "gemma3_text", "gpt2", "gpt_neox", "granite", "llama", "mistral", "mixtral", "olmo",
        "olmo2", "olmo3", "phi", "phi3", "qwen2", "qwen3", "qwen3_moe", "smollm3", "stablelm", "starcoder2",
    }
)  # fmt: skip
"""Architectures shown exact under a mask and positions of our own (tests/invariants/test_packed_equals_padded.py). Of the
others, rows stay apart: positions may not be position ids (ALiBi), or a layer may be recurrent, or look by another rule."""


@dataclass(frozen=True, slots=True)
class PassTensors:
    """A pass as tensors on one device."""

    ids_BT: Tensor
    positions_BT: Tensor
    ends_T: Tensor | None
    from_P: Tensor
    place_S: Tensor
    target_S: Tensor
    weight_S: Tensor
    last_R: Tensor


def to_tensors(planned: Pass, device: torch.device) -> PassTensors:
    """Copy a planned pass to a device."""

    def tensor(array: Any) -> Tensor:
        return torch.from_numpy(array).to(device)

    return PassTensors(
        tensor(planned.ids_BT),
        tensor(planned.positions_BT),
        None if planned.ends_T is None else tensor(planned.ends_T),
        tensor(planned.from_P),
        tensor(planned.place_S),
        tensor(planned.target_S),
        tensor(planned.weight_S),
        tensor(planned.last_R),
    )


def inner(model: torch.nn.Module) -> PreTrainedModel:
    """The transformers model inside a PEFT wrapper, or the model itself."""
    wrapped: Any = model
    found: PreTrainedModel = wrapped.get_base_model() if hasattr(model, "get_base_model") else wrapped
    return found


def takes_tree(model: torch.nn.Module) -> bool:
    """Whether this architecture is exact under a mask and positions of our own."""
    return inner(model).config.model_type in _TREES


def _layer_windows(config: Any) -> dict[str, int | None]:
    """Attention window by layer type, or of every layer under `only`; None: the layer sees everything before it."""
    window = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None)
    if kinds:
        return {kind: (window if kind == "sliding_attention" else None) for kind in dict.fromkeys(kinds)}
    return {"only": window}


def tree_mask(ends_T: Tensor, depths_T: Tensor, window: int | None, dtype: torch.dtype) -> Tensor:
    """Additive attention mask [1, 1, T, T]: 0 toward ancestors and self, the least finite number elsewhere.

    A sliding window counts distance by depth, which is what the distance is within each row.
    """
    place_T = torch.arange(len(ends_T), device=ends_T.device)
    seen_TT = (place_T[None, :] <= place_T[:, None]) & (place_T[:, None] < ends_T[None, :])
    if window is not None:
        seen_TT &= depths_T[:, None] - depths_T[None, :] < window
    mask = torch.full(seen_TT.shape, torch.finfo(dtype).min, dtype=dtype, device=ends_T.device)
    return mask.masked_fill_(seen_TT, 0.0)[None, None]


def _masks(model: PreTrainedModel, tensors: PassTensors) -> Any:
    """The attention mask as this architecture takes it: one, or one by layer type."""
    if tensors.ends_T is None:
        return None
    dtype = torch.get_autocast_dtype(tensors.ids_BT.device.type) if torch.is_autocast_enabled(tensors.ids_BT.device.type) else model.dtype
    made = {
        kind: tree_mask(tensors.ends_T, tensors.positions_BT[0], window, dtype) for kind, window in _layer_windows(model.config).items()
    }
    return made.get("only", made)


def hidden_states(model: torch.nn.Module, tensors: PassTensors) -> Tensor:
    """Last hidden states, flat: [B * T, D]."""
    language_model: Any = inner(model)
    decoder = language_model.get_decoder()
    output = decoder(
        input_ids=tensors.ids_BT, position_ids=tensors.positions_BT, attention_mask=_masks(language_model, tensors), use_cache=False
    )
    hidden: Tensor = output.last_hidden_state
    return hidden.reshape(-1, hidden.shape[-1])


def project(model: torch.nn.Module, hidden_PD: Tensor) -> Tensor:
    """Logits [P, V] in float32 or wider, with the scale or cap that some architectures put on them."""
    language_model: Any = inner(model)
    logits: Tensor = language_model.get_output_embeddings()(hidden_PD)
    logits = logits.double() if logits.dtype == torch.float64 else logits.float()
    config = language_model.config
    scale = getattr(config, "logit_scale", None)
    if scale:
        logits = logits * scale
    divisor = getattr(config, "logits_scaling", None)
    if divisor:
        logits = logits / divisor
    cap = getattr(config, "final_logit_softcapping", None)
    if cap:
        logits = torch.tanh(logits / cap) * cap
    return logits


def token_logps(model: torch.nn.Module, tensors: PassTensors) -> Tensor:
    """Log-probability of each supervised token given its row so far: [S]. Memory does not grow with vocabulary x length."""
    hidden_PD = hidden_states(model, tensors)[tensors.from_P]
    language_model: Any = inner(model)
    vocabulary = language_model.get_output_embeddings().weight.shape[0]
    most = max(1, LOGITS_AT_ONCE // vocabulary)
    order = torch.argsort(tensors.place_S, stable=True)
    places, targets = tensors.place_S[order], tensors.target_S[order]
    pieces: list[Tensor] = []
    for start in range(0, len(hidden_PD), most):
        low, high = torch.searchsorted(places, torch.tensor([start, start + most], device=places.device)).tolist()
        part = (model, hidden_PD[start : start + most], places[low:high] - start, targets[low:high])
        if len(hidden_PD) > most and torch.is_grad_enabled():
            pieces.append(checkpoint(_chunk_logps, *part, use_reentrant=False))
        else:
            pieces.append(_chunk_logps(*part))
    sorted_S = torch.cat(pieces) if pieces else hidden_PD.new_zeros(0)
    return torch.empty_like(sorted_S).scatter(0, order, sorted_S)


def _chunk_logps(model: torch.nn.Module, hidden_PD: Tensor, place_S: Tensor, target_S: Tensor) -> Tensor:
    logits_PV = project(model, hidden_PD)
    if len(place_S) == len(hidden_PD):
        return -F.cross_entropy(logits_PV[place_S] if not _is_range(place_S) else logits_PV, target_S, reduction="none")
    normaliser_P = torch.logsumexp(logits_PV, dim=-1)
    return logits_PV[place_S, target_S] - normaliser_P[place_S]


def _is_range(place_S: Tensor) -> bool:
    return bool((place_S == torch.arange(len(place_S), device=place_S.device)).all())
