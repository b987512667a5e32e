"""Measures of answers that are sets of labels, from counts per label.

The labels are those that stand in the references. One that is answered and stands in none is wrong: it counts against
micro F1 and Hamming loss, and has no part in macro F1. A row without labels that is answered so is right.

Statistics [R, 3 + 3K], sparse: same set, 1, labels answered that are none of the K, then for K labels true, answered, both.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tunesmith.score.measures import Floats, Measure
from tunesmith.score.prediction import Prediction

if TYPE_CHECKING:
    from scipy.sparse import csr_array


def _sets(predictions: Sequence[Prediction]) -> list[tuple[frozenset[str], frozenset[str]]] | None:
    """The labels of each reference and answer; None where a row has none of the kind."""
    if any(not isinstance(one.truth, tuple) or not isinstance(one.found, tuple) for one in predictions):
        return None
    return [(frozenset(map(str, one.truth or ())), frozenset(map(str, one.found or ()))) for one in predictions]  # type: ignore[arg-type]


def same(predictions: Sequence[Prediction]) -> NDArray[np.bool_] | None:
    """Which answers are the reference's set, [R]."""
    sets = _sets(predictions)
    return None if sets is None else np.array([truth == found for truth, found in sets], dtype=np.bool_)


def tabulate(predictions: Sequence[Prediction]) -> "csr_array | None":
    """Counts of each row, [R, 3 + 3K]; None where a row has no sets."""
    sets = _sets(predictions)
    if sets is None:
        return None
    from scipy.sparse import csr_array

    place = {label: index for index, label in enumerate(sorted(set().union(*(truth for truth, _ in sets))))}
    labels = len(place)
    cells: list[tuple[int, int, float]] = []
    for row, (truth, found) in enumerate(sets):
        cells += [(row, 0, float(truth == found)), (row, 1, 1.0), (row, 2, float(sum(label not in place for label in found)))]
        cells += [(row, 3 + place[label], 1.0) for label in truth]
        cells += [(row, 3 + labels + place[label], 1.0) for label in found if label in place]
        cells += [(row, 3 + 2 * labels + place[label], 1.0) for label in truth & found]
    rows, columns, values = zip(*cells, strict=True)
    table: csr_array = csr_array((values, (rows, columns)), shape=(len(sets), 3 + 3 * labels), dtype=np.float64)
    return table


def _labels(sums_BS: Floats) -> tuple[Floats, Floats, Floats]:
    """True, answered and both, each [B, K]."""
    labels = (sums_BS.shape[1] - 3) // 3
    return sums_BS[:, 3 : 3 + labels], sums_BS[:, 3 + labels : 3 + 2 * labels], sums_BS[:, 3 + 2 * labels :]


def _share(part: Floats, whole: Floats) -> Floats:
    """part / whole, 0 where the whole is 0."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def micro_f1(sums_BS: Floats) -> Floats:
    """Twice the labels in common over all labels, true and answered."""
    true, answered, both = _labels(sums_BS)
    return _share(2 * both.sum(axis=1), true.sum(axis=1) + answered.sum(axis=1) + sums_BS[:, 2])


def macro_f1(sums_BS: Floats) -> Floats:
    """Mean of each label's F1 over the labels that are true somewhere."""
    true, answered, both = _labels(sums_BS)
    present = true > 0
    f1 = _share(2 * both, true + answered)
    return _share((f1 * present).sum(axis=1), present.sum(axis=1).astype(np.float64))


def subset_accuracy(sums_BS: Floats) -> Floats:
    """Rows whose whole set is right over rows."""
    return _share(sums_BS[:, 0], sums_BS[:, 1])


def hamming_loss(sums_BS: Floats) -> Floats:
    """Labels that are missing or too many, over rows times labels; at most 1."""
    true, answered, both = _labels(sums_BS)
    wrong = true.sum(axis=1) + answered.sum(axis=1) + sums_BS[:, 2] - 2 * both.sum(axis=1)
    return np.minimum(1.0, _share(wrong, sums_BS[:, 1] * true.shape[1]))


MICRO_F1 = Measure(name="labels_micro_f1", title="micro F1", tabulate=tabulate, value=micro_f1)
MACRO_F1 = Measure(name="labels_macro_f1", title="macro F1", tabulate=tabulate, value=macro_f1)
SUBSET_ACCURACY = Measure(name="subset_accuracy", title="subset accuracy", tabulate=tabulate, value=subset_accuracy, right=same)
HAMMING_LOSS = Measure(name="hamming_loss", title="Hamming loss", tabulate=tabulate, value=hamming_loss, higher_is_better=False)
