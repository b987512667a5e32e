"""Which tensors an optimiser holds, and which of them decay or are matrices of hidden layers. Costs one walk over the modules."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

_SCALES = ("ia3_l", "lora_magnitude_vector")
"""Parts of names of adapters' tensors that multiply: a pull toward zero would be a pull away from the base."""

_HEADS = ("head.", "score.", "classifier.")
"""Where the names of task heads begin."""


@dataclass(frozen=True, slots=True)
class Member:
    """One tensor an optimiser holds."""

    name: str
    parameter: nn.Parameter
    factor: float
    """Its rate over the run's."""
    decayed: bool
    """Pulled toward zero: matrices, but for embeddings and what multiplies."""
    hidden: bool
    """A matrix between hidden states: not an embedding, an output layer or a task head."""

    @property
    def narrow(self) -> bool:
        """Held in 16 bits, where a small update is rounded away."""
        return self.parameter.dtype in (torch.bfloat16, torch.float16)


def members_of(model: nn.Module, names: Collection[str] | None, factors: Mapping[str, float]) -> list[Member]:
    """The tensors of those names, in the model's order; those that ask for a gradient where `names` is None.

    Raises:
        ValueError: a name that is no tensor of the model.
    """
    named = dict(model.named_parameters())
    if names is None:
        names = [name for name, parameter in named.items() if parameter.requires_grad]
    if unknown := sorted(set(names) - set(named)):
        raise ValueError(f"the model has no tensor {unknown[0]!r}")
    wanted = set(names)
    embeddings = {id(p) for module in model.modules() if isinstance(module, nn.Embedding) for p in module.parameters()}
    edges = embeddings | _outputs(model)
    return [_member(name, p, factors.get(name, 1.0), embeddings, edges) for name, p in named.items() if name in wanted]


def _member(name: str, parameter: nn.Parameter, factor: float, embeddings: set[int], edges: set[int]) -> Member:
    decayed = parameter.ndim >= 2 and id(parameter) not in embeddings and not any(part in name for part in _SCALES)
    hidden = decayed and parameter.ndim == 2 and id(parameter) not in edges and not name.startswith(_HEADS)
    return Member(name, parameter, factor, decayed, hidden)


def _outputs(model: nn.Module) -> set[int]:
    """Ids of the tensors of the language-model output, tied or not."""
    found: set[int] = set()
    for module in model.modules():
        ask: Any = getattr(module, "get_output_embeddings", None)
        output = ask() if callable(ask) else None
        if isinstance(output, nn.Module):
            found |= {id(p) for p in output.parameters()}
    return found


def param_groups(members: Sequence[Member], weight_decay: float, rate: float) -> list[dict[str, Any]]:
    """Groups as torch's optimisers take them: one for each factor, with decay and without."""
    grouped: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for member in sorted(members, key=lambda member: (-member.factor, not member.decayed)):
        grouped.setdefault((member.factor, member.decayed), []).append(member.parameter)
    return [
        {"params": parameters, "lr": rate * factor, "weight_decay": weight_decay if decayed else 0.0}
        for (factor, decayed), parameters in grouped.items()
    ]


def fusible(members: Sequence[Member]) -> bool:
    """Whether torch's fused kernels take these tensors."""
    types = (torch.float32, torch.bfloat16, torch.float64)
    return all(member.parameter.device.type in ("cpu", "cuda") and member.parameter.dtype in types for member in members)
