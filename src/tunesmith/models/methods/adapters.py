"""What the methods that PEFT keeps as adapters have in common: how they are put on, kept beside the base, and taken up again."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from tunesmith.models.config import BaseConfig
from tunesmith.models.methods import Method


@dataclass(frozen=True)
class AdapterMethod(Method):
    """A method whose result is a PEFT adapter."""

    saved_as: Literal["weights", "adapter"] = "adapter"

    def save(self, trunk: nn.Module, folder: Path) -> None:
        """See Method.save."""
        save_adapter(trunk, folder)

    def load(self, folder: Path, base: BaseConfig, seed: int) -> nn.Module:
        """See Method.load."""
        from peft import PeftModel

        from tunesmith.models.load import load_base

        loaded: nn.Module = PeftModel.from_pretrained(load_base(base, seed=seed).model, str(folder))
        return loaded


def save_adapter(
    trunk: nn.Module, folder: Path, *, state: Mapping[str, Tensor] | None = None, changed: Mapping[str, Any] | None = None
) -> None:
    """Write a PEFT adapter.

    Args:
        trunk: a PEFT model with one adapter.
        folder: an existing folder.
        state: tensors to write instead of the model's own, by the names of its state dict.
        changed: settings to write instead of the adapter's own.
    """
    wrapped: Any = trunk
    name = wrapped.active_adapter
    own = wrapped.peft_config[name]
    written = copy.copy(own)
    for setting, value in (changed or {}).items():
        setattr(written, setting, value)
    wrapped.peft_config[name] = written
    options: dict[str, Any] = {} if state is None else {"state_dict": dict(state)}
    try:
        # New embedding rows are in the adapter; without the flag PEFT asks the hub whether the vocabulary is the base's.
        wrapped.save_pretrained(str(folder), save_embedding_layers=False, **options)
    finally:
        wrapped.peft_config[name] = own


def is_transposed(model: nn.Module) -> bool:
    """Whether the layers' matrices are kept as [in, out], as GPT-2's are."""
    return any(isinstance(module, Conv1D) for module in model.modules())
