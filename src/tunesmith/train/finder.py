"""The learning-rate finder: raise the rate step by step and watch the loss (the range test of Smith, 2015, section 3.3).

Costs a training step for each rate tried, 80 in all. It knows no model: `loss_at(rate)` takes one training step at a
rate and returns the loss of its rows before that step. The caller hands a state that is thrown away after.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

TRIED = 80
SMOOTHING = 0.2
"""Standard deviation of the smoothing window, in decades of rate."""
RECENT = 5
"""Losses whose median is looked at: one bad batch ends no sweep."""
DIVERGED = 1.5
"""Recent losses of so many times the highest of the first ones end the sweep."""
RISEN = 0.05
"""Share of all that was gained that may be lost again before the loss counts as rising."""
SAFE_SHARE = 0.2
"""Share of the rate at which the loss begins to rise that is safe to train at (docs/log.md)."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RateCurve:
    """What the sweep saw."""

    rates: tuple[float, ...]
    """Rates tried, rising evenly in logarithm, up to where the loss diverged."""
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    """The losses, smoothed over neighbouring rates."""
    steepest: float
    """Where the smoothed loss falls fastest; 0 where the sweep ended before its third rate."""
    edge: float
    """The highest rate before the smoothed loss rises again; the last of the sweep where it never does, and 0 as above."""
    diverged: bool
    """Whether the sweep ended before the highest rate."""

    @property
    def suggestion(self) -> float | None:
        """The rate to train at; None where the loss never fell, and the curve says nothing."""
        fell = len(self.rates) >= 3 and min(self.smoothed) < self.smoothed[0]
        return float(f"{SAFE_SHARE * self.edge:.2g}") if fell else None


def find_rate(loss_at: Callable[[float], float], *, low: float, high: float, tried: int = TRIED) -> RateCurve:
    """Sweep from `low` to `high`, stopping where the loss diverges.

    A loss that is not finite ends the sweep too: where `loss_at` meets a DivergedError, it returns infinity.

    Raises:
        ValueError: bounds that are no range, or fewer than 3 rates.
    """
    if not (0 < low < high and tried >= 3):
        raise ValueError(f"a sweep needs 0 < low < high and at least 3 rates, not {low}, {high}, {tried}")
    rates, losses, diverged = np.geomspace(low, high, tried), list[float](), False
    for rate in rates:
        loss = loss_at(float(rate))
        if not math.isfinite(loss) or _has_diverged([*losses, loss]):
            diverged = True
            break
        losses.append(loss)
    return _curve(rates[: len(losses)], np.array(losses), diverged)


def _has_diverged(losses: list[float]) -> bool:
    ceiling = max(losses[:RECENT])
    return len(losses) > RECENT and float(np.median(losses[-RECENT:])) > ceiling + (DIVERGED - 1) * abs(ceiling)


def _curve(rates: Floats, losses: Floats, diverged: bool) -> RateCurve:
    seen = (tuple(rates.tolist()), tuple(losses.tolist()))
    if len(rates) < 3:
        return RateCurve(*seen, seen[1], 0.0, 0.0, diverged)
    decades = np.log10(rates)
    smoothed = _smooth(decades, losses)
    lowest = int(np.argmin(smoothed))
    steepest = int(np.argmin(np.gradient(smoothed, decades)[: lowest + 1]))
    rising = np.flatnonzero(smoothed[lowest:] > smoothed[lowest] + RISEN * (smoothed[0] - smoothed[lowest]))
    edge = max(lowest, lowest + int(rising[0]) - 1) if len(rising) else len(rates) - 1
    return RateCurve(*seen, tuple(smoothed.tolist()), rates[steepest].item(), rates[edge].item(), diverged)


def _smooth(places: Floats, values: Floats) -> Floats:
    """A local line through each place's neighbours, weighted by nearness: unlike a running mean it lags at neither end."""
    distance = places[None, :] - places[:, None]
    weight = np.exp(-0.5 * (distance / SMOOTHING) ** 2)
    weight /= weight.sum(axis=1, keepdims=True)
    mean_x, mean_y = (weight * distance).sum(axis=1), weight @ values
    spread = (weight * distance**2).sum(axis=1) - mean_x**2
    slope = ((weight * distance) @ values - mean_x * mean_y) / np.where(spread > 0, spread, 1.0)
    smoothed: Floats = mean_y - slope * mean_x
    return smoothed
