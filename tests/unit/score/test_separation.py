"""Area under the ROC curve: as scikit-learn has it, with intervals that cover and have a width at 1."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from tunesmith.core.errors import DataError
from tunesmith.score.separation import separation


def test_the_area_is_that_of_scikit_learn_ties_included() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        members, others = random.integers(0, 6, 30).astype(float), random.integers(0, 5, 41).astype(float)
        expected = roc_auc_score([1] * 30 + [0] * 41, np.concatenate([members, others]))
        found = separation(members, others)
        assert found.auc.value == pytest.approx(expected)
        grouped = separation(members, others, groups=[str(place // 2) for place in range(71)])
        assert grouped.auc.value == pytest.approx(expected)
        assert separation(others, members).auc.low == pytest.approx(1 - found.auc.high, abs=1e-9)


@pytest.mark.parametrize(("rows", "shift", "spread"), [(50, 0.0, 1.0), (50, 1.5, 1.0), (60, 1.0, 3.0)])
def test_the_interval_covers(rows: int, shift: float, spread: float) -> None:
    random = np.random.default_rng(rows)
    truth, covered, told = norm.cdf(shift / np.hypot(1, spread)), 0, 0
    for _ in range(400):
        found = separation(shift + spread * random.standard_normal(rows), random.standard_normal(rows))
        covered += found.auc.low <= truth <= found.auc.high
        told += found.told
    assert 0.92 <= covered / 400 <= 0.985
    assert shift > 0 or told / 400 <= 0.045


def test_rows_that_belong_together_tell_less() -> None:
    random = np.random.default_rng(1)
    members, others = random.standard_normal(40) + 0.5, random.standard_normal(40)
    alone = separation(members, others).auc
    groups = [str(place) for place in range(40)] * 3 + [str(40 + place) for place in range(40)] * 3
    together = separation(np.tile(members, 3), np.tile(others, 3), groups).auc
    apart = separation(np.tile(members, 3), np.tile(others, 3)).auc
    assert together.value == pytest.approx(alone.value)
    assert together.high - together.low == pytest.approx(alone.high - alone.low, rel=0.2)
    assert apart.high - apart.low < 0.7 * (alone.high - alone.low)


def test_told_apart_altogether_still_leaves_a_doubt() -> None:
    found = separation(np.arange(10.0) + 100, np.arange(10.0)).auc
    assert (found.value, found.high) == (1.0, 1.0)
    assert 0.6 < found.low < 0.95


def test_no_row_or_no_number_is_refused() -> None:
    with pytest.raises(DataError, match="at least one of each"):
        separation(np.zeros(0), np.zeros(3))
    with pytest.raises(DataError, match="no number"):
        separation(np.array([np.nan]), np.zeros(3))
