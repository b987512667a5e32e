"""Trials that lag are ended; none is that leads, and none is held against chance."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.search.curves import Curve, curve_of, worths
from tunesmith.search.pruning import pruner
from tunesmith.search.records import Record
from tunesmith.search.trial import Measured, Point

RULES = ("median", "asha", "hyperband")


def rising(top: float, pace: float, count: int = 9) -> list[Point]:
    return [Point(step, step / count, top * (1 - math.exp(-pace * step / count))) for step in range(1, count + 1)]


def trained(rule: str, number: int, whole: list[Point], others: list[Curve]) -> Curve:
    """A trial under a rule: its curve, as far as it came."""
    for count in range(1, len(whole) + 1):
        if pruner(rule)(number, whole[:count], others):  # type: ignore[arg-type]
            return Curve(whole[:count], whole=False)
    return Curve(whole, whole=True)


@given(
    st.sampled_from(RULES),
    st.integers(0, 20),
    st.lists(st.lists(st.floats(-1, 1), min_size=9, max_size=9), max_size=12),
    st.lists(st.floats(0, 1), min_size=9, max_size=9),
)
def test_who_leads_at_every_evaluation_is_never_ended(rule: str, number: int, below: list[list[float]], above: list[float]) -> None:
    others = [Curve([Point(step, step / 9, value) for step, value in enumerate(values, 1)], whole=True) for values in below]
    best = [Point(step, step / 9, 1 + value) for step, value in enumerate(above, 1)]
    assert trained(rule, number, best, others).whole


@given(st.sampled_from(RULES), st.integers(0, 20), st.integers(0, 3))
def test_nobody_is_held_against_fewer_than_four(rule: str, number: int, count: int) -> None:
    others = [Curve(rising(1.0, 9.0), whole=True)] * count
    assert trained(rule, number, rising(0.0, 1.0), others).whole


@given(st.sampled_from(RULES), st.integers(0, 20), st.lists(st.integers(-50, 50), min_size=7, max_size=7))
def test_only_the_order_of_values_counts(rule: str, number: int, tops: list[int]) -> None:
    """A measure in other units ends the same trials."""
    plain = [[Point(step, step / 9, top * step) for step in range(1, 10)] for top in tops]
    bent = [[Point(point.step, point.share, math.atan(point.value / 99) * 1e-3) for point in curve] for curve in plain]
    ends = [len(trained(rule, number, curves[0], [Curve(curve, whole=True) for curve in curves[1:6]]).points) for curves in (plain, bent)]
    assert ends[0] == ends[1]


@pytest.mark.parametrize(("rule", "most"), [("median", 0.8), ("asha", 0.66), ("hyperband", 0.8)])
def test_a_good_part_of_the_training_is_saved_and_the_best_is_kept(rule: str, most: float) -> None:
    """Twenty trials whose end can be seen coming, in a poor order and in a good one."""
    tops = [0.1 + 0.04 * ((7 * number) % 20) for number in range(20)]
    for order in (tops, tops[::-1]):
        curves: list[Curve] = []
        for number, top in enumerate(order):
            curves.append(trained(rule, number, rising(top, 2.0), list(curves)))
        assert curves[order.index(max(order))].whole
        assert sum(len(curve.points) for curve in curves) <= most * 20 * 9


def test_hyperband_gives_a_late_starter_its_chance_in_one_trial_of_six() -> None:
    others = [Curve(rising(0.5, 9.0), whole=True)] * 8
    late = [Point(step, step / 9, 0.0 if step < 6 else 1.0) for step in range(1, 10)]
    assert [trained("hyperband", number, late, others).whole for number in range(6)].count(True) == 1
    assert not trained("asha", 0, late, others).whole


def test_none_is_none() -> None:
    assert trained("none", 0, rising(0.0, 1.0), [Curve(rising(1.0, 9.0), whole=True)] * 9).whole


def test_trials_of_other_lengths_are_compared_at_their_shares() -> None:
    short = Curve([Point(1, 0.25, 0.1), Point(2, 0.5, 0.2), Point(4, 1.0, 0.3)], whole=True)
    assert short.at(0.2) is None
    assert [short.at(share) for share in (0.25, 0.49, 0.5, 1.0)] == [0.1, 0.1, 0.2, 0.3]
    assert [short.from_share(share) for share in (0.1, 0.3, 1.0)] == [0.1, 0.2, 0.3]
    stopped_itself = Curve(short.points[:2], whole=True)
    assert stopped_itself.at(0.9) == stopped_itself.from_share(0.9) == 0.2
    ended_early = Curve(short.points[:2], whole=False)
    assert ended_early.at(0.9) is None
    assert ended_early.from_share(0.9) is None


def record(number: int, value: float | None, curve: list[Point], *, pruned: bool = False) -> Record:
    return Record(
        number=number, settings={}, seed=0, measured=Measured(value=value, steps=9, seconds=1.0, pruned=pruned, curve=tuple(curve))
    )


def test_who_was_ended_early_is_worth_what_the_others_rose_by_but_no_more_than_the_middle() -> None:
    whole = [record(number, top, rising(top, 2.0)) for number, top in enumerate((0.6, 0.7, 0.8))]
    lagging, hopeful = record(3, 0.1, rising(0.3, 2.0)[:3], pruned=True), record(4, 0.65, rising(1.2, 2.0)[:3], pruned=True)
    found = worths([*whole, lagging, hopeful])
    assert found[:3] == [0.6, 0.7, 0.8]
    rise = 0.7 - rising(0.7, 2.0)[2].value
    assert found[3] == pytest.approx(max(0.1 + rise, 0.7 - 3 * 0.1))
    assert found[4] == 0.7


def test_what_diverged_is_worth_the_worst_and_what_is_far_below_is_drawn_in() -> None:
    found = worths([record(0, 0.9, []), record(1, 0.8, []), record(2, -1e30, []), record(3, None, []), record(4, 0.85, [])])
    assert found[:2] == [0.9, 0.8]
    assert found[2] == found[3] == pytest.approx(0.8 - 3 * 0.1, abs=0.11)
    assert worths([record(0, None, [])]) == [0.0]
    assert curve_of(record(0, None, rising(0.5, 2.0)[:2])).at(1.0) == float("-inf")
