"""A tiny language model under the embedded tokenizer, and a few steps of training as the package does them."""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from tunesmith.chat.render import Renderer
from tunesmith.core.rows import Row
from tunesmith.models.config import BaseConfig
from tunesmith.models.forward import to_tensors, token_logps
from tunesmith.models.load import Base, load_base
from tunesmith.train.batches import sequence_of
from tunesmith.tree.plan import plan

Trained = Callable[[Any, Sequence[Row], int], Any]


@pytest.fixture(scope="session")
def tiny(tiny_base: Path) -> Base:
    """The random model of width 32."""
    return load_base(BaseConfig(path=str(tiny_base)))


@pytest.fixture(scope="session")
def tiny_renderer(tiny: Base) -> Renderer:
    """Its renderer, 256 tokens long."""
    return Renderer(tiny.tokenizer, max_tokens=256)


@pytest.fixture(scope="session")
def trained(tiny_renderer: Renderer) -> Trained:
    """A copy of a model after so many steps over all rows at once."""

    def train(model: Any, rows: Sequence[Row], steps: int, rate: float = 1e-2) -> Any:
        tuned = copy.deepcopy(model)
        optimizer = torch.optim.AdamW(tuned.parameters(), lr=rate, weight_decay=0.0)
        sequences = [sequence_of(tiny_renderer.row(row), weight_by="token") for row in rows]
        passes = [to_tensors(planned, torch.device("cpu")) for planned in plan(sequences, token_budget=4096)]
        for _ in range(steps):
            for tensors in passes:
                (-token_logps(tuned, tensors).mean()).backward()
                optimizer.step()
                optimizer.zero_grad()
        return tuned.eval()

    return train
