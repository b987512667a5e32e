"""A slope and an offset for the log-odds of a single confidence (Platt, 1999): for answers that are texts, right or wrong.

The two labels are `wrong` and `right`. Targets are Platt's own, a row's worth away from 0 and 1, so rows that are all right
don't make it certain. A confidence that says the reverse of the truth is not turned round: it gets the slope 0, the base rate.

Legend: N rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from tunesmith.core.errors import DataError
from tunesmith.score.calibrators.logs import Indices, field, normalised, number, to_fit
from tunesmith.score.measures import Floats

GREATEST_SLOPE, GREATEST_OFFSET = 50.0, 1000.0
"""Not looked for beyond, nor read."""


@dataclass(frozen=True, slots=True)
class Platt:
    """1 / (1 + exp(-(slope log-odds + offset))) for the second of two labels."""

    slope: float
    offset: float
    name: ClassVar[str] = "platt"

    @classmethod
    def fit(cls, logp_NC: Floats, label_N: Indices) -> Self:
        """The most probable slope and offset, under priors of spread 1 around 1 and 0; DataError without a row or of more labels."""
        from scipy.optimize import minimize

        logp_NC, label_N = to_fit(logp_NC, label_N)
        odds_N = _odds(logp_NC)
        right = int(label_N.sum())
        target_N = np.where(label_N == 1, (right + 1) / (right + 2), 1 / (len(label_N) - right + 2))

        def cost(at: Floats) -> tuple[float, Floats]:
            slope, offset = at
            told_N = slope * odds_N + offset
            value = (np.logaddexp(0.0, told_N) - target_N * told_N).sum() + 0.5 * (slope - 1) ** 2 + 0.5 * offset**2
            surplus_N = _sigmoid(told_N) - target_N
            return float(value), np.array([(surplus_N * odds_N).sum() + slope - 1, surplus_N.sum() + offset])

        bounds = [(0.0, GREATEST_SLOPE), (-GREATEST_OFFSET, GREATEST_OFFSET)]
        found = minimize(cost, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=bounds).x
        return cls(float(found[0]), float(found[1]))

    def apply(self, logp_NC: Floats) -> Floats:
        """Probabilities of wrong and right, [N, 2]."""
        odds_N = self.slope * _odds(normalised(logp_NC)) + self.offset
        return np.column_stack([_sigmoid(-odds_N), _sigmoid(odds_N)])

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return {"name": self.name, "slope": self.slope, "offset": self.offset}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The reverse; DataError for what can't be meant."""
        slope = number(field(value, "slope"), "slope", 0.0, GREATEST_SLOPE)
        return cls(slope, number(field(value, "offset"), "offset", -GREATEST_OFFSET, GREATEST_OFFSET))

    def labels(self) -> int | None:
        """Two."""
        return 2


def _odds(logp_NC: Floats) -> Floats:
    if logp_NC.shape[1] != 2:
        raise DataError(f"Platt scaling was given {logp_NC.shape[1]} labels: it knows wrong and right only; take vector.")
    found: Floats = logp_NC[:, 1] - logp_NC[:, 0]
    return found


def _sigmoid(value_N: Floats) -> Floats:
    return np.exp(-np.logaddexp(0.0, -value_N))
