"""One answer of one system to one row, as it is saved, scored and shown."""

from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a system answered, and what it cost."""

    row_id: str
    reference: str
    """The answer the row holds."""
    answer: str
    """The system's answer: a label's name, or generated text."""
    confidence: float | None = None
    """Probability of the answer among the labels, 0 to 1; None for generated text."""
    prompt_tokens: int = 0
    answer_tokens: int = 0
    seconds: float = 0.0
    """Time for an answer asked alone: for a model, the median of a few."""
    reference_logprob: float | None = None
    """Natural log-probability of the reference under the system, end token included; for perplexity."""
    reference_tokens: int | None = None
    """How many tokens that sum runs over."""

    def to_json(self) -> dict[str, Any]:
        """A plain dict, one line of a predictions file."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """The reverse of `to_json`."""
        return cls(**value)
