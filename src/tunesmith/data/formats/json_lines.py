"""JSON Lines: one object a line."""

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from tunesmith.data.formats import BadLine, Record, Source
from tunesmith.data.formats.lines import Line, decoded_for_quarantine, lines, too_long

_ARRAY = re.compile(rb"\s*\[\s*(\{|$)")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class Unreadable(ValueError):
    """Why one value can't be read, as a phrase."""


def _refuse_constant(name: str) -> NoReturn:
    raise Unreadable(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise Unreadable("a number is too large")
    return value


DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)


def check_surrogates(text: str, value: Any) -> None:
    """Raise Unreadable where a JSON text escapes half a surrogate pair, which no file can hold as UTF-8."""
    if _SURROGATE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise Unreadable("holds half of a surrogate pair") from None


def parse_object(data: bytes) -> dict[str, Any]:
    """One line's object; Unreadable says in a few words why there is none."""
    if b"\0" in data:
        raise Unreadable("holds NUL bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable("not UTF-8") from error
    try:
        value, end = DECODER.raw_decode(text.strip())
    except Unreadable:
        raise
    except (ValueError, RecursionError) as error:
        raise Unreadable("not valid JSON") from error
    if end != len(text.strip()):
        raise Unreadable("not valid JSON")
    if not isinstance(value, dict):
        raise Unreadable("not a JSON object")
    check_surrogates(text, value)
    return value


def _read(line: Line, longest: int) -> Record | BadLine:
    if not line.whole:
        return BadLine(line.number, too_long(longest), decoded_for_quarantine(line.data))
    try:
        return Record(line.number, parse_object(line.data))
    except Unreadable as error:
        return BadLine(line.number, str(error), decoded_for_quarantine(line.data))


def records(source: Source) -> Iterator[Record | BadLine]:
    """Yield one record or bad line for each line that isn't blank. A file that is one JSON array is read as such."""
    from tunesmith.data.formats import json_array

    with source.open() as file:
        first = next((line for line in lines(file, source.longest) if line.data.strip()), None)
    if first is not None and _ARRAY.match(first.data):
        source.notes.append(f"{source.path.name} holds one JSON array, and is read as that.")
        yield from json_array.records(source)
        return
    with source.open() as file:
        for line in lines(file, source.longest):
            if line.data.strip():
                yield _read(line, source.longest)
