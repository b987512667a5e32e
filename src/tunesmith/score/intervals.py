"""95% intervals of a system's value, chosen by simulation for what they cover.

A share of right rows gets the outer ends of Wilson's score interval (1927) and of the mid-P exact interval (Lancaster,
1961): either alone falls under 93% somewhere from 50 rows on, together they hold 93% everywhere and stay under 97%
from 200 rows on for accuracies up to 95%. It is exact work, seeded by nothing, and has a width at 0% and at 100%.

Everything else is bootstrapped: the outer ends of the percentile interval, widened for small samples (Hesterberg,
2015), and of BCa (Efron, 1987). Percentiles alone miss macro F1 over many classes, whose resamples lie lower than
their sample; BCa alone misses it where classes have two or three rows. How much wider goes by Student's t, whose degrees
of freedom are fewer where a few units weigh heavily (`_student`). Under `FEW` units, whose resamples reach no further
than the units drawn, the ends of a Student's interval corrected for skew count too (`_skewed`).

Legend: D test sets, each bootstrapped by itself, R rows, U units, B resamples.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tunesmith.score.measures import Floats, Measure
from tunesmith.score.prediction import Prediction
from tunesmith.score.resampling import Resamples

if TYPE_CHECKING:
    from scipy.sparse import csr_array

TAIL = 0.025
"""What a 95% interval leaves on each side."""
Z = 1.959963984540054
"""The normal quantile of 1 - TAIL."""
FEW = 20
"""Under so many independent units a verdict calls no gain, and resamples alone are no interval."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and the 95% interval around it."""

    value: float
    low: float
    high: float


def wilson(right: float, rows: float) -> tuple[float, float]:
    """Wilson's score interval of a share; `rows` may be a fraction (an effective number)."""
    share, slack = right / rows, Z * Z / rows
    centre = (share + slack / 2) / (1 + slack)
    half = np.sqrt(slack * share * (1 - share) + slack * slack / 4) / (1 + slack)
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def mid_p(right: float, rows: float) -> tuple[float, float]:
    """The mid-P exact interval of a share, by bisection; the binomial tail is an incomplete beta, so fractions are fine."""
    from scipy.special import betainc

    def at_least(share: float, hits: float) -> float:
        """P(at least so many right), half the weight of exactly so many left out."""
        whole = 1.0 if hits <= 0 else float(betainc(hits, rows - hits + 1, share))
        above = 0.0 if hits >= rows else float(betainc(hits + 1, rows - hits, share))
        return (whole + above) / 2

    def solve(target: float) -> float:
        low, high = 0.0, 1.0
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (middle, high) if at_least(middle, right) < target else (low, middle)
        return (low + high) / 2

    return 0.0 if right <= 0 else solve(TAIL), 1.0 if right >= rows else solve(1 - TAIL)


def share_interval(right: float, rows: float) -> Interval:
    """The interval of a share of right rows: the wider end of Wilson's and mid-P's on each side."""
    (low, high), (exact_low, exact_high) = wilson(right, rows), mid_p(right, rows)
    return Interval(right / rows, min(low, exact_low, right / rows), max(high, exact_high, right / rows))


def grouped_share_interval(right_R: Floats, resamples: Resamples) -> Interval:
    """The interval of a share whose rows come in groups: as of the number of strangers that would vary as much.

    The effective number is share (1 - share) over the variance between groups, shrunk for few groups by Student's t
    (Korn and Graubard, 1998); never more than the rows, and the number of groups where all rows agree.
    """
    from scipy.stats import t

    rows, units = resamples.rows, resamples.units
    share = float(right_R.mean())
    if units == 1:
        return Interval(share, 0.0, 1.0)
    surplus_U = np.bincount(resamples.unit_R, weights=right_R - share, minlength=units)
    variance = units / (units - 1) * float((surplus_U**2).sum()) / rows**2
    effective = share * (1 - share) / variance if variance > 0 else float(units if share in (0.0, 1.0) else rows)
    effective = max(1.0, min(float(rows), effective) * (Z / float(t.isf(TAIL, units - 1))) ** 2)
    around = share_interval(share * effective, effective)
    return Interval(share, around.low, around.high)


