"""Run a causal language model over a pass of the prefix tree.

The decoder gives hidden states; the last layer's widest parts run only at the places something is read from, and logits
are made only where something is supervised, in chunks, so that memory grows with neither vocabulary x length nor rows.

Letters: P places predicted from, S supervised tokens, V vocabulary, D width, T tokens of a flat row, R rows, L tokens of
the longest row.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from tunesmith.models.attention import NAME, plan_tensor
from tunesmith.models.layers import decoder_layers
from tunesmith.models.products import rounded, wide_vectors_idle, widen
from tunesmith.models.virtual import has_prefix, prefix_cache, virtual_states, virtual_tokens
from tunesmith.tree.plan import Layout, Pass

LOGITS_AT_ONCE = 2**24
"""Most logits held at a time: 64 MiB in float32."""

_TREES = frozenset(
    {
        "cohere", "cohere2", "gemma", "gemma3_text", "gpt2", "gpt_neox", "granite", "llama", "mistral", "mixtral", "olmo", "olmo2", "olmo3",
        "phi", "phi3", "qwen2", "qwen3", "qwen3_moe", "smollm3", "stablelm", "starcoder2",
    }
)  # fmt: skip
"""Architectures shown exact under a mask and positions of our own (tests/invariants/test_packed_equals_padded.py). Of the
others, rows stay apart: positions may not be position ids (ALiBi), or a layer may be recurrent, or look by another rule (Gemma 2 caps its scores)."""


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
    row_S: Tensor
    path_N: Tensor
    lengths_R: Tensor


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
        tensor(planned.row_S),
        tensor(planned.path_N),
        tensor(planned.lengths_R),
    )


def inner(model: nn.Module) -> PreTrainedModel:
    """The transformers model inside a PEFT wrapper, or the model itself."""
    wrapped: Any = model
    found: PreTrainedModel = wrapped.get_base_model() if hasattr(model, "get_base_model") else wrapped
    return found


def takes_tree(model: nn.Module) -> bool:
    """Whether rows may share one flat pass: the architecture is exact under a mask and positions of our own."""
    found = inner(model)
    return (
        found.config.model_type in _TREES
        and found.config._attn_implementation in ("sdpa", NAME)
        and found.device.type in ("cpu", "cuda", "meta")  # of shapes alone: what will be on one of the two
        and not has_prefix(model)
    )


def layout_of_rows(model: nn.Module) -> Layout:
    """How rows are best laid out for this model where nothing random depends on the row."""
    return "tree" if takes_tree(model) else "padded"


def _layer_windows(config: Any) -> dict[str, int | None]:
    """Attention window by layer type, or of every layer under `only`; None: the layer sees everything before it."""
    window = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None)
    if kinds:
        return {kind: (window if kind == "sliding_attention" else None) for kind in dict.fromkeys(kinds)}
    return {"only": window}


def _plans(model: PreTrainedModel, ends_T: Tensor, depths_T: Tensor) -> Any:
    """What stands for the attention mask as this architecture takes it: one plan, or one by layer type."""
    made = {kind: plan_tensor(ends_T, depths_T, window) for kind, window in _layer_windows(model.config).items()}
    return made.get("only", made)


def _few_sizes(model: nn.Module, tensors: PassTensors) -> bool:
    """Whether the products of this pass are faster when passes come in few sizes, and it can be brought to one."""
    return tensors.ends_T is not None and not tensors.ids_BT.is_cuda and inner(model).dtype == torch.float32 and wide_vectors_idle()


def tokens_added(model: nn.Module, tensors: PassTensors) -> int:
    """Tokens that `hidden_states` puts after a pass to bring it to one of few sizes."""
    tokens = tensors.ids_BT.shape[1] + (0 if virtual_states(model) is None else virtual_tokens(model))
    return rounded(tokens) - tokens if _few_sizes(model, tensors) else 0


def _longer(tensors: PassTensors, added: int) -> PassTensors:
    """The pass with tokens after its last, as if the last row went on: no real token sees them, and nothing is read from them."""
    assert tensors.ends_T is not None
    tokens = len(tensors.ends_T)
    ends_T = torch.where(tensors.ends_T == tokens, tokens + added, tensors.ends_T)
    ids_BT, positions_BT = F.pad(tensors.ids_BT, (0, added)), F.pad(tensors.positions_BT, (0, added))
    return replace(tensors, ids_BT=ids_BT, positions_BT=positions_BT, ends_T=F.pad(ends_T, (0, added), value=tokens + added))


def _with_unread(read_P: Tensor, tokens: int) -> Tensor:
    """Places that are read, and to bring them to one of few sizes, the last of those that are not."""
    unread = torch.ones(tokens, dtype=torch.bool, device=read_P.device)
    unread[read_P] = False
    missing = rounded(len(read_P)) - len(read_P)
    return torch.cat([read_P, unread.nonzero()[max(0, tokens - len(read_P) - missing) :, 0]])


def hidden_states(model: nn.Module, tensors: PassTensors, *, read: Tensor | None = None) -> Tensor:
    """Last hidden states, flat: [B * T, D], or [P, D] at the places in `read`, where alone the last layer then works in full."""
    language_model: Any = inner(model)
    widen(language_model)
    decoder = language_model.get_decoder()
    tokens, added = tensors.ids_BT.shape[1], tokens_added(model, tensors)
    skipped = 0 if virtual_states(model) is None else virtual_tokens(model)
    inputs = _inputs(model, _longer(tensors, added) if added else tensors, added)
    trimmed = read is not None and tensors.ends_T is not None and not getattr(decoder, "gradient_checkpointing", False)
    with contextlib.ExitStack() as within:
        if read is not None and trimmed:
            computed = _with_unread(read, tokens + added) if _few_sizes(model, tensors) else read
            within.enter_context(last_layer_only_at(decoder_layers(model)[-1], computed + skipped))
        hidden: Tensor = decoder(**inputs).last_hidden_state
    if read is not None and trimmed:
        return hidden[0].index_select(0, read + skipped)
    flat = hidden[:, skipped : skipped + tokens].reshape(-1, hidden.shape[-1])
    return flat if read is None else flat[read]


def _inputs(model: nn.Module, tensors: PassTensors, added: int) -> dict[str, Any]:
    """What the decoder is given: ids or embeddings, positions, and a plan or a past; the last `added` tokens are of no row."""
    language_model: Any = inner(model)
    virtual_ND, ahead = virtual_states(model), virtual_tokens(model)
    inputs: dict[str, Any] = {"position_ids": tensors.positions_BT + ahead, "use_cache": False}
    if virtual_ND is None:
        inputs["input_ids"] = tensors.ids_BT
    else:
        inputs |= _after_virtual(virtual_ND, language_model.get_input_embeddings()(tensors.ids_BT), inputs["position_ids"])
    if tensors.ends_T is not None:
        if language_model.config._attn_implementation != NAME:
            language_model.set_attn_implementation(NAME)
        skipped = 0 if virtual_ND is None else ahead
        ends_T = torch.cat([tensors.ends_T.new_full((skipped,), len(tensors.ends_T)), tensors.ends_T]) + skipped
        inputs["attention_mask"] = _plans(language_model, ends_T, _depths(inputs["position_ids"][0], added))
    elif (past := prefix_cache(model, len(tensors.ids_BT))) is not None:
        seen_BT = torch.ones(len(tensors.ids_BT), ahead + tensors.ids_BT.shape[1], dtype=torch.long, device=tensors.ids_BT.device)
        inputs |= {"past_key_values": past, "attention_mask": seen_BT, "use_cache": True}
    return inputs


def _depths(positions_T: Tensor, added: int) -> Tensor:
    """Depths of a pass: its positions, and after them, for what was added, those that follow."""
    real_T = positions_T[: len(positions_T) - added]
    return torch.cat([real_T, real_T[-1] + torch.arange(1, added + 1, device=positions_T.device)])


def _after_virtual(virtual_ND: Tensor, embedded_BTD: Tensor, positions_BT: Tensor) -> dict[str, Tensor]:
    """Embeddings and positions with the virtual tokens before every row: for a flat pass, a root that all rows share."""
    rows, ahead = len(embedded_BTD), len(virtual_ND)
    first_BN = torch.arange(ahead, device=positions_BT.device).expand(rows, ahead)
    embeddings = torch.cat([virtual_ND.expand(rows, *virtual_ND.shape), embedded_BTD], dim=1)
    return {"inputs_embeds": embeddings, "position_ids": torch.cat([first_BN, positions_BT], dim=1)}


_ALONE = ("mlp", "o_proj", "q_proj")
"""Parts of a layer that work token by token and whose result only that token's own state takes up."""


