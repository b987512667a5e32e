"""Weights between base and tuned, after training (Wortsman et al., 2022: base + a (tuned - base)).

Costs nothing at run time: the result is one model. The caller chooses the amount, on `select`.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

_PAIRS = (("lora_A", "lora_B"), ("lora_B", "lora_A"), ("lora_embedding_A", "lora_embedding_B"), ("lora_embedding_B", "lora_embedding_A"))


def base_values(initial: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Of the trainable tensors as they were before any step: those at whose values the model is the base, by name.

    Weights and biases start as the base's, IA3's factors at one, DoRA's magnitudes at the base's norms, and of LoRA's
    pair one starts at zero: with these the adapted model is the base. The other of the pair is left out: it has no value
    of the base's, and scaling one alone scales the update by the amount. PiSSA starts both from the base's weights, so
    both stay. Task heads, new prompts and prefixes have no base: the caller leaves them out, or refuses.
    """
    return {name: value for name, value in initial.items() if not _beside_zero(name, initial)}


def _beside_zero(name: str, initial: Mapping[str, Tensor]) -> bool:
    """Whether this is the one of a LoRA pair whose other starts at zero."""
    for own, other in _PAIRS:
        partner = initial.get(name.replace(own, other)) if own in name else None
        if partner is not None:
            return not bool(partner.any())
    return False


def interpolated(tuned: Mapping[str, Tensor], base: Mapping[str, Tensor], amount: float) -> dict[str, Tensor]:
    """base + amount (tuned - base), by name; exactly the base at 0, exactly the tuned at 1. Tensors without a base value stay tuned.

    For full weights, biases, LoRA, rsLoRA and IA3 the model's weights lie on the line between base and tuned. For DoRA
    and PiSSA the ends are the same and the way between is curved.

    Raises:
        ValueError: a tensor that has another shape in the base.
    """
    made: dict[str, Tensor] = {}
    for name, value in tuned.items():
        start = base.get(name)
        if start is not None and start.shape != value.shape:
            raise ValueError(f"{name} has shape {tuple(value.shape)}, and {tuple(start.shape)} in the base")
        made[name] = value.detach().clone() if start is None else _between(start.detach(), value.detach(), amount)
    return made


def _between(start: Tensor, end: Tensor, amount: float) -> Tensor:
    wide = torch.promote_types(end.dtype, torch.float32)
    return torch.lerp(start.to(end.device, wide), end.to(wide), amount).to(end.dtype)
