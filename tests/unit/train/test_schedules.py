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
        ("linear", {}, [0.5, 1.0, 0.8, 0.6, 0.4, 0.2]),
        ("linear", {"final_share": 0.05}, [0.5, 1.0, 0.81, 0.62, 0.43, 0.24]),
        ("cosine", {}, [0.5, 1.0, *(0.5 * (1 + math.cos(math.pi * part)) for part in (0.2, 0.4, 0.6, 0.8))]),
        ("cosine", {"final_share": 0.05}, [0.5, 1.0, *(0.05 + 0.475 * (1 + math.cos(math.pi * part)) for part in (0.2, 0.4, 0.6, 0.8))]),
        ("wsd", {"decay_share": 1 / 3, "final_share": 0.1}, [0.5, 1.0, 1.0, 1.0, *(1 - 0.9 * math.sqrt(part) for part in (1 / 3, 2 / 3))]),
        ("wsd", {"decay_share": 1.0}, [0.5, 1.0, *(1 - math.sqrt(part) for part in (0.2, 0.4, 0.6, 0.8))]),
        ("one_cycle", {}, [0.55, 1.0, 0.55, 0.1, 0.1 * 2 / 3, 0.1 / 3]),
        ("one_cycle", {"final_share": 0.2}, [0.55, 1.0, 0.6, 0.2, 0.2, 0.2]),
        ("plateau", {}, [0.5, 1.0, 1.0, 1.0, 1.0, 1.0]),
    ],
)
def test_shares_of_the_peak(name: str, settings: dict[str, float], expected: list[float]) -> None:
    schedule = made(name, 6, warmup=1 / 3, **settings)
    assert [schedule.share(step) for step in range(1, 7)] == pytest.approx(expected, abs=1e-12)


def test_a_cycle_that_rises_for_most_of_the_run_falls_over_the_rest() -> None:
    schedule = made("one_cycle", 10, warmup=0.6)
    assert [schedule.share(step) for step in range(6, 11)] == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2])


def test_warm_up_where_the_recipe_names_none() -> None:
    assert [made(name, 100).span.warmup_steps for name in NAMES] == [5, 5, 5, 5, 45, 5]
    assert made("cosine", 50, warmup=0.1).span.warmup_steps == 5
    assert made("linear", 50, warmup=0.0).share(1) == 1 - 1 / 51


@pytest.mark.parametrize("name", NAMES)
def test_a_run_of_one_step_takes_it(name: str) -> None:
    assert made(name, 1).share(1) == 1.0


@example(name="one_cycle", steps=5, warmup=0.25, losses=[])
@given(name=st.sampled_from(NAMES), steps=st.integers(2, 60), warmup=st.floats(0.01, 0.99), losses=st.lists(st.floats(0, 9), max_size=6))
def test_a_share_is_above_nothing_and_at_most_the_peak(name: str, steps: int, warmup: float, losses: list[float]) -> None:
    schedule = made(name, steps, warmup=warmup)
    assert all(0 < schedule.share(step, losses) <= 1 for step in range(1, steps + 1))
    if name in ("linear", "cosine", "wsd", "one_cycle") and schedule.span.warmup_steps < steps:
        beyond = schedule.share(steps + 1)
        assert beyond == pytest.approx(0, abs=1e-12)  # the fall is over where a step more would be taken
        assert schedule.share(steps) > beyond


@pytest.mark.parametrize("name", ["linear", "cosine", "wsd", "one_cycle"])
@pytest.mark.parametrize("steps", [2, 3, 10, 1000])
def test_the_last_step_of_a_fall_to_nothing_still_changes_something(name: str, steps: int) -> None:
    """A cosine, flattest there, ends at about (pi / n)^2 / 4 of the peak, n the steps past warm-up and one; a cycle at a tenth of 1 / n or more."""
    schedule = made(name, steps)
    assert schedule.share(steps) > 0.1 / schedule.span.length**2
    assert schedule.share(1) > 0


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
