"""Answers in batches are the answers one by one, greedy whatever the base's own settings, and end where they end."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tunesmith.infer.choices import perplexity, probabilities, score_choices
from tunesmith.infer.generate import generate
from tunesmith.models.config import BaseConfig, MethodConfig
from tunesmith.models.load import load_base
from tunesmith.models.methods import adapt

CPU = torch.device("cpu")
PROMPTS = [[5, 6, 7, 8, 9, 10], [300], [5, 6, 7], [40, 41, 42, 43, 44, 45, 46, 47, 48]]


@pytest.fixture(scope="module")
def model(tiny_base: Path) -> Any:
    made: Any = load_base(BaseConfig(path=str(tiny_base))).model
    torch.manual_seed(3)
    for parameter in made.parameters():
        if parameter.ndim > 1:
            parameter.data = 0.3 * torch.randn_like(parameter)
    return made


def greedy(model: Any, prompt: list[int], end_ids: tuple[int, ...], most: int) -> list[int]:
    """By definition: the likeliest next token, one after the other, without a cache."""
    ids = list(prompt)
    with torch.no_grad():
        while len(ids) < len(prompt) + most:
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
            if ids[-1] in end_ids:
                break
    return ids[len(prompt) :]


@pytest.mark.parametrize("batch_tokens", [1, 30, 10_000])
def test_batches_answer_as_one_by_one(model: Any, batch_tokens: int) -> None:
    told: list[int] = []
    found = generate(model, PROMPTS, end_ids=[2], max_new_tokens=8, device=CPU, batch_tokens=batch_tokens, advanced=told.append)
    assert found == [greedy(model, prompt, (2,), 8) for prompt in PROMPTS]
    assert told[-1] == len(PROMPTS)


def test_an_answer_stops_at_its_end(model: Any) -> None:
    free = [greedy(model, prompt, (), 8) for prompt in PROMPTS]
    ends = (free[0][2], free[1][0])
    found = generate(model, PROMPTS, end_ids=ends, max_new_tokens=8, device=CPU)
    assert found == [greedy(model, prompt, ends, 8) for prompt in PROMPTS]
    assert len(found[0]) <= 3
    assert len(found[1]) == 1


def test_a_bases_own_settings_do_not_bend_the_answer(model: Any) -> None:
    before = generate(model, PROMPTS, end_ids=[2], max_new_tokens=8, device=CPU)
    model.generation_config.repetition_penalty = 9.0
    model.generation_config.suppress_tokens = [before[0][0]]
    model.generation_config.max_length = 3
    own = model.generation_config
    assert generate(model, PROMPTS, end_ids=[2], max_new_tokens=8, device=CPU) == before
    assert model.generation_config is own


def test_adapters_answer_too(tiny_base: Path) -> None:
    base = load_base(BaseConfig(path=str(tiny_base)))
    adapted: Any = adapt(base.model, MethodConfig(name="lora", rank=2), parameters=1, labels=None, seed=0)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            parameter.data.fill_(0.5)
    found = generate(adapted.eval(), PROMPTS[:2], end_ids=[2], max_new_tokens=4, device=CPU)
    assert found == [greedy(adapted, prompt, (2,), 4) for prompt in PROMPTS[:2]]


def test_nothing_asked_nothing_answered(model: Any) -> None:
    assert generate(model, [], end_ids=[2], max_new_tokens=4, device=CPU) == []
    assert score_choices(model, [], [[5, 2], [6, 2]], device=CPU).shape == (0, 2)


def test_confidence_sums_to_one() -> None:
    found = probabilities(np.array([[-1000.0, -1001.0], [0.0, 0.0]]))
    assert found.sum(axis=1) == pytest.approx([1, 1])
    assert found[0] == pytest.approx([1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))])
    assert found[1] == pytest.approx([0.5, 0.5])


def test_perplexity_of_a_fair_die() -> None:
    assert perplexity(np.array([-3 * np.log(6.0), -np.log(6.0)]), np.array([3.0, 1.0])) == pytest.approx(6)
    assert np.isnan(perplexity(np.zeros(1), np.zeros(1)))
