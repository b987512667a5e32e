"""How far probabilities can be believed: expected calibration error, Brier score, log loss, the reliability diagram.

Calibration error (ECE) is over bins of equal mass (Nixon et al., 2019): 15, fewer where one would hold under 20 rows. Equal
confidences are never parted, and confidences within a tenth of a unit of log-odds (at most 2.5 points of probability) go
together: these fixed cells are what lets ECE be bootstrapped. Each resample is divided into its own bins by its own mass.

ECE of few rows is above 0 by chance alone, for a perfect model too: `by_chance` says by how much, and stands beside it.
`error_interval` takes that into account and is what figures carry. The bootstrap interval that the measure `ece` gets, like every
other measure, does not: it lies high, so its upper end may be relied on and its lower end proves nothing.

Legend: R rows, C labels, K cells, B resamples.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.score.chances import Chances, chances_of
from tunesmith.score.intervals import TAIL, Interval, grouped_share_interval, share_interval
from tunesmith.score.measures import Floats, Measure
from tunesmith.score.prediction import Prediction
from tunesmith.score.resampling import Resamples
from tunesmith.score.text import mean

if TYPE_CHECKING:
    from scipy.sparse import csr_array

BINS = 15
"""Bins of the calibration error and of the diagram, as in Guo et al. (2017)."""
LEAST_IN_BIN = 20
"""Rows a bin holds at least, where there are so many: fewer rows, fewer bins."""
REACH, STEP = 14.0, 0.1
"""Cells run from -14 to 14 in log-odds (confidences of one in a million, and of all but one), so far apart."""
CELLS = round(2 * REACH / STEP) + 1
DRAWS = 500
"""Resamples behind ECE's own interval."""
LEAST_CHANCE = 1e-12
"""What log loss takes for a probability of 0: a row costs 27.6 at most."""
EDGES_K: Floats = 1.0 / (1.0 + np.exp(REACH - STEP * np.arange(CELLS)))
EDGES_K[0] = 0.0
"""The least confidence of each cell; fixed, whatever the rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Rows of about the same confidence, and how many of their answers are right: a point of the reliability diagram."""

    confidence: float
    """Mean over the rows."""
    accuracy: float
    low: float
    """95% interval of the accuracy (`score.intervals`)."""
    high: float
    count: int
    least: float
    """Confidence of the least sure row."""
    most: float
    """Confidence of the surest row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What probabilities are worth."""

    rows: int
    accuracy: float
    confidence: float
    """Mean confidence; above the accuracy where the model is too sure."""
    ece: float
    """Mean distance between confidence and accuracy over bins of equal mass, 0 to 1."""
    ece_low: float
    """95% interval (`error_interval`)."""
    ece_high: float
    by_chance: float
    """The ECE that perfectly calibrated answers of these confidences would show by chance."""
    brier: float
    """Mean over rows of the squared distance of the probabilities from the truth, 0 to 2."""
    nll: float
    """Mean over rows of - ln of the true label's probability."""
    diagram: tuple[Bin, ...]
    """By rising confidence; no bin is empty."""

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return asdict(self)


def cells(confidence_R: Floats) -> NDArray[np.int64]:
    """The cell of each confidence: the last whose edge it reaches, [R] in 0 to CELLS - 1."""
    place_R: NDArray[np.int64] = np.searchsorted(EDGES_K, confidence_R, side="right").astype(np.int64) - 1
    return place_R


