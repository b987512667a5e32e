"""Exposure: Carlini's figures by hand, and an exact p-value for what was never learned."""

from math import log2

import numpy as np
import pytest

from tunesmith.core.errors import DataError
from tunesmith.score.exposure import UNTRAINED, bound, chance, exposure


@pytest.mark.parametrize(("canary", "rank"), [(0.5, 1), (-0.5, 2), (-3.5, 5), (-9.0, 8)])
def test_exposure_is_log2_of_all_over_rank(canary: float, rank: int) -> None:
    others = np.array([0.0, -1.0, -2.0, -3.0, -4.0, -5.0, -6.0])
    assert exposure(canary, others) == pytest.approx(log2(8) - log2(rank))
    assert 0 <= exposure(canary, others) <= bound(7) == 3


def test_a_tie_counts_against_the_canary() -> None:
    assert exposure(-1.0, np.array([-1.0, -1.0, -1.0])) == 0


def test_untrained_canaries_have_1_44_bits_on_average_and_a_p_value_that_holds() -> None:
    random = np.random.default_rng(0)
    found = np.array([[exposure(float(random.normal()), random.normal(size=127)) for _ in range(8)] for _ in range(1000)])
    assert found.mean() == pytest.approx(UNTRAINED, abs=0.08)
    assert np.median(found) == pytest.approx(1.0, abs=0.08)
    called = [chance(line) <= 0.025 for line in found]
    assert np.mean(called) <= 0.03


def test_fisher_puts_p_values_together() -> None:
    from scipy.stats import combine_pvalues

    p_values = [0.5, 0.1, 0.02]
    assert chance([-log2(p) for p in p_values]) == pytest.approx(combine_pvalues(p_values, method="fisher").pvalue)
    assert chance([]) == 1.0


def test_what_has_no_rank_is_refused() -> None:
    with pytest.raises(DataError, match="at least one"):
        exposure(-1.0, np.zeros(0))
    with pytest.raises(DataError, match="no number"):
        exposure(float("nan"), np.zeros(3))
    with pytest.raises(DataError, match="no number"):
        exposure(-1.0, np.array([0.0, np.nan]))
