"""The rate finder on quadratics whose best rate can be computed, and on losses that say nothing."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from tunesmith.train.finder import find_rate

DIMENSIONS = 50


def descent(curvature: float, noise: float, seed: int) -> Callable[[float], float]:
    """Gradient descent on curvature / 2 ||w - t||^2 with a target t that is drawn anew at each step, `noise` wide."""
    random = np.random.default_rng(seed)
    w = random.normal(size=DIMENSIONS)

    def loss_at(rate: float) -> float:
        distance = w - noise * random.normal(size=DIMENSIONS)
        w[:] -= rate * curvature * distance
        return float(curvature / 2 * distance @ distance)

    return loss_at


def best_peak(noise: float, steps: int) -> float:
    """The peak, times the curvature, whose cosine fall over so many steps ends lowest: the error's variance follows a recursion."""
    shares = 0.5 * (1 + np.cos(np.pi * np.arange(1, steps + 1) / steps))
    peaks = np.geomspace(1e-3, 1.99, 400)
    variance = np.ones_like(peaks)
    for share in shares:
        variance = (1 - peaks * share) ** 2 * variance + (peaks * share * noise) ** 2
    return float(peaks[variance.argmin()])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("noise", [0.0, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("curvature", [0.02, 1.0, 300.0])
def test_it_lands_near_the_best_rate(curvature: float, noise: float, seed: int) -> None:
    curve = find_rate(descent(curvature, noise, seed), low=1e-5 / curvature, high=10 / curvature)
    best = best_peak(noise, steps=80) / curvature
    assert curve.suggestion is not None
    assert best / 3 < curve.suggestion < best * 3
    assert curve.steepest < curve.edge


def test_the_curve_is_what_was_seen() -> None:
    asked: list[float] = []

    def loss_at(rate: float) -> float:
        asked.append(rate)
        return 2.0 - math.log10(rate)

    curve = find_rate(loss_at, low=1e-4, high=1.0, tried=9)
    assert asked == pytest.approx([10 ** (-4 + place / 2) for place in range(9)])
    assert curve.rates == tuple(asked)
    assert curve.losses == pytest.approx([2.0 - math.log10(rate) for rate in asked])
    assert curve.smoothed == pytest.approx(curve.losses)  # a straight line has nothing to smooth away
    assert (curve.edge, curve.diverged) == (1.0, False)


def test_it_stops_where_the_loss_leaves_what_was_seen() -> None:
    curve = find_rate(lambda rate: 3.0 if rate < 0.1 else 30.0, low=1e-3, high=10.0, tried=81)
    assert curve.diverged
    assert 0.1 < curve.rates[-1] < 0.2
    spike = find_rate(lambda rate: 30.0 if 0.1 < rate < 0.115 else 3 - rate / 10, low=1e-3, high=10.0, tried=81)
    assert not spike.diverged


def test_it_stops_at_a_loss_that_is_not_finite() -> None:
    curve = find_rate(lambda rate: 3 - rate if rate < 0.1 else math.inf, low=1e-3, high=10.0)
    assert curve.diverged
    assert curve.rates[-1] < 0.1
    assert all(map(math.isfinite, curve.losses))


def test_a_loss_that_never_falls_gives_no_suggestion() -> None:
    assert find_rate(lambda rate: 1.0 + rate, low=1e-3, high=10.0).suggestion is None
    nothing = find_rate(lambda rate: math.nan, low=1e-3, high=10.0)
    assert (nothing.suggestion, nothing.edge, nothing.rates, nothing.diverged) == (None, 0.0, (), True)


@pytest.mark.parametrize(("low", "high", "tried"), [(0.0, 1.0, 80), (1.0, 1.0, 80), (1e-3, 1.0, 2)])
def test_bounds_that_are_no_range_are_refused(low: float, high: float, tried: int) -> None:
    with pytest.raises(ValueError, match="a sweep needs"):
        find_rate(lambda rate: 1.0, low=low, high=high, tried=tried)
