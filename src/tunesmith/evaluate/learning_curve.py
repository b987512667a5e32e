"""The learning curve: the deciding measure on test over training rows, whether it still rises, and what more rows would bring.

Each point is a model trained by the same recipe on a part of the rows, the last one the round's own; all answer the same test rows,
so everything is paired. Whether the curve still rises is asked of the last stretch alone, at one-sided 2.5%: a steep beginning says
nothing of more rows. How far it would rise is a power law's word (`score.power_law`): the gain along the fitted curve, set on what was
measured of the round's own model, so that what the curve misses it by is told of as neither gain nor loss. The bootstrap over test rows
is shared by all points. The interval is about other test rows; another seed, or other rows in the parts, would move the points as well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from tunesmith.core.errors import DataError
from tunesmith.score import power_law
from tunesmith.score.intervals import Interval, bootstrap_interval, intervals
from tunesmith.score.measures import Floats, Measure
from tunesmith.score.paired import Comparison, compare
from tunesmith.score.prediction import Prediction
from tunesmith.score.resampling import Resamples

AHEAD = (2, 4)
"""Times as many rows that are foretold; the first is what the sentence tells of."""
WORTH = 0.01
"""A doubling that surely brings less than this share is called no help: of the measure's range (one point of a hundred) or, where that has
no end, of what the round's own model is away from the best possible value, so that the unit of a number decides nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A model trained on so many rows."""

    rows: int
    value: Interval
    twin: bool
    """False of the round's own model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """What so many rows would bring, as far as the curve goes on as it did."""

    rows: int
    value: Interval
    """What was measured of the round's own model, and the gain."""
    gain: Interval
    """Improvement along the curve from the rows there are, in the measure's unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurve:
    """The curve and what follows from it."""

    measure: Measure
    outcome: Literal["rising", "flat", "unclear"]
    sentence: str
    points: tuple[Point, ...]
    """Fewest rows first."""
    ahead: tuple[Ahead, ...]
    """Empty where there are too few points to go on from."""
    last: Comparison
    """The round's own model against the twin on half of its rows, or the nearest there is."""
    since: int
    """Rows of that twin."""
    fitted: tuple[tuple[float, float], ...]
    """Rows and value along the fitted curve, for a picture."""
    exponent: float | None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The report's `learning_curve`."""
        told = {name: getattr(self, name) for name in ("outcome", "sentence", "since", "exponent")}
        return told | {
            "measure": self.measure.name,
            "points": [asdict(point) for point in self.points],
            "ahead": [asdict(one) for one in self.ahead],
            "last": asdict(self.last),
            "fitted": [list(place) for place in self.fitted],
            "notes": list(self.notes),
        }


def learning_curve(
    measure: Measure, answered: Mapping[int, Sequence[Prediction]], drawn: Resamples, notes: Sequence[str] = ()
) -> LearningCurve:
    """What the answers of models trained on ever more rows tell.

    Args:
        measure: the one that decides.
        answered: training rows -> answers to the test rows, all in one order; the most rows are the round's own model's.
        drawn: resamples of the test rows, shared by all points.
        notes: what a reader must know of the points.

    Raises:
        DataError: fewer than two models, or one whose answers lack what the measure needs.
    """
    counts = sorted(answered)
    if len(counts) < 2:
        raise DataError(f"A learning curve of {len(counts)} models was asked for: it takes two or more.")
    tables = [_table(measure, answered[rows]) for rows in counts]
    points = tuple(_point(measure, answered[rows], drawn, rows, twin=rows != counts[-1]) for rows in counts)
    since = max([rows for rows in counts[:-1] if 2 * rows <= counts[-1] + 1], default=counts[-2])
    last = compare(measure, answered[counts[-1]], answered[since], drawn)
    assert last is not None  # `_table` has refused answers without what the measure needs
    ahead, fitted, exponent = _foretold(measure, counts, tables, drawn) if len(counts) >= power_law.FEWEST else ((), (), None)
    outcome = _outcome(measure, points[-1].value.value, last, ahead)
    return LearningCurve(
        measure=measure,
        outcome=outcome,
        sentence=_sentence(measure, outcome, points, ahead, last, since),
        points=points,
        ahead=ahead,
        last=last,
        since=since,
        fitted=fitted,
        exponent=exponent,
        notes=tuple(notes),
    )


def _table(measure: Measure, predictions: Sequence[Prediction]) -> Any:
    table = measure.tabulate(predictions)
    if table is None:
        raise DataError(f"{measure.title} can't be told of a twin's answers: put another measure first in evaluate.metrics.")
    return table


def _point(measure: Measure, predictions: Sequence[Prediction], drawn: Resamples, rows: int, *, twin: bool) -> Point:
    value = intervals([measure], list(predictions), drawn)[measure.name]
    assert value is not None
    return Point(rows=rows, value=value, twin=twin)


