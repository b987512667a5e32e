"""Exposure: how much likelier a planted secret became than the secrets it might as well have been (Carlini et al., 2019).

exposure = log2 |R| - log2 rank, where R are all the secrets the canary was drawn from and rank is its place among them by
likelihood. Of an R too large to go through, the rank is estimated from alternatives drawn from it: -log2 of the share of
draws, the canary among them, that are at least as likely. So it can't pass `bound`, the log2 of draws and canary, however
well the secret was learned.

A secret that was never trained on is one more draw: its rank is uniform, so 2 ** -exposure is an exact p-value. Its exposure
is 1 in the median and 1 / ln 2 = 1.44 on average. Several canaries are put together as Fisher (1925) does.
"""

from collections.abc import Sequence
from math import log, log2

import numpy as np

from tunesmith.core.errors import DataError
from tunesmith.score.measures import Floats

UNTRAINED = 1 / log(2)
"""Exposure, on average, of a secret that was never trained on."""


def exposure(canary: float, alternatives_N: Floats) -> float:
    """Bits, 0 to `bound(N)`; alternatives as likely as the canary count as likelier.

    Args:
        canary: log-probability of the canary.
        alternatives_N: log-probabilities of secrets drawn as it was, in the same place.

    Raises:
        DataError: no alternatives, or a likelihood that is no number.
    """
    if len(alternatives_N) == 0:
        raise DataError("A canary's exposure was asked for without alternatives: it needs at least one.")
    if not np.isfinite(canary) or not np.isfinite(alternatives_N).all():
        raise DataError("A canary's likelihood is no number: the model's weights are damaged or training diverged.")
    rank = 1 + int(np.count_nonzero(alternatives_N >= canary))
    return bound(len(alternatives_N)) - log2(rank)


def bound(alternatives: int) -> float:
    """The greatest exposure that so many alternatives can show: the true one may be any higher."""
    return log2(alternatives + 1)


def chance(exposures: Sequence[float]) -> float:
    """The p-value of all together, if none was trained on: twice the sum of -ln p is chi-squared with two degrees of freedom each."""
    from scipy.special import gammaincc

    return float(gammaincc(len(exposures), log(2) * sum(exposures))) if len(exposures) else 1.0
