"""Intervals and tests: they agree with slower ways to the same numbers, and keep what they promise."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import fisher_exact, hypergeom, ttest_ind

from tunesmith.data.audit.support import binomial_p, difference, exact_p, ratio, welch

tables = st.tuples(st.integers(0, 40), st.integers(1, 40), st.integers(0, 60), st.integers(1, 60)).map(
    lambda drawn: (min(drawn[0], drawn[1]), drawn[1], min(drawn[2], drawn[3]), drawn[3])
)


@given(tables)
def test_the_exact_test_is_twice_the_smaller_tail(table: tuple[int, int, int, int]) -> None:
    hits, rows, other_hits, other_rows = table
    model = hypergeom(rows + other_rows, hits + other_hits, rows)
    expected = min(1.0, 2 * min(float(model.cdf(hits)), float(model.sf(hits - 1))))
    assert exact_p(*table) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@given(tables)
def test_it_is_never_bolder_than_fishers_one_sided_test(table: tuple[int, int, int, int]) -> None:
    hits, rows, other_hits, other_rows = table
    side = "greater" if hits * other_rows >= other_hits * rows else "less"
    one_sided = fisher_exact([[hits, rows - hits], [other_hits, other_rows - other_hits]], alternative=side)[1]
    assert exact_p(*table) >= one_sided - 1e-9


def test_large_tables_keep_their_precision() -> None:
    assert exact_p(60_000, 100_000, 50_000, 100_000) < 1e-300 or exact_p(60_000, 100_000, 50_000, 100_000) == 0.0
    assert exact_p(50_100, 100_000, 50_000, 100_000) == pytest.approx(0.6579, abs=2e-3)


@given(tables)
def test_intervals_hold_their_value(table: tuple[int, int, int, int]) -> None:
    for value, low, high in (difference(*table), ratio(*table)):
        assert low - 1e-12 <= value <= high + 1e-12


def test_the_interval_of_a_difference_covers_the_truth() -> None:
    draw = np.random.default_rng(1)
    one, other = draw.binomial(40, 0.3, 2000), draw.binomial(200, 0.1, 2000)
    covered = np.mean(
        [low <= 0.2 <= high for _, low, high in (difference(int(a), 40, int(b), 200) for a, b in zip(one, other, strict=True))]
    )
    assert 0.93 <= covered <= 0.98


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=20), st.lists(st.floats(-5, 5), min_size=3, max_size=20))
def test_means_are_compared_as_scipy_does(one: list[float], other: list[float]) -> None:
    if np.std(one) < 0.01 or np.std(other) < 0.01:
        return
    sums = [(len(each), sum(each), sum(value * value for value in each)) for each in (one, other)]
    expected = ttest_ind(one, other, equal_var=False)
    assert welch(*sums)[3] == pytest.approx(float(expected.pvalue), rel=1e-6, abs=1e-9)


def test_equal_numbers_are_no_difference() -> None:
    assert welch((5, 5 * 0.1, 5 * 0.01), (7, 7 * 0.1, 7 * 0.01))[3] == 1.0


def test_a_stated_share_is_tested_exactly() -> None:
    assert binomial_p(5, 10, 0.5) == 1.0
    assert binomial_p(0, 10, 0.5) == pytest.approx(2 * 0.5**10)
    assert binomial_p(0, 10, 0.0) == 1.0
    assert binomial_p(1, 10, 0.0) == 0.0
    draw = Random(0)
    wrong = sum(binomial_p(sum(draw.random() < 0.3 for _ in range(100)), 100, 0.3) <= 0.05 for _ in range(400))
    assert wrong <= 30
