"""Figures of several rounds that differ in their seed alone: how much of a figure is luck.

The interval is Student's t for the mean of such rounds (independent, roughly normal). It tells what another seed would do, on the same
data and the same test rows; what other test rows would do is told by each round's own interval.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, sqrt
from statistics import fmean, stdev

from tunesmith.core.errors import DataError
from tunesmith.score.intervals import TAIL
from tunesmith.score.measures import Measure


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """One measure over several rounds."""

    values: tuple[float, ...]
    mean: float
    spread: float | None
    """Standard deviation between rounds, one degree of freedom taken; None of one round."""
    low: float | None
    """Ends of the 95% interval of the mean, within what the measure can be; None of one round."""
    high: float | None
    sentence: str


def over_rounds(measure: Measure, values: Sequence[float]) -> Rounds:
    """Mean, spread and interval of a measure's values over rounds.

    Args:
        values: one a round, as the measure gives them (0.841 for 84.1%).

    Raises:
        DataError: no value, or one that is no finite number.
    """
    odd = [value for value in values if not isfinite(value)]
    if not values or odd:
        found = "none was given" if not values else f"{odd[0]} was given"
        raise DataError(f"{measure.title} over rounds needs one finite value a round: {found}.")
    mean = fmean(values)
    if len(values) == 1:
        sentence = f"{measure.title} {measure.shown(mean)} in one round: what another seed would give is not known, run some more."
        return Rounds(values=tuple(values), mean=mean, spread=None, low=None, high=None, sentence=sentence)
    spread, half = stdev(values), _half(values)
    low, high = max(measure.low, mean - half), min(measure.high, mean + half)
    ends = " to ".join(measure.shown(end) for end in (low, high))
    lowest, highest = measure.shown(min(values)), measure.shown(max(values))
    sentence = (
        f"{measure.title} {measure.shown(mean)} on average over {len(values)} rounds (95% interval {ends}); "
        f"single rounds lie between {lowest} and {highest}, with a standard deviation of {measure.shown_difference(spread)}."
    )
    return Rounds(values=tuple(values), mean=mean, spread=spread, low=low, high=high, sentence=sentence)


def _half(values: Sequence[float]) -> float:
    """Half the width of Student's interval of the mean."""
    from scipy.stats import t

    return float(t.isf(TAIL, len(values) - 1)) * stdev(values) / sqrt(len(values))
