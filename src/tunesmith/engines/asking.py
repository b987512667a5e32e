"""What is asked of an engine, and what it answers.

An engine is anything with `complete`: the client of a URL (`openai.OpenAIEngine`), a model in this process, a script in a test.
A request that fails is an answer too (`EngineError`): one bad prompt among thousands must not cost the others.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tunesmith.core.rows import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """One conversation to be continued."""

    messages: tuple[Message, ...]
    max_tokens: int = 512
    """Longest answer, in the engine's tokens."""
    temperature: float = 0.0
    """0 takes the likeliest token."""
    seed: int | None = None
    """For engines that can repeat themselves. Requests that differ only in it are remembered apart."""
    stop: tuple[str, ...] = ()
    """Texts that end the answer."""
    schema: Mapping[str, Any] | None = None
    """The JSON schema the answer must follow, where it is to be JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What an engine answered."""

    text: str
    finish: str = "stop"
    """`stop` where it came to its end, `length` where it was cut off; else the engine's own word."""
    prompt_tokens: int = 0
    """Tokens read, as the engine counts them; 0 where it doesn't say."""
    answer_tokens: int = 0
    """Tokens written, likewise."""
    remembered: bool = False
    """Whether it came from disk and cost nothing this time."""


@dataclass(frozen=True, slots=True)
class EngineError:
    """A request that got no answer, as a value. `reason` is one sentence, and holds nothing of what was asked."""

    reason: str


class Engine(Protocol):
    """What answers prompts."""

    @property
    def name(self) -> str:
        """Which engine and model, for reports and keys: equal names give answers of equal kind."""

    def complete(self, requests: Sequence[ChatRequest]) -> list[Completion | EngineError]:
        """One answer a request, in order. Raises MachineError or RecipeError only for what stands in the way of all of them."""


def read_json_answer(text: str) -> Any | None:
    """The JSON value of an answer, also where it stands in a ``` fence; None where there is none."""
    body = text.strip()
    if body.startswith("```"):
        body = body.split("\n", 1)[-1].rsplit("```", 1)[0]
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
