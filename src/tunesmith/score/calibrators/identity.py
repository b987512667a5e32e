"""No correction: what every other calibrator has to beat."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from tunesmith.score.calibrators.logs import Indices, normalised, softmax, to_fit
from tunesmith.score.measures import Floats


@dataclass(frozen=True, slots=True)
class Identity:
    """Probabilities as they are."""

    name: ClassVar[str] = "identity"

    @classmethod
    def fit(cls, logp_NC: Floats, label_N: Indices) -> Self:
        """Nothing to find; the input is checked as everywhere."""
        to_fit(logp_NC, label_N)
        return cls()

    def apply(self, logp_NC: Floats) -> Floats:
        """Probabilities, [N, C]."""
        return softmax(normalised(logp_NC))

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return {"name": self.name}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The reverse."""
        return cls()

    def labels(self) -> int | None:
        """Any number."""
        return None
