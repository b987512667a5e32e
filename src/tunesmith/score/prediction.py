"""One answer of one system to one row, as it is saved, scored and shown."""

from dataclasses import asdict, dataclass
from typing import Any, Self

from tunesmith.core.rows import Span

Meaning = tuple[str, ...] | tuple[Span, ...] | float | bool | None
"""What an answer stands for where that is not its words: labels, spans, a number, wanted or not."""


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
    chances: dict[str, float] | None = None
    """Probability of every label, summing to 1; None where the answer is no label, or its probability is not known."""
    prompt_tokens: int = 0
    answer_tokens: int = 0
    seconds: float = 0.0
    """Time for an answer asked alone: for a model, the median of a few; without the samples its confidence may be made from, as the tokens are."""
    reference_logprob: float | None = None
    """Natural log-probability of the reference under the system, end token included; for perplexity."""
    reference_tokens: int | None = None
    """How many tokens that sum runs over."""
    rejected_logprob: float | None = None
    """The same of the worse answer of a preference pair, under the same prompt."""
    rejected_tokens: int | None = None
    truth: Meaning = None
    """What the reference stands for."""
    found: Meaning = None
    """What the answer stands for."""
    words: int | None = None
    """Words of a text that was tagged."""
    words_right: int | None = None
    """Those of them whose tag is right."""
    kept: dict[str, bool] | None = None
    """Rule of a style guide -> whether the answer keeps it; None where there is no guide."""

    def to_json(self) -> dict[str, Any]:
        """A plain dict, one line of a predictions file."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """The reverse of `to_json`."""
        return cls(**value | {name: _meaning(value.get(name)) for name in ("truth", "found")})


def _meaning(value: Any) -> Meaning:
    """JSON's lists as the tuples they were."""
    if not isinstance(value, list):
        meant: Meaning = value
        return meant
    return tuple(tuple(part) if isinstance(part, list) else part for part in value)
