"""Draws follow the probabilities that temperature, top-k and top-p leave, and each answer has its own stream."""

import random
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core.errors import RecipeError
from tunesmith.infer.sampling import Sampling, choose

LOGITS = torch.log(torch.tensor([0.1, 0.4, 0.2, 0.3]))


def drawn(sampling: Sampling, draws: int = 4000) -> dict[int, float]:
    stream = sampling.stream([1], 0)
    found = choose(LOGITS.expand(draws, 4), sampling, [stream] * draws).tolist()
    return {token: count / draws for token, count in Counter(found).items()}


def near(found: dict[int, float], expected: dict[int, float]) -> bool:
    """Within four standard errors of each share, and nothing else is drawn."""
    return found.keys() == expected.keys() and all(abs(found[t] - p) < 4 * (p * (1 - p) / 4000) ** 0.5 + 1e-12 for t, p in expected.items())


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(temperature=1.0), {0: 0.1, 1: 0.4, 2: 0.2, 3: 0.3}),
        (Sampling(temperature=1.0, top_k=2), {1: 4 / 7, 3: 3 / 7}),
        (Sampling(temperature=1.0, top_p=0.7), {1: 4 / 7, 3: 3 / 7}),
        (Sampling(temperature=1.0, top_p=0.71), {1: 4 / 9, 2: 2 / 9, 3: 3 / 9}),
        (Sampling(temperature=1.0, top_p=0.1), {1: 1.0}),
        (Sampling(temperature=0.5), {0: 1 / 30, 1: 16 / 30, 2: 4 / 30, 3: 9 / 30}),
        (Sampling(temperature=1.0, top_k=1), {1: 1.0}),
        (Sampling(), {1: 1.0}),
    ],
)
def test_shares_are_those_of_the_distribution(sampling: Sampling, expected: dict[int, float]) -> None:
    assert near(drawn(sampling), expected)


@given(
    logits=st.lists(st.floats(-40, 40, width=32), min_size=1, max_size=9), allowed=st.data(), top_p=st.floats(0.01, 1), number=st.integers()
)
def test_what_is_not_allowed_is_never_drawn(logits: list[float], allowed: st.DataObject, top_p: float, number: int) -> None:
    open_places = allowed.draw(st.sets(st.integers(0, len(logits) - 1), min_size=1))
    masked = torch.tensor([[x if place in open_places else -torch.inf for place, x in enumerate(logits)]])
    for sampling in (Sampling(temperature=0.7, top_p=top_p), Sampling()):
        assert choose(masked, sampling, [random.Random(number)]).item() in open_places


@pytest.mark.parametrize("number", [0.0, 1 - 2**-53])
def test_the_ends_of_the_line_hit_tokens_that_have_a_chance(number: float) -> None:
    class Fixed(random.Random):
        def random(self) -> float:
            return number

    logits = torch.tensor([[-torch.inf, 0.3, 0.1, -torch.inf]])
    assert choose(logits, Sampling(temperature=1.0), [Fixed()]).item() == (1 if number == 0 else 2)


def test_a_stream_is_of_its_seed_prompt_and_sample() -> None:
    first = [
        Sampling(temperature=1, seed=seed).stream(prompt, sample).random() for seed in (0, 1) for prompt in ([5], [6]) for sample in (0, 1)
    ]
    again = [
        Sampling(temperature=1, seed=seed).stream(prompt, sample).random() for seed in (0, 1) for prompt in ([5], [6]) for sample in (0, 1)
    ]
    assert first == again
    assert len(set(first)) == 8


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"temperature": -1}, "temperature is -1"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"top_p": 0}, "top_p is 0"),
        ({"top_k": -2}, "top_k is -2"),
        ({"samples": 0}, "samples is 0"),
        ({"samples": 3}, "at temperature 0, where all answers are the same"),
    ],
)
def test_what_means_nothing_is_refused(settings: dict[str, float], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        Sampling(**settings)  # type: ignore[arg-type]
