"""What is minimised: each objective is a value, tensors in, a sum and a weight out. One file each, named in the table."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from torch import Tensor

from tunesmith.core.errors import RecipeError, did_you_mean


@dataclass(frozen=True, slots=True)
class LossSum:
    """A sum of losses and the weight it is to be divided by, once, over the whole step."""

    total: Tensor
    weight: float


class Objective(Protocol):
    """An objective asks for inputs by name and turns them into a LossSum."""

    inputs: str
    """`token_logps` or `label_logits`."""

    def __call__(self, x: Any) -> LossSum: ...


_TABLE = {
    "sft": "tunesmith.train.objectives.next_token:NextToken",
    "text": "tunesmith.train.objectives.next_token:NextToken",
    "class": "tunesmith.train.objectives.label_class:LabelClass",
}


def objective(name: str) -> Objective:
    """The objective of that name. Raises RecipeError with the nearest one where there is none."""
    if name not in _TABLE:
        raise RecipeError(f"objective.name {name!r} is not known.{did_you_mean(name, _TABLE)}")
    module, attribute = _TABLE[name].split(":")
    made: Callable[[], Objective] = getattr(import_module(module), attribute)
    return made()
