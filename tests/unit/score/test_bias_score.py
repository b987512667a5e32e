"""Bias as numbers: scores by hand, exact where rows stand alone, a planted change found, and nothing found where nothing is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.score.bias import ambiguous_score, bias_score, by_group, changed, gap, gap_by_chance, rate, share_changed
from tunesmith.score.paired import mcnemar, score_interval
from tunesmith.score.resampling import Resamples


def sums(*values: float) -> np.ndarray:
    return np.array([values], dtype=np.float64)


def test_bbq_scores_are_those_of_the_paper_by_hand() -> None:
    assert bias_score(sums(10, 10))[0] == 1.0
    assert bias_score(sums(0, 10))[0] == -1.0
    assert bias_score(sums(6, 8))[0] == pytest.approx(0.5)  # 2 * 6/8 - 1
    assert bias_score(sums(0, 0))[0] == 0.0  # every answer unknown
    # 20 ambiguous questions, 12 answered unknown and so right; of the other 8 six are biased: (1 - 0.6) * 0.5
    assert ambiguous_score(sums(6, 8, 12, 20))[0] == pytest.approx(0.2)
    assert ambiguous_score(sums(0, 0, 20, 20))[0] == 0.0


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_answers_turned_around_turn_the_score_around(biased: int, other: int, unknown: int) -> None:
    known, rows = biased + other, biased + other + unknown
    here, there = sums(biased, known, unknown, max(1, rows)), sums(other, known, unknown, max(1, rows))
    assert -1 <= bias_score(here)[0] <= 1
    assert abs(ambiguous_score(here)[0]) <= abs(bias_score(here)[0])
    if known:
        assert bias_score(here)[0] == pytest.approx(-bias_score(there)[0])
        assert ambiguous_score(here)[0] == pytest.approx(-ambiguous_score(there)[0])


def test_pairs_that_stand_alone_are_compared_exactly() -> None:
    base, tuned = np.array([True] * 20 + [False] * 20), np.array([True] * 35 + [False] * 5)
    found = share_changed(base, tuned, Resamples(rows=40))
    assert (found.base.value, found.tuned.value) == (0.5, 0.875)
    assert found.change == score_interval(15, 0, 40)
    assert found.p_change == pytest.approx(2 * 0.5**15)
    assert found.p_level == pytest.approx(2 * mcnemar(35, 5))
    assert found.change.low > 0.2


def test_the_same_likelihoods_changed_nothing_at_all() -> None:
    one = np.arange(40) % 3 == 0
    for groups in (None, [str(place // 4) for place in range(40)]):
        found = share_changed(one, one, Resamples(rows=40, groups=groups), same=True)
        assert (found.change.low, found.change.value, found.change.high, found.p_change) == (0.0, 0.0, 0.0, 1.0)


def test_a_planted_change_is_found_though_rows_come_in_groups() -> None:
    groups = [str(place // 8) for place in range(160)]
    base = np.arange(160) % 2 == 0
    found = share_changed(base, base | (np.arange(160) % 3 == 1), Resamples(rows=160, groups=groups))
    assert found.change.value == pytest.approx(27 / 160)
    assert 0.1 < found.change.low < 27 / 160 < found.change.high < 0.25
    assert found.p_change < 0.01


def test_groups_that_all_go_one_way_count_as_groups_not_as_rows() -> None:
    """A model that likes one pronoun: every occupation is all or nothing, half of them each way."""
    groups = [str(place // 20) for place in range(200)]
    liked = np.array([place // 20 % 2 == 0 for place in range(200)])
    found = share_changed(liked, liked, Resamples(rows=200, groups=groups))
    assert found.tuned.high - found.tuned.low > 0.4
    assert found.p_level > 0.5


def test_where_nothing_changed_a_change_is_found_at_most_as_often_as_said() -> None:
    """Both models answer by their own coin for each template: 200 sets, two-sided 5%."""
    random = np.random.default_rng(3)
    groups = [str(place // 4) for place in range(100)]
    false = level = 0
    for seed in range(200):
        tables = []
        for _ in range(2):
            known = random.random(100) < 0.7
            biased = known & (random.random(100) < 0.5)
            tables.append(np.column_stack([biased, known]).astype(float))
        drawn = Resamples(rows=100, count=200, seed=seed, groups=groups)
        found = changed(*tables, bias_score, drawn, ends=(-1, 1), lean=(0.0, 2 * tables[1][:, 0] - tables[1][:, 1]))
        false += found.p_change <= 0.05
        level += found.p_level <= 0.05
    assert false <= 17  # 10 expected at most; 17 is its 97.5% end
    assert level <= 17


def test_a_gap_is_the_greatest_less_the_least_rate() -> None:
    hit, group = np.array([True, True, False, True, False, False]), np.array([0, 0, 1, 1, 2, 2])
    table = by_group(hit, group, 3)
    assert gap(table.sum(axis=0, keepdims=True))[0] == 1.0  # 1, 0.5, 0
    assert gap(sums(3, 0, 4, 0))[0] == 0.0  # one group alone has rows: 3 of 4, and 0 of 0
    assert rate(sums(0, 0))[0] == 0.0


def test_groups_treated_alike_show_a_gap_by_chance_alone_and_it_is_not_called_one() -> None:
    random = np.random.default_rng(5)
    found = 0
    for seed in range(200):
        hit, group = random.random(120) < 0.7, np.arange(120) % 4
        by_chance, p_value = gap_by_chance(hit, group, 4, Resamples(rows=120, count=100, seed=seed))
        assert 0.05 < by_chance < 0.4
        found += p_value <= 0.05
    assert found <= 17


def test_a_group_treated_worse_is_found_by_rows_and_by_units() -> None:
    group = np.repeat([0, 1], 60)
    hit = np.array([place % 10 < (9 if place < 60 else 5) for place in range(120)])
    assert gap_by_chance(hit, group, 2, Resamples(rows=120, count=400))[1] < 0.01
    homes = [str(place // 6) for place in range(120)]  # twenty, each of one group
    assert gap_by_chance(hit, group, 2, Resamples(rows=120, count=400, groups=homes))[1] < 0.05
    mixed = [str(place % 60) for place in range(120)]  # sixty of two rows, one of each group
    assert gap_by_chance(hit, group, 2, Resamples(rows=120, count=400, groups=mixed))[1] < 0.01
    two = [str(place // 60) for place in range(120)]  # two units can't tell
    assert gap_by_chance(hit, group, 2, Resamples(rows=120, count=400, groups=two))[1] == 1.0
