"""Personal data taken out of what is kept: each finding of `data.anonymise` as its kind in brackets, `[EMAIL]`, and no way back.

About three thousand short texts a second on one core. What the rules and lists don't find stays: this lessens what is kept, and is no proof.
"""

from collections.abc import Sequence
from dataclasses import replace

from tunesmith.core.rows import Message
from tunesmith.data.anonymise import masked
from tunesmith.ledger.feedback import FeedbackRecord
from tunesmith.ledger.requests import RequestRecord

LONGEST = 65_536
"""Characters of a prompt and its answer together; texts of longer ones are not kept."""


def redacted(text: str) -> str:
    """A text without personal data, and such that it can be stored and sent."""
    return masked(storable(text))


def storable(text: str) -> str:
    """The text with U+FFFD for NUL and lone surrogates, which JSON may hold and UTF-8 or a database may not."""
    return "".join("\ufffd" if c == "\0" or "\ud800" <= c <= "\udfff" else c for c in text)


def redacted_turns(prompt: Sequence[Message] | None) -> tuple[Message, ...] | None:
    """A prompt without personal data."""
    return None if prompt is None else tuple(Message(turn.role, redacted(turn.content)) for turn in prompt)


def redacted_request(record: RequestRecord) -> RequestRecord:
    """A request without personal data; without its texts where they are longer than `LONGEST`."""
    if length(record) > LONGEST:
        return replace(record, prompt=None, answer=None)
    answer = record.answer if record.label is not None else None if record.answer is None else redacted(record.answer)
    return replace(record, prompt=redacted_turns(record.prompt), answer=answer)


def redacted_opinion(record: FeedbackRecord) -> FeedbackRecord:
    """An opinion whose own words hold no personal data; labels and thumbs stay."""
    written = record.kind in ("correction", "preference", "comment")
    return replace(record, value=redacted(record.value) if written else storable(record.value))


def length(record: RequestRecord) -> int:
    """Characters of its texts."""
    return sum(len(turn.content) for turn in record.prompt or ()) + len(record.answer or "")
