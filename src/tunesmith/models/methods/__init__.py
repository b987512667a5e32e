"""Methods: what of the model may change. Each is a value in a file of its own, named in the table.

A method makes trainable what it changes, freezes the rest, and knows how that is kept in a folder and taken up again.
What it costs stands in its file. It trains nothing: that is for train/.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from tunesmith.core.errors import RecipeError, did_you_mean
from tunesmith.models.config import BaseConfig, MethodConfig
from tunesmith.models.heads import with_head

FULL_BELOW = 100_000_000
"""Models with fewer parameters are trained in full unless the recipe says otherwise: they fit, and gain from it."""


@dataclass(frozen=True)
class Method(ABC):
    """One way to fine-tune. A new one is a file with a subclass and a line in the table."""

    name: str
    summary: str
    """In a few words, for reports."""
    rate_factor: float
    """Its peak learning rate over that of full fine-tuning of the same model."""
    most_rate: float
    """Its highest peak learning rate."""
    saved_as: Literal["weights", "adapter"] = "weights"
    """`weights`: a whole model; `adapter`: what was learnt alone, and the base is needed to answer."""
    shares_prefixes: bool = True
    """Whether rows may share their prompts in one flat pass. Dropout inside adapters forbids it besides."""
    trains_new_rows: bool = False
    """Whether the embedding rows of `base.new_tokens` learn."""

    @abstractmethod
    def apply(self, model: nn.Module, config: MethodConfig, seed: int, new_ids: Sequence[int] = ()) -> nn.Module:
        """Make trainable what the method changes, and freeze the rest.

        Args:
            model: a fresh causal language model; its weights are wrapped, not copied.
            config: the method's settings.
            seed: for first values.
            new_ids: ids of tokens that the base did not have.

        Raises:
            RecipeError: the settings don't fit this model.
        """

    def default_rate(self, full_rate: float) -> float:
        """Peak learning rate where the recipe names none, from that of full fine-tuning."""
        return min(self.most_rate, self.rate_factor * full_rate)

    def save(self, trunk: nn.Module, folder: Path) -> None:
        """Write what is kept of a trained model into an existing folder."""
        kept: Any = trunk
        kept.save_pretrained(folder)

    def load(self, folder: Path, base: BaseConfig, seed: int) -> nn.Module:
        """The reverse of `save`. `base` and `seed`: what the model was trained from, and the seed of random weights."""
        from transformers import AutoModelForCausalLM

        loaded: nn.Module = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True, dtype=getattr(torch, base.dtype))
        return loaded


_TABLE = {
    "full": "tunesmith.models.methods.full:Full",
    "lora": "tunesmith.models.methods.lora:Lora",
    "rslora": "tunesmith.models.methods.rslora:RsLora",
    "dora": "tunesmith.models.methods.dora:Dora",
    "pissa": "tunesmith.models.methods.pissa:Pissa",
    "ia3": "tunesmith.models.methods.ia3:Ia3",
    "bitfit": "tunesmith.models.methods.bitfit:BitFit",
    "prompt": "tunesmith.models.methods.prompt:Prompt",
    "prefix": "tunesmith.models.methods.prefix:Prefix",
    "layers": "tunesmith.models.methods.layers:Layers",
    "features": "tunesmith.models.methods.features:Features",
}


def method(name: str) -> Method:
    """The method of that name. Raises RecipeError with the nearest one where there is none."""
    if name not in _TABLE:
        raise RecipeError(f"method.name {name!r} is not known.{did_you_mean(name, _TABLE)}")
    module, attribute = _TABLE[name].split(":")
    made: Method = getattr(import_module(module), attribute)()
    return made


def method_name(config: MethodConfig, parameters: int) -> str:
    """The method, resolved: small models are trained in full where the recipe does not say."""
    return config.name or ("full" if parameters < FULL_BELOW else "lora")


_HEAD_TASKS = {"class": "classify", "multilabel": "multilabel", "tags": "tag"}


def adapt(
    model: nn.Module, config: MethodConfig, *, parameters: int, labels: int | None, seed: int, new_ids: Sequence[int] = ()
) -> nn.Module:
    """Make trainable what the method changes, freeze the rest, and put a head beside it where one is asked for.

    Args:
        model: a fresh causal language model; its weights are wrapped, not copied.
        config: the method; a head of None is none.
        parameters: how many the base has, to resolve the default method.
        labels: number of outputs of a head for labels or tags.
        seed: for the adapters' and the head's first values.
        new_ids: ids of tokens that the base did not have.

    Raises:
        RecipeError: the settings don't fit this model or its default method, or a head has no labels.
    """
    chosen = method(method_name(config, parameters))
    if config.name is None:  # what the recipe's check could not know: which of the two defaults it is
        try:
            MethodConfig.model_validate(config.model_dump() | {"name": chosen.name})
        except ValueError as error:
            said = str(error).split("Value error, ")[-1].split(" [type=")[0]
            raise RecipeError(f"{said} (a model of {parameters:,} parameters gets {chosen.name} by default).") from None
    if new_ids and not chosen.trains_new_rows:
        raise RecipeError(
            f"base.new_tokens adds embedding rows, and method.name: {chosen.name} would not train them: "
            "set method.name to full, lora, rslora, dora or pissa, or leave the tokens out."
        )
    if config.head in _HEAD_TASKS and labels is None:
        raise RecipeError(f"method.head: {config.head} needs labels; set data.task: {_HEAD_TASKS[config.head]}.")
    torch.manual_seed(seed)
    adapted = chosen.apply(model, config, seed, new_ids)
    if config.head in (None, "tokens"):
        return adapted
    return with_head(adapted, 1 if config.head == "regression" else labels or 0, config)
