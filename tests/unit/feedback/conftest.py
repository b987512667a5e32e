"""Opinions in one line."""

from collections.abc import Callable
from typing import Any

import pytest

from tunesmith.core.rows import Message
from tunesmith.ledger.feedback import FeedbackRecord

Say = Callable[..., FeedbackRecord]


def _say(kind: str, value: str, prompt: str | None = "question", answer: str | None = "answer", **more: Any) -> FeedbackRecord:
    given: dict[str, Any] = {
        "tenant": "a",
        "key_id": "k",
        "completion_id": f"c-{prompt}-{answer}",
        "prompt": None if prompt is None else (Message("user", prompt),),
        "answer": answer,
    }
    return FeedbackRecord(kind=kind, value=value, **given | more)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def say() -> Say:
    """(kind, value, prompt, answer, **more) -> an opinion of key `k`."""
    return _say
