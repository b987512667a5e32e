"""Planted losses: what overfitted is called so, with the model that was kept, and nothing else is."""

import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from tunesmith.evaluate.overfitting import overfitting

Curve = Callable[[float], float]
EVERY = 10
"""Steps between two evaluations."""


def training(validation: Curve, losses: Curve, *, kept: int | None = None, by: str = "loss", noise: float = 0.0, seed: int = 0) -> Any:
    """The `training` piece of a run of 12 evaluations over two curves of the evaluation's number; kept: an evaluation, the best by default."""
    chance = random.Random(seed)
    watched = [{"step": EVERY * n, "loss": validation(n) * math.exp(chance.gauss(0, noise))} for n in range(13)]
    steps = [{"step": step, "loss": losses(step / EVERY) * math.exp(chance.gauss(0, 4 * noise))} for step in range(1, 12 * EVERY + 1)]
    best = min(watched, key=lambda one: one["loss"])["step"] if kept is None else EVERY * kept
    return {"validation": watched, "steps": steps, "chosen_step": best, "chosen_by": by}


def falling(x: float) -> float:
    return 0.2 + 2 * math.exp(-x / 3)


def turned(x: float) -> float:
    return 0.6 + 1.6 * math.exp(-x / 1.5) + 0.12 * max(0.0, x - 5)


def test_a_run_that_overfitted_after_the_kept_step_says_so() -> None:
    found = overfitting(training(turned, falling))
    assert found is not None and found.outcome == "earlier kept"
    assert found.kept_step == found.since_step < 120 and found.kept == found.lowest < found.last
    assert found.sentence is not None and "while training loss fell" in found.sentence
    assert f"the model kept is that of step {found.kept_step}, before the rise" in found.sentence


def test_a_kept_model_that_is_overfitted_is_called_so() -> None:
    found = overfitting(training(turned, falling, kept=12, by="accuracy"))
    assert found is not None and found.outcome == "kept"
    assert found.sentence is not None
    assert found.sentence.startswith("The model kept is overfitted: up to step 120, whose accuracy on the rows set aside")
    assert f"would keep step {found.since_step}" in found.sentence


def test_a_model_kept_early_in_the_rise_is_neither() -> None:
    lowest = overfitting(training(turned, falling))
    assert lowest is not None
    found = overfitting(training(turned, falling, kept=lowest.since_step // EVERY + 1, by="accuracy"))
    assert found is not None and found.outcome == "within"
    assert found.sentence is not None and "lies within the rise" in found.sentence


def test_a_model_that_is_the_base_is_called_so() -> None:
    worse = overfitting(training(lambda x: 1.0 + 0.1 * x, lambda x: 1.0 + 0.1 * x, kept=0))
    assert worse is not None and worse.outcome == "start kept"
    back = overfitting(training(turned, falling) | {"interpolated": 0.0})
    assert back is not None and back.outcome == "start kept"
    assert back.sentence is not None and "interpolation" in back.sentence


def test_a_tuned_head_on_the_base_is_not_called_nothing_that_was_trained() -> None:
    back = training(turned, falling) | {"interpolated": 0.0}
    headed, bare = overfitting(back, headed=True), overfitting(back)
    assert headed is not None and bare is not None and headed.outcome == bare.outcome == "start kept"
    assert bare.sentence is not None and bare.sentence.startswith("Nothing that was trained is in the model")
    assert headed.sentence is not None and headed.sentence.startswith("Of what was trained only the head is in the model")
    start = overfitting(back | {"chosen_step": 0}, headed=True)  # a head as it was made: nothing at all was kept
    assert start is not None and start.sentence is not None and start.sentence.startswith("Nothing that was trained")


@pytest.mark.parametrize(
    ("validation", "losses"),
    [
        (lambda x: 0.9 + 1.2 * math.exp(-x / 3), falling),  # still falling
        (lambda x: 0.9 + 1.2 * math.exp(-x / 1.2), falling),  # a plateau
        (lambda x: 0.9 + 1.2 * math.exp(-x / 1.2) + 0.3 * (x > 10.5), falling),  # one or two evaluations
        (lambda x: turned(x), lambda x: 0.5 + 0.05 * x),  # a divergence: training loss rises too
    ],
)
def test_what_is_not_overfitting_gets_no_word(validation: Curve, losses: Curve) -> None:
    found = overfitting(training(validation, losses))
    assert found is not None and (found.outcome, found.sentence) == ("none", None)


def test_noise_alone_is_hardly_ever_called_overfitting() -> None:
    """A plateau with 3% of noise in each evaluation, under a falling training loss: at most 2 of 100 runs."""
    plateau = [training(lambda x: 0.9 + 1.2 * math.exp(-x / 1.2), falling, noise=0.03, seed=seed) for seed in range(100)]
    called = sum(found.outcome != "none" for one in plateau if (found := overfitting(one)) is not None)
    assert called <= 2


def test_a_plain_rise_is_found_through_the_noise() -> None:
    runs = [overfitting(training(turned, falling, noise=0.02, seed=seed)) for seed in range(50)]
    assert sum(found is not None and found.outcome == "earlier kept" for found in runs) >= 48


def test_a_run_without_validation_says_nothing() -> None:
    assert overfitting(training(turned, falling) | {"validation": []}) is None
