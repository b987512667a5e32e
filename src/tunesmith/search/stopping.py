"""When further trials are not expected to help.

After each trial a Gaussian process says how much a further one is expected to gain over the best point so far, wherever it is made
(expected improvement: Jones et al., 1998, over the best posterior mean instead of the best value, as values are noisy). Where that is less
than a third of the noise of one measure, twice in a row, the search ends: a gain so small could hardly be told from chance by the measure that
would have to choose it. The idea of a regret below the measure's noise is Makarova et al. (2022); theirs bounds the regret from
above, which in four dimensions and some tens of trials never falls so far.

Nothing is judged before 24 trials, nor before three a setting: of fewer, what the process takes for noise is mostly what it does not know yet,
and on measured grids such searches ended at eleven to seventeen trials, far below the best (docs/log.md). The 24 were set after seeing those
grids, which benchmarks/search.py replays: its figures are no test of this bound. Most searches over them end at the 25th trial, with little of
their budget left, so that there it is the bound that ends them; with the default 20 trials the rule does not act. Where all trials came out alike
nothing is to be gained. Costs some tenths of a second a trial.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tunesmith.search.space import Space
from tunesmith.search.surrogate import Array, Surrogate, Tried, fitted, spread_points

_LEAST_TRIALS = 24
_LEAST_EACH = 3
_OF_NOISE = 1 / 3
"""A further trial is worth it while its expected gain is more than this share of the noise."""
_OF_RANGE = 0.005
"""Where nothing is noise: this share of the way from the middle value to the best."""
_BEST = 4
"""Points around which it is looked more closely."""
_AROUND = 32


@dataclass(frozen=True, slots=True)
class Prospect:
    """What a further trial promises."""

    gain: float
    """Expected, where it is largest, in the unit of the measure."""
    noise: float
    """Standard deviation of one measure."""
    worth: float
    """The gain below which a trial is not worth it."""
    alike: bool = False
    """All values were the same."""

    @property
    def helps(self) -> bool:
        """Whether a further trial is worth it."""
        return not self.alike and self.gain >= self.worth


def judged(space: Space, count: int) -> bool:
    """Whether so many trials are enough to say anything."""
    return count >= max(_LEAST_TRIALS, _LEAST_EACH * len(space.axes))


def prospect(space: Space, tried: Tried, seed: int) -> Prospect | None:
    """What a further trial promises after these; None where they are too few."""
    if not judged(space, len(tried)):
        return None
    surrogate = fitted(space, tried)
    if surrogate is None:
        return Prospect(0.0, 0.0, 0.0, alike=True)
    worths = np.array([worth for _, worth in tried])
    least = _OF_RANGE * float(worths.max() - np.median(worths))
    return Prospect(_gain(space, surrogate, seed), surrogate.noise, max(_OF_NOISE * surrogate.noise, least))


def _gain(space: Space, surrogate: Surrogate, seed: int) -> float:
    """The largest expected improvement over points everywhere, and around the best ones."""
    from scipy.stats import norm

    seen_N, _ = surrogate.expected(surrogate.features_NF)
    points_NF = spread_points(space, seed)
    if space.size is None or space.size > len(points_NF):
        points_NF = np.concatenate([points_NF, _around(surrogate.features_NF[np.argsort(seen_N)[-_BEST:]], seed)])
    mean_N, deviation_N = surrogate.expected(points_NF)
    deviation_N = np.maximum(deviation_N, 1e-12)
    z_N = (mean_N - seen_N.max()) / deviation_N
    return float((deviation_N * (z_N * norm.cdf(z_N) + norm.pdf(z_N))).max())


def _around(best_BF: Array, seed: int) -> Array:
    """Points near the best ones [N, F]; between the values of lists too, which errs toward going on."""
    steps = np.random.default_rng(seed).normal(0.0, 0.1, (_AROUND, *best_BF.shape))
    return np.clip(best_BF + steps, 0.0, 1.0).reshape(-1, best_BF.shape[1])


def trials_without_gain(values: Sequence[float | None]) -> int:
    """How many trials in a row, the latest ones, were not better than the best before them.

    Args:
        values: of trials in order; None of one that was ended early or diverged.
    """
    best, since = float("-inf"), 0
    for value in values:
        if value is not None and value > best:
            best, since = value, 0
        else:
            since += 1
    return since