def _resampled(measure: Measure, table: Any, drawn: Resamples) -> tuple[Floats, Floats]:
    """The measure over each resample [B], and without each part of the test rows [U]; the same rows for every table."""
    if measure.weighted is not None:
        on = measure.on(table)
        return np.concatenate([on(some) for some in drawn.weights()]), np.concatenate([on(some) for some in drawn.weights_without()])
    without = np.concatenate([measure.value(sums) for sums in drawn.without_each(table)])
    return measure.value(drawn.sums(table)), without


def _errors(measure: Measure, values: Floats) -> Floats:
    """What is missing to the best possible value; of a perplexity its logarithm, which is a loss."""
    if measure.name == "perplexity":
        found: Floats = np.log(values)
        return found
    return measure.high - values if measure.higher_is_better else values - measure.low


def _values(measure: Measure, errors: Floats) -> Floats:
    """The other way round."""
    if measure.name == "perplexity":
        found: Floats = np.exp(errors)
        return found
    return measure.high - errors if measure.higher_is_better else measure.low + errors


def _foretold(
    measure: Measure, counts: Sequence[int], tables: Sequence[Any], drawn: Resamples
) -> tuple[tuple[Ahead, ...], tuple[tuple[float, float], ...], float]:
    """What more rows would bring, the fitted curve, and its exponent."""
    resampled = [_resampled(measure, table, drawn) for table in tables]
    rows_P, most = np.array(counts, dtype=np.float64), counts[-1]
    observed = np.array([[measure.of_table(table) for table in tables]])
    whole, drawn_B, without_U = (
        power_law.fit(rows_P, _errors(measure, values_BP))
        for values_BP in (observed, *(np.column_stack([one[kind] for one in resampled]) for kind in (0, 1)))
    )
    laws = (whole, drawn_B, without_U)
    now = (observed[0, -1:], *resampled[-1])
    sign, span = (1.0 if measure.higher_is_better else -1.0), measure.high - measure.low
    ahead = []
    for times in AHEAD:
        here = [_values(measure, law.at(most)) for law in laws]
        gains = [sign * (_values(measure, law.at(times * most)) - near) for law, near in zip(laws, here, strict=True)]
        values = [np.clip(one + sign * more, measure.low, measure.high) for one, more in zip(now, gains, strict=True)]
        value = bootstrap_interval(float(values[0][0]), values[1], values[2], low=measure.low, high=measure.high, units=drawn.units)
        gain = bootstrap_interval(float(gains[0][0]), gains[1], gains[2], low=-span, high=span, units=drawn.units)
        ahead.append(Ahead(rows=times * most, value=value, gain=gain))
    places = np.geomspace(counts[0], AHEAD[-1] * most, 60)
    curve = tuple((float(place), float(_values(measure, whole.at(float(place)))[0])) for place in places)
    return tuple(ahead), curve, float(whole.exponent_B[0])


def _outcome(measure: Measure, own: float, last: Comparison, ahead: Sequence[Ahead]) -> Literal["rising", "flat", "unclear"]:
    """Rising where the last stretch is a gain; flat where neither it nor the next doubling can be worth much; else nobody knows.

    A gain that is sure, however small, is not called none.
    """
    if last.is_gain:
        return "rising" if not ahead or ahead[0].gain.value > 0 else "unclear"
    span = measure.high - measure.low
    if not np.isfinite(span):
        span = measure.high - own if measure.higher_is_better else own - measure.low
    gains = ((last.low, last.high), *((one.gain.low, one.gain.high) for one in ahead[:1]))
    return "flat" if all(low <= 0 and high <= WORTH * span for low, high in gains) else "unclear"


def _sentence(measure: Measure, outcome: str, points: Sequence[Point], ahead: Sequence[Ahead], last: Comparison, since: int) -> str:
    own = points[-1]
    ends = f"{measure.shown_difference(last.low, unit=False)} to {measure.shown_difference(last.high, unit=False)}"
    stretch = (
        f"from {since:,} to {own.rows:,} rows {measure.title} gained {measure.shown_difference(last.difference)} (95% interval {ends})"
    )
    if outcome == "flat":
        return f"More rows of the same kind are not expected to help: {stretch}."
    if outcome == "unclear":
        return f"Whether more rows would help can't be told: {stretch}."
    if not ahead:
        return f"More data would help: {stretch}; how many rows can't be told from {len(points)} points."
    more = ahead[0]
    ahead_ends = f"{measure.shown_difference(more.gain.low, unit=False)} to {measure.shown_difference(more.gain.high, unit=False)}"
    return (
        f"More data would help: about {more.rows:,} rows, twice as many, would bring {measure.title} from "
        f"{measure.shown(own.value.value)} to about {measure.shown(more.value.value)}, a gain of {measure.shown_difference(more.gain.value)} "
        f"(95% interval {ahead_ends}), if the curve goes on as it did; {stretch}."
    )
