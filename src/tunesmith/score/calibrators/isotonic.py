"""A rising curve for each label against all others, then made to sum to 1 (Zadrozny and Elkan, 2002).

It bends as the rows say, whatever the shape, so it wants many of them: 1,000 at least (`score.crossfit`). Its steps make
probabilities equal that were not, and may change answers. No probability falls under 1 / (rows times labels), so what the rows
never showed is not told as impossible.

Legend: N rows, C labels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Self

import numpy as np

from tunesmith.core.errors import DataError
from tunesmith.score.calibrators.logs import Indices, field, normalised, number, numbers, softmax, to_fit
from tunesmith.score.measures import Floats

Curve = tuple[tuple[float, ...], tuple[float, ...]]
"""Probabilities as given, rising, and as corrected, never falling; straight between, level outside."""


@dataclass(frozen=True, slots=True)
class Isotonic:
    """One curve per label."""

    curves: tuple[Curve, ...]
    floor: float
    """No label's corrected probability is less, before rows are made to sum to 1."""
    name: ClassVar[str] = "isotonic"

    @classmethod
    def fit(cls, logp_NC: Floats, label_N: Indices) -> Self:
        """The best rising curves by squared distance; DataError without a row."""
        logp_NC, label_N = to_fit(logp_NC, label_N)
        p_NC = softmax(logp_NC)
        rows, labels = p_NC.shape
        return cls(tuple(_curve(p_NC[:, label], label_N == label) for label in range(labels)), 1.0 / ((rows + 1) * labels))

    def apply(self, logp_NC: Floats) -> Floats:
        """Probabilities, [N, C]; DataError where the labels are more or fewer than it was fitted for."""
        p_NC = softmax(normalised(logp_NC))
        if p_NC.shape[1] != len(self.curves):
            raise DataError(f"A calibrator of {len(self.curves)} labels was given {p_NC.shape[1]}: calibrate for this label set.")
        bent_NC = np.column_stack([np.interp(p_NC[:, label], given, meant) for label, (given, meant) in enumerate(self.curves)])
        bent_NC = np.maximum(bent_NC, self.floor)
        found: Floats = bent_NC / bent_NC.sum(axis=1, keepdims=True)
        return found

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return {"name": self.name, "floor": self.floor, "curves": [[list(given), list(meant)] for given, meant in self.curves]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The reverse; DataError for what can't be meant."""
        curves = field(value, "curves")
        if not isinstance(curves, list) or not curves:
            raise DataError("The stored calibrator has no curves: calibrate again.")
        return cls(tuple(_read(curve) for curve in curves), number(field(value, "floor"), "floor", 1e-12, 1.0))

    def labels(self) -> int | None:
        """As many as there are curves."""
        return len(self.curves)


def _curve(p_N: Floats, is_N: Any) -> Curve:
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(p_N, is_N.astype(np.float64))
    return tuple(map(float, fitted.X_thresholds_)), tuple(map(float, fitted.y_thresholds_))


def _read(curve: Any) -> Curve:
    if not isinstance(curve, list | tuple) or len(curve) != 2:
        raise DataError("A stored calibrator's curve must be two lists of numbers: calibrate again.")
    given, meant = (numbers(part, "curve", 0.0, 1.0) for part in curve)
    if len(given) != len(meant) or any(a >= b for a, b in pairwise(given)) or any(a > b for a, b in pairwise(meant)):
        raise DataError("A stored calibrator's curve does not rise, or its two lists differ in length: calibrate again.")
    return given, meant
