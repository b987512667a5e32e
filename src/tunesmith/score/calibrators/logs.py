"""Log-probabilities made safe, and numbers read from JSON: what every calibrator starts from.

Legend: N rows, C labels.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import DataError
from tunesmith.score.measures import Floats

Indices = NDArray[np.int64]
FLOOR = -100.0
"""What stands for less: one row whose true label was given no chance at all moves a fit so far and no further."""


def normalised(logp_NC: Floats) -> Floats:
    """Natural log-probabilities whose rows sum to 1 before those under -100 (zeros too) are taken for -100; DataError for nan, inf and empty rows."""
    logp_NC = np.asarray(logp_NC, dtype=np.float64)
    if logp_NC.ndim != 2 or logp_NC.shape[1] == 0:
        raise DataError(f"Log-probabilities have the shape {logp_NC.shape}: give one row per answer and one column per label.")
    best_N1 = logp_NC.max(axis=1, keepdims=True, initial=-np.inf)
    if not np.isfinite(best_N1).all():
        row = int(np.argmax(~np.isfinite(best_N1[:, 0])))
        raise DataError(f"Row {row + 1} of the log-probabilities has nan, inf or no chance for any label: score it anew.")
    return np.maximum(log_softmax(logp_NC), FLOOR)


def log_softmax(scores_NC: Floats) -> Floats:
    """Logarithm of the softmax over labels, [N, C]."""
    shifted_NC = scores_NC - scores_NC.max(axis=1, keepdims=True)
    found: Floats = shifted_NC - np.log(np.exp(shifted_NC).sum(axis=1, keepdims=True))
    return found


def softmax(scores_NC: Floats) -> Floats:
    """Probabilities, [N, C]."""
    return np.exp(log_softmax(scores_NC))


def to_fit(logp_NC: Floats, label_N: Indices) -> tuple[Floats, Indices]:
    """Both, safe to fit on; DataError where there is no row, or a label that is no column."""
    logp_NC, label_N = normalised(logp_NC), np.asarray(label_N, dtype=np.int64)
    if len(logp_NC) == 0:
        raise DataError("A calibrator was to be fitted on no rows: give it at least one.")
    if label_N.shape != (len(logp_NC),) or label_N.min() < 0 or label_N.max() >= logp_NC.shape[1]:
        raise DataError(f"True labels must be {len(logp_NC)} numbers from 0 to {logp_NC.shape[1] - 1}, one per row.")
    return logp_NC, label_N


def number(value: Any, what: str, low: float, high: float) -> float:
    """A number read from JSON, low to high; DataError else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise DataError(
            f"The stored calibrator's {what} is {_short(value)}: it must be a number from {low:g} to {high:g}; calibrate again."
        )
    return float(value)


def numbers(value: Any, what: str, low: float, high: float) -> tuple[float, ...]:
    """A list of numbers read from JSON, at least one; DataError else."""
    if not isinstance(value, list | tuple) or not value:
        raise DataError(f"The stored calibrator's {what} is {_short(value)}: it must be a list of numbers; calibrate again.")
    return tuple(number(one, what, low, high) for one in value)


def field(value: Mapping[str, Any], key: str) -> Any:
    """What stands under a key; DataError where nothing does."""
    if key not in value:
        raise DataError(f"The stored calibrator has no {key}: calibrate again.")
    return value[key]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