def bootstrap_interval(value: float, drawn_B: Floats, without_U: Floats, *, low: float, high: float, units: int | None = None) -> Interval:
    """The outer ends of the widened percentile interval and of BCa; under `FEW` units of a skew-corrected Student's, too.

    Args:
        value: the value over all rows.
        drawn_B: its value over each resample.
        without_U: its value without each unit in turn, for BCa's acceleration.
        low, high: the least and greatest value there can be; where every resample has one value, the interval allows
            for a kind of row too rare to have been drawn into so many, at the worst and best it could do.
        units: how many there are, where `without_U` leaves out several at a time.
    """
    low_1, high_1 = bootstrap_ends(np.array([value]), drawn_B[None, :], without_U[None, :], low=low, high=high, units=units)
    return Interval(value, float(low_1[0]), float(high_1[0]))


def bootstrap_ends(
    value_D: Floats, drawn_DB: Floats, without_DU: Floats, *, low: float, high: float, units: int | None = None
) -> tuple[Floats, Floats]:
    """Lower and upper ends of many such intervals at once, [D] each; arguments as of `bootstrap_interval`."""
    from scipy.special import ndtr

    units = without_DU.shape[1] if units is None else units
    unseen, still_D = 1.0 - TAIL ** (1.0 / units), np.ptp(drawn_DB, axis=1) <= 1e-12 * np.maximum(1.0, np.abs(value_D))
    pull_DU = without_DU.mean(axis=1, keepdims=True) - without_DU
    student_D, acceleration_D = _student(pull_DU, units), _acceleration(pull_DU)
    tail_D = ndtr(-np.sqrt(units / max(1, units - 1)) * student_D)
    drawn_DB = np.sort(drawn_DB, axis=1)
    tails = (tail_D, 1 - tail_D, *_corrected(value_D, drawn_DB, acceleration_D, tail_D))
    ends = [value_D, *(_quantile(drawn_DB, tail) for tail in tails)]
    if 2 <= units < FEW:
        ends += [np.clip(end, low, high) for end in _skewed(value_D, pull_DU, student_D, acceleration_D)]
    down_D = value_D if np.isinf(low) else value_D + unseen * (low - value_D)
    up_D = value_D if np.isinf(high) else value_D + unseen * (high - value_D)
    return np.where(still_D, down_D, np.min(ends, axis=0)), np.where(still_D, up_D, np.max(ends, axis=0))


def _student(pull_DU: Floats, units: int) -> Floats:
    """Student's t at 1 - TAIL, [D]; inf for a single unit.

    A spread estimated from U units has 2 / (2 / (U - 1) + k / U) degrees of freedom (Satterthwaite, 1946), k being the
    excess kurtosis of what each unit pulls the value by: U - 1 without outliers, and never more. k is estimated as
    G2 (Joanes and Gill, 1998); where units are left out several at a time, k / U is the same for parts as for units.
    """
    from scipy.special import stdtrit

    parts, kurtosis_D = pull_DU.shape[1], np.zeros(len(pull_DU))
    if units < 2:
        return np.full(len(pull_DU), np.inf)
    if parts > 3:
        square_D = (pull_DU**2).mean(axis=1)
        fourth_D = np.divide((pull_DU**4).mean(axis=1), square_D**2, out=np.zeros_like(square_D), where=square_D > 1e-150)
        kurtosis_D = np.maximum(0.0, (parts - 1) / ((parts - 2) * (parts - 3)) * ((parts + 1) * (fourth_D - 3) + 6))
    return np.asarray(-stdtrit(2 / (2 / (units - 1) + kurtosis_D / parts), TAIL), dtype=np.float64)


def _acceleration(pull_DU: Floats) -> Floats:
    """A sixth of the skew of the value, by the jackknife (Efron, 1987), [D]."""
    size_D = (pull_DU**2).sum(axis=1) ** 1.5
    sixth_D: Floats = np.divide((pull_DU**3).sum(axis=1), 6 * size_D, out=np.zeros_like(size_D), where=size_D > 0)
    return sixth_D


