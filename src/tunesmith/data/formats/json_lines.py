"""JSON Lines: one object a line."""

import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, NoReturn

from tunesmith.data.formats import BadLine, Record, Source
from tunesmith.data.formats.lines import Line, Unreadable, decoded_for_quarantine, lines, text_of, too_long

_ARRAY = re.compile(rb"(\xef\xbb\xbf)?\s*\[\s*(\{|$|\n|\r)")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_DEEPEST = 200
"""Levels of nesting that rows may have; what walks them later calls itself once a level."""


def _refuse_constant(name: str) -> NoReturn:
    raise Unreadable(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise Unreadable("a number is too large")
    return value


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; Unreadable where a key comes twice, since one of its values would be lost without a word."""
    held = dict(pairs)
    if len(held) != len(pairs):
        raise Unreadable("a key that comes twice")
    return held


DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_each_once)


def why_not(error: ValueError | RecursionError) -> str:
    """What kept a text from being read as JSON, as a phrase."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return "not valid JSON" if isinstance(error, json.JSONDecodeError) else "a number is too large"


def check_surrogates(text: str, value: Any) -> None:
    """Raise Unreadable where a JSON text escapes half a surrogate pair, which no file can hold as UTF-8."""
    if _SURROGATE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise Unreadable("holds half of a surrogate pair") from None


def check_depth(text: str, value: Any) -> None:
    """Raise Unreadable where a value is nested more than 200 levels deep."""
    if text.count("[") + text.count("{") <= _DEEPEST:
        return
    level = [value]
    for _ in range(_DEEPEST):
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one) if isinstance(inner, (dict, list))]
        if not level:
            return
    raise Unreadable("nested too deeply")


def parse_object(text: str) -> dict[str, Any]:
    """One line's object; Unreadable says in a few words why there is none."""
    if "\0" in text:
        raise Unreadable("holds NUL bytes")
    text = text.strip()
    try:
        value, end = DECODER.raw_decode(text)
    except Unreadable:
        raise
    except (ValueError, RecursionError) as error:
        raise Unreadable(why_not(error)) from error
    if end != len(text):
        raise Unreadable("not valid JSON")
    if not isinstance(value, dict):
        raise Unreadable("not a JSON object")
    check_depth(text, value)
    check_surrogates(text, value)
    return value


def _read(line: Line, source: Source) -> Record | BadLine:
    if not line.whole:
        return BadLine(line.number, too_long(source.longest), decoded_for_quarantine(line.data))
    try:
        return Record(line.number, parse_object(text_of(line.data, line.number, source)))
    except Unreadable as error:
        return BadLine(line.number, str(error), decoded_for_quarantine(line.data))


def records(source: Source) -> Iterator[Record | BadLine]:
    """Yield one record or bad line for each line that isn't blank. A file that is one JSON array is read as such."""
    from tunesmith.data.formats import json_array
    from tunesmith.data.formats.opening import start_of

    with source.open() as file:
        if _ARRAY.match(start_of(file)):
            source.note(f"{source.name} holds one JSON array, and is read as that.")
            yield from json_array.records_in(file, source)
        else:
            yield from records_in(file, source)


def records_in(file: BinaryIO, source: Source) -> Iterator[Record | BadLine]:
    """The same for a file that is open and known to hold lines."""
    for line in lines(file, source.longest):
        if line.data.strip():
            yield _read(line, source)
