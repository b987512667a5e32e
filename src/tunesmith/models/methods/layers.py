"""Layer-wise fine-tuning: the top layers, or parameters chosen by name. What lies below the lowest that learns can be kept.

Costs gradients and moments of what learns, and a backward pass down to the lowest of it; keeps a whole model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from tunesmith.core.errors import RecipeError
from tunesmith.models.config import MethodConfig
from tunesmith.models.forward import inner
from tunesmith.models.layers import depth_of, layer_count
from tunesmith.models.methods import Method


@dataclass(frozen=True)
class Layers(Method):
    """Some layers or parameters. Rate: full fine-tuning's (Howard & Ruder, 2018, unfreeze at one rate and let depth lower it)."""

    name: str = "layers"
    summary: str = "chosen layers"
    rate_factor: float = 1.0
    most_rate: float = 1.0
    trains_new_rows: bool = True

    def apply(self, model: nn.Module, config: MethodConfig, seed: int, new_ids: Sequence[int] = ()) -> nn.Module:
        """See Method.apply. A tied tensor goes by all of its names."""
        if config.top_layers is not None and config.top_layers > layer_count(model):
            raise RecipeError(f"method.top_layers {config.top_layers} is more than the {layer_count(model)} layers of this model.")
        only, frozen = _matching(model, "train_only", config.train_only), _matching(model, "freeze", config.freeze)
        depths = depth_of(model)
        lowest = layer_count(model) - config.top_layers if config.top_layers is not None else -1
        for name, parameter in model.named_parameters():
            chosen = depths[name] > lowest and (not config.train_only or id(parameter) in only)
            parameter.requires_grad_(chosen and id(parameter) not in frozen)
        if config.head in (None, "tokens") and not any(parameter.requires_grad for parameter in model.parameters()):
            raise RecipeError("method.top_layers, train_only and freeze together leave nothing to train: let one of them go.")
        entry: Any = inner(model).get_input_embeddings()
        if new_ids and not entry.weight.requires_grad:
            raise RecipeError(
                "base.new_tokens adds embedding rows, and method.name: layers is told to leave the embeddings frozen: let train_only and "
                "freeze leave them in, or leave the tokens out."
            )
        return model


def _matching(model: nn.Module, setting: str, patterns: Sequence[str]) -> set[int]:
    """Identities of the parameters whose name matches one of the patterns. Raises RecipeError for one that matches none."""
    named = list(model.named_parameters(remove_duplicate=False))
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name, _ in named):
            near = get_close_matches(pattern.replace("*", ""), [name for name, _ in named], n=1, cutoff=0.0)[0]
            raise RecipeError(f"method.{setting} {pattern!r} matches no parameter of this model. The nearest is {near}.")
    return {id(parameter) for name, parameter in named if any(fnmatchcase(name, pattern) for pattern in patterns)}
