"""Can rows of one kind be told from rows of another by a score: the area under the ROC curve, with its 95% interval.

The area is the share of pairs, one row of each kind, in which the first scores higher, ties half. Its interval is the outer
ends of two: Newcombe's (2006, method 5), whose variance is that of Hanley and McNeil (1982) at the value that is tried, so
that it has a width at 0 and at 1; and DeLong's (1988) on the logit, which follows scores of unequal spread. Where rows come
in groups, groups are resampled.

Legend: M rows of the first kind, N of the second, R rows of both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt

import numpy as np

from tunesmith.core.errors import DataError
from tunesmith.score.intervals import TAIL, Interval, Z, bootstrap_interval
from tunesmith.score.measures import Floats
from tunesmith.score.preference import auc
from tunesmith.score.resampling import Resamples


@dataclass(frozen=True, slots=True, kw_only=True)
class Separation:
    """How well a score tells rows of one kind from rows of another."""

    auc: Interval
    """0.5: not at all; 1: every row of the first kind scores above every row of the second."""
    members: int
    others: int

    @property
    def told(self) -> bool:
        """The first kind scores higher, at one-sided 2.5%."""
        return self.auc.low > 0.5


def separation(members_M: Floats, others_N: Floats, groups: Sequence[str] | None = None) -> Separation:
    """Compare scores of two kinds of rows.

    Args:
        members_M: scores of the first kind.
        others_N: scores of the second.
        groups: the group of each row, first kind first, [M + N]; rows of one are resampled together.

    Raises:
        DataError: a kind has no row, or a score is no number.
    """
    rows, others = len(members_M), len(others_N)
    if not rows or not others:
        raise DataError(f"{rows} rows were to be told from {others}: there must be at least one of each.")
    scores_R = np.concatenate([members_M, others_N])
    if not np.isfinite(scores_R).all():
        raise DataError("A row's likelihood is no number: the model's weights are damaged or training diverged.")
    if groups is not None and len(set(groups)) < len(groups):
        return Separation(auc=_grouped(scores_R, rows, groups), members=rows, others=others)
    above_M, above_N = _placements(members_M, others_N)
    area = float(above_M.mean())
    low, high = _newcombe(area, rows, others)
    tight, wide = _delong(area, above_M, above_N)
    around = Interval(area, min(area, low, tight), max(area, high, wide))
    return Separation(auc=around, members=rows, others=others)


def _placements(members_M: Floats, others_N: Floats) -> tuple[Floats, Floats]:
    """Of each row of either kind, the share of the other kind on its right side; ties half."""
    members, others = np.sort(members_M), np.sort(others_N)
    below_M = (np.searchsorted(others, members_M, "left") + np.searchsorted(others, members_M, "right")) / (2 * len(others))
    below_N = (np.searchsorted(members, others_N, "left") + np.searchsorted(members, others_N, "right")) / (2 * len(members))
    return below_M, 1 - below_N


def _newcombe(area: float, members: int, others: int) -> tuple[float, float]:
    """Where the area lies 1.96 standard errors from a supposed one, by bisection."""
    extra = (members + others) / 2 - 1

    def error(supposed: float) -> float:
        spread = 1 + extra * ((1 - supposed) / (2 - supposed) + supposed / (1 + supposed))
        return sqrt(max(0.0, supposed * (1 - supposed) * spread / (members * others)))

    def solve(low: float, high: float, sign: float) -> float:
        for _ in range(50):
            middle = (low + high) / 2
            near = sign * (area - middle) <= Z * error(middle)
            low, high = (low, middle) if near == (sign > 0) else (middle, high)
        return (low + high) / 2

    return solve(0.0, area, 1.0), solve(area, 1.0, -1.0)


def _delong(area: float, above_M: Floats, above_N: Floats) -> tuple[float, float]:
    """On the logit with Student's t; the area itself where one kind has a single row or all pairs are in one order."""
    from scipy.stats import t

    fewest = min(len(above_M), len(above_N))
    if fewest < 2 or area in (0.0, 1.0):
        return area, area
    error = sqrt(float(above_M.var(ddof=1)) / len(above_M) + float(above_N.var(ddof=1)) / len(above_N))
    half = float(t.isf(TAIL, fewest - 1)) * error / (area * (1 - area))
    logit = log(area / (1 - area))
    low, high = (1 / (1 + exp(-np.clip(logit + side * half, -700, 700))) for side in (-1, 1))
    return float(low), float(high)


def _grouped(scores_R: Floats, members: int, groups: Sequence[str]) -> Interval:
    """Groups resampled, members and others alike."""
    from scipy.sparse import csr_array
    from scipy.stats import rankdata

    place_R = rankdata(scores_R, "dense").astype(np.int64) - 1
    places = int(place_R.max()) + 1
    column_R = place_R + np.where(np.arange(len(scores_R)) < members, 0, places)
    table = csr_array((np.ones(len(scores_R)), (np.arange(len(scores_R)), column_R)), shape=(len(scores_R), 2 * places))
    resamples = Resamples(rows=len(scores_R), groups=groups)
    value = float(auc(np.asarray(table.sum(axis=0), dtype=np.float64).reshape(1, -1))[0])
    without_U = np.concatenate([auc(sums) for sums in resamples.without_each(table)])
    return bootstrap_interval(value, auc(resamples.sums(table)), without_U, low=0.0, high=1.0)
