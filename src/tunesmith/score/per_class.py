"""A table of the classes: how well each is told, which averages hide.

The classes are the references' labels, as in `score.classification`; an answer that is none of them is nobody's prediction.
Values equal scikit-learn's `precision_recall_fscore_support` with those labels and `zero_division=0`.

Every figure is a share of rows, or a function of one, so every interval is that of a share. Precision is the share right of the rows
answered so, recall of the rows that are so. F1 is 2J / (1 + J) of Jaccard's J = both / (answered or so), the share right of the rows
that have to do with the class at all, and rises with it: the ends of J's interval are those of F1. Where rows come in groups, each
counts as the number of strangers that would vary as much (`grouped_share_interval`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunesmith.score.intervals import Interval, grouped_share_interval, share_interval
from tunesmith.score.prediction import Prediction
from tunesmith.score.resampling import Resamples


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFigures:
    """One class."""

    label: str
    precision: Interval
    """Right among those answered so; 0, and anything possible, where none was."""
    recall: Interval
    """Right among those that are so."""
    f1: Interval
    support: int
    """Rows that are so."""
    answered: int
    """Rows answered so."""


def class_table(predictions: Sequence[Prediction], groups: Mapping[str, str] | None = None) -> tuple[ClassFigures, ...]:
    """The figures of every class, in order of name; none where there is no row.

    Args:
        predictions: one a row.
        groups: row id -> group, where rows of a group aren't independent; a row without one stands alone.
    """
    labels = sorted({one.reference for one in predictions})
    place = {label: index for index, label in enumerate(labels)}
    true_R = np.array([place[one.reference] for one in predictions], dtype=np.int64)
    answered_R = np.array([place.get(one.answer, -1) for one in predictions], dtype=np.int64)
    known = groups or {}
    names = [f"group {known[one.row_id]}" if one.row_id in known else f"row {place}" for place, one in enumerate(predictions)]
    return tuple(_figures(label, true_R == k, answered_R == k, names) for k, label in enumerate(labels))


def _figures(label: str, true_R: NDArray[np.bool_], answered_R: NDArray[np.bool_], names: Sequence[str]) -> ClassFigures:
    both_R = true_R & answered_R
    jaccard = _share(both_R, true_R | answered_R, names)
    return ClassFigures(
        label=label,
        precision=_share(both_R, answered_R, names),
        recall=_share(both_R, true_R, names),
        f1=Interval(*(2 * end / (1 + end) for end in (jaccard.value, jaccard.low, jaccard.high))),
        support=int(true_R.sum()),
        answered=int(answered_R.sum()),
    )


def _share(right_R: NDArray[np.bool_], among_R: NDArray[np.bool_], names: Sequence[str]) -> Interval:
    """The share right among some of the rows; 0 with an interval that says nothing where there are none."""
    among = np.flatnonzero(among_R)
    if not len(among):
        return Interval(0.0, 0.0, 1.0)
    own = [names[row] for row in among.tolist()]
    if len(set(own)) == len(own):
        return share_interval(float(right_R.sum()), float(len(among)))
    return grouped_share_interval(right_R[among].astype(np.float64), Resamples(rows=len(own), groups=own))


def worst_first(table: Sequence[ClassFigures]) -> list[ClassFigures]:
    """The table for reading: the smallest F1 first, of equals the class with more rows."""
    return sorted(table, key=lambda one: (one.f1.value, -one.support, one.label))
