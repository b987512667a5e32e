"""Measures of a model's likelihood against people's preference: does it find the better answer the likelier one?

Of a pair: whether the chosen answer's log-probability is above the rejected one's, a tie counting half; summed over
tokens as a sampler draws them, or per token, so that a long answer is not held against it. Of answers judged one by one:
how often a wanted one is likelier per token than an unwanted one (the area under the ROC curve).

Legend: R rows, K places in the order of scores.
"""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tunesmith.score.measures import Floats, Measure
from tunesmith.score.prediction import Prediction
from tunesmith.score.text import mean

if TYPE_CHECKING:
    from scipy.sparse import csr_array

PLACES = 256
"""Scores are compared by place in so many; with fewer rows the comparison is exact."""


def credit(per_token: bool, predictions: Sequence[Prediction]) -> Floats | None:
    """1 for each pair in the right order, 0.5 for a tie, 0 for the others, [R]; None where a row is no pair."""
    if any(one.reference_logprob is None or one.rejected_logprob is None for one in predictions):
        return None
    sums_R2 = np.array([[one.reference_logprob, one.rejected_logprob] for one in predictions], dtype=np.float64)
    if per_token:
        sums_R2 = sums_R2 / np.array([[one.reference_tokens or 1, one.rejected_tokens or 1] for one in predictions])
    margin_R: Floats = sums_R2[:, 0] - sums_R2[:, 1]
    return (np.sign(margin_R) + 1) / 2


def _right(per_token: bool, predictions: Sequence[Prediction]) -> NDArray[np.bool_] | None:
    credit_R = credit(per_token, predictions)
    return None if credit_R is None or np.any(credit_R == 0.5) else credit_R == 1.0


def _tabulate(per_token: bool, predictions: Sequence[Prediction]) -> Floats | None:
    """Credit and 1, [R, 2]."""
    credit_R = credit(per_token, predictions)
    return None if credit_R is None else np.column_stack([credit_R, np.ones(len(credit_R))])


def tabulate_wanted(predictions: Sequence[Prediction]) -> "csr_array | None":
    """A 1 at each row's place in the order of scores: among the wanted (first K columns) or the unwanted (the others), [R, 2K]."""
    if any(not isinstance(one.truth, bool) or one.reference_logprob is None for one in predictions):
        return None
    from scipy.sparse import csr_array
    from scipy.stats import rankdata

    rows, places = len(predictions), min(PLACES, len(predictions))
    scores_R = np.array([(one.reference_logprob or 0.0) / (one.reference_tokens or 1) for one in predictions])
    place_R = ((rankdata(scores_R) - 1) * places // rows).astype(np.int64)
    column_R = place_R + np.array([0 if one.truth else places for one in predictions])
    table: csr_array = csr_array((np.ones(rows), (np.arange(rows), column_R)), shape=(rows, 2 * places), dtype=np.float64)
    return table


def auc(sums_BS: Floats) -> Floats:
    """The share of pairs of a wanted and an unwanted answer that are in the right order, ties half; 0.5 where there is no pair."""
    places = sums_BS.shape[1] // 2
    wanted, unwanted = sums_BS[:, :places], sums_BS[:, places:]
    below = np.cumsum(unwanted, axis=1) - unwanted
    pairs = wanted.sum(axis=1) * unwanted.sum(axis=1)
    ordered: Floats = (wanted * (below + unwanted / 2)).sum(axis=1)
    share: Floats = np.divide(ordered, pairs, out=np.full(len(pairs), 0.5), where=pairs > 0)
    return share


ACCURACY = Measure(
    name="preference_accuracy", title="preference accuracy", tabulate=partial(_tabulate, False), value=mean, right=partial(_right, False)
)
ACCURACY_PER_TOKEN = Measure(
    name="preference_accuracy_per_token",
    title="preference accuracy per token",
    tabulate=partial(_tabulate, True),
    value=mean,
    right=partial(_right, True),
)
WANTED_AUC = Measure(name="wanted_auc", title="AUC of wanted answers", tabulate=tabulate_wanted, value=auc)
