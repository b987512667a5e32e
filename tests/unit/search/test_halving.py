"""Successive halving keeps to its arithmetic: halves, doubled steps, and never more time than there is."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tunesmith.search.halving import LEAST_STEPS, Pace, arms_of, least_steps, seconds_of, steps_of, steps_within

PACES = st.lists(st.builds(Pace, load=st.floats(0.01, 50), step=st.floats(0.001, 5), judge=st.floats(0.01, 20)), min_size=1, max_size=9)


def test_eight_arms_are_halved_to_two() -> None:
    assert [arms_of(count) for count in (1, 2, 3, 5, 8)] == [[1], [2], [3, 2], [5, 3, 2], [8, 4, 2]]


@given(st.integers(1, 5000), st.integers(1, 6))
def test_each_rung_is_half_of_the_next_and_the_last_is_whole(total: int, rungs: int) -> None:
    steps = steps_of(total, rungs)
    assert steps[-1] == total
    assert all(2 * before in (after, after + 1) or before == after == 1 for before, after in pairwise(steps))


@given(PACES, st.floats(0.1, 1000), st.integers(1, 2000))
def test_the_plan_fits_the_time_and_one_step_more_would_not(paces: list[Pace], seconds: float, most: int) -> None:
    total = steps_within(paces, seconds, most)
    assert 0 <= total <= most
    assert total == 0 or seconds_of(paces, total) <= seconds
    assert total == most or seconds_of(paces, total + 1) > seconds


@given(PACES, st.integers(1, 500), st.permutations(range(9)))
def test_whoever_stays_the_rungs_take_no_longer_than_planned(paces: list[Pace], total: int, order: list[int]) -> None:
    alive = sorted(paces, key=lambda pace: order[paces.index(pace)])  # any ranking
    counts, taken, before = arms_of(len(paces)), 0.0, 0
    for arms, step in zip(counts, steps_of(total, len(counts)), strict=True):
        taken += sum(pace.load + pace.judge + pace.step * (step - before) for pace in alive[:arms])
        before = step
    assert taken <= seconds_of(paces, total) + 1e-6


@given(st.integers(1, 20))
def test_the_first_rung_has_the_steps_it_needs(arms: int) -> None:
    assert steps_of(least_steps(arms), len(arms_of(arms)))[0] >= LEAST_STEPS
