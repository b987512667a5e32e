"""Rounds against one another, from their saved answers: paired over the same test rows, corrected for the pairs looked at.

Two rounds are compared where they answered the same rows, known by id, with the same references; else it is said why not. The difference
and its 95% interval are those of `score.paired`; p is two-sided, twice the smaller of both directions. A round is called better where
its p is at most 5% after Holm's correction (1979) over all pairs, and the interval agrees. Costs a bootstrap a pair for measures that
aren't shares, about a second at 3,000 rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from tunesmith.score.measures import Measure
from tunesmith.score.paired import Comparison, compare
from tunesmith.score.prediction import Prediction
from tunesmith.score.resampling import Resamples, units
from tunesmith.score.several import holm

LEVEL = 0.05
"""Of all pairs together."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A round and what its tuned model answered on test."""

    round_id: str
    predictions: Sequence[Prediction]
    groups: Mapping[str, str] | None = None
    """Row id -> group, where rows of a group aren't independent."""
    missing: str | None = None
    """What keeps it from being compared at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two rounds; figures are None where they can't be compared."""

    first: str
    second: str
    difference: float | None = None
    """How much better the first is, in the measure's unit, whichever way the measure runs."""
    low: float | None = None
    high: float | None = None
    p_corrected: float | None = None
    better: str | None = None
    """The round that is shown to be better."""
    rows: int | None = None
    why_not: str | None = None

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return asdict(self)


def between(answered: Sequence[Answered], measure: Measure, *, resamples: int = 2000, seed: int = 0) -> list[Pair]:
    """Every pair of rounds, in the order given.

    Args:
        answered: two rounds or more.
        measure: what they are compared by.
        resamples: bootstrap resamples behind each interval that isn't exact.
        seed: of the resamples.
    """
    made = [_raw(one, other, measure, resamples, seed) for one, other in combinations(answered, 2)]
    tested = [p_value for _, p_value in made if p_value is not None]
    corrected = iter(holm(tested, len(tested)))
    return [pair if p_value is None else _decided(pair, next(corrected)) for pair, p_value in made]


def _raw(one: Answered, other: Answered, measure: Measure, resamples: int, seed: int) -> tuple[Pair, float | None]:
    """A pair with its two-sided p, before any correction."""
    ours, theirs = _sorted(one), _sorted(other)
    why_not = one.missing or other.missing or _apart(ours, theirs)
    if why_not is None:
        groups = one.groups if one.groups is not None else other.groups
        names = units([row.row_id for row in ours], groups)
        drawn = Resamples(rows=len(ours), count=resamples, seed=seed, groups=names)
        found, turned = compare(measure, ours, theirs, drawn), compare(measure, theirs, ours, drawn)
        if found is not None and turned is not None:
            return _pair(one, other, found, len(ours)), min(1.0, 2 * min(found.p_value, turned.p_value))
        why_not = f"their answers don't hold what {measure.title} is told from"
    return Pair(first=one.round_id, second=other.round_id, why_not=why_not), None


def _sorted(one: Answered) -> list[Prediction]:
    return sorted(one.predictions, key=lambda row: row.row_id)


def _apart(ours: Sequence[Prediction], theirs: Sequence[Prediction]) -> str | None:
    """Why the answers can't be paired; None where they can."""
    if not ours or not theirs:
        return "the answers of one are missing"
    one, other = ({row.row_id: row.reference for row in rows} for rows in (ours, theirs))
    if one.keys() != other.keys():
        shared = len(one.keys() & other.keys())
        return f"they answered different test rows ({shared:,} in common, of {len(one):,} and {len(other):,})"
    if one != other:
        changed = sum(one[key] != other[key] for key in one)
        return f"{changed:,} of their test rows have another reference"
    return None


def _pair(one: Answered, other: Answered, found: Comparison, rows: int) -> Pair:
    return Pair(first=one.round_id, second=other.round_id, difference=found.difference, low=found.low, high=found.high, rows=rows)


def _decided(pair: Pair, p_corrected: float) -> Pair:
    """With its corrected p, and which round is better."""
    figures = asdict(pair)
    low, high = pair.low or 0.0, pair.high or 0.0
    shown = p_corrected <= LEVEL and (low > 0 or high < 0)
    return Pair(**figures | {"p_corrected": p_corrected, "better": (pair.first if low > 0 else pair.second) if shown else None})
