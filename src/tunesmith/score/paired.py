"""Is one system better than another on the same rows: difference, 95% interval, one-sided p-value.

Where rows are right or wrong and each stands for itself: McNemar's exact test, and Tango's score interval (1998) with
the continuity correction that makes the two agree; the paired bootstrap calls a gain too often where few rows differ
(5 rows of 50, all for one system: a chance of 1 in 32, which the bootstrap takes for 1 in 200).

Else: the paired bootstrap, both systems on the same resamples, gives the interval, and its p-value must be confirmed
by swapping the systems' answers row by row with a fair coin (Noreen, 1989); the larger of both p-values is given.

A difference is in favour of the first system where it is positive, whichever way the measure runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import DataError
from tunesmith.score.intervals import FEW, TAIL, Interval, bootstrap_interval
from tunesmith.score.measures import Floats, Measure, Weighing
from tunesmith.score.prediction import Prediction
from tunesmith.score.resampling import Resamples

if TYPE_CHECKING:
    from scipy.sparse import csr_array

EXACT = "exact McNemar"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How much better the first system is than the second."""

    difference: float
    """Improvement, in the measure's unit; negative where the first is worse."""
    low: float
    high: float
    p_value: float
    """One-sided: how probable so great an improvement is if there is none."""
    test: str
    """`EXACT` or `paired bootstrap`."""

    @property
    def is_gain(self) -> bool:
        """Better at one-sided 2.5%, by interval and by test."""
        return self.low > 0 and self.p_value <= TAIL

    @property
    def is_loss(self) -> bool:
        """Worse: the whole interval lies below 0."""
        return self.high < 0


def compare(measure: Measure, ours: Sequence[Prediction], theirs: Sequence[Prediction], resamples: Resamples) -> Comparison | None:
    """Compare two systems on the same rows in the same order; None where either lacks what the measure needs."""
    if [one.row_id for one in ours] != [one.row_id for one in theirs]:
        raise DataError("Two systems were compared on different rows: give both the same rows in the same order.")
    if measure.right is not None and not resamples.grouped:
        ours_R, theirs_R = measure.right(ours), measure.right(theirs)
        if ours_R is not None and theirs_R is not None:
            return compare_right(int((ours_R & ~theirs_R).sum()), int((theirs_R & ~ours_R).sum()), len(ours))
    return paired_bootstrap(measure, ours, theirs, resamples)


def compare_right(wins: int, losses: int, rows: int) -> Comparison:
    """Compare by rows that only the first got right and rows that only the second got right."""
    around = score_interval(wins, losses, rows)
    return Comparison(difference=around.value, low=around.low, high=around.high, p_value=mcnemar(wins, losses), test=EXACT)


def at_level(told: Comparison, rows: int, tail: float) -> Comparison:
    """The same comparison with an interval that leaves `tail` on each side, for a stricter or a looser level than 95%.

    Exact of rows that are right or wrong: how many speak for either follows from the difference and McNemar's p-value. A bootstrap has too
    few resamples that far out, so each arm of its interval is stretched as Student's t stretches that of `FEW` units, the fewest of which a
    gain is called; its p-value can't be finer than its resamples, and stays.
    """
    if told.test == EXACT:
        wins, losses = _discordant(told, rows)
        around = score_interval(wins, losses, rows, tail)
        return replace(told, low=around.low, high=around.high)
    from scipy.special import stdtrit

    wider = float(stdtrit(FEW - 1, tail) / stdtrit(FEW - 1, TAIL))
    low, high = ((end - told.difference) * wider + told.difference for end in (told.low, told.high))
    return replace(told, low=low, high=high)