def _corrected(value_D: Floats, drawn_DB: Floats, acceleration_D: Floats, tail_D: Floats) -> tuple[Floats, Floats]:
    """BCa's two percentiles: corrected for bias (z0) and for a spread that changes with the value (acceleration)."""
    from scipy.special import ndtr, ndtri

    less_D, same_D = (drawn_DB < value_D[:, None]).sum(axis=1), (drawn_DB == value_D[:, None]).sum(axis=1)
    bias_D = np.clip(ndtri((less_D + same_D / 2) / drawn_DB.shape[1]), -3.0, 3.0)

    def moved(quantile_D: Floats) -> Floats:
        inside_D = np.clip(quantile_D, 1e-300, 1 - 1e-16)  # a single unit's tail is 0
        along_D = bias_D + ndtri(inside_D)
        squeeze_D = 1 - acceleration_D * along_D
        return np.where(squeeze_D > 0, ndtr(bias_D + along_D / np.where(squeeze_D > 0, squeeze_D, 1.0)), quantile_D)

    return moved(tail_D), moved(1 - tail_D)


def _skewed(value_D: Floats, pull_DU: Floats, student_D: Floats, acceleration_D: Floats) -> tuple[Floats, Floats]:
    """Ends of Student's interval by the jackknife, moved as the skew of a studentised value asks (Hall, 1992, 2.6)."""
    units = pull_DU.shape[1]
    error_D = np.sqrt((units - 1) / units * (pull_DU**2).sum(axis=1))
    moved_D = acceleration_D * (2 * student_D**2 + 1)
    return value_D + error_D * (moved_D - student_D), value_D + error_D * (moved_D + student_D)


def _quantile(sorted_DB: Floats, share_D: Floats) -> Floats:
    """The quantile of each line at its own share, between neighbours in proportion, [D]."""
    place_D = np.clip(share_D, 0.0, 1.0) * (sorted_DB.shape[1] - 1)
    below_D, lines = np.floor(place_D).astype(np.int64), np.arange(len(sorted_DB))
    above_D, part_D = np.minimum(below_D + 1, sorted_DB.shape[1] - 1), place_D - below_D
    return np.asarray(sorted_DB[lines, below_D] * (1 - part_D) + sorted_DB[lines, above_D] * part_D, dtype=np.float64)


def interval(measure: Measure, predictions: list[Prediction], resamples: Resamples) -> Interval | None:
    """One system's value and 95% interval; None where its predictions don't carry what the measure needs."""
    return intervals([measure], predictions, resamples)[measure.name]


def intervals(measures: list[Measure], predictions: list[Prediction], resamples: Resamples) -> dict[str, Interval | None]:
    """Each measure's value and interval, by name; measures that share their statistics share the work."""
    found: dict[str, Interval | None] = {}
    for tabulate in dict.fromkeys(measure.tabulate for measure in measures):
        family = [measure for measure in measures if measure.tabulate is tabulate]
        table = tabulate(predictions)
        rights = {measure.name: measure.right(predictions) for measure in family if measure.right is not None and table is not None}
        bootstrapped = [measure for measure in family if rights.get(measure.name) is None]
        summed = any(measure.weighted is None for measure in bootstrapped)
        drawn_BS = resamples.sums(table) if table is not None and summed else np.zeros((0, 0))
        for measure in family:
            right = rights.get(measure.name)
            if table is None:
                found[measure.name] = None
            elif right is not None:
                found[measure.name] = _of_right(right.astype(np.float64), resamples)
            elif measure.weighted is not None:
                found[measure.name] = _of_weighted(measure, table, resamples)
            else:
                without_U = np.concatenate([measure.value(sums) for sums in resamples.without_each(table)])
                found[measure.name] = bootstrap_interval(
                    measure.of_table(table), measure.value(drawn_BS), without_U, low=measure.low, high=measure.high
                )
    return {measure.name: found[measure.name] for measure in measures}


def _of_weighted(measure: Measure, table: "Floats | csr_array", resamples: Resamples) -> Interval:
    """Bootstrapped from weighted rows."""
    on = measure.on(table)
    drawn_B = np.concatenate([on(weights) for weights in resamples.weights()])
    without = np.concatenate([on(weights) for weights in resamples.weights_without()])
    return bootstrap_interval(measure.of_table(table), drawn_B, without, low=measure.low, high=measure.high, units=resamples.units)


def _of_right(right_R: Floats, resamples: Resamples) -> Interval:
    if resamples.grouped:
        return grouped_share_interval(right_R, resamples)
    return share_interval(float(right_R.sum()), float(len(right_R)))
