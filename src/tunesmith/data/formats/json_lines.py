"""JSON Lines: one object a line."""

import json
import re
from collections.abc import Iterator
from io import BytesIO
from typing import Any, BinaryIO, NoReturn

import msgspec

from tunesmith.data.formats import BadLine, Record, Source
from tunesmith.data.formats.lines import Line, Unreadable, decoded_for_quarantine, lines, text_of, too_long
from tunesmith.data.formats.nested import unnested

_ARRAY = re.compile(rb"(\xef\xbb\xbf)?\s*\[\s*(\{|$|\n|\r)")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_BOM = b"\xef\xbb\xbf"
_BLOCK = 2**19
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


_PLAIN = {str, int, bool, type(None)}


def _flat(text: str) -> dict[str, Any] | None:
    """The object of a line that is a flat one of texts and whole numbers, read several times faster; None where there is more to check.

    Each key and each value that holds a colon takes one: as many colons as keys means that no key came twice.
    """
    if "\\u" in text:
        return None
    try:
        value = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return None
    if value.__class__ is not dict or text.count(":") != len(value) or not _PLAIN.issuperset(map(type, value.values())):
        return None
    found: dict[str, Any] = value
    return found


def parse_object(text: str) -> dict[str, Any]:
    """One line's object; Unreadable says in a few words why there is none."""
    if "\0" in text:
        raise Unreadable("holds NUL bytes")
    text = text.strip()
    flat = _flat(text)
    if flat is not None:
        return flat
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


def is_lines(file: BinaryIO) -> bool:
    """Whether an opened file holds lines, not one JSON array."""
    from tunesmith.data.formats.opening import start_of

    return not _ARRAY.match(start_of(file))


def blocks(file: BinaryIO, longest: int) -> Iterator[tuple[int, bytes]]:
    """Runs of whole lines, each with the number of lines before it; an over-long line is cut where `lines` still sees that it is."""
    before = 0
    while block := file.read(_BLOCK):
        if not block.endswith(b"\n"):
            block += file.readline(longest + 1)
        if len(block) > _BLOCK + longest and not block.endswith(b"\n"):
            rest = block
            while rest and not rest.endswith(b"\n"):
                rest = file.readline(2**16)
            block += b"\n"
        yield before, block
        before += block.count(b"\n")


def block_records(before: int, block: bytes, source: Source) -> Iterator[Record | BadLine]:
    """What such a run holds, numbered as in the whole file."""
    if before and block.startswith(_BOM):  # a mark only at the start of a file
        before, block = before - 1, b"\n" + block
    for item in unnested(records_in(BytesIO(block), source), source):
        number = item.number + before
        if isinstance(item, Record):
            yield Record(number, item.values, source.name)
        else:
            yield BadLine(number, item.reason, item.raw, source.name)
    if source.legacy.first:
        source.legacy.first += before