@contextlib.contextmanager
def last_layer_only_at(layer: nn.Module, read_P: Tensor) -> Iterator[None]:
    """Within, the token-by-token parts of a layer compute the places that will be read, and give zeros elsewhere.

    Nothing above the last layer mixes tokens, so no state that is read changes; the others are never looked at. For a
    flat pass (one row).
    """
    parts: list[Any] = [module for name, module in layer.named_modules() if name.rsplit(".", 1)[-1] in _ALONE]
    for part in parts:
        part.forward = _at(part.forward, read_P)
    try:
        yield
    finally:
        for part in parts:
            del part.forward


def _at(forward: Callable[..., Any], read_P: Tensor) -> Callable[..., Any]:
    def some(hidden_1TD: Tensor, *args: Any, **kwargs: Any) -> Any:
        made = forward(hidden_1TD[:, read_P], *args, **kwargs)
        first = made[0] if isinstance(made, tuple) else made
        whole = first.new_zeros(1, hidden_1TD.shape[1], first.shape[-1]).index_copy(1, read_P, first)
        return (whole, *made[1:]) if isinstance(made, tuple) else whole

    return some


def row_states(model: nn.Module, tensors: PassTensors) -> Tensor:
    """Last hidden states of each row's own tokens, padded on the right with zeros: [R, L, D], whatever the layout."""
    return rows_of(hidden_states(model, tensors), tensors)


