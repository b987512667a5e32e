"""The dropout an architecture brings, set to what the recipe says."""

from torch import nn


def set_dropout(model: nn.Module, rate: float) -> bool:
    """Set the dropout an architecture has, adapters' and heads' left alone; False where it has none.

    A rate of 0 turns off what the architecture brings (GPT-2: 0.1). Some keep their rate in a layer, some in a number
    beside it, some in the config.
    """
    found = False
    for name, module in getattr(model, "trunk", model).named_modules():
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
