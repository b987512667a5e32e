"""What is minimised: each objective is a value, tensors in, a sum and a weight out. One file each, named in the table.

Two rules hold for all of them.

The divisor: a LossSum's weight is the sum of the weights that came in (tokens, pairs or rows). It is known before the
forward pass and adds up over passes, so that a step divided into passes is the same step. Whatever an objective
multiplies a loss by (class weights, focal factors, KTO's weights) is in the total only.

No row sees another: a row's loss depends on that row alone. The one exception is KTO's baseline, which is why it comes
in from outside, estimated over the whole step.

Objectives know no model, device or log. Logits of half precision are widened to float32; log-probabilities are to come
in float32 or wider.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from importlib import import_module
from typing import Any, Protocol, Self

from torch import Tensor

from tunesmith.core.errors import RecipeError, did_you_mean
from tunesmith.train.config import ObjectiveConfig


@dataclass(frozen=True, slots=True)
class LossSum:
    """A sum of losses and the weight it is to be divided by, once, over the whole step."""

    total: Tensor
    weight_sum: Tensor | float

    @property
    def weight(self) -> float:
        """The divisor as a number; on a GPU, asking for it waits until the device has got there."""
        return float(self.weight_sum)

    @classmethod
    def of(cls, loss_N: Tensor, weight_N: Tensor) -> Self:
        """Losses [N], each with its weight [N]."""
        return cls((loss_N * weight_N).sum(), weight_N.sum())


class Objective(Protocol):
    """An objective says what it is to be given and turns it into a LossSum."""

    @property
    def inputs(self) -> str:
        """Which dataclass of `inputs` it takes: tokens, pairs, judged, labels, multilabels, values or tags."""

    @property
    def needs(self) -> frozenset[str]:
        """The optional parts of it that must be given: of mean_logps, forward_kl, reverse_kl, reference."""

    def __call__(self, x: Any) -> LossSum: ...


_TABLE = {
    "sft": "tunesmith.train.objectives.next_token:NextToken",
    "text": "tunesmith.train.objectives.next_token:NextToken",
    "class": "tunesmith.train.objectives.label_class:LabelClass",
    "multilabel": "tunesmith.train.objectives.multi_label:MultiLabel",
    "regression": "tunesmith.train.objectives.regression:Regression",
    "tags": "tunesmith.train.objectives.tags:Tags",
    "dpo": "tunesmith.train.objectives.dpo:DPO",
    "ipo": "tunesmith.train.objectives.ipo:IPO",
    "kto": "tunesmith.train.objectives.kto:KTO",
    "orpo": "tunesmith.train.objectives.orpo:ORPO",
    "simpo": "tunesmith.train.objectives.simpo:SimPO",
    "distill": "tunesmith.train.objectives.distill:Distill",
    "unlikelihood": "tunesmith.train.objectives.unlikelihood:Unlikelihood",
}


def objective(config: ObjectiveConfig, name: str, *, class_weights: tuple[float, ...] | None = None) -> Objective:
    """The objective of that name, with the parameters the config gives it; those it leaves at null keep their own default.

    Args:
        config: the `objective` section.
        name: the resolved name; the config's own may be null.
        class_weights: one number per label, as `class_weights.resolve_class_weights` makes them.

    Raises:
        RecipeError: there is no such objective, or it ignores a setting that the config changes.
        ValueError: the config asks for class weights and none are passed.
    """
    if name not in _TABLE:
        raise RecipeError(f"objective.name {name!r} is not known.{did_you_mean(name, _TABLE)}")
    ignored = config.ignored_by(name)
    if ignored is not None:
        raise RecipeError(f"objective: {ignored}.")
    if config.class_weights is not None and class_weights is None:
        raise ValueError("objective.class_weights is set: resolve it with resolve_class_weights and pass the result")
    module, attribute = _TABLE[name].split(":")
    kind: Any = getattr(import_module(module), attribute)
    make: Callable[..., Objective] = kind
    chosen = {field.name: getattr(config, field.name) for field in fields(kind) if field.name != "class_weights"}
    if class_weights is not None:
        chosen["class_weights"] = class_weights
    return make(**{field: value for field, value in chosen.items() if value is not None})
