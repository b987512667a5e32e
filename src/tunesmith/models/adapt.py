"""Methods: what of the model may change. LoRA through PEFT, or every weight; a classification head where one is asked for."""

from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.core.errors import RecipeError
from tunesmith.models.config import MethodConfig
from tunesmith.models.forward import PassTensors, hidden_states, inner

FULL_BELOW = 100_000_000
"""Models with fewer parameters are trained in full unless the recipe says otherwise: they fit, and gain from it."""


class MeanPoolHead(nn.Module):
    """A linear classifier over the mean of the last layer's states of a row. Logits [R, C] from states [B, T, D]."""

    def __init__(self, width: int, labels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, labels)
        nn.init.normal_(self.linear.weight, std=0.02)
        nn.init.zeros_(self.linear.bias)

    def forward(self, hidden_BTD: Tensor, lengths_B: Tensor) -> Tensor:
        """Pool over the real tokens of each row, then classify."""
        real_BT = torch.arange(hidden_BTD.shape[1], device=hidden_BTD.device)[None] < lengths_B[:, None]
        pooled_BD = (hidden_BTD * real_BT[..., None]).sum(1) / lengths_B[:, None]
        logits: Tensor = self.linear(pooled_BD.to(self.linear.weight.dtype))
        return logits


class Classifier(nn.Module):
    """A language model's trunk with a head; the language-model output is left unused."""

    def __init__(self, trunk: nn.Module, labels: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = MeanPoolHead(inner(trunk).config.get_text_config().hidden_size, labels)

    def label_logits(self, tensors: PassTensors) -> Tensor:
        """Logits [R, C] of the rows of a plain pass, in its order."""
        rows, width = tensors.ids_BT.shape
        hidden = hidden_states(self.trunk, tensors).reshape(rows, width, -1)
        logits: Tensor = self.head(hidden, tensors.last_R % width + 1)
        return logits.float()


def method_name(config: MethodConfig, parameters: int) -> str:
    """The method, resolved: small models are trained in full where the recipe does not say."""
    return config.name or ("full" if parameters < FULL_BELOW else "lora")


def adapt(model: nn.Module, config: MethodConfig, *, parameters: int, labels: int | None, seed: int) -> nn.Module:
    """Make trainable what the method changes, and freeze the rest.

    Args:
        model: a causal language model; its weights are wrapped, not copied.
        config: the method.
        parameters: how many the base has, to resolve the default method.
        labels: number of labels, where a head is asked for.
        seed: for the adapters' and the head's first values.

    Raises:
        RecipeError: LoRA targets that name no layer of the model.
    """
    torch.manual_seed(seed)
    if method_name(config, parameters) == "lora":
        model = _with_lora(model, config)
    else:
        for parameter in model.parameters():
            parameter.requires_grad_(True)
    if config.head == "class":
        if labels is None:
            raise RecipeError("method.head: class needs labels; set data.task: classify.")
        return Classifier(model, labels)
    return model


def _with_lora(model: nn.Module, config: MethodConfig) -> nn.Module:
    from peft import LoraConfig, get_peft_model

    targets: str | list[str] = config.targets
    scale: Any = config.scale
    lora = LoraConfig(
        r=config.rank, lora_alpha=scale, lora_dropout=config.dropout, target_modules=targets, task_type="CAUSAL_LM", bias="none"
    )
    try:
        wrapped: nn.Module = get_peft_model(inner(model), lora)
        return wrapped
    except ValueError as error:
        names = sorted({name.rsplit(".", 1)[-1] for name, module in model.named_modules() if isinstance(module, nn.Linear)})
        raise RecipeError(
            f"method.targets {config.targets!r} name no layer of this model. Its linear layers: {', '.join(names)}."
        ) from error


def set_dropout(model: nn.Module, rate: float) -> bool:
    """Set the dropout an architecture has, adapters' left alone; False where it has none.

    A rate of 0 turns off what the architecture brings (GPT-2: 0.1). Some keep their rate in a layer, some in a number
    beside it, some in the config.
    """
    found = False
    for name, module in model.named_modules():
        if "lora" in name:
            continue
        if isinstance(module, nn.Dropout):
            module.p = rate
            found = True
        for holder in (module, getattr(module, "config", None)):
            for key in [key for key, value in vars(holder or object).items() if _is_rate(key, value)]:
                setattr(holder, key, rate)
                found = True
    return found


def _is_rate(key: str, value: object) -> bool:
    named = ("dropout" in key or "pdrop" in key) and not key.startswith("classifier")
    return named and isinstance(value, int | float) and not isinstance(value, bool)
