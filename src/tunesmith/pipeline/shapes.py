"""What shapes alone tell of a model that is to learn: how it will be adapted, what will learn of it, what its attention will keep.

Costs milliseconds and no memory to speak of: tensors have no values.
"""

from typing import Any

import torch
from torch import nn

from tunesmith.core.errors import RecipeError
from tunesmith.models.attention import layout_of, plan_tensor
from tunesmith.models.blocks import MOST_KEPT
from tunesmith.models.config import MethodConfig
from tunesmith.models.forward import inner
from tunesmith.models.heads import Headed
from tunesmith.models.layers import first_layer_to_run
from tunesmith.models.load import Base
from tunesmith.models.methods import adapt, method_name
from tunesmith.pipeline.counts import shape_without_values
from tunesmith.recipe.cost import Learning
from tunesmith.train.optimizers.groups import members_of
from tunesmith.tree.plan import Pass


def adapted_shape(base: Base, config: MethodConfig, parameters: int, outputs: int | None, seed: int) -> nn.Module:
    """A base as its method changes it, of shapes without values; torch's random state stays as it was.

    Of a method whose first values can't be had without the base's (pissa), the one that has the same shapes.
    """
    config = config.model_copy(update={"name": "lora"}) if config.name == "pissa" else config
    shape = shape_without_values(base.model)
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            return adapt(shape, config, parameters=parameters, labels=outputs, seed=seed, new_ids=base.new_ids)
    except (RuntimeError, NotImplementedError) as error:
        name = method_name(config, parameters)
        raise RecipeError(f"What method.name: {name} takes can't be told before it runs ({type(error).__name__}): train to see.") from error


def learning_of(model: nn.Module) -> Learning:
    """What learns of a model, an output layer that a head stands in for left out."""
    headed = isinstance(model, Headed)
    trunk: nn.Module = model.trunk if isinstance(model, Headed) else model
    language_model: Any = inner(trunk)
    leave: Any = language_model.get_output_embeddings()
    entry: Any = language_model.get_input_embeddings()
    unused = {id(p) for p in leave.parameters()} - {id(entry.weight)} if headed and leave is not None else set()
    members = [one for one in members_of(model, None, {}) if id(one.parameter) not in unused]
    hidden = [one.parameter for one in members if one.hidden]
    every = [one.parameter for one in members]
    return Learning(
        numbers=sum(p.numel() for p in every),
        tensors=len(every),
        hidden=sum(p.numel() for p in hidden),
        hidden_tensors=len(hidden),
        factored=sum(p.numel() // p.shape[-1] + p.numel() // p.shape[-2] if p.dim() > 1 else p.numel() for p in every),
        lowest=first_layer_to_run(trunk),
        norms=any(one.parameter.dim() == 1 and "norm" in one.name for one in members),
        inputs=any(one.parameter.dim() > 1 and not one.name.startswith("head.") for one in members),
        width=max((p.element_size() for p in every), default=4),
    )


def kept_softmax(planned: Pass) -> int:
    """Pairs of tokens of a flat pass whose softmax is kept for the way back, padding included (models/attention.py)."""
    if planned.ends_T is None:
        return 0
    layout = layout_of(plan_tensor(torch.from_numpy(planned.ends_T), torch.from_numpy(planned.positions_BT[0]), None))
    return sum(stack.seen.numel() for stack in layout.stacks if stack.seen.numel() <= MOST_KEPT)
