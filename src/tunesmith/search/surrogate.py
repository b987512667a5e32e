"""A Gaussian process over the points of a search: what it expects anywhere, how sure it is, and how much of the values is noise.

Matérn 5/2 with a length scale for each feature and a noise of its own (Rasmussen & Williams, 2006, chapters 2 and 5), values standardised, fitted to
the largest posterior under priors that hold for few points in several dimensions: length scales as in Hvarfner et al. (2024), the noise a
twentieth of the variance give or take a factor of five. By likelihood alone, twenty points of pure noise are often taken for a rugged
function without any. Costs some tenths of a second for fifty points; of more than 150, the best and the latest are taken.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.search.space import Coordinate, Space

Array = NDArray[np.floating[Any]]
Tried = Sequence[tuple[Mapping[str, Coordinate], float]]

_MOST_POINTS = 150
_DRAWS = 512
_NOISE = (math.log(0.05), 1.6)
"""Middle and width of the prior of the logarithm of the noise's variance."""
_BOUNDS = (math.log(0.03), math.log(100.0))
_NOISE_BOUNDS = (math.log(1e-4), math.log(2.0))


@dataclass(frozen=True, slots=True)
class Surrogate:
    """A fitted process. Letters: N points it was fitted to, M points asked about, F features."""

    features_NF: Array
    weights_N: Array
    """Inverse of the covariance times the standardised values."""
    inverse_NN: Array
    lengths_F: Array
    centre: float
    scale: float
    noise: float
    """Standard deviation of a value around what is expected there, in the values' own unit."""
    explained: float
    """Share of the differences between values that is foretold for each point from all the others (1 - PRESS / total); 0 or less: nothing is."""

    def mean(self, features_MF: Array) -> Array:
        """What is expected [M]."""
        found: Array = self.centre + self.scale * (_matern(features_MF, self.features_NF, self.lengths_F) @ self.weights_N)
        return found

    def expected(self, features_MF: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of what lies behind the noise [M], [M]."""
        cross_MN = _matern(features_MF, self.features_NF, self.lengths_F)
        variance_M = 1 - ((cross_MN @ self.inverse_NN) * cross_MN).sum(1)
        return self.centre + self.scale * (cross_MN @ self.weights_N), self.scale * np.sqrt(np.maximum(variance_M, 0.0))


def fitted(space: Space, tried: Tried) -> Surrogate | None:
    """The process of these points; None where their values do not differ, or are fewer than three."""
    from scipy.optimize import minimize

    taken = _taken(tried)
    features_NF = np.array([space.features(place) for place, _ in taken], dtype=float)
    values_N = np.array([worth for _, worth in taken])
    if len(taken) < 3 or np.ptp(values_N) <= 1e-12 * max(1.0, float(np.abs(values_N).max())):
        return None
    centre, scale = float(values_N.mean()), float(values_N.std())
    standard_N = (values_N - centre) / scale
    width = features_NF.shape[1]
    bounds = [_BOUNDS] * width + [_NOISE_BOUNDS]
    starts = [np.array([math.log(length)] * width + [_NOISE[0]]) for length in (0.5, 2.0)]
    ends = [minimize(_off, start, args=(features_NF, standard_N), method="L-BFGS-B", bounds=bounds) for start in starts]
    best: Array = np.asarray(min(ends, key=lambda end: float(end.fun)).x, dtype=np.float64)
    lengths_F: Array = np.exp(best[:-1])
    noise = float(np.exp(best[-1]))
    inverse_NN: Array = np.linalg.inv(_matern(features_NF, features_NF, lengths_F) + noise * np.eye(len(standard_N)))
    weights_N = inverse_NN @ standard_N
    off_N = weights_N / np.diag(inverse_NN)  # each point left out in turn (Rasmussen & Williams, 2006, equation 5.12)
    explained = 1 - float((off_N**2).mean())
    return Surrogate(features_NF, weights_N, inverse_NN, lengths_F, centre, scale, math.sqrt(noise) * scale, explained)


def _off(logs: Array, features_NF: Array, values_N: Array) -> float:
    """Minus the logarithm of the posterior, but for a constant."""
    lengths_F, noise = np.exp(logs[:-1]), np.exp(logs[-1])
    lower_NN = np.linalg.cholesky(_matern(features_NF, features_NF, lengths_F) + noise * np.eye(len(values_N)))
    half_N = np.linalg.solve(lower_NN, values_N)
    fit = 0.5 * float(half_N @ half_N) + float(np.log(np.diag(lower_NN)).sum())
    middle = math.sqrt(2) + math.log(len(lengths_F)) / 2
    return fit + float(((logs[:-1] - middle) ** 2).sum()) / 6 + float((logs[-1] - _NOISE[0]) ** 2) / 2 / _NOISE[1] ** 2


def _matern(first_MF: Array, second_NF: Array, lengths_F: Array) -> Array:
    """Correlations [M, N]."""
    squares = (((first_MF[:, None] - second_NF[None]) / lengths_F) ** 2).sum(2)
    distance = np.sqrt(5 * squares)
    found: Array = (1 + distance + distance**2 / 3) * np.exp(-distance)
    return found


def _taken(tried: Tried) -> Tried:
    if len(tried) <= _MOST_POINTS:
        return tried
    best = sorted(range(len(tried)), key=lambda position: tried[position][1])[-_MOST_POINTS // 2 :]
    latest = range(len(tried) - _MOST_POINTS // 2, len(tried))
    return [tried[position] for position in sorted({*best, *latest})]


def spread_points(space: Space, seed: int, count: int = _DRAWS) -> Array:
    """Features of points all over the space [M, F]: every one where there are no more than `count`, else a Sobol sequence."""
    from scipy.stats.qmc import Sobol

    if space.size is not None and space.size <= count:
        places = (space.coordinates(settings) for settings in space.everywhere())
        return np.array([space.features(place) for place in places if place is not None], dtype=float)
    draws = Sobol(len(space.axes), seed=seed).random(count)
    return np.array([space.features(space.at([float(share) for share in draw])) for draw in draws], dtype=float)
