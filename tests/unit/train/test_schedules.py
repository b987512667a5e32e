"""Each schedule at its corners."""

import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tunesmith.core.errors import RecipeError
from tunesmith.train.config import TrainConfig
from tunesmith.train.schedules import Schedule, schedule_of

NAMES = ("constant", "linear", "cosine", "wsd", "one_cycle", "plateau")


def made(name: str, steps: int, **settings: Any) -> Schedule:
    return schedule_of(TrainConfig.model_validate({"schedule": name} | settings), steps)


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("constant", {}, [0.5, 1.0, 1.0, 1.0, 1.0, 1.0]),
        ("linear", {"final_share": 0.05}, [0.5, 1.0, 0.7625, 0.525, 0.2875, 0.05]),
        (
            "cosine",
            {"final_share": 0.05},
            [0.5, 1.0, 0.05 + 0.475 * (1 + math.cos(math.pi / 4)), 0.525, 0.05 + 0.475 * (1 - math.cos(math.pi / 4)), 0.05],
        ),
        ("wsd", {"decay_share": 1 / 3, "final_share": 0.1}, [0.5, 1.0, 1.0, 1.0, 0.1 + 0.9 * (1 - math.sqrt(0.5)), 0.1]),
        ("wsd", {"decay_share": 1.0}, [0.5, 1.0, 0.5, 1 - math.sqrt(0.5), 1 - math.sqrt(0.75), 0.0]),
        ("one_cycle", {}, [0.55, 1.0, 0.55, 0.1, 0.05, 0.0]),
        ("one_cycle", {"final_share": 0.2}, [0.55, 1.0, 0.6, 0.2, 0.2, 0.2]),
        ("plateau", {}, [0.5, 1.0, 1.0, 1.0, 1.0, 1.0]),
    ],
)
def test_shares_of_the_peak(name: str, settings: dict[str, float], expected: list[float]) -> None:
    schedule = made(name, 6, warmup=1 / 3, **settings)
    assert [schedule.share(step) for step in range(1, 7)] == pytest.approx(expected, abs=1e-12)


def test_a_cycle_that_rises_for_most_of_the_run_falls_over_the_rest() -> None:
    schedule = made("one_cycle", 10, warmup=0.6)
    assert [schedule.share(step) for step in (6, 8, 10)] == pytest.approx([1.0, 0.5, 0.0])


def test_warm_up_where_the_recipe_names_none() -> None:
    assert [made(name, 100).span.warmup_steps for name in NAMES] == [5, 5, 5, 5, 45, 5]
    assert made("cosine", 50, warmup=0.1).span.warmup_steps == 5
    assert made("linear", 50, warmup=0.0).share(1) == 1 - 1 / 50


@pytest.mark.parametrize("name", NAMES)
def test_a_run_of_one_step_takes_it(name: str) -> None:
    assert made(name, 1).share(1) == 1.0


@example(name="one_cycle", steps=5, warmup=0.25, losses=[])
@given(name=st.sampled_from(NAMES), steps=st.integers(2, 60), warmup=st.floats(0.01, 0.99), losses=st.lists(st.floats(0, 9), max_size=6))
def test_a_share_is_between_nothing_and_the_peak(name: str, steps: int, warmup: float, losses: list[float]) -> None:
    schedule = made(name, steps, warmup=warmup)
    assert all(0 <= schedule.share(step, losses) <= 1 for step in range(1, steps + 1))
    if name in ("linear", "cosine", "wsd", "one_cycle") and schedule.span.warmup_steps < steps:
        assert schedule.share(steps) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("losses", "reductions"),
    [
        ([], 0),
        ([3.0], 0),
        ([3.0, 2.0, 1.0], 0),
        ([3.0, 3.0], 0),
        ([3.0, 3.0, 4.0], 1),
        ([3.0, 3.0, 2.0, 2.5], 0),
        ([3.0, 3.5, 3.4, 3.3, 3.2], 2),
        ([3.0, 3.5, 3.4, 3.3, 2.0, 2.1, 2.1], 2),
        ([3.0, math.nan, math.nan], 1),
    ],
)
def test_a_plateau_is_counted_from_the_losses(losses: list[float], reductions: int) -> None:
    schedule = made("plateau", 10, warmup=0.2, plateau={"factor": 0.5, "patience": 2})
    assert schedule.share(5, losses) == 0.5**reductions
    assert schedule.share(1, losses) == 0.5 * 0.5**reductions


def test_a_plateau_knows_the_smallest_gain_and_the_lowest_rate() -> None:
    losses = [3.0, 2.95, 2.9, 2.85]
    assert made("plateau", 10).share(9, losses) == 1.0
    assert made("plateau", 10, early_stopping={"minimum_gain": 0.2}).share(9, losses) == 0.125
    assert made("plateau", 10, early_stopping={"minimum_gain": 0.2}, final_share=0.3).share(9, losses) == 0.3


def test_an_unknown_schedule_is_answered_with_a_near_one() -> None:
    with pytest.raises(RecipeError, match="Did you mean 'cosine'"):
        schedule_of(TrainConfig().model_copy(update={"schedule": "cosin"}), 10)