def rows_of(states_TD: Tensor, tensors: PassTensors) -> Tensor:
    """States by flat place -> states by row: [R, L, D]."""
    own = torch.split(states_TD[tensors.path_N], tensors.lengths_R.tolist())
    return nn.utils.rnn.pad_sequence(list(own), batch_first=True)


def project(model: nn.Module, hidden_PD: Tensor) -> Tensor:
    """Logits [P, V] in float32 or wider, with the scale or cap that some architectures put on them."""
    language_model: Any = inner(model)
    logits: Tensor = language_model.get_output_embeddings()(hidden_PD)
    return shaped(language_model.config, logits.double() if logits.dtype == torch.float64 else logits.float())


def shaped(config: Any, logits: Tensor) -> Tensor:
    """What the output layer gives, with the scale or cap of the architecture."""
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


Reader = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]
"""From logits_PV of some places, the places and targets of their supervised tokens, and another model's logits_PV at the
same places (or None), to figures of those tokens: [S, K]."""


def read_tokens(
    model: nn.Module,
    tensors: PassTensors,
    reader: Reader,
    *,
    other: tuple[nn.Module, Tensor] | None = None,
    states_PD: Tensor | None = None,
) -> Tensor:
    """Figures of each supervised token, [S, K]; never more than `LOGITS_AT_ONCE` logits are held.

    Args:
        model: a causal language model.
        tensors: the pass.
        reader: what is read off the logits.
        other: a second model with its hidden states [P, D] at the same places: a teacher or the base.
        states_PD: the model's own states at the places predicted from, where they are at hand.
    """
    hidden_PD = hidden_states(model, tensors, read=tensors.from_P) if states_PD is None else states_PD
    language_model: Any = inner(model)
    most = max(1, LOGITS_AT_ONCE // (language_model.get_output_embeddings().weight.shape[0] * (1 if other is None else 2)))
    order = torch.argsort(tensors.place_S, stable=True)
    places, targets = tensors.place_S[order], tensors.target_S[order]
    pieces: list[Tensor] = []
    for start in range(0, len(hidden_PD), most):
        low, high = torch.searchsorted(places, torch.tensor([start, start + most], device=places.device)).tolist()
        theirs = None if other is None else (other[0], other[1][start : start + most])
        part = (model, theirs, hidden_PD[start : start + most], places[low:high] - start, targets[low:high], reader)
        if len(hidden_PD) > most and torch.is_grad_enabled():
            pieces.append(checkpoint(_read_chunk, *part, use_reentrant=False))
        else:
            pieces.append(_read_chunk(*part))
    if not pieces:
        return hidden_PD.new_zeros(0, 1)
    return torch.cat(pieces)[torch.argsort(order)]


def _read_chunk(
    model: nn.Module, other: tuple[nn.Module, Tensor] | None, hidden_PD: Tensor, place_S: Tensor, target_S: Tensor, reader: Reader
) -> Tensor:
    theirs = None
    if other is not None:
        with torch.no_grad():
            theirs = project(*other)
    return reader(project(model, hidden_PD), place_S, target_S, theirs)


def log_probabilities(logits_PV: Tensor, place_S: Tensor, target_S: Tensor, other_PV: Tensor | None = None) -> Tensor:
    """The reader of each token's log-probability: [S, 1]."""
    if len(place_S) == len(logits_PV) and bool((place_S[1:] == place_S[:-1] + 1).all()):  # one token a place: torch fuses this
        return -F.cross_entropy(logits_PV, target_S, reduction="none")[:, None]
    normaliser_P = torch.logsumexp(logits_PV, dim=-1)
    return (logits_PV[place_S, target_S] - normaliser_P[place_S])[:, None]


def token_logps(model: nn.Module, tensors: PassTensors) -> Tensor:
    """Log-probability of each supervised token given its row so far: [S]."""
    return read_tokens(model, tensors, log_probabilities)[:, 0]
