"""Measures of how well probabilities rank the rows of a class above the others: areas under the ROC and precision-recall curves.

One class against the rest, then the mean over the classes of the references (macro). Values equal scikit-learn's
`roc_auc_score` and `average_precision_score` with `average="macro"` on indicators of those classes, weights included.
A label that a prediction gives no chance to has 0; where some prediction gives none at all, there is no value.

No area is a function of sums over rows, so a resample costs a pass over all rows for each class: 2,000 resamples of 3,000
rows and 77 classes are about half a billion steps, some seconds. In a resample, a class that is not drawn, or for the ROC
curve one that is all that is drawn, has no part in the mean.

Statistics [R, 2K]: the chance of each class, then 1 for the class that is true.

Legend: R rows, K classes, B resamples, P rows of a class, N others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tunesmith.score.measures import Floats, Measure, Weighing
from tunesmith.score.prediction import Prediction

if TYPE_CHECKING:
    from scipy.sparse import csr_array

CHANCE = 0.5
"""The area under the ROC curve where nothing can be told apart."""


def tabulate(predictions: Sequence[Prediction]) -> Floats | None:
    """The chance of each class of the references and which is true, [R, 2K]; None where a row has no chances, or one that is no number."""
    if any(one.chances is None for one in predictions):
        return None
    labels = sorted({one.reference for one in predictions})
    chance_RK = np.array([[(one.chances or {}).get(label, 0.0) for label in labels] for one in predictions], dtype=np.float64)
    if not np.isfinite(chance_RK).all():
        return None
    true_RK = np.array([[one.reference == label for label in labels] for one in predictions], dtype=np.float64)
    return np.hstack([chance_RK, true_RK])


@dataclass(frozen=True, slots=True)
class Ranked:
    """One class's rows and the others, each in order of the class's chance, and how the first stand among both."""

    own_P: NDArray[np.int64]
    """Rows of the class."""
    other_N: NDArray[np.int64]
    """The other rows."""
    own_below_P: NDArray[np.int64]
    """How many rows of the class have a smaller chance than each of the class."""
    other_below_P: NDArray[np.int64]
    """How many of the others have a smaller one."""
    other_to_P: NDArray[np.int64]
    """How many of the others have a smaller or an equal one."""

    @classmethod
    def of(cls, chance_R: Floats, true_R: NDArray[np.bool_]) -> "Ranked":
        """From a class's chances and where it is true."""
        order = np.argsort(chance_R, kind="stable")
        own, other = order[true_R[order]], order[~true_R[order]]
        level, others = chance_R[own], chance_R[other]
        below, other_below = np.searchsorted(level, level, "left"), np.searchsorted(others, level, "left")
        return cls(own, other, below, other_below, np.searchsorted(others, level, "right"))


def _summed(weights_BR: Floats, rows: NDArray[np.int64]) -> Floats:
    """Sums of the weights of the first 0, 1, ... of some rows, [B, rows + 1]."""
    sums = np.zeros((len(weights_BR), len(rows) + 1))
    np.cumsum(weights_BR[:, rows], axis=1, out=sums[:, 1:])
    return sums


def _area(ranked: Ranked, weights_BR: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """The share of pairs of a row of the class and another that stand in the right order, ties half; and where there is a pair, [B] each."""
    other = _summed(weights_BR, ranked.other_N)
    own_BP = weights_BR[:, ranked.own_P]
    ordered = (own_BP * (other[:, ranked.other_below_P] + other[:, ranked.other_to_P])).sum(axis=1) / 2
    pairs = own_BP.sum(axis=1) * other[:, -1]
    return np.divide(ordered, pairs, out=np.zeros_like(ordered), where=pairs > 0), pairs > 0


def _precision(ranked: Ranked, weights_BR: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Average precision: the mean over rows of the class of the precision down to their chance; and where there is such a row, [B] each."""
    other, own = _summed(weights_BR, ranked.other_N), _summed(weights_BR, ranked.own_P)
    true_BP = own[:, -1:] - own[:, ranked.own_below_P]
    found_BP = true_BP + other[:, -1:] - other[:, ranked.other_below_P]
    share_BP = np.divide(true_BP, found_BP, out=np.zeros_like(true_BP), where=found_BP > 0)
    total, there = (weights_BR[:, ranked.own_P] * share_BP).sum(axis=1), own[:, -1] > 0
    return np.divide(total, own[:, -1], out=np.zeros_like(total), where=there), there


def _macro(
    of_class: Callable[[Ranked, Floats], tuple[Floats, NDArray[np.bool_]]], empty: float
) -> "Callable[[Floats | csr_array], Weighing]":
    """The mean of a figure over the classes that have one; `empty` where none has."""

    def prepared(table: "Floats | csr_array") -> Weighing:
        table_RS = table if isinstance(table, np.ndarray) else table.toarray()
        classes = table_RS.shape[1] // 2
        ranks = [Ranked.of(table_RS[:, k], table_RS[:, classes + k] > 0) for k in range(classes)]

        def values(weights_BR: Floats) -> Floats:
            total, count = np.zeros(len(weights_BR)), np.zeros(len(weights_BR))
            for ranked in ranks:
                value_B, there_B = of_class(ranked, weights_BR)
                total += np.where(there_B, value_B, 0.0)
                count += there_B
            mean: Floats = np.divide(total, count, out=np.full(len(total), empty), where=count > 0)
            return mean

        return values

    return prepared


AUROC = Measure(name="auroc", title="AUROC", tabulate=tabulate, weighted=_macro(_area, CHANCE), scale=1.0, unit="")
AUPRC = Measure(name="auprc", title="AUPRC", tabulate=tabulate, weighted=_macro(_precision, 0.0), scale=1.0, unit="")
