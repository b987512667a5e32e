"""What turns a model's probabilities into ones that can be believed: fitted on rows it has not learnt from, applied to all others.

Each file holds one calibrator: a small frozen value, fitted from log-probabilities and true labels, applied to log-probabilities,
written as plain JSON. All stay finite whatever they are fitted on (one class only, zeros, all right, all wrong): weak priors pull
them toward leaving the probabilities as they are. Which one serves is `score.crossfit`'s to say.

Legend: N rows, C labels.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar, Protocol, Self

from tunesmith.core.errors import DataError, did_you_mean
from tunesmith.score.calibrators.logs import Indices
from tunesmith.score.measures import Floats


class Calibrator(Protocol):
    """One way to correct probabilities."""

    name: ClassVar[str]

    @classmethod
    def fit(cls, logp_NC: Floats, label_N: Indices) -> Self:
        """From natural log-probabilities [N, C] (rows need not be normalised) and each row's true label, 0 to C - 1."""

    def apply(self, logp_NC: Floats) -> Floats:
        """Probabilities, [N, C]; rows sum to 1."""

    def to_json(self) -> dict[str, Any]:
        """A plain dict, `name` in it."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The reverse of `to_json`; DataError for what can't be meant."""

    def labels(self) -> int | None:
        """For how many labels it was fitted; None: for any number."""


NAMES = {
    "identity": "identity:Identity",
    "temperature": "temperature:Temperature",
    "platt": "platt:Platt",
    "vector": "vector:Vector",
    "isotonic": "isotonic:Isotonic",
}
"""Name -> module of this folder and the calibrator in it, the plainest first."""


def kind(name: str) -> type[Calibrator]:
    """The calibrator called `name`; DataError with the nearest name where there is none."""
    if name not in NAMES:
        raise DataError(f"No calibrator is called {name!r}.{did_you_mean(name, NAMES)}")
    module, attribute = NAMES[name].split(":")
    found: type[Calibrator] = getattr(import_module(f"tunesmith.score.calibrators.{module}"), attribute)
    return found


def from_json(value: Any) -> Calibrator:
    """The calibrator that was written; DataError for what can't be meant."""
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        raise DataError("The stored calibrator has no name: calibrate the model again.")
    return kind(value["name"]).from_json(value)
