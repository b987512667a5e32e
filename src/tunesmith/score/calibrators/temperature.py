"""One number that all log-probabilities are divided by: softer above 1, sharper below (Guo et al., 2017, section 4.2).

It never changes which label is most probable. Fitted by maximum likelihood under a log-normal prior of spread 1 around 1: a
handful of rows' worth, without which rows that are all right would be told as certain.

Legend: N rows, C labels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from tunesmith.score.calibrators.logs import Indices, field, log_softmax, normalised, number, softmax, to_fit
from tunesmith.score.measures import Floats

LEAST, GREATEST = 0.02, 50.0
"""Temperatures outside are not looked for, nor read."""
SPREAD = 1.0
"""Standard deviation of the prior on ln T."""


@dataclass(frozen=True, slots=True)
class Temperature:
    """softmax(logp / T)."""

    temperature: float
    name: ClassVar[str] = "temperature"

    @classmethod
    def fit(cls, logp_NC: Floats, label_N: Indices) -> Self:
        """The most probable temperature; DataError without a row."""
        from scipy.optimize import minimize_scalar

        logp_NC, label_N = to_fit(logp_NC, label_N)
        every_N = np.arange(len(label_N))

        def cost(log_t: float) -> float:
            told_N = log_softmax(logp_NC * np.exp(-log_t))[every_N, label_N]
            return float(-told_N.sum() + 0.5 * (log_t / SPREAD) ** 2)

        grid = np.linspace(np.log(LEAST), np.log(GREATEST), 21)  # coarse first: with the prior the cost may have two valleys
        best = int(np.argmin([cost(at) for at in grid]))
        around = (grid[max(0, best - 1)], grid[min(len(grid) - 1, best + 1)])
        found = minimize_scalar(cost, bounds=around, method="bounded", options={"xatol": 1e-6})
        return cls(float(np.clip(np.exp(found.x), LEAST, GREATEST)))

    def apply(self, logp_NC: Floats) -> Floats:
        """Probabilities, [N, C]."""
        return softmax(normalised(logp_NC) / self.temperature)

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return {"name": self.name, "temperature": self.temperature}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The reverse; DataError for what can't be meant."""
        return cls(number(field(value, "temperature"), "temperature", LEAST, GREATEST))

    def labels(self) -> int | None:
        """Any number."""
        return None
