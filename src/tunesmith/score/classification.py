"""Measures of answers that are labels, from counts per class.

The classes are the labels that stand in the references; an answer that is none of them (a wrong word, a label the
test rows don't hold) is wrong and is nobody's prediction. Values equal scikit-learn's with `labels=` the references'
labels and `zero_division=0`. In a resample, classes that no drawn row refers to don't enter the macro averages.

Statistics [R, 2 + 3K], sparse: right, rows, then for K classes true, predicted, both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tunesmith.score.measures import Floats, Measure
from tunesmith.score.prediction import Prediction

if TYPE_CHECKING:
    from scipy.sparse import csr_array

OTHER = "(another answer)"
"""The column of a confusion matrix for answers that are none of its labels."""


def right(predictions: Sequence[Prediction]) -> NDArray[np.bool_]:
    """Which answers are the reference's label, letter for letter, [R]."""
    return np.array([prediction.answer == prediction.reference for prediction in predictions], dtype=np.bool_)


def tabulate(predictions: Sequence[Prediction]) -> "csr_array":
    """Counts of each row, [R, 2 + 3K]."""
    from scipy.sparse import csr_array

    place = {label: index for index, label in enumerate(sorted({prediction.reference for prediction in predictions}))}
    classes, rows = len(place), len(predictions)
    true_R = np.array([place[prediction.reference] for prediction in predictions], dtype=np.int64)
    answered_R = np.array([place.get(prediction.answer, -1) for prediction in predictions], dtype=np.int64)
    every = np.arange(rows)
    known, hit = every[answered_R >= 0], every[answered_R == true_R]
    row = np.concatenate([hit, every, every, known, hit])
    column = np.concatenate(
        [
            np.zeros(len(hit), dtype=np.int64),
            np.ones(rows, dtype=np.int64),
            2 + true_R,
            2 + classes + answered_R[known],
            2 + 2 * classes + true_R[hit],
        ]
    )
    table: csr_array = csr_array((np.ones(len(row)), (row, column)), shape=(rows, 2 + 3 * classes), dtype=np.float64)
    return table


def _classes(sums_BS: Floats) -> tuple[Floats, Floats, Floats]:
    """True, predicted and both, each [B, K]."""
    classes = (sums_BS.shape[1] - 2) // 3
    return sums_BS[:, 2 : 2 + classes], sums_BS[:, 2 + classes : 2 + 2 * classes], sums_BS[:, 2 + 2 * classes :]


def _share(part: Floats, whole: Floats) -> Floats:
    """part / whole, 0 where the whole is 0."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _macro(score_BK: Floats, true_BK: Floats) -> Floats:
    """The mean over the classes that are referred to."""
    present = true_BK > 0
    return _share((score_BK * present).sum(axis=1), present.sum(axis=1).astype(np.float64))


def accuracy(sums_BS: Floats) -> Floats:
    """Right answers over rows."""
    return _share(sums_BS[:, 0], sums_BS[:, 1])


def macro_precision(sums_BS: Floats) -> Floats:
    """Mean over classes of: right among those answered so."""
    true, predicted, both = _classes(sums_BS)
    return _macro(_share(both, predicted), true)


def macro_recall(sums_BS: Floats) -> Floats:
    """Mean over classes of: right among those that are so."""
    true, _, both = _classes(sums_BS)
    return _macro(_share(both, true), true)


def macro_f1(sums_BS: Floats) -> Floats:
    """Mean over classes of 2 both / (true + predicted)."""
    true, predicted, both = _classes(sums_BS)
    return _macro(_share(2 * both, true + predicted), true)


def micro_precision(sums_BS: Floats) -> Floats:
    """Right answers over answers that are a class."""
    _, predicted, both = _classes(sums_BS)
    return _share(both.sum(axis=1), predicted.sum(axis=1))


def micro_f1(sums_BS: Floats) -> Floats:
    """Twice the right answers over rows plus answers that are a class."""
    true, predicted, both = _classes(sums_BS)
    return _share(2 * both.sum(axis=1), true.sum(axis=1) + predicted.sum(axis=1))


def mcc(sums_BS: Floats) -> Floats:
    """Matthews correlation for many classes (Gorodkin, 2004, R_K); answers that are no class count as one more."""
    true, predicted, _ = _classes(sums_BS)
    rows, hits = sums_BS[:, 1], sums_BS[:, 0]
    other = rows - predicted.sum(axis=1)
    spread_true = rows**2 - (true**2).sum(axis=1)
    spread_predicted = rows**2 - (predicted**2).sum(axis=1) - other**2
    covariance = hits * rows - (true * predicted).sum(axis=1)
    return _share(covariance, np.sqrt(np.maximum(spread_true, 0) * np.maximum(spread_predicted, 0)))


ACCURACY = Measure(name="accuracy", title="accuracy", tabulate=tabulate, value=accuracy, right=right)
BALANCED_ACCURACY = Measure(name="balanced_accuracy", title="balanced accuracy", tabulate=tabulate, value=macro_recall)
MACRO_PRECISION = Measure(name="macro_precision", title="macro precision", tabulate=tabulate, value=macro_precision)
MACRO_RECALL = Measure(name="macro_recall", title="macro recall", tabulate=tabulate, value=macro_recall)
MACRO_F1 = Measure(name="macro_f1", title="macro F1", tabulate=tabulate, value=macro_f1)
MICRO_PRECISION = Measure(name="micro_precision", title="micro precision", tabulate=tabulate, value=micro_precision)
MICRO_RECALL = Measure(name="micro_recall", title="micro recall", tabulate=tabulate, value=accuracy, right=right)
MICRO_F1 = Measure(name="micro_f1", title="micro F1", tabulate=tabulate, value=micro_f1)
MCC = Measure(name="mcc", title="Matthews correlation", tabulate=tabulate, value=mcc, low=-1.0, scale=1.0, unit="")


@dataclass(frozen=True, slots=True)
class Confusion:
    """Who was taken for whom."""

    labels: tuple[str, ...]
    """Labels of the references in order of name; `OTHER` last where some answer is none of them."""
    counts: tuple[tuple[int, ...], ...]
    """counts[i][j]: rows whose reference is label i and whose answer is label j."""


def confusion(predictions: Sequence[Prediction]) -> Confusion:
    """Count every pair of reference and answer; the counts add up to the rows."""
    labels = sorted({prediction.reference for prediction in predictions})
    if any(prediction.answer not in set(labels) for prediction in predictions):
        labels.append(OTHER)
    place = {label: index for index, label in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels)), dtype=np.int64)
    for prediction in predictions:
        counts[place[prediction.reference], place.get(prediction.answer, len(labels) - 1)] += 1
    return Confusion(tuple(labels), tuple(tuple(int(count) for count in line) for line in counts))