def _discordant(told: Comparison, rows: int) -> tuple[int, int]:
    """Wins and losses: their difference is known, and the p-value rises with what is common to both."""
    surplus = round(told.difference * rows)
    wins = range(max(0, surplus), (rows + surplus) // 2 + 1)
    nearest = min(wins, key=lambda one: abs(mcnemar(one, one - surplus) - told.p_value))
    return nearest, nearest - surplus


def mcnemar(wins: int, losses: int) -> float:
    """McNemar's exact one-sided p-value: at least so many wins among wins + losses tosses of a fair coin."""
    from scipy.special import betainc

    return 1.0 if wins == 0 else float(betainc(wins, losses + 1, 0.5))


def score_interval(wins: int, losses: int, rows: int, tail: float = TAIL) -> Interval:
    """Tango's score interval of a paired difference of shares, corrected for continuity by one row, by bisection; `tail` on each side."""
    from scipy.special import ndtri

    z = -float(ndtri(tail))

    def surplus(difference: float, correction: float) -> float:
        """The score statistic at a supposed difference; falls as that rises."""
        linear = (2 * rows - wins + losses) * difference - wins - losses
        constant = -losses * difference * (1 - difference)
        lost = (np.sqrt(max(0.0, linear * linear - 8 * rows * constant)) - linear) / (4 * rows)
        variance = rows * (2 * lost + difference * (1 - difference))
        return float((wins - losses - rows * difference - correction) / np.sqrt(max(variance, 1e-12)))

    def solve(correction: float, target: float) -> float:
        low, high = -1.0, 1.0
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (middle, high) if surplus(middle, correction) > target else (low, middle)
        return (low + high) / 2

    value = (wins - losses) / rows
    return Interval(value, min(value, solve(1.0, z)), max(value, solve(-1.0, -z)))


def paired_bootstrap(measure: Measure, ours: Sequence[Prediction], theirs: Sequence[Prediction], resamples: Resamples) -> Comparison | None:
    """Interval from the paired bootstrap; p-value the larger of its own and the swap test's. For any measure."""
    ours_RS, theirs_RS = measure.tabulate(ours), measure.tabulate(theirs)
    if ours_RS is None or theirs_RS is None:
        return None
    if measure.weighted is not None:
        return _weighted_bootstrap(measure, ours_RS, theirs_RS, resamples)
    sign = 1.0 if measure.higher_is_better else -1.0
    drawn_B = sign * (measure.value(resamples.sums(ours_RS)) - measure.value(resamples.sums(theirs_RS)))
    without_U = np.concatenate(
        [
            sign * (measure.value(one) - measure.value(other))
            for one, other in zip(resamples.without_each(ours_RS), resamples.without_each(theirs_RS), strict=True)
        ]
    )
    difference = sign * (measure.of_table(ours_RS) - measure.of_table(theirs_RS))
    span = measure.high - measure.low
    around = bootstrap_interval(difference, drawn_B, without_U, low=-span, high=span)
    swapped_B = sign * _swapped(measure, ours_RS + theirs_RS, ours_RS - theirs_RS, resamples)
    return _compared(around, drawn_B, swapped_B)


def _weighted_bootstrap(
    measure: Measure, ours_RS: "Floats | csr_array", theirs_RS: "Floats | csr_array", resamples: Resamples
) -> Comparison:
    """The same from weighted rows: an exchange of answers takes a row from the one table or from the other."""
    from scipy.sparse import vstack

    sign = 1.0 if measure.higher_is_better else -1.0
    ours, theirs = measure.on(ours_RS), measure.on(theirs_RS)
    drawn_B = sign * np.concatenate([ours(weights) - theirs(weights) for weights in resamples.weights()])
    without = sign * np.concatenate([ours(weights) - theirs(weights) for weights in resamples.weights_without()])
    difference = sign * (measure.of_table(ours_RS) - measure.of_table(theirs_RS))
    span = measure.high - measure.low
    around = bootstrap_interval(difference, drawn_B, without, low=-span, high=span, units=resamples.units)
    dense = isinstance(ours_RS, np.ndarray) and isinstance(theirs_RS, np.ndarray)
    either = measure.on(np.vstack([ours_RS, theirs_RS]) if dense else vstack([ours_RS, theirs_RS], format="csr"))
    swapped_B = sign * np.concatenate([_exchanged(either, coins > 0) for coins in resamples.coins()])
    return _compared(around, drawn_B, swapped_B)


def _exchanged(either: Weighing, kept_BR: NDArray[np.bool_]) -> Floats:
    """The difference where the rows kept answer for their own system and the others for the other one, [B]."""
    kept, turned = np.hstack([kept_BR, ~kept_BR]), np.hstack([~kept_BR, kept_BR])
    return either(kept.astype(np.float64)) - either(turned.astype(np.float64))


def _compared(around: Interval, drawn_B: Floats, swapped_B: Floats) -> Comparison:
    """With the larger of both p-values."""
    p_value = float(p_values(np.array([around.value]), drawn_B[None, :], swapped_B[None, :])[0])
    return Comparison(difference=around.value, low=around.low, high=around.high, p_value=p_value, test="paired bootstrap")


def p_values(difference_D: Floats, drawn_DB: Floats, swapped_DB: Floats) -> Floats:
    """Of each of D comparisons the larger of both p-values: its resamples without a gain, its exchanges with as great a one."""
    return np.maximum(_share_of(drawn_DB <= 0), _share_of(swapped_DB >= difference_D[:, None] - 1e-12))


def _swapped(measure: Measure, both_RS: "Floats | csr_array", apart_RS: "Floats | csr_array", resamples: Resamples) -> Floats:
    """The difference after each of many random exchanges of the two systems' answers, [B]."""
    total_S = np.asarray(both_RS.sum(axis=0), dtype=np.float64).reshape(1, -1)
    turned_BS = resamples.swapped(apart_RS)
    return measure.value((total_S + turned_BS) / 2) - measure.value((total_S - turned_BS) / 2)


def _share_of(true_DB: NDArray[np.bool_]) -> Floats:
    """The share of each line that is true, the observed rows counted as one that is, [D]."""
    return np.asarray((1 + np.count_nonzero(true_DB, axis=1)) / (1 + true_DB.shape[1]), dtype=np.float64)
