"""Power laws: one that was planted is found again, and what does not fall is not said to."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core.errors import DataError
from tunesmith.score.power_law import EXPONENTS, fit

ROWS = np.array([60.0, 150.0, 300.0, 600.0])


@given(floor=st.floats(0, 0.4), rest=st.floats(0.01, 0.1), exponent=st.sampled_from(EXPONENTS.tolist()), times=st.floats(0.5, 8))
def test_a_law_without_noise_is_found_and_foretold(floor: float, rest: float, exponent: float, times: float) -> None:
    def law(rows: np.ndarray) -> np.ndarray:
        return floor + rest * (rows / 600) ** -exponent

    found = fit(ROWS, law(ROWS)[None])
    assert found.at(600 * times)[0] == pytest.approx(law(np.array(600 * times)), abs=2e-4)
    assert found.at(150)[0] == pytest.approx(law(np.array(150.0)), abs=2e-4)


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_a_fitted_error_never_rises_with_rows_nor_falls_below_nothing(errors: list[float]) -> None:
    found = fit(ROWS, np.array([errors]))
    along = [float(found.at(rows)[0]) for rows in (60, 150, 600, 1200, 10**9)]
    assert all(far <= near + 1e-12 for near, far in pairwise(along))
    assert min(along) >= 0


def test_an_error_that_rises_is_taken_for_flat() -> None:
    found = fit(ROWS, np.array([[0.1, 0.2, 0.3, 0.4]]))
    assert found.at(60)[0] == found.at(6000)[0] == pytest.approx(0.25)


def test_many_curves_are_fitted_as_each_alone() -> None:
    errors = np.random.default_rng(0).random((20, 4))
    together = fit(ROWS, errors)
    for place, one in enumerate(errors):
        alone = fit(ROWS, one[None])
        assert together.exponent_B[place] == alone.exponent_B[0]
        assert together.at(1200)[place] == pytest.approx(alone.at(1200)[0])


def test_too_few_points_and_broken_ones_are_refused() -> None:
    with pytest.raises(DataError, match="3 points"):
        fit(ROWS[:2], np.zeros((1, 2)))
    with pytest.raises(DataError, match="different rows"):
        fit(np.array([60.0, 60.0, 600.0]), np.zeros((1, 3)))
    with pytest.raises(DataError, match="no number"):
        fit(ROWS, np.array([[0.1, np.nan, 0.2, 0.1]]))
