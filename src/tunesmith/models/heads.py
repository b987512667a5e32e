"""Task heads: what turns the last layer's states of a row into classes, labels, a value, or a tag for each token.

A head sees states and lengths; it runs no model and knows no objective. It costs one matrix product over D x C, and the
language model's own output layer is left unused. What its logits mean is for train/objectives to say.

Letters: R rows, L tokens of the longest row, D width, C outputs.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from tunesmith.core.hashing import canonical_json
from tunesmith.models.config import HeadName, MethodConfig, PoolName
from tunesmith.models.forward import inner

FILE = "head.safetensors"


class Head(nn.Module):
    """A linear layer over pooled states, or over every state (`tags`).

    Attributes:
        kind: what it is for; `class`, `multilabel`, `regression` or `tags`.
        pool: how a row's states become one: `mean`, `attention` (a learnt query; Yang et al., 2016) or `last`.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, width: int, outputs: int, *, kind: HeadName = "class", pool: PoolName = "mean", dropout: float = 0.0) -> None:
        super().__init__()
        self.kind, self.pool = kind, pool
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width, outputs)
        nn.init.normal_(self.linear.weight, std=0.02)
        nn.init.zeros_(self.linear.bias)
        if kind == "regression":  # so that the linear layer says how many spreads from the mean a value is
            self.register_buffer("mean", torch.zeros(()))
            self.register_buffer("spread", torch.ones(()))
        if pool == "attention":
            self.query = nn.Parameter(torch.zeros(width))  # all tokens weigh the same at first: it starts as the mean

    def forward(self, hidden_RLD: Tensor, lengths_R: Tensor) -> Tensor:
        """Logits [R, C]; for regression values [R]; for tags [R, L, C]. States past a row's length count for nothing."""
        return self.read(hidden_RLD if self.kind == "tags" else self.pooled(hidden_RLD, lengths_R))

    def pooled(self, hidden_RLD: Tensor, lengths_R: Tensor) -> Tensor:
        """The states of each row as one: [R, D]."""
        return _POOLS[self.pool](self, hidden_RLD, lengths_R)

    def read(self, states: Tensor) -> Tensor:
        """What the linear layer makes of pooled states, or of every state."""
        logits: Tensor = self.linear(self.dropout(states.to(self.linear.weight.dtype)))
        return logits.squeeze(-1) * self.spread + self.mean if self.kind == "regression" else logits

    def measure(self, values: Sequence[float]) -> None:
        """Take mean and spread of the values to be told, of a regression head, from those of the training rows."""
        found = torch.tensor(values, dtype=torch.float64)
        self.mean.fill_(found.mean())
        self.spread.fill_(found.std(correction=0).clamp(min=1e-6))


def _mean(head: Head, hidden_RLD: Tensor, lengths_R: Tensor) -> Tensor:
    return (hidden_RLD * _real(hidden_RLD, lengths_R)[..., None]).sum(1) / lengths_R[:, None]


def _last(head: Head, hidden_RLD: Tensor, lengths_R: Tensor) -> Tensor:
    return hidden_RLD[torch.arange(len(hidden_RLD), device=hidden_RLD.device), lengths_R - 1]


def _attention(head: Head, hidden_RLD: Tensor, lengths_R: Tensor) -> Tensor:
    """Softmax over the row's tokens of h . query / sqrt(D), and the mean it weighs."""
    scores_RL = hidden_RLD.to(head.query.dtype) @ head.query / hidden_RLD.shape[-1] ** 0.5
    weights_RL = torch.softmax(scores_RL.masked_fill(~_real(hidden_RLD, lengths_R), -torch.inf), dim=-1)
    return torch.einsum("rl,rld->rd", weights_RL, hidden_RLD.to(weights_RL.dtype))


def _real(hidden_RLD: Tensor, lengths_R: Tensor) -> Tensor:
    """True where a row has a token: [R, L]."""
    return torch.arange(hidden_RLD.shape[1], device=hidden_RLD.device)[None] < lengths_R[:, None]


_POOLS: dict[str, Callable[[Head, Tensor, Tensor], Tensor]] = {"mean": _mean, "attention": _attention, "last": _last}


class Headed(nn.Module):
    """A language model's trunk and a head beside it. It does not run itself: whoever has states gives them to `.head`."""

    def __init__(self, trunk: nn.Module, head: Head) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = head

    @property
    def kind(self) -> HeadName:
        """What the head is for."""
        return self.head.kind

    @property
    def pool(self) -> PoolName:
        """How the head pools."""
        return self.head.pool


def with_head(trunk: nn.Module, outputs: int, config: MethodConfig) -> Headed:
    """A fresh head of the configured kind beside a trunk; first values follow torch's random state."""
    assert config.head is not None, "whoever asks for a head says which"
    head = Head(width_of(trunk), outputs, kind=config.head, pool=config.pool, dropout=config.head_dropout)
    return Headed(trunk, head)


def width_of(trunk: nn.Module) -> int:
    """Width of a model's states."""
    return int(inner(trunk).config.get_text_config().hidden_size)


def save_head(head: Head, folder: Path) -> None:
    """Write `head.safetensors`: its tensors, and in the file's metadata what kind it is. Equal heads give equal bytes.

    Under one key, as safetensors writes several in an order that differs from file to file.
    """
    tensors = {name: tensor.contiguous() for name, tensor in head.state_dict().items()}
    described = canonical_json({"kind": head.kind, "pool": head.pool, "dropout": head.dropout.p})
    save_file(tensors, folder / FILE, metadata={"head": described})


def load_head(folder: Path) -> Head:
    """Read `head.safetensors`. One that does not say its kind is a classifier over the mean, as the first ones were.

    Those that came next say it under a key each.
    """
    with safe_open(folder / FILE, framework="pt") as file:
        metadata = file.metadata() or {}
        described = json.loads(metadata["head"]) if "head" in metadata else metadata
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    outputs, width = tensors["linear.weight"].shape
    kind, pool = described.get("kind", "class"), described.get("pool", "mean")
    head = Head(width, outputs, kind=kind, pool=pool, dropout=float(described.get("dropout", 0)))
    head.to(tensors["linear.weight"].dtype).load_state_dict(tensors)
    return head
