"""Feature extraction: the whole trunk is frozen, and only a head learns from its states.

Costs one pass through the trunk for each distinct row, where its states are kept, and next to nothing after; keeps the
head alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import nn

from tunesmith.models.config import BaseConfig, MethodConfig
from tunesmith.models.methods import Method


@dataclass(frozen=True)
class Features(Method):
    """The head alone. Rate: 5e-3, usual for linear probes under Adam; the head's size hardly depends on the model's."""

    name: str = "features"
    summary: str = "frozen trunk"
    rate_factor: float = 400.0
    most_rate: float = 5e-3
    saved_as: Literal["weights", "adapter"] = "adapter"

    def apply(self, model: nn.Module, config: MethodConfig, seed: int, new_ids: Sequence[int] = ()) -> nn.Module:
        """See Method.apply."""
        return model.requires_grad_(False)

    def save(self, trunk: nn.Module, folder: Path) -> None:
        """Nothing of the trunk has changed, and nothing of it is kept."""

    def load(self, folder: Path, base: BaseConfig, seed: int) -> nn.Module:
        """See Method.load."""
        from tunesmith.models.load import load_base

        return load_base(base, seed=seed).model
