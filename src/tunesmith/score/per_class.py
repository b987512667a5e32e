"""A table of the classes: how well each is told, which averages hide.

The classes are the references' labels, as in `score.classification`; an answer that is none of them is nobody's prediction.
Values equal scikit-learn's `precision_recall_fscore_support` with those labels and `zero_division=0`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tunesmith.score.classification import tabulate
from tunesmith.score.intervals import Interval, share_interval
from tunesmith.score.prediction import Prediction


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFigures:
    """One class."""

    label: str
    precision: float
    """Right among those answered so; 0 where none was."""
    recall: Interval
    """Right among those that are so, with its interval as of independent rows."""
    f1: float
    support: int
    """Rows that are so."""
    answered: int
    """Rows answered so."""


def class_table(predictions: Sequence[Prediction]) -> tuple[ClassFigures, ...]:
    """The figures of every class, in order of name; none where there is no row."""
    if not predictions:
        return ()
    labels = sorted({one.reference for one in predictions})
    counts = np.asarray(tabulate(predictions).sum(axis=0)).ravel()[2:].reshape(3, len(labels)).astype(int)
    return tuple(
        ClassFigures(
            label=label,
            precision=int(both) / int(answered) if answered else 0.0,
            recall=share_interval(float(both), float(true)),
            f1=2 * int(both) / int(true + answered),
            support=int(true),
            answered=int(answered),
        )
        for label, true, answered, both in zip(labels, *counts, strict=True)
    )


def worst_first(table: Sequence[ClassFigures]) -> list[ClassFigures]:
    """The table for reading: the smallest F1 first, of equals the class with more rows."""
    return sorted(table, key=lambda one: (one.f1, -one.support, one.label))
