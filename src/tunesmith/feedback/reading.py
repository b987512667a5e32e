"""Opinions from a file: any format that `data.path` reads, with columns of their own names.

`prompt` (a text, or messages) and `answer`, beside one or more of `thumbs` (up, down, true, false), `correction`, `preferred`, `label` and
`comment`; `user` (whose opinion it is), `model` and `confidence` may stand beside them. The same file again changes nothing: the
completion's id follows from prompt and answer. A model that knows labels is corrected by one of them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from tunesmith.core.errors import DataError
from tunesmith.core.hashing import digest
from tunesmith.core.rows import Message
from tunesmith.data.content import BadRow, messages
from tunesmith.data.formats import BadLine, reader
from tunesmith.data.source import find
from tunesmith.data.values import flag_of, number_of
from tunesmith.feedback.labels import unknown_label
from tunesmith.feedback.redact import LONGEST, redacted, redacted_opinion, redacted_turns, storable
from tunesmith.ledger.feedback import FeedbackRecord, Kind

LONGEST_LINE = 1 << 24
"""Bytes."""
_KINDS: dict[str, Kind] = {
    "thumbs": "thumbs", "correction": "correction", "preferred": "preference", "label": "label", "comment": "comment",
}  # fmt: skip
_KNOWN = ("prompt", "answer", *_KINDS, "user", "model", "confidence")


@dataclass(frozen=True, slots=True)
class Unread:
    """A record that makes no opinion."""

    number: int
    """Its line, or its place in the file."""
    why: str


Labels = Callable[[str | None], Sequence[str] | None]
"""Model's name, or None where a record names none -> the labels it knows; None: its answers are free text, or nobody knows."""


def read_opinions(path: str, tenant: str, labels: Labels = lambda _: None) -> Iterator[FeedbackRecord | Unread]:
    """The opinions of a file, redacted, in its order; a record with several gives several.

    Raises:
        RecipeError, DataError, MachineError: the file can't be read (see `data.source.find`); DataError too where no record has a
            column of opinions.
    """
    family, source = find(path, LONGEST_LINE)
    any_column = False
    for item in reader(family)(source):
        if isinstance(item, BadLine):
            yield Unread(item.number, item.reason)
            continue
        values = {name.strip().casefold(): value for name, value in item.values.items() if value not in (None, "")}
        any_column = any_column or bool(values.keys() & _KINDS.keys())
        try:
            _hold_to_labels(values, labels)
            yield from _opinions(values, tenant)
        except BadRow as error:
            yield Unread(item.number, str(error))
    if not any_column:
        raise DataError(f"{path} has no opinions: it needs prompt, answer and one of {', '.join(_KINDS)} as columns.")


def _opinions(values: Mapping[str, Any], tenant: str) -> list[FeedbackRecord]:
    said = [name for name in _KINDS if name in values]
    if not said:
        raise BadRow(f"it has none of {', '.join(_KINDS)}")
    if "prompt" not in values:
        raise BadRow("it has no prompt")
    prompt, answer = _prompt(values["prompt"]), _text(values, "answer")
    if sum(len(turn.content) for turn in prompt) + len(answer or "") > LONGEST:
        raise BadRow(f"prompt and answer are longer than {LONGEST:,} characters")
    kept = redacted_turns(prompt) or ()
    shown = None if answer is None else answer if "label" in said else redacted(answer)
    about = f"import-{digest([[turn.role, turn.content] for turn in kept] + [shown])[:24]}"
    user = _named(_text(values, "user") or "")
    return [
        redacted_opinion(
            FeedbackRecord(
                tenant=tenant,
                key_id=f"import:{user}",
                completion_id=about,
                kind=_KINDS[name],
                value=_value(values, name),
                model=_text(values, "model"),
                prompt=kept,
                answer=None if shown is None else storable(shown),
                confidence=_confidence(values.get("confidence")),
            )
        )
        for name in said
    ]


def _hold_to_labels(values: Mapping[str, Any], labels: Labels) -> None:
    """BadRow where a model that knows labels is corrected by something else."""
    said = [name for name in ("label", "correction", "preferred") if name in values]
    known = labels(_text(values, "model")) if said else None
    if known is None:
        return
    why = unknown_label(_text(values, "label") or "", known) if "label" in said else None
    if why is not None:
        raise BadRow(why)
    if said != ["label"]:
        raise BadRow(f"its model answers with labels: the right one stands in the column label, not in {said[-1]}")


def _named(user: str) -> str:
    """A user's name, or where it is personal (an address, a number) a short hash of it: users stay apart, and who guesses one can test the guess."""
    return user if redacted(user) == user else f"user-{digest(storable(user))[:8]}"


def _prompt(held: Any) -> tuple[Message, ...]:
    if isinstance(held, str):
        return (Message("user", held),)
    found = messages(held)
    if not found or found[-1].role == "assistant":
        raise BadRow("prompt holds no turn to be answered")
    return tuple(found)


def _text(values: Mapping[str, Any], name: str) -> str | None:
    held = values.get(name)
    if held is None:
        return None
    if isinstance(held, bool) or not isinstance(held, (str, int, float)):
        raise BadRow(f"{name} is no text")
    return str(held)


def _value(values: Mapping[str, Any], name: str) -> str:
    if name == "thumbs":
        told = str(values[name]).strip().casefold()
        flag = flag_of(values[name])
        if told not in ("up", "down") and flag is None:
            raise BadRow("thumbs is neither up nor down")
        return told if flag is None else "up" if flag else "down"
    text = _text(values, name) or ""
    if not text.strip() or len(text) > LONGEST:
        raise BadRow(f"{name} is empty or longer than {LONGEST:,} characters")
    return text


def _confidence(held: Any) -> float | None:
    number = number_of(held)
    return number if number is not None and isfinite(number) and 0 <= number <= 1 else None
