"""How an error falls as training rows are added: error = a + b (rows / most rows)^-c, with b >= 0 (Hestness et al., 2017, eq. 1).

Fitted by least squares: for each exponent of a grid the other two follow in closed form, so that thousands of resampled curves are
fitted at once. The grid holds what learning curves of classifiers and language models are found to have (Viering and Loog, 2021).
The floor a is left free, below 0 too, and only what is foretold is held at 0: a floor held at 0 or above covered the
gain of more rows in 85% of simulated curves whose true floor was 0, where 95% was asked.

Legend: P points of a curve, B curves, C exponents.
"""

from dataclasses import dataclass

import numpy as np

from tunesmith.core.errors import DataError
from tunesmith.score.measures import Floats

EXPONENTS = np.round(np.geomspace(0.1, 1.5, 28), 6)
FEWEST = 3
"""Points that a curve of three unknowns needs."""


@dataclass(frozen=True, slots=True)
class PowerLaws:
    """B fitted curves."""

    floor_B: Floats
    """a: what no number of rows takes away, as far as the points tell."""
    rest_B: Floats
    """b: what more rows could still take away, at the most rows fitted."""
    exponent_B: Floats
    """c."""
    most: float
    """Rows of the last point."""

    def at(self, rows: float) -> Floats:
        """The error of each curve at so many rows, 0 or more, [B]."""
        found: Floats = np.maximum(0.0, self.floor_B + self.rest_B * (rows / self.most) ** -self.exponent_B)
        return found


def fit(rows_P: Floats, errors_BP: Floats) -> PowerLaws:
    """Fit each curve to its points, all of the same rows.

    Args:
        rows_P: training rows of each point, all different.
        errors_BP: the error there, 0 at best; finite.

    Raises:
        DataError: fewer than three points, two of the same rows, or an error that is no number.
    """
    if len(rows_P) < FEWEST or len(set(rows_P.tolist())) < len(rows_P):
        raise DataError(f"A learning curve needs {FEWEST} points of different rows or more: {len(rows_P)} were given.")
    if not np.isfinite(errors_BP).all():
        raise DataError("A point of the learning curve is no number: its model's weights are damaged or training diverged.")
    most = float(rows_P.max())
    falls_CP = (rows_P[None, :] / most) ** -EXPONENTS[:, None]
    floor_BC, rest_BC = _lines(falls_CP, errors_BP)
    missed_BC = np.square(errors_BP[:, None, :] - floor_BC[:, :, None] - rest_BC[:, :, None] * falls_CP[None]).sum(axis=2)
    best_B = np.argmin(missed_BC + 1e-15 * np.arange(len(EXPONENTS)), axis=1)
    every_B = np.arange(len(errors_BP))
    return PowerLaws(floor_BC[every_B, best_B], rest_BC[every_B, best_B], EXPONENTS[best_B], most)


def _lines(falls_CP: Floats, errors_BP: Floats) -> tuple[Floats, Floats]:
    """Least squares of errors on each exponent's falls; a curve that rises with rows is taken for flat: both [B, C]."""
    mean_C, mean_B = falls_CP.mean(axis=1), errors_BP.mean(axis=1)
    around_C = np.square(falls_CP - mean_C[:, None]).sum(axis=1)
    rest_BC = (errors_BP @ falls_CP.T - len(falls_CP[0]) * mean_B[:, None] * mean_C) / around_C
    flat = rest_BC <= 0
    return np.where(flat, mean_B[:, None], mean_B[:, None] - rest_BC * mean_C), np.where(flat, 0.0, rest_BC)
