"""JSON: one array of objects, read a window at a time. Each object keeps the line it begins on.

A file that is one object whose keys hold lists (train, test) is read by `file.json#train`. Items that are pairs of a text and a label become the
columns `text` and `label`.
"""

from collections.abc import Iterator
from typing import Any, BinaryIO

from tunesmith.core.errors import DataError, RecipeError, did_you_mean
from tunesmith.data.formats import BadLine, Record, Source
from tunesmith.data.formats.json_lines import DECODER, check_depth, check_surrogates
from tunesmith.data.formats.json_lines import records_in as lines_in
from tunesmith.data.formats.json_text import JsonText, SetAside
from tunesmith.data.formats.lines import Unreadable, text_of, too_long
from tunesmith.data.formats.many import printable

_SHOWN = 8


def records(source: Source) -> Iterator[Record | BadLine]:
    """Yield one record or bad line for each item of the array; DataError where the file is no array of objects.

    A file that holds one object a line is read as JSON Lines.
    """
    with source.open() as file:
        yield from records_in(file, source)


def records_in(file: BinaryIO, source: Source) -> Iterator[Record | BadLine]:
    """The same for a file that is open."""
    text = JsonText(file, source)
    first = text.next()
    if first == "[":
        if source.part:
            raise RecipeError(f"{source.path} is an array, which has no key {source.part!r}: leave out what stands behind the #.")
        yield from _items(text)
        _check_end(text)
    elif first == "{" and source.part:
        yield from _under(text, source.part)
    elif first == "{":
        _check_lines(text)
        source.note(f"{source.name} holds one JSON object a line, and is read as that.")
        with source.open() as again:
            yield from lines_in(again, source)
    elif first:
        raise text.broken("expected an array of objects")


def _check_end(text: JsonText) -> None:
    if text.next():
        raise text.broken("text after the end of the array")


def _check_lines(text: JsonText) -> None:
    """DataError where an object stands alone: it is a row only if it is one line without lists."""
    source = text.source
    held: dict[str, int] = {}
    try:
        for key, first in _keys(text):
            held[key] = text.skip(text.place()[0])[2] if first == "[" else _skipped(text)
    except DataError:
        return  # no whole object: its lines are looked at one by one
    if text.next() or (text.place()[0] <= 2 and not any(items > 1 for items in held.values())):
        return
    lists = [f"{printable(key)} ({items:,})" for key, items in held.items() if items > 1]
    shown = (
        f"its keys hold lists: {', '.join(lists[:_SHOWN])}" if lists else f"its keys are {', '.join(map(printable, list(held)[:_SHOWN]))}"
    )
    largest = "train" if held.get("train") else max(held, key=lambda key: held[key], default="")
    advice = f"name the one to train on, such as {source.path}#{printable(largest)}" if lists else "write a list of objects"
    raise DataError(
        f"{source.path} is one JSON object, not an array of objects ({shown}): {advice}, and name further parts with "
        "data.validation_path and data.test_path."
    )


def _skipped(text: JsonText) -> int:
    text.skip(text.place()[0])
    return 0


def _keys(text: JsonText) -> Iterator[tuple[str, str]]:
    """The keys of the object at the cursor, each with its value's first character, at which the cursor then stands: go behind it."""
    text.at += 1
    while (mark := text.next()) and mark != "}":
        if mark != '"':
            raise text.broken("expected a key in quotes")
        key = _key(text)
        if text.next() != ":":
            raise text.broken("expected a colon after a key")
        text.at += 1
        yield key, text.next()
        if text.next() == ",":
            text.at += 1
        elif text.next() != "}":
            raise text.broken("expected a comma between keys")
    if not mark:
        raise text.cut_short(text.place()[0])
    text.at += 1


def _key(text: JsonText) -> str:
    try:
        return str(text.value()[0])
    except SetAside as error:
        raise text.broken(f"a key that is {error}") from error


def _under(text: JsonText, part: str) -> Iterator[Record | BadLine]:
    """The items of the list that one key of an object holds."""
    others = []
    for key, first in _keys(text):
        if key == part and first == "[":
            yield from _items(text)
            return  # what follows belongs to other keys
        others.append(key)
        text.skip(text.place()[0])
    what = "holds no list" if part in others else f"is not there.{did_you_mean(part, others[:200])}"
    raise RecipeError(f"{text.source.path}: the key {part!r} {what}")


def _items(text: JsonText) -> Iterator[Record | BadLine]:
    """The items of the array that begins at the cursor, decoded one by one so that each keeps its place; the cursor goes behind it."""
    text.at += 1
    line = text.place()[0]
    while (mark := text.next()) and mark != "]":
        line, _ = text.place()
        yield _item(text, line)
        if text.next() == ",":
            text.at += 1
        elif text.next() not in ("]", ""):
            raise text.broken("expected a comma between items")
    if not mark:
        raise DataError(f"{text.source.path} ends inside its array: the file is cut short; copy or write it again.")
    text.at += 1


def _item(text: JsonText, line: int) -> Record | BadLine:
    try:
        value, held = text.value()
    except SetAside as error:
        return BadLine(line, str(error), _printable(error.raw))
    try:
        return Record(line, _as_row(value, held, line, text.source))
    except Unreadable as error:
        return BadLine(line, str(error), _printable(held))


def _printable(raw: str) -> str:
    """Text that can be written anywhere: bytes that weren't UTF-8 as escapes."""
    return raw.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _as_row(value: Any, held: str, line: int, source: Source) -> dict[str, Any]:
    """An item's columns; Unreadable where it has none."""
    try:
        size = len(held) if held.isascii() else len(held.encode())
    except UnicodeEncodeError:  # bytes that were no UTF-8 came as halves of surrogate pairs
        data = held.encode("utf-8", "surrogateescape")
        size, value = len(data), DECODER.raw_decode(text_of(data, line, source))[0]
    if size > source.longest:
        raise Unreadable(too_long(source.longest))
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], (str, int)):
        source.note(f"{source.name} holds pairs, read as the columns text and label.")
        value = {"text": value[0], "label": value[1]}
    if not isinstance(value, dict):
        raise Unreadable("not a JSON object")
    check_depth(held, value)
    check_surrogates(held, value)
    return value
