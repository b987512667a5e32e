"""What passes between HTTP and what answers, whatever answers: a model in this process, or an engine behind a URL."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from tunesmith.core.rows import Message
from tunesmith.score.prediction import Meaning

Finish = Literal["stop", "length", "content_filter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request for text. Exactly one of `messages` and `text` is there."""

    messages: tuple[Message, ...] = ()
    text: str | None = None
    """To be continued as it stands."""
    max_tokens: int | None = None
    """None: as many as the model was evaluated with."""
    temperature: float | None = None
    """None: as the model was evaluated."""
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    n: int = 1
    schema: dict[str, Any] | None = None
    """Answers are JSON that it accepts."""
    logprobs: bool = False
    top: int = 0
    """Likeliest tokens told beside each."""
    whole: bool = False
    """The client takes the answer in one piece: what answers need not come in pieces."""

    @property
    def as_evaluated(self) -> bool:
        """Whether nothing is asked that would write answers otherwise than the model was judged by."""
        others = (self.text, self.max_tokens, self.temperature, self.top_p, self.schema)
        return not self.stop and all(one is None for one in others)


@dataclass(frozen=True, slots=True)
class TokenSaid:
    """A token with its log-probability, and the likeliest in its place."""

    text: str
    bytes: tuple[int, ...]
    logp: float
    likeliest: tuple[tuple[str, tuple[int, ...], float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Some text of one choice; the last of each has `finish`."""

    index: int
    text: str = ""
    tokens: tuple[TokenSaid, ...] = ()
    finish: Finish | None = None
    prompt_tokens: int = 0
    """With the last piece."""
    answer_tokens: int = 0
    extra: dict[str, Any] | None = None
    """With the last piece: confidence, whether the model should rather abstain."""

    @property
    def says(self) -> bool:
        """Whether a client learns anything from it; one that doesn't only counts tokens."""
        return bool(self.text or self.tokens or self.finish or self.extra)


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A text's label, or what else a model reads off it."""

    label: str
    """Of several labels, numbers and spans: the answer as evaluation writes it."""
    confidence: float | None
    """None where the model has none: numbers, spans."""
    abstains: bool
    """The model is less sure than the risk it was calibrated for allows: better ask a person."""
    chances: dict[str, float] = field(default_factory=dict)
    prompt_tokens: int = 0
    found: Meaning = None
    """What it stands for where that is not one label: labels, a number, spans."""


class Backend(Protocol):
    """What answers under one name."""

    @property
    def name(self) -> str:
        """The model's id."""

    @property
    def created(self) -> int:
        """Seconds since 1970."""

    @property
    def facts(self) -> dict[str, Any]:
        """What `/v1/models` tells beside: task, labels, whether it is calibrated."""

    def pieces(self, ask: Ask) -> AsyncIterator[Piece]:
        """The answer as it comes. Leaving the iterator drops it.

        Raises:
            Refusal: it can't be answered.
        """

    async def classify(self, texts: Sequence[str]) -> list[Labelled]:
        """Labels of texts; Refusal where the model has none."""

    async def embed(self, texts: Sequence[str]) -> tuple[list[list[float]], int]:
        """An embedding of each text, and the tokens read."""

    def ready(self) -> bool:
        """Whether it can answer now."""

    def load(self) -> dict[str, float]:
        """What waits and what is being answered, for metrics."""

    def close(self, *, drain: bool) -> None:
        """Stop."""
