"""How much of the differences between trials hangs on each setting.

Functional analysis of variance, as in Hutter et al. (2014), over the search's own surrogate instead of a forest: total indices, a setting
alone and with others (Jansen's estimator, as in Saltelli et al., 2010, table 2). They are shares of what the surrogate knows, times the share of the
values that it foretells of points it was not shown; so they need not sum to 1, and where settings explain nothing, nothing is said. Settings that act
together are counted in each of them, so that the sum may also exceed 1. Costs under a second.
"""

import numpy as np

from tunesmith.search.space import Space
from tunesmith.search.surrogate import Array, Surrogate, Tried, fitted

_LEAST_TRIALS = 10
_LEAST_EACH = 3
_LEAST_EXPLAINED = 0.25
_DRAWS = 1024


def importance(space: Space, tried: Tried, seed: int) -> tuple[dict[str, float], str]:
    """Setting -> share, largest first; and a sentence on what it rests on, or why nothing can be told.

    Args:
        space: of the search.
        tried: ended trials: where, and what each is worth.
        seed: of the points at which the surrogate is asked.
    """
    needed = max(_LEAST_TRIALS, _LEAST_EACH * len(space.axes))
    if len(tried) < needed:
        return {}, f"Too few trials to tell what matters: {len(tried)} of the {needed} that this takes."
    surrogate = fitted(space, tried)
    if surrogate is None:
        return {}, "All trials came out alike, so no setting mattered."
    if surrogate.explained < _LEAST_EXPLAINED:
        return {}, "What mattered can't be told: from the settings, how a trial came out can't be foretold better than by chance."
    shares = _totals(space, surrogate, seed)
    found = {name: share * surrogate.explained for name, share in sorted(shares.items(), key=lambda item: -item[1])}
    return (
        found,
        f"The settings explain {surrogate.explained:.0%} of the differences between {len(tried)} trials; the rest is noise, or unknown.",
    )


def _totals(space: Space, surrogate: Surrogate, seed: int) -> dict[str, float]:
    """Total indices: half the mean squared change where one setting alone is drawn anew, over the variance."""
    from scipy.stats.qmc import Sobol

    draws = Sobol(2 * len(space.axes), seed=seed).random(_DRAWS)
    first_NF, second_NF = (_features(space, draws[:, part]) for part in np.split(np.arange(draws.shape[1]), 2))
    mean_N = surrogate.mean(first_NF)
    variance = float(mean_N.var())
    found: dict[str, float] = {}
    for name, columns in space.columns().items():
        changed_NF = first_NF.copy()
        changed_NF[:, columns] = second_NF[:, columns]
        found[name] = float(((mean_N - surrogate.mean(changed_NF)) ** 2).mean() / 2 / max(variance, 1e-300))
    return found


def _features(space: Space, draws: Array) -> Array:
    return np.array([space.features(space.at([float(share) for share in draw])) for draw in draws])
