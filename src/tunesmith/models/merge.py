"""Merging: adapters become part of the weights, for tools that take no adapters, and for answers without their cost."""

from typing import Any

from torch import nn

from tunesmith.core.errors import RecipeError
from tunesmith.models.heads import Headed
from tunesmith.models.virtual import virtual_tokens


def merged(model: nn.Module) -> nn.Module:
    """The same model without adapters: logits equal to about 1e-5 in float32. In bfloat16 the sum is rounded once more.

    The weights are changed in place, so the model given is not to be used again. A model without adapters is returned as
    it is; beside a head only the trunk is merged.

    Raises:
        RecipeError: prompt or prefix tuning, which are no part of any weight.
    """
    if isinstance(model, Headed):
        return Headed(merged(model.trunk), model.head)
    if virtual_tokens(model):
        raise RecipeError(
            "Virtual tokens (method.name: prompt or prefix) can't be merged into weights: keep the adapter, or train with lora."
        )
    adapted: Any = model
    if not hasattr(model, "merge_and_unload"):
        return model
    whole: nn.Module = adapted.merge_and_unload()
    return whole
