"""Intervals and exact tests of rates, and the correction for many of them.

Two rates are compared by the exact test of a two-by-two table (Fisher, 1935), both tails as twice the smaller: valid for every
size, if a little careful for small ones. Rows are taken as independent of one another. Legend: see each function.
"""

import math
from collections.abc import Sequence

from tunesmith.score.intervals import wilson

Z = 1.959963984540054
"""The normal quantile of a 95% interval."""
_TAIL_DEVIATIONS = 40


def share_of(hits: int, rows: int) -> dict[str, float | int | list[float] | None]:
    """A share as it is told: rows, hits, rate and Wilson's 95% interval; rate None of no rows."""
    if not rows:
        return {"rows": 0, "hits": 0, "rate": None, "interval": None}
    return {"rows": rows, "hits": hits, "rate": hits / rows, "interval": list(wilson(hits, rows))}


def difference(hits: int, rows: int, other_hits: int, other_rows: int) -> tuple[float, float, float]:
    """Difference of two shares with its 95% interval (Newcombe, 1998, method 10); both of one row or more."""
    one, other = hits / rows, other_hits / other_rows
    (low, high), (other_low, other_high) = wilson(hits, rows), wilson(other_hits, other_rows)
    gap = one - other
    down = math.hypot(one - low, other_high - other)
    up = math.hypot(high - one, other - other_low)
    return gap, max(-1.0, gap - down), min(1.0, gap + up)


def ratio(hits: int, rows: int, other_hits: int, other_rows: int) -> tuple[float, float, float]:
    """Ratio of two shares with its 95% interval, on the log scale, half a hit added to each (Katz et al., 1978; Walter, 1975)."""
    a, b = hits + 0.5, other_hits + 0.5
    n, m = rows + 0.5, other_rows + 0.5
    middle = math.log((a / n) / (b / m))
    half = Z * math.sqrt(max(0.0, 1 / a - 1 / n + 1 / b - 1 / m))
    return math.exp(middle), math.exp(middle - half), math.exp(middle + half)


def exact_p(hits: int, rows: int, other_hits: int, other_rows: int) -> float:
    """Two-sided p-value of two shares being equal: twice the smaller tail of the hypergeometric distribution."""
    import numpy as np
    from scipy.special import gammaln, logsumexp

    whole, drawn, good = rows + other_rows, rows, hits + other_hits
    if whole < 2 or drawn in (0, whole) or good in (0, whole):
        return 1.0
    mean = drawn * good / whole
    spread = math.sqrt(mean * (1 - good / whole) * (whole - drawn) / (whole - 1))
    reach = math.ceil(_TAIL_DEVIATIONS * spread) + 50
    if hits >= mean:
        x = np.arange(hits, min(drawn, good, hits + reach) + 1, dtype=np.float64)
    else:
        x = np.arange(max(0, drawn + good - whole, hits - reach), hits + 1, dtype=np.float64)

    def choose(n: float, k: "np.ndarray[tuple[int], np.dtype[np.float64]] | float") -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        return np.asarray(gammaln(n + 1) - gammaln(np.asarray(k) + 1) - gammaln(n - np.asarray(k) + 1))

    log_tail = float(logsumexp(choose(good, x) + choose(whole - good, drawn - x))) - float(choose(whole, float(drawn)))
    return min(1.0, 2 * math.exp(min(0.0, log_tail)))


def binomial_p(hits: int, rows: int, share: float) -> float:
    """Two-sided p-value of a share being the one stated: twice the smaller binomial tail."""
    from scipy.stats import binom

    if rows == 0:
        return 1.0
    if share in (0.0, 1.0):
        return 1.0 if hits == share * rows else 0.0
    return min(1.0, 2 * min(float(binom.cdf(hits, rows, share)), float(binom.sf(hits - 1, rows, share))))


def welch(one: Sequence[float], other: Sequence[float]) -> tuple[float, float, float, float]:
    """Difference of two means, its 95% interval and the p-value of none (Welch, 1947).

    Args:
        one, other: how many, their sum, the sum of their squares; two or more each.
    """
    from scipy.stats import t

    means, errors, freedoms = [], [], []
    for count, total, squares in (one, other):
        mean = total / count
        means.append(mean)
        errors.append(max(0.0, (squares - count * mean * mean) / (count - 1)) / count)
        freedoms.append(count - 1)
    gap, error = means[0] - means[1], math.sqrt(sum(errors))
    if error <= 1e-12 * max(1.0, abs(means[0]), abs(means[1])):  # no spread at all: rounding is no difference
        return gap, gap, gap, 1.0 if abs(gap) < 1e-9 else 0.0
    freedom = sum(errors) ** 2 / sum(each * each / free for each, free in zip(errors, freedoms, strict=True))
    half = float(t.isf(0.025, freedom)) * error
    return gap, gap - half, gap + half, 2 * float(t.sf(abs(gap) / error, freedom))
