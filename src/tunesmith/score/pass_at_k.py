"""pass@k: how probable it is that one of k answers to a problem is right, from n answers of which c are.

The estimator is Chen et al.'s (2021, "Evaluating Large Language Models Trained on Code", eq. 1): 1 - C(n - c, k) / C(n, k), the share of
the choices of k that hold a right one. It is unbiased; 1 - (1 - c/n)^k is not. What runs the answers is `evaluate.code_runs`.
"""

from collections.abc import Sequence
from math import prod

import numpy as np

from tunesmith.core.errors import DataError
from tunesmith.score.intervals import Interval, bootstrap_interval, grouped_share_interval, share_interval
from tunesmith.score.resampling import Resamples


def pass_at_k(answers: int, right: int, k: int) -> float:
    """The unbiased estimate for one problem.

    Raises:
        DataError: fewer answers than k, more right than answered, or k below 1.
    """
    if not 1 <= k <= answers or not 0 <= right <= answers:
        raise DataError(f"pass@{k} of {answers} answers, {right} of them right, can't be told: take k from 1 to the number of answers.")
    if answers - right < k:
        return 1.0
    return 1.0 - prod(1.0 - k / wrong for wrong in range(answers - right + 1, answers + 1))


def pass_at_k_of(counts: Sequence[tuple[int, int]], k: int, resamples: Resamples) -> Interval:
    """The mean over problems and its 95% interval; problems are drawn anew, their answers stay.

    Args:
        counts: answers and right ones of each problem; at least k answers each.
        resamples: of as many rows as there are problems.
    """
    if len(counts) != resamples.rows:
        raise DataError(f"{len(counts)} problems were counted and {resamples.rows} are to be resampled: give both the same.")
    share_R = np.array([pass_at_k(answers, right, k) for answers, right in counts])
    if np.isin(share_R, (0.0, 1.0)).all():  # right or wrong, problem by problem: exact methods, as for any share of right rows
        return (
            grouped_share_interval(share_R, resamples) if resamples.grouped else share_interval(float(share_R.sum()), float(len(share_R)))
        )
    table_R2 = np.column_stack([share_R, np.ones(len(share_R))])
    drawn_B2 = resamples.sums(table_R2)
    without_U2 = np.concatenate(list(resamples.without_each(table_R2)))
    value = float(share_R.mean())
    without_U = without_U2[:, 0] / np.maximum(without_U2[:, 1], 1.0)
    return bootstrap_interval(value, drawn_B2[:, 0] / drawn_B2[:, 1], without_U, low=0.0, high=1.0)
