"""Is a measure worse on a part of the rows than on the rest: difference, 95% interval, one-sided p-value.

Where rows are right or wrong and each stands for itself: Fisher's exact test, and Newcombe's hybrid score interval (1998, method 10).
Else the bootstrap gives the interval, and its p-value must be confirmed by a second test: rows dealt anew to part and rest, or, where
rows come in groups, Student's t over the units of the smaller side, since groups can't be dealt; the larger p-value is given.

A difference is in favour of the part where it is positive, whichever way the measure runs.

Legend: R rows, B resamples, M parts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.seeds import derive_seed
from tunesmith.score.intervals import Interval, bootstrap_interval, interval, wilson
from tunesmith.score.measures import Floats, Measure, Weighing
from tunesmith.score.prediction import Prediction
from tunesmith.score.resampling import BLOCK, Resamples

Part = NDArray[np.bool_]
"""Which rows are in it, [R]; some are, and some are not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """How a part of the rows stands to the rest."""

    rows: int
    value: Interval
    """The measure on the part."""
    rest: float
    """The measure on the rest."""
    difference: Interval
    """Improvement of the part over the rest."""
    p_worse: float
    """One-sided: how probable so bad a part is if it is no worse than the rest."""


def against_rest(measure: Measure, predictions: Sequence[Prediction], parts: Sequence[Part], resamples: Resamples) -> list[Apart] | None:
    """Each part against its rest, on the same resamples; None where the predictions don't carry what the measure needs."""
    table = measure.tabulate(predictions)
    if table is None or not parts:
        return None if table is None else []
    on = measure.on(table)
    right = measure.right(predictions) if measure.right is not None and not resamples.grouped else None
    tested = [_exact(right, part) for part in parts] if right is not None else _bootstrapped(measure, on, table.shape[0], parts, resamples)
    return [
        Apart(
            rows=int(part.sum()),
            value=_own(measure, predictions, part, resamples),
            rest=float(on((~part)[None, :].astype(np.float64))[0]),
            difference=around,
            p_worse=p_worse,
        )
        for part, (around, p_worse) in zip(parts, tested, strict=True)
    ]


def _own(measure: Measure, predictions: Sequence[Prediction], part: Part, resamples: Resamples) -> Interval:
    """The measure's value and interval on the part alone."""
    groups = None if resamples.groups is None else [group for group, inside in zip(resamples.groups, part, strict=True) if inside]
    chosen = [one for one, inside in zip(predictions, part, strict=True) if inside]
    found = interval(measure, chosen, Resamples(rows=len(chosen), count=resamples.count, seed=resamples.seed, groups=groups))
    assert found is not None  # what all rows carry, some do
    return found


def _exact(right_R: NDArray[np.bool_], part: Part) -> tuple[Interval, float]:
    """By counts of right rows."""
    from scipy.stats import hypergeom

    rows, inside = len(part), int(part.sum())
    hits, all_hits = int(right_R[part].sum()), int(right_R.sum())
    p_worse = min(1.0, float(hypergeom.cdf(hits, rows, all_hits, inside)))
    return newcombe(hits, inside, all_hits - hits, rows - inside), p_worse


def newcombe(hits: int, rows: int, other_hits: int, other_rows: int) -> Interval:
    """The hybrid score interval of a difference of two shares of different rows."""
    (low, high), (other_low, other_high) = wilson(hits, rows), wilson(other_hits, other_rows)
    share, other = hits / rows, other_hits / other_rows
    down = float(np.hypot(share - low, other_high - other))
    up = float(np.hypot(high - share, other - other_low))
    return Interval(share - other, share - other - down, share - other + up)


def _bootstrapped(measure: Measure, on: Weighing, rows: int, parts: Sequence[Part], resamples: Resamples) -> list[tuple[Interval, float]]:
    """By resamples of all rows, the same for every part."""
    sign = 1.0 if measure.higher_is_better else -1.0
    span = measure.high - measure.low
    every = [np.ones((1, rows))]
    observed_M = _differences(on, every, parts)[:, 0] * sign
    drawn_MB = _differences(on, resamples.weights(), parts) * sign
    without = _differences(on, resamples.weights_without(), parts) * sign
    second_M = _by_units(observed_M, drawn_MB, parts, resamples) if resamples.grouped else _dealt(on, observed_M, sign, parts, resamples)
    made = []
    for value, drawn_B, left, second in zip(observed_M.tolist(), drawn_MB, without, second_M, strict=True):
        around = bootstrap_interval(value, drawn_B, left, low=-span, high=span, units=resamples.units)
        made.append((around, max(_share_of(drawn_B >= 0), second)))
    return made


def _differences(on: Weighing, weights: "Iterator[Floats] | list[Floats]", parts: Sequence[Part]) -> Floats:
    """Part less rest under each line of weights, [M, B]."""
    blocks = [np.stack([on(weights_BR * part) - on(weights_BR * ~part) for part in parts]) for weights_BR in weights]
    return np.concatenate(blocks, axis=1)


def _dealt(on: Weighing, observed_M: Floats, sign: float, parts: Sequence[Part], resamples: Resamples) -> list[float]:
    """How often rows dealt at random make a part as bad."""
    rows, as_bad = resamples.rows, np.zeros(len(parts))
    random = np.random.default_rng(derive_seed(resamples.seed, "dealt"))
    step = max(1, BLOCK // rows)
    for start in range(0, resamples.count, step):
        lines = np.tile(np.arange(rows), (min(step, resamples.count - start), 1))
        order_BR = random.permuted(lines, axis=1)
        for place, part in enumerate(parts):
            dealt_BR = part[order_BR]
            apart_B = sign * (on(dealt_BR.astype(np.float64)) - on((~dealt_BR).astype(np.float64)))
            as_bad[place] += np.count_nonzero(apart_B <= observed_M[place] + 1e-12)
    return [float((1 + count) / (1 + resamples.count)) for count in as_bad]


def _by_units(observed_M: Floats, drawn_MB: Floats, parts: Sequence[Part], resamples: Resamples) -> list[float]:
    """Student's t of each difference over its spread among resamples; degrees of freedom from the side with fewer units."""
    from scipy.stats import t

    made = []
    for value, drawn_B, part in zip(observed_M.tolist(), drawn_MB, parts, strict=True):
        units, spread = fewest_units(part, resamples), float(drawn_B.std())
        made.append(float(t.cdf(value / spread, units - 1)) if units > 1 and spread > 0 else 1.0)
    return made


def fewest_units(part: Part, resamples: Resamples) -> int:
    """Units (rows, or groups of them) with a row in the part, or in the rest, whichever are fewer."""
    return min(len(np.unique(resamples.unit_R[part])), len(np.unique(resamples.unit_R[~part])))


def _share_of(true_B: NDArray[np.bool_]) -> float:
    """The share that is true, the observed rows counted as one that is."""
    return float((1 + np.count_nonzero(true_B)) / (1 + len(true_B)))
