"""JSON: one array of objects, read whole. Each object keeps the line it begins on."""

import json
import re
from collections.abc import Iterator

from tunesmith.core.errors import DataError
from tunesmith.data.formats import BadLine, Record, Source, json_lines
from tunesmith.data.formats.json_lines import DECODER, Unreadable, check_surrogates
from tunesmith.data.formats.lines import KEPT_OF_LONG, too_long

_SPACE = re.compile(r"[ \t\r\n]*")


def records(source: Source) -> Iterator[Record | BadLine]:
    """Yield one record or bad line for each item of the array; DataError where the file is no array of objects.

    A file that holds one object a line is read as JSON Lines.
    """
    with source.open() as file:
        data = file.read()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{source.path} is not UTF-8 on line {line}: save it as UTF-8.") from error
    start = _skip(text, 0)
    if start == len(text):
        return
    if text[start] == "{":
        yield from _objects(source, text, start)
    elif text[start] == "[":
        yield from _items(source, text, start + 1)
    else:
        raise _broken(source, text, start, "expected an array of objects")


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _broken(source: Source, text: str, at: int, why: str) -> DataError:
    line = text.count("\n", 0, at) + 1
    column = at - text.rfind("\n", 0, at)
    return DataError(
        f"{source.path} is not valid JSON: {why} on line {line}, column {column}; mend it there, or write one object a line as .jsonl."
    )


def _objects(source: Source, text: str, start: int) -> Iterator[Record | BadLine]:
    """A file that begins with an object: JSON Lines under another name, or an object of splits, which is refused."""
    try:
        value, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        value, end = None, 0
    alone = value is not None and _skip(text, end) == len(text)
    lists = [f"{key} ({len(items):,})" for key, items in (value or {}).items() if isinstance(items, list) and len(items) > 1]
    if alone and (lists or "\n" in text[start:end].strip()):
        held = f"its keys hold lists: {', '.join(lists[:8])}" if lists else f"its keys are {', '.join(list(value or {})[:8])}"
        raise DataError(
            f"{source.path} is one JSON object, not an array of objects ({held}): "
            "save the part to train on as a file of its own, a list of objects, "
            "and name further parts with data.validation_path and data.test_path."
        )
    source.notes.append(f"{source.path.name} holds one JSON object a line, and is read as that.")
    yield from json_lines.records(source)


def _items(source: Source, text: str, at: int) -> Iterator[Record | BadLine]:
    """The items of an array whose bracket ends at `at`, parsed one by one so that each keeps its place."""
    line, counted = 1, 0
    at = _skip(text, at)
    while at < len(text) and text[at] != "]":
        line += text.count("\n", counted, at)
        counted = at
        item, end = _item(source, text, at, line)
        yield item
        at = _skip(text, end)
        if at < len(text) and text[at] == ",":
            at = _skip(text, at + 1)
        elif at < len(text) and text[at] != "]":
            raise _broken(source, text, at, "expected a comma between items")
    if at >= len(text):
        raise DataError(f"{source.path} ends inside its array: the file is cut short; copy or write it again.")
    if _skip(text, at + 1) != len(text):
        raise _broken(source, text, _skip(text, at + 1), "text after the end of the array")


def _item(source: Source, text: str, at: int, line: int) -> tuple[Record | BadLine, int]:
    """One item, and where it ends."""
    try:
        value, end = DECODER.raw_decode(text, at)
    except Unreadable as error:
        _, end = json.JSONDecoder().raw_decode(text, at)
        return BadLine(line, str(error), text[at:end]), end
    except json.JSONDecodeError as error:
        if _skip(text, error.pos) >= len(text) or "Unterminated" in error.msg:
            raise DataError(
                f"{source.path} ends inside the item that begins on line {line}: the file is cut short; copy or write it again."
            ) from error
        raise _broken(source, text, error.pos, error.msg[0].lower() + error.msg[1:]) from error
    except (ValueError, RecursionError) as error:
        raise _broken(source, text, at, "an item that is nested too deeply or holds too large a number") from error
    if len(text[at:end].encode("utf-8", "replace")) > source.longest:
        return BadLine(line, too_long(source.longest), text[at : at + KEPT_OF_LONG]), end
    if not isinstance(value, dict):
        return BadLine(line, "not a JSON object", text[at:end]), end
    try:
        check_surrogates(text[at:end], value)
    except Unreadable as error:
        return BadLine(line, str(error), text[at:end]), end
    return Record(line, value), end