def bins_of_cells(count_BK: Floats) -> NDArray[np.int64]:
    """Each cell's bin, by the middle of its rows in the order of confidence, [B, K] in 0 to BINS - 1."""
    total_B = count_BK.sum(axis=1)
    bins_B = np.clip(total_B // LEAST_IN_BIN, 1, BINS)
    middle_BK = np.cumsum(count_BK, axis=1) - count_BK / 2
    share_BK = middle_BK / np.maximum(total_B, 1.0)[:, None]
    bin_BK: NDArray[np.int64] = np.minimum(share_BK * bins_B[:, None], bins_B[:, None] - 1).astype(np.int64)
    return bin_BK


def tabulate_gaps(predictions: Sequence[Prediction]) -> "csr_array | None":
    """In each row's cell a 1 (first K columns) and confidence less rightness (the others), [R, 2K], sparse."""
    from scipy.sparse import csr_array

    chances = chances_of(predictions)
    if chances is None:
        return None
    rows, cell_R = len(predictions), cells(chances.confidence_R)
    values = np.concatenate([np.ones(rows), chances.confidence_R - chances.right_R])
    places = (np.tile(np.arange(rows), 2), np.concatenate([cell_R, CELLS + cell_R]))
    table: csr_array = csr_array((values, places), shape=(rows, 2 * CELLS), dtype=np.float64)
    return table


def calibration_error(sums_BS: Floats) -> Floats:
    """ECE of each resample: over its bins, the sizes of their summed gaps, by all rows."""
    kinds = sums_BS.shape[1] // 2
    count_BK, gap_BK = sums_BS[:, :kinds], sums_BS[:, kinds:]
    bin_BK = bins_of_cells(count_BK)
    apart_B = np.zeros(len(sums_BS))
    for bin_ in range(BINS):
        apart_B += np.abs(np.where(bin_BK == bin_, gap_BK, 0.0).sum(axis=1))
    error_B: Floats = apart_B / np.maximum(count_BK.sum(axis=1), 1.0)
    return error_B


def error_interval(confidence_R: Floats, right_R: NDArray[np.bool_], groups: Sequence[str] | None = None) -> Interval:
    """ECE and its 95% interval, seeded; rows of a group are drawn together.

    Chance lifts the ECE of rows above the truth, and that of resamples above the rows'. So the lower end is the rows' ECE less
    what chance makes alone at its 97.5% point, found on resamples of gaps that are freed of each bin's mean: by the triangle
    inequality the truth is no lower, and a calibrated model's interval reaches 0. The upper end is the outer one of the
    percentile and the basic bootstrap's (Davison and Hinkley, 1997, sections 5.2 and 5.3).
    """
    from scipy.sparse import csr_array

    held_K, place_R = np.unique(cells(confidence_R), return_inverse=True)
    gap_R, kinds = confidence_R - right_R, len(held_K)
    bin_R = bins_of_cells(np.bincount(place_R).astype(np.float64)[None, :])[0][place_R]
    mean_R = (np.bincount(bin_R, weights=gap_R) / np.maximum(np.bincount(bin_R), 1))[bin_R]
    values = np.concatenate([np.ones(len(gap_R)), gap_R, gap_R - mean_R])
    places = (np.tile(np.arange(len(gap_R)), 3), np.concatenate([place_R, kinds + place_R, 2 * kinds + place_R]))
    table_RS: csr_array = csr_array((values, places), shape=(len(gap_R), 3 * kinds))
    drawn_BS = Resamples(rows=len(gap_R), count=DRAWS, groups=groups).sums(table_RS)
    value = float(calibration_error(np.asarray(table_RS.sum(axis=0)).reshape(1, -1)[:, : 2 * kinds])[0])
    chance = np.quantile(calibration_error(np.delete(drawn_BS, np.s_[kinds : 2 * kinds], axis=1)), 1 - TAIL)
    least, most = np.quantile(calibration_error(drawn_BS[:, : 2 * kinds]), [TAIL, 1 - TAIL])
    return Interval(value, max(0.0, value - float(chance)), max(value, min(1.0, max(float(most), 2 * value - float(least)))))


def brier_of(chances: Chances) -> Floats:
    """The squared distance of each row's probabilities from the truth (Brier, 1950), [R], 0 to 2."""
    found: Floats = (chances.p_RC**2).sum(axis=1) - 2 * _of_truth(chances) + 1
    return np.asarray(np.maximum(found, 0.0), dtype=np.float64)  # rounding may go below


def nll_of(chances: Chances) -> Floats:
    """- ln of the true label's probability, [R], at most 27.6; so much too where the truth is none of the labels."""
    found: Floats = -np.log(np.maximum(_of_truth(chances), LEAST_CHANCE))
    return np.abs(found)  # no negative zero


def _of_truth(chances: Chances) -> Floats:
    known_R = chances.label_R >= 0
    return np.where(known_R, chances.p_RC[np.arange(len(known_R)), np.maximum(chances.label_R, 0)], 0.0)


def tabulate_brier(predictions: Sequence[Prediction]) -> Floats | None:
    """Squared distance and 1, [R, 2]."""
    chances = chances_of(predictions)
    return None if chances is None else np.column_stack([brier_of(chances), np.ones(len(predictions))])


def tabulate_nll(predictions: Sequence[Prediction]) -> Floats | None:
    """Log loss and 1, [R, 2]."""
    chances = chances_of(predictions)
    return None if chances is None else np.column_stack([nll_of(chances), np.ones(len(predictions))])


def diagram(confidence_R: Floats, right_R: NDArray[np.bool_], groups: Sequence[str] | None = None) -> tuple[Bin, ...]:
    """The reliability diagram's points over the same bins as ECE's; rows of a group count for less (`grouped_share_interval`)."""
    cell_R = cells(confidence_R)
    bin_R = bins_of_cells(np.bincount(cell_R, minlength=CELLS).astype(np.float64)[None, :])[0][cell_R]
    return tuple(_bin(np.flatnonzero(bin_R == bin_), confidence_R, right_R, groups) for bin_ in np.unique(bin_R))


def _bin(held_N: NDArray[np.int64], confidence_R: Floats, right_R: NDArray[np.bool_], groups: Sequence[str] | None) -> Bin:
    sure_N, hit_N = confidence_R[held_N], right_R[held_N].astype(np.float64)
    resamples = Resamples(rows=len(held_N), groups=None if groups is None else [groups[row] for row in held_N])
    around = grouped_share_interval(hit_N, resamples) if resamples.grouped else share_interval(float(hit_N.sum()), float(len(hit_N)))
    return Bin(
        confidence=float(sure_N.mean()),
        accuracy=around.value,
        low=around.low,
        high=around.high,
        count=len(held_N),
        least=float(sure_N.min()),
        most=float(sure_N.max()),
    )


def by_chance(confidence_R: Floats) -> float:
    """The ECE to be expected of perfectly calibrated answers: sqrt(2 / pi) of each bin's standard error, the normal's mean size."""
    cell_R = cells(confidence_R)
    bin_R = bins_of_cells(np.bincount(cell_R, minlength=CELLS).astype(np.float64)[None, :])[0][cell_R]
    variance = np.bincount(bin_R, weights=confidence_R * (1 - confidence_R))
    return float(np.sqrt(2 / np.pi * np.maximum(variance, 0.0)).sum() / len(confidence_R))


def figures(chances: Chances, groups: Sequence[str] | None = None) -> Figures:
    """All figures of one set of probabilities.

    Args:
        groups: the group of each row, [R], where rows belong together; intervals of the diagram widen with it.
    """
    confidence_R, right_R = chances.confidence_R, chances.right_R
    points, error = diagram(confidence_R, right_R, groups), error_interval(confidence_R, right_R, groups)
    return Figures(
        rows=len(right_R),
        accuracy=float(right_R.mean()),
        confidence=float(confidence_R.mean()),
        ece=error.value,
        ece_low=error.low,
        ece_high=error.high,
        by_chance=by_chance(confidence_R),
        brier=float(brier_of(chances).mean()),
        nll=float(nll_of(chances).mean()),
        diagram=points,
    )


ECE = Measure(name="ece", title="calibration error", tabulate=tabulate_gaps, value=calibration_error, higher_is_better=False)
BRIER = Measure(
    name="brier", title="Brier score", tabulate=tabulate_brier, value=mean, higher_is_better=False, high=2.0, scale=1.0, unit=""
)
NLL = Measure(
    name="nll", title="log loss", tabulate=tabulate_nll, value=mean, higher_is_better=False, high=float("inf"), scale=1.0, unit=""
)
