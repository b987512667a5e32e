"""A float32 copy of weights that are held in 16 bits: the optimiser changes the copy, the model gets it rounded.

Without it an update below about 1/256 of a weight is rounded away (Micikevicius et al., 2018, section 3.1). Costs four
bytes a weight and doubles the moments, which are then in float32 as well; the 16-bit gradient is dropped once it is
copied. A weight that was set from outside since the last step is taken over by its copy: one more pass over the weights.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from tunesmith.train.optimizers.groups import Member


class MasterWeights(Optimizer):
    """An optimiser over float32 copies, seen from outside as one over the model's own tensors.

    Its groups are those of the optimiser inside, so that a rate set in one is set in both. A saved state holds each copy
    as `master` beside its moments.
    """

    def __init__(self, inside: Optimizer, held: dict[nn.Parameter, nn.Parameter]) -> None:
        """`held`: the model's 16-bit tensor of each copy."""
        super().__init__(inside.param_groups, {})
        self.inside, self.held = inside, held
        self.param_groups, self.state = inside.param_groups, inside.state

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move gradients to the copies, take the step there, and round what changed into the model."""
        moved = [(copy, narrow) for copy, narrow in self.held.items() if narrow.grad is not None]
        for copy, narrow in moved:
            assert narrow.grad is not None
            copy.grad, narrow.grad = narrow.grad.float(), None
            copy.copy_(torch.where(copy.to(narrow.dtype) == narrow, copy, narrow.float()))  # weights may have been set from outside
        self.inside.step()
        for copy, narrow in moved:
            narrow.copy_(copy)
            copy.grad = None

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of the model's tensors."""
        self.inside.zero_grad(set_to_none)
        for narrow in self.held.values():
            narrow.grad = None

    def state_dict(self) -> dict[str, Any]:
        """The state of the optimiser inside, with the copies."""
        found = self.inside.state_dict()
        for index, parameter in enumerate(self._ordered()):
            if parameter in self.held:
                found["state"][index] = {**found["state"].get(index, {}), "master": parameter.detach()}
        return found

    @torch.no_grad()
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The reverse of `state_dict`. Raises KeyError where a copy is missing."""
        states = {index: dict(values) for index, values in state_dict["state"].items()}
        for index, parameter in enumerate(self._ordered()):
            if parameter in self.held:
                parameter.copy_(states[index].pop("master"))
        self.inside.load_state_dict({**state_dict, "state": {index: values for index, values in states.items() if values}})
        self.param_groups, self.state = self.inside.param_groups, self.inside.state

    def _ordered(self) -> list[nn.Parameter]:
        return [parameter for group in self.inside.param_groups for parameter in group["params"]]


def with_master_weights(members: Sequence[Member], build: Callable[[Sequence[Member]], list[Optimizer]]) -> list[Optimizer]:
    """Build optimisers over copies of the 16-bit members and over the others themselves."""
    copies = [replace(member, parameter=nn.Parameter(member.parameter.detach().float())) if member.narrow else member for member in members]
    held = {copy.parameter: member.parameter for copy, member in zip(copies, members, strict=True) if member.narrow}
    wrapped: list[Optimizer] = []
    for inside in build(copies):
        own = {p: held[p] for group in inside.param_groups for p in group["params"] if p in held}
        wrapped.append(MasterWeights(inside, own) if own else inside)
    return wrapped
