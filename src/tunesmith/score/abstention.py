"""When to say nothing: the risk at each coverage, and the least confidence from which a stated risk is kept.

The promise: with 95% certainty over the rows it was found on, answers from the threshold on are wrong in at most the stated
share of new rows like them. Thresholds come from a fixed grid (`score.calibration.EDGES_K`) and are tested from the strictest to
the loosest, each by Clopper and Pearson's one-sided upper bound (1934). The 5% are divided evenly among up to four starts, and
what a threshold that holds was tested at passes on to the next: the fallback procedure (Wiens, 2003), of which fixed-sequence
testing is the case of one start; as multi-start testing in Learn then Test (Angelopoulos et al., 2021, section 2.3). All errors
together stay at 5% however many thresholds are tried and however risk and confidence hang together. Which grid points are tried
depends on how many rows reach them, never on which are right; given these numbers, the wrong ones are binomial.

Rows that come in groups are counted at their effective number (Korn and Graubard, 1998, as in `grouped_share_interval`), and as
so many groups where none is wrong; with few groups this is an approximation.

It is exact where the confidences did not learn from these rows. Of a calibrator fitted on them, use its out-of-fold confidences.

Legend: R rows, T thresholds.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import DataError
from tunesmith.score.calibration import EDGES_K, cells
from tunesmith.score.measures import Floats
from tunesmith.score.resampling import Resamples

Cells = NDArray[np.int64]

DOUBT = 0.05
"""How often the promise may fail."""
STARTS = 4
"""Up to so many thresholds are tested without the one before having held."""
GROWTH = 1.1
"""Each threshold lets in so many times the rows of the last: fewer chances to stumble between."""
POINTS = 100
"""Points of the curve that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What answering the surest rows only would cost."""

    coverage: float
    """Share of rows answered."""
    risk: float
    """Share of these that are wrong."""
    confidence: float
    """The least sure of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """From which confidence on to answer."""

    confidence: float
    """Answer at this confidence or above."""
    risk: float
    """What is promised: at most this share of answers is wrong."""
    bound: float
    """The upper bound that was found, at most the risk."""
    answered: int
    """Rows that reach it."""
    wrong: int
    """Of these."""
    rows: int
    """Rows it was found on."""
    tried: int
    """Thresholds that were tested, for which the bound is corrected."""

    @property
    def coverage(self) -> float:
        """Share of rows answered."""
        return self.answered / self.rows

    def to_json(self) -> dict[str, Any]:
        """A plain dict, coverage in it."""
        return {name: getattr(self, name) for name in _SHARES + _COUNTS} | {"coverage": self.coverage}

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """The reverse; DataError for what can't be meant."""
        fields = value if isinstance(value, Mapping) else {}
        shares: dict[str, Any] = {name: fields.get(name) for name in _SHARES}
        counts: dict[str, Any] = {name: fields.get(name) for name in _COUNTS}
        sound = all(isinstance(one, int | float) and not isinstance(one, bool) and 0 <= one <= 1 for one in shares.values())
        sound = sound and all(isinstance(one, int) and not isinstance(one, bool) and one >= 0 for one in counts.values())
        if not sound or not fields["wrong"] <= fields["answered"] <= fields["rows"] or not fields["answered"]:
            raise DataError("The stored threshold's numbers can't be meant: calibrate the model again.")
        return cls(**shares, **counts)


_SHARES, _COUNTS = ("confidence", "risk", "bound"), ("answered", "wrong", "rows", "tried")


def curve(confidence_R: Floats, right_R: NDArray[np.bool_]) -> tuple[Point, ...]:
    """The risk-coverage curve (El-Yaniv and Wiener, 2010), surest first, equal confidences let in together; at most 100 points."""
    sure_T, answered_T, wrong_T = _steps(confidence_R, right_R)
    kept = np.unique(np.linspace(0, len(sure_T) - 1, min(POINTS, len(sure_T))).round().astype(np.int64))
    rows = len(confidence_R)
    return tuple(
        Point(coverage=float(answered_T[t] / rows), risk=float(wrong_T[t] / answered_T[t]), confidence=float(sure_T[t])) for t in kept
    )


def aurc(confidence_R: Floats, right_R: NDArray[np.bool_]) -> float:
    """Area under the risk-coverage curve (Geifman et al., 2019): the mean risk over the surest 1, 2, ... R rows.

    Among equal confidences, the mean over their orders: each lets in an equal part of what is wrong.
    """
    _, answered_T, wrong_T = _steps(confidence_R, right_R)
    among_R = np.arange(1, len(confidence_R) + 1)
    wrong_R = np.interp(among_R, np.concatenate([[0], answered_T]), np.concatenate([[0], wrong_T]))
    return float((wrong_R / among_R).mean())


def _steps(confidence_R: Floats, right_R: NDArray[np.bool_]) -> tuple[Floats, Cells, Cells]:
    """Distinct confidences falling, rows that reach each, and those of them that are wrong, each [T]."""
    if len(confidence_R) == 0:
        raise DataError("Risk of no rows was asked for: there must be at least one scored row.")
    order_R = np.argsort(-confidence_R, kind="stable")
    sorted_R = confidence_R[order_R]
    last_T: Cells = np.flatnonzero(np.append(sorted_R[1:] != sorted_R[:-1], True)).astype(np.int64)
    wrong_R: Cells = np.cumsum(~right_R[order_R], dtype=np.int64)
    return sorted_R[last_T], last_T + 1, wrong_R[last_T]


