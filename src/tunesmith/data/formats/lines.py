"""Lines of bytes, read without ever holding a long one, and their text."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from tunesmith.data.formats import Source
from tunesmith.data.formats.encoding import as_western

KEPT_OF_LONG = 4096
"""Bytes of an over-long line that are kept, for the quarantine."""
_BOM = b"\xef\xbb\xbf"


class Unreadable(ValueError):
    """Why one value can't be read, as a phrase."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line, its ending included. `whole` is false where it was longer than allowed and only its start is here."""

    number: int
    data: bytes
    whole: bool = True


def too_long(longest: int) -> str:
    """The reason given for a line over the limit."""
    return f"longer than {longest / 2**20:g} MiB"


def decoded_for_quarantine(data: bytes) -> str:
    """Bytes as text that can be written anywhere, what isn't UTF-8 shown as escapes."""
    return data.decode("utf-8", "backslashreplace").rstrip("\r\n")


def text_of(data: bytes, number: int, source: Source) -> str:
    """A line as text: UTF-8, or Windows-1252 where it can be nothing else; Unreadable otherwise."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        guessed = None if source.foreign else as_western(data, number, source.legacy)
        if guessed is None:
            raise Unreadable("not UTF-8" if not source.foreign else "bytes that its encoding does not have") from error
        return guessed


def lines(file: BinaryIO, longest: int) -> Iterator[Line]:
    """Yield the lines of a file in order; at most `longest` bytes are in memory at a time. A byte-order mark is left out."""
    number = 0
    while data := file.readline(longest + 1):
        number += 1
        if number == 1:
            data = data.removeprefix(_BOM)
        if len(data) <= longest:
            yield Line(number, data)
            continue
        rest = data
        while rest and not rest.endswith(b"\n"):
            rest = file.readline(2**16)
        yield Line(number, data[:KEPT_OF_LONG], whole=False)
