"""Scores of choices on one tree are those of each choice alone, and each way to scale them does what it is named for."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.infer.choices import probabilities, scales, score_choices
from tunesmith.models.config import BaseConfig
from tunesmith.models.load import load_base

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model(tiny_base: Path) -> Any:
    made: Any = load_base(BaseConfig(path=str(tiny_base))).model
    torch.manual_seed(3)
    for parameter in made.parameters():
        if parameter.ndim > 1:
            parameter.data = 0.3 * torch.randn_like(parameter)
    return made


def alone(model: Any, prompt: list[int], choice: list[int]) -> float:
    """By definition: one row, one pass, the sum over the choice's ids."""
    logps = torch.log_softmax(model(torch.tensor([[*prompt, *choice]])).logits[0].detach().double(), dim=-1)
    return sum(float(logps[len(prompt) + place - 1, token]) for place, token in enumerate(choice))


STEM = list(range(10, 50))
PROMPTS = {
    "worked examples before every question": [[*STEM, 60, 61], [*STEM, 60], [*STEM, 70, 71, 72], [*STEM, 60, 61]],
    "prompts that share nothing": [[5], [6, 7, 8], [9, 10]],
    "one prompt": [[5, 6, 7]],
}
CHOICES = {
    "labels that begin alike, one the beginning of another": [[80, 81, 2], [80, 81, 82, 2], [80, 2], [90, 91, 92, 93, 2], [80, 81]],
    "letters of a question with options": [[80], [81], [82], [83]],
    "the same choice twice": [[80, 2], [80, 2]],
}


@pytest.mark.parametrize("prompts", PROMPTS.values(), ids=PROMPTS.keys())
@pytest.mark.parametrize("choices", CHOICES.values(), ids=CHOICES.keys())
def test_every_choice_is_scored_as_alone(model: Any, prompts: list[list[int]], choices: list[list[int]]) -> None:
    found = score_choices(model, prompts, choices, device=CPU)
    expected = np.array([[alone(model, prompt, choice) for choice in choices] for prompt in prompts])
    assert np.abs(found - expected).max() < 1e-4


finite = st.floats(-30, -0.1)


@given(rows=st.lists(st.lists(finite, min_size=3, max_size=3), min_size=1, max_size=6))
def test_scales_are_a_sum_a_sum_per_token_and_a_sum_less_the_average(rows: list[list[float]]) -> None:
    scores, lengths = np.array(rows), np.array([1.0, 2.0, 4.0])
    plain, by_length, less_prior = scales(scores, lengths)
    assert [one.name for one in (plain, by_length, less_prior)] == ["sum", "per token", "less prior"]
    assert np.allclose(plain(scores), scores)
    assert np.allclose(by_length(scores), scores / lengths)
    prior = np.log(probabilities(scores)).mean(axis=0)
    assert np.allclose(less_prior(scores), scores - prior)
    assert np.allclose(np.log(probabilities(less_prior(scores))).mean(axis=0), np.log(probabilities(scores - prior)).mean(axis=0))


def test_a_long_choice_wins_per_token_and_loses_by_its_sum() -> None:
    scores, lengths = np.array([[-3.0, -4.0]]), np.array([1.0, 4.0])
    plain, by_length, _ = scales(scores, lengths)
    assert [int(one(scores).argmax()) for one in (plain, by_length)] == [0, 1]


def test_a_choice_that_is_merely_common_wins_by_its_sum_and_not_less_its_prior() -> None:
    """The first choice is likelier by 5 nats under every prompt; what a prompt says of the second is seen once that is taken off."""
    said = np.array([[0.0, 1.0], [0.0, -1.0], [0.0, 2.0], [0.0, -2.0]])
    scores = said + np.array([-1.0, -6.0])
    plain, _, less_prior = scales(scores, np.ones(2))
    assert plain(scores).argmax(axis=1).tolist() == [0, 0, 0, 0]
    assert less_prior(scores).argmax(axis=1).tolist() == said.argmax(axis=1).tolist()
