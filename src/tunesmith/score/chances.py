"""Predictions as arrays of probabilities: what figures, calibrators and thresholds of confidence are made from.

Answers that are labels carry the probability of each label. Answers that are text carry one confidence at most: these become
a question of two labels, whether the answer is right. Zeros and rounding are fine; what is no probability is refused.

Legend: R rows, C labels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import DataError
from tunesmith.score.measures import Floats
from tunesmith.score.prediction import Prediction
from tunesmith.score.text import exact

Indices = NDArray[np.int64]
Right = Callable[[Sequence[Prediction]], NDArray[np.bool_] | None]
"""Which answers are right, [R]; None where that can't be told of these."""
JUDGED = ("wrong", "right")
"""The two labels of an answer that is text."""
NEAR_ONE = 1e-3
"""How far from 1 the probabilities of a row may sum, through rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Chances:
    """Probabilities of rows, what is true of them, and what was answered."""

    labels: tuple[str, ...]
    """In order of name; `JUDGED` where answers are texts."""
    judged: bool
    """Whether the labels are `JUDGED`."""
    p_RC: Floats
    """Rows sum to 1."""
    label_R: Indices
    """The true label's place; -1 where it is none of the labels, and then no answer is right."""
    answer_R: Indices
    """The place of the label whose probability is the answer's confidence: of texts always `right`."""

    @property
    def logp_RC(self) -> Floats:
        """Natural logarithms; -inf for zeros."""
        with np.errstate(divide="ignore"):
            return np.log(self.p_RC)

    @property
    def confidence_R(self) -> Floats:
        """Probability of each answer."""
        found: Floats = self.p_RC[np.arange(len(self.p_RC)), self.answer_R]
        return found

    @property
    def right_R(self) -> NDArray[np.bool_]:
        """Which answers are right."""
        return np.asarray(self.label_R == self.answer_R, dtype=np.bool_)

    def replaced(self, p_RC: Floats) -> "Chances":
        """The same rows under other probabilities, each answered with its most probable label; texts keep their answers."""
        answer_R = self.answer_R if self.judged else most_probable(p_RC, self.p_RC)
        return Chances(self.labels, self.judged, p_RC, self.label_R, answer_R)


def most_probable(p_RC: Floats, before_RC: Floats) -> Indices:
    """The place of the most probable label of each row; among equals (steps make many) the one that was likelier before."""
    top_R1 = p_RC.max(axis=1, keepdims=True)
    equal_RC = p_RC >= top_R1 * (1 - 1e-9)
    return np.asarray(np.argmax(np.where(equal_RC, before_RC, -1.0), axis=1), dtype=np.int64)


def chances_of(predictions: Sequence[Prediction], labels: Sequence[str] | None = None, *, right: Right = exact) -> Chances | None:
    """The rows' probabilities; None where some row has neither probabilities of labels nor a confidence.

    Args:
        labels: those that every row must have; the first row's where absent.
        right: which answers that are texts are right; None too where it can't tell.

    Raises:
        DataError: no rows, rows of different labels, or numbers that are no probabilities.
    """
    if not predictions:
        raise DataError("Probabilities of no rows were asked for: there must be at least one scored row.")
    if all(one.chances for one in predictions):
        return _labelled(predictions, tuple(sorted(labels if labels is not None else predictions[0].chances or ())))
    if all(one.confidence is not None for one in predictions):
        return _judged(predictions, right)
    return None


def _labelled(predictions: Sequence[Prediction], labels: tuple[str, ...]) -> Chances:
    known = set(labels)
    for one in predictions:
        if set(one.chances or ()) != known:
            odd = sorted(known.symmetric_difference(one.chances or ()))[0]
            raise DataError(
                f"Row {one.row_id}'s probabilities are of other labels ({odd!r} is in one set only): score all rows with one set."
            )
    p_RC = np.array([[(one.chances or {})[label] for label in labels] for one in predictions], dtype=np.float64)
    sums_R = p_RC.sum(axis=1)
    wrong_R = ~(np.isfinite(p_RC).all(axis=1) & (p_RC >= 0).all(axis=1) & (np.abs(sums_R - 1) <= NEAR_ONE))
    if wrong_R.any():
        row = int(np.argmax(wrong_R))
        raise DataError(
            f"Row {predictions[row].row_id}'s probabilities sum to {sums_R[row]:g}: they must be 0 to 1 and sum to 1; score it anew."
        )
    place = {label: index for index, label in enumerate(labels)}
    label_R = np.array([place.get(one.reference, -1) for one in predictions], dtype=np.int64)
    p_RC = p_RC / sums_R[:, None]
    said_R = np.array([place.get(one.answer, -1) for one in predictions], dtype=np.int64)
    favoured_RC = p_RC + (said_R[:, None] == np.arange(len(labels)))  # of equals, the one that was answered
    return Chances(labels, False, p_RC, label_R, most_probable(p_RC, favoured_RC))


def _judged(predictions: Sequence[Prediction], right: Right) -> Chances | None:
    right_R = right(predictions)
    if right_R is None:
        return None
    sure_R = np.array([one.confidence for one in predictions], dtype=np.float64)
    wrong_R = ~((sure_R >= 0) & (sure_R <= 1 + NEAR_ONE))
    if wrong_R.any():
        row = int(np.argmax(wrong_R))
        raise DataError(f"Row {predictions[row].row_id} has a confidence of {sure_R[row]:g}: it must be 0 to 1; score it anew.")
    sure_R = np.minimum(sure_R, 1.0)
    p_R2 = np.column_stack([1 - sure_R, sure_R])
    return Chances(JUDGED, True, p_R2, right_R.astype(np.int64), np.ones(len(sure_R), dtype=np.int64))
