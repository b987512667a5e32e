"""Measures of answers that are numbers.

Correlations of a constant answer are undefined and count as 0. In a resample, ranks are those among all rows: a rank
correlation from sums, which with so many resamples is what makes its interval cheap.

Statistics [R, 8]: 1, truth x, answer y, xx, yy, xy, |y - x|, (y - x)^2; both numbers less the mean of all truths, so that
large ones lose no digits.
"""

from collections.abc import Sequence

import numpy as np

from tunesmith.score.measures import Floats, Measure
from tunesmith.score.prediction import Prediction

_TINY = 1e-12
"""A variance of less than this share of the other's is rounding."""


def _numbers(predictions: Sequence[Prediction]) -> tuple[Floats, Floats] | None:
    """Truths and answers, [R] each; None where a row has none."""
    pairs = [(one.truth, one.found) for one in predictions]
    if any(not isinstance(number, int | float) for pair in pairs for number in pair):
        return None
    truth_R, found_R = np.array(pairs, dtype=np.float64).T
    return truth_R, found_R


def _statistics(x_R: Floats, y_R: Floats) -> Floats:
    return np.column_stack([np.ones(len(x_R)), x_R, y_R, x_R**2, y_R**2, x_R * y_R, np.abs(y_R - x_R), (y_R - x_R) ** 2])


def tabulate(predictions: Sequence[Prediction]) -> Floats | None:
    """Statistics of the numbers, [R, 8]; None where a row has none."""
    numbers = _numbers(predictions)
    if numbers is None:
        return None
    truth_R, found_R = numbers
    return _statistics(truth_R - truth_R.mean(), found_R - truth_R.mean())


def tabulate_ranks(predictions: Sequence[Prediction]) -> Floats | None:
    """Statistics of their ranks among all rows, ties sharing theirs, [R, 8]."""
    from scipy.stats import rankdata

    numbers = _numbers(predictions)
    if numbers is None:
        return None
    middle = (len(predictions) + 1) / 2
    return _statistics(rankdata(numbers[0]) - middle, rankdata(numbers[1]) - middle)


def _spreads(sums_BS: Floats) -> tuple[Floats, Floats, Floats]:
    """Sums of squares about the mean of truths and of answers, and of their products, [B] each; 0 where they are rounding."""
    count, x, y, xx, yy, xy = (sums_BS[:, column] for column in range(6))
    rows = np.maximum(count, 1.0)
    about_x, about_y, about_xy = xx - x * x / rows, yy - y * y / rows, xy - x * y / rows
    return np.where(about_x > _TINY * (xx + yy), about_x, 0.0), np.where(about_y > _TINY * (xx + yy), about_y, 0.0), about_xy


def correlation(sums_BS: Floats) -> Floats:
    """Pearson's product-moment correlation, of numbers or of ranks."""
    about_x, about_y, about_xy = _spreads(sums_BS)
    scale = np.sqrt(about_x * about_y)
    return np.clip(np.divide(about_xy, scale, out=np.zeros_like(scale), where=scale > 0), -1.0, 1.0)


def mean_absolute(sums_BS: Floats) -> Floats:
    """Mean of |answer - truth|."""
    return np.asarray(sums_BS[:, 6] / np.maximum(sums_BS[:, 0], 1.0))


def root_mean_squared(sums_BS: Floats) -> Floats:
    """Root of the mean of (answer - truth)^2."""
    return np.sqrt(np.maximum(sums_BS[:, 7], 0.0) / np.maximum(sums_BS[:, 0], 1.0))


def determination(sums_BS: Floats) -> Floats:
    """1 less squared error over squared spread of the truths: 0 for their mean as every answer; 0 where they have no spread."""
    about_x, _, _ = _spreads(sums_BS)
    return np.where(about_x > 0, 1.0 - np.divide(sums_BS[:, 7], about_x, out=np.ones_like(about_x), where=about_x > 0), 0.0)


PEARSON = Measure(name="pearson", title="Pearson correlation", tabulate=tabulate, value=correlation, low=-1.0, scale=1.0, unit="")
SPEARMAN = Measure(name="spearman", title="Spearman correlation", tabulate=tabulate_ranks, value=correlation, low=-1.0, scale=1.0, unit="")
MAE = Measure(
    name="mae",
    title="mean absolute error",
    tabulate=tabulate,
    value=mean_absolute,
    higher_is_better=False,
    high=float("inf"),
    scale=1.0,
    unit="",
)
RMSE = Measure(
    name="rmse",
    title="root mean squared error",
    tabulate=tabulate,
    value=root_mean_squared,
    higher_is_better=False,
    high=float("inf"),
    scale=1.0,
    unit="",
)
R2 = Measure(name="r2", title="R²", tabulate=tabulate, value=determination, low=float("-inf"), scale=1.0, unit="")
