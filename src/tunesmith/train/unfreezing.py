"""Gradual unfreezing (Howard & Ruder, 2018, section 3.3): the top learns first, and lower layers join from the top down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True, slots=True)
class Unfreezing:
    """Groups of tensors in the order they join, and the clock they join by."""

    groups: Sequence[Sequence[str]]
    """Names; the first group learns from the start."""
    every_steps: int | None = None
    """Steps between two joinings; None: they join when validation stalls."""

    @property
    def when_stalled(self) -> bool:
        """Whether validation is the clock."""
        return self.every_steps is None

    @property
    def last(self) -> int:
        """The level at which everything learns."""
        return len(self.groups) - 1

    def level_at(self, step: int, level: int) -> int:
        """Groups beyond the first that learn after so many steps; `level` is how many did before."""
        return level if self.every_steps is None else min(self.last, step // self.every_steps)

    def open(self, named: Mapping[str, nn.Parameter], level: int) -> None:
        """Let the groups up to `level` learn, and hold the others."""
        joined = {name for group in self.groups[: level + 1] for name in group}
        for name, parameter in named.items():
            parameter.requires_grad_(name in joined)
            if name not in joined:
                parameter.grad = None