def upper_bound(wrong: float, rows: float, doubt: float = DOUBT) -> float:
    """Clopper and Pearson's one-sided upper bound of a share, at a certainty of 1 - doubt; fractions are fine."""
    from scipy.special import betaincinv

    return 1.0 if wrong >= rows else float(betaincinv(wrong + 1, rows - wrong, 1 - doubt))


def threshold(confidence_R: Floats, right_R: NDArray[np.bool_], risk: float, *, groups: Sequence[str] | None = None) -> Threshold | None:
    """The loosest threshold that keeps the risk at 95% certainty; None where no threshold can promise it.

    Args:
        risk: share of answers that may be wrong, above 0 and below 1.
        groups: the group of each row, [R], where rows belong together.

    Raises:
        DataError: no rows, or a risk that is no share.
    """
    if not 0 < risk < 1:
        raise DataError(f"A risk of {risk:g} was stated: it must be above 0 and below 1.")
    if len(confidence_R) == 0:
        raise DataError("A threshold was to be found on no rows: there must be at least one scored row.")
    drawn = Resamples(rows=len(confidence_R), groups=groups)
    cell_R, unit_R = cells(confidence_R), drawn.unit_R
    edges_T, tests = _tests(cell_R, unit_R, risk)
    found, carried = None, 0.0
    for at, share in tests:
        level = carried + share
        in_R = cell_R >= edges_T[at]
        wrong, answered = int((in_R & ~right_R).sum()), int(in_R.sum())
        if level == 0:
            continue
        bound = _grouped_bound(~right_R[in_R], unit_R[in_R], level) if drawn.grouped else upper_bound(wrong, answered, level)
        carried = level if bound <= risk else 0.0
        if carried:
            found = Threshold(
                confidence=float(EDGES_K[edges_T[at]]),
                risk=risk,
                bound=bound,
                answered=answered,
                wrong=wrong,
                rows=len(right_R),
                tried=len(tests),
            )
    return found


def _tests(cell_R: Cells, unit_R: Cells, risk: float) -> tuple[Cells, list[tuple[int, float]]]:
    """Cells that hold rows, falling, [T]; and which of these are tested, with what each is given of the doubt.

    The first start is where so many units answer that none wrong would do at its share of the doubt, then where twice and four
    times as many do, the last is everything; as many starts as the units allow. Between, thresholds that let in a tenth more rows.
    """
    edges_T, rows_T, units_T = _reaching(cell_R, unit_R)
    whole = int(units_T[-1])
    fitting = (count for count in range(STARTS, 0, -1) if _least(risk, DOUBT / count) * 2 ** max(0, count - 2) <= whole)
    starts = next(fitting, 0)
    if not starts:
        return edges_T, []
    due = [*(_least(risk, DOUBT / starts) * 2**start for start in range(starts - 1)), whole]
    tests: list[tuple[int, float]] = []
    units_before = rows_before = 0
    for at, (rows, units) in enumerate(zip(rows_T.tolist(), units_T.tolist(), strict=True)):
        begun = sum(units_before < one <= units for one in due)
        if begun or (tests and (rows >= GROWTH * rows_before or at == len(edges_T) - 1)):
            tests.append((at, DOUBT / starts * begun))
            units_before, rows_before = units, rows
    return edges_T, tests


def _reaching(cell_R: Cells, unit_R: Cells) -> tuple[Cells, Cells, Cells]:
    """Cells that hold rows, falling; how many rows are in each or above; how many units have one there; each [T]."""
    edges_T = np.unique(cell_R)[::-1]
    highest_U = np.zeros(int(unit_R.max()) + 1, dtype=np.int64)
    np.maximum.at(highest_U, unit_R, cell_R)
    rows_K, units_K = np.bincount(cell_R), np.bincount(highest_U, minlength=int(cell_R.max()) + 1)
    rows_T, units_T = (np.cumsum(count_K[::-1])[::-1][edges_T] for count_K in (rows_K, units_K))
    return edges_T, rows_T, units_T


def _least(risk: float, doubt: float) -> int:
    """Rows of which none may be wrong for the bound to keep the risk: (1 - risk)^rows <= doubt."""
    return math.ceil(math.log(doubt) / math.log1p(-risk) - 1e-12)


def _grouped_bound(wrong_N: NDArray[np.bool_], unit_N: Cells, doubt: float) -> float:
    """The upper bound over rows that belong together."""
    names, place_N = np.unique(unit_N, return_inverse=True)
    rows, units, wrong = len(wrong_N), len(names), int(wrong_N.sum())
    if wrong in (0, rows):
        return upper_bound(wrong / rows * units, units, doubt)
    if units == 1:
        return 1.0
    effective = _effective(wrong_N.astype(np.float64), place_N, doubt)
    return upper_bound(wrong / rows * effective, effective, doubt)


def _effective(wrong_N: Floats, place_N: Cells, doubt: float) -> float:
    """How many strangers would vary as much: share (1 - share) over the variance between units, shrunk by Student's t for few."""
    from scipy.special import ndtri
    from scipy.stats import t

    share, units = float(wrong_N.mean()), int(place_N.max()) + 1
    surplus_U = np.bincount(place_N, weights=wrong_N - share, minlength=units)
    variance = units / (units - 1) * float((surplus_U**2).sum()) / len(wrong_N) ** 2
    strangers = share * (1 - share) / variance if variance > 0 else float(len(wrong_N))
    return max(1.0, min(float(len(wrong_N)), strangers) * (float(ndtri(1 - doubt)) / float(t.isf(doubt, units - 1))) ** 2)
