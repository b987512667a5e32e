"""A row as one line of JSON, in the spool and in a dataset's files; the id stands apart, since it is known last.

What is left out is its default: no labels, a weight of 1. The place a row was read from stands at the end and is no part of
what the row is.
"""

from typing import Any

import msgspec

from tunesmith.core.rows import Message, Row, Span

_PLAIN = 1.0


class _Line(msgspec.Struct, omit_defaults=True):
    prompt: tuple[Message, ...] = ()
    answer: str = ""
    rejected: str | None = None
    labels: tuple[str, ...] | None = None
    value: float | None = None
    tags: tuple[Span, ...] | None = None
    wanted: bool | None = None
    weight: float = _PLAIN
    fields: dict[str, Any] = {}
    source: str = ""
    id: str = ""


_ENCODE = msgspec.json.Encoder(order="deterministic").encode
_DECODE = msgspec.json.Decoder(_Line).decode
_SOURCE = b',"source":'


def line_of(row: Row) -> bytes:
    """The row without its id, as a JSON object. ValueError where a text is no Unicode."""
    fields = row.fields if isinstance(row.fields, dict) else dict(row.fields)
    weight = _PLAIN if row.weight == _PLAIN else row.weight  # what is left out is told by identity, not by value
    held = (row.prompt, row.answer, row.rejected, row.labels, row.value, row.tags, row.wanted, weight, fields, row.source)
    return _ENCODE(_Line(*held))


def with_id(line: bytes, row_id: str) -> bytes:
    """The line of a dataset's file: the id first, a line break at the end."""
    start = b'{"id":"' + row_id.encode() + b'"'
    return start + (b"}\n" if line == b"{}" else b"," + line[1:] + b"\n")


def identity_of(line: bytes) -> bytes:
    """What of a line counts for a dataset's identity: all but where the row was read from."""
    before, mark, _ = line.rpartition(_SOURCE)
    return before if mark else line[:-1]


def row_of(line: bytes, row_id: str | None = None) -> Row:
    """The row of a line; its id as given, or as the line says. ValueError where it is no row."""
    held = _DECODE(line)
    return Row(
        id=held.id if row_id is None else row_id,
        prompt=held.prompt,
        answer=held.answer,
        rejected=held.rejected,
        labels=held.labels,
        value=held.value,
        tags=held.tags,
        wanted=held.wanted,
        weight=held.weight,
        source=held.source,
        fields=held.fields,
    )
