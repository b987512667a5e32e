"""What is read from the evaluations of trials: where a curve stood at a share of its training, and what a trial that was ended early is worth.

A point's value is the best so far, so a curve never falls.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from tunesmith.search.records import Record
from tunesmith.search.trial import Point

_SLACK = 1e-9
"""Shares are fractions of steps; what differs by less is the same share."""
_TAIL = 3.0
"""How far below the middle a value may lie, in distances from the middle to the best: all beyond is just bad, and would only drown the rest."""


@dataclass(frozen=True, slots=True)
class Curve:
    """The evaluations of another trial."""

    points: Sequence[Point]
    whole: bool
    """It was trained to its end, at whatever share that came."""

    def at(self, share: float) -> float | None:
        """Its value at a share; None where it was not evaluated by then, or ended early before."""
        if not self.whole and not (self.points and self.points[-1].share >= share - _SLACK):
            return None
        reached = [point.value for point in self.points if point.share <= share + _SLACK]
        return reached[-1] if reached else None

    def from_share(self, share: float) -> float | None:
        """Its value at its first evaluation at a share or after it; of one that ended of itself before, its last."""
        later = [point.value for point in self.points if point.share >= share - _SLACK]
        if later:
            return later[0]
        return self.points[-1].value if self.whole and self.points else None


def curve_of(record: Record) -> Curve:
    """The curve of a trial, ended or not; one that diverged falls to minus infinity where it did."""
    if record.measured is None:
        return Curve(record.points, whole=False)
    points = list(record.measured.curve)
    if record.measured.value is None:
        points.append(Point(points[-1].step + 1 if points else 1, points[-1].share + 2 * _SLACK if points else 2 * _SLACK, float("-inf")))
    return Curve(points, whole=not record.measured.pruned)


def worths(records: Sequence[Record]) -> list[float]:
    """What each ended trial is worth to samplers and surrogates, finite numbers, higher is better.

    A trial that was trained to its end is worth its value. One that was ended early counts as if it had risen from there as the middle one
    of the others did, and as no more than the middle one's worth: it was ended because it lagged. One that diverged is worth the worst. What
    lies far below the middle is drawn in.
    """
    whole = [record for record in records if _value(record) is not None and record.measured is not None and not record.measured.pruned]
    middle = median(value for record in whole if (value := _value(record)) is not None) if whole else None
    found = [_worth(record, whole, middle) for record in records]
    known = [worth for worth in found if worth is not None]
    if not known:
        return [0.0] * len(found)
    lowest = _floor(known)
    return [max(worth, lowest) if worth is not None else max(min(known), lowest) for worth in found]


def _floor(known: Sequence[float]) -> float:
    centre, best = median(known), max(known)
    return centre - _TAIL * (best - centre) if best > centre else min(known)


def _value(record: Record) -> float | None:
    return record.measured.value if record.measured is not None else None


def _worth(record: Record, whole: Sequence[Record], middle: float | None) -> float | None:
    measured = record.measured
    assert measured is not None
    if measured.value is None or not measured.pruned or middle is None or not measured.curve:
        return measured.value
    share = measured.curve[-1].share
    rises = [value - at for other in whole if (value := _value(other)) is not None and (at := curve_of(other).at(share)) is not None]
    return min(measured.value + max(median(rises), 0.0), middle) if rises else min(measured.value, middle)
