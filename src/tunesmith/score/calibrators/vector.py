"""A weight and an offset for each label: softmax(weight logp + offset), vector scaling (Guo et al., 2017, section 4.2).

It can say that one label is answered too often, so it may change answers. Fitted by penalised likelihood, which is convex:
weights are pulled toward the best single temperature's, offsets toward 0, each with a spread of 1, so labels that the rows
hardly show stay near the temperature. Weights never turn an order round.

Legend: N rows, C labels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from tunesmith.core.errors import DataError
from tunesmith.score.calibrators.logs import Indices, field, log_softmax, normalised, numbers, softmax, to_fit
from tunesmith.score.calibrators.temperature import LEAST, Temperature
from tunesmith.score.measures import Floats

GREATEST_WEIGHT, GREATEST_OFFSET = 10.0 / LEAST, 1000.0
"""Not looked for beyond, nor read."""
STEPS = 300
"""L-BFGS steps at most."""


@dataclass(frozen=True, slots=True)
class Vector:
    """softmax(weight_C * logp + offset_C)."""

    weight_C: tuple[float, ...]
    offset_C: tuple[float, ...]
    name: ClassVar[str] = "vector"

    @classmethod
    def fit(cls, logp_NC: Floats, label_N: Indices) -> Self:
        """The most probable weights and offsets; DataError without a row."""
        from scipy.optimize import minimize

        sharpness = 1.0 / Temperature.fit(logp_NC, label_N).temperature
        logp_NC, label_N = to_fit(logp_NC, label_N)
        scaled_NC, labels = sharpness * logp_NC, logp_NC.shape[1]
        every_N = np.arange(len(label_N))

        def cost(at: Floats) -> tuple[float, Floats]:
            weight_C, offset_C = at[:labels], at[labels:]
            told_NC = log_softmax(scaled_NC * weight_C + offset_C)
            value = -told_NC[every_N, label_N].sum() + 0.5 * ((weight_C - 1) ** 2).sum() + 0.5 * (offset_C**2).sum()
            surplus_NC = np.exp(told_NC)
            surplus_NC[every_N, label_N] -= 1
            slope_C = (surplus_NC * scaled_NC).sum(axis=0) + weight_C - 1
            return float(value), np.concatenate([slope_C, surplus_NC.sum(axis=0) + offset_C])

        start = np.concatenate([np.ones(labels), np.zeros(labels)])
        bounds = [(0.0, 10.0)] * labels + [(-GREATEST_OFFSET, GREATEST_OFFSET)] * labels
        found = minimize(cost, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": STEPS}).x
        return cls(tuple(map(float, sharpness * found[:labels])), tuple(map(float, found[labels:])))

    def apply(self, logp_NC: Floats) -> Floats:
        """Probabilities, [N, C]; DataError where the labels are more or fewer than it was fitted for."""
        logp_NC = normalised(logp_NC)
        if logp_NC.shape[1] != len(self.weight_C):
            raise DataError(f"A calibrator of {len(self.weight_C)} labels was given {logp_NC.shape[1]}: calibrate for this label set.")
        return softmax(logp_NC * np.array(self.weight_C) + np.array(self.offset_C))

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return {"name": self.name, "weights": list(self.weight_C), "offsets": list(self.offset_C)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The reverse; DataError for what can't be meant."""
        weights = numbers(field(value, "weights"), "weights", 0.0, GREATEST_WEIGHT)
        offsets = numbers(field(value, "offsets"), "offsets", -GREATEST_OFFSET, GREATEST_OFFSET)
        if len(weights) != len(offsets):
            raise DataError(
                f"The stored calibrator has {len(weights)} weights and {len(offsets)} offsets: they must match; calibrate again."
            )
        return cls(weights, offsets)

    def labels(self) -> int | None:
        """As many as there are weights."""
        return len(self.weight_C)
