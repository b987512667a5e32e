"""Models tuned by virtual tokens answer in batches as PEFT's own forward pass answers one by one."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tunesmith.infer.generate import generate
from tunesmith.models.config import BaseConfig, MethodConfig
from tunesmith.models.load import load_base
from tunesmith.models.methods import adapt

PROMPTS = [[5, 6, 7, 8, 9, 10], [300], [5, 6, 7], [40, 41, 42], [43, 44, 45, 46, 47, 48]]


@pytest.mark.parametrize("batch_tokens", [1, 10_000])
@pytest.mark.parametrize("name", ["prompt", "prefix"])
def test_batches_answer_as_one_by_one(tiny_base: Path, name: Any, batch_tokens: int) -> None:
    base: Any = load_base(BaseConfig(path=str(tiny_base))).model
    torch.manual_seed(3)
    for parameter in base.parameters():
        if parameter.ndim > 1:
            parameter.data = 0.3 * torch.randn_like(parameter)
    plain = generate(base, PROMPTS, end_ids=[2], max_new_tokens=6, device=torch.device("cpu"))
    model: Any = adapt(base, MethodConfig(name=name, virtual_tokens=4), parameters=1, labels=None, seed=0).eval()
    found = generate(model, PROMPTS, end_ids=[2], max_new_tokens=6, device=torch.device("cpu"), batch_tokens=batch_tokens)
    assert found == [greedy(model, prompt) for prompt in PROMPTS]
    assert found != plain


def greedy(model: Any, prompt: list[int]) -> list[int]:
    ids = list(prompt)
    with torch.no_grad():
        while len(ids) < len(prompt) + 6 and (ids == prompt or ids[-1] != 2):
            ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(prompt) :]
