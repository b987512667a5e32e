"""A long JSON text, a window at a time: values are decoded where they stand, and skipped where they can't be."""

import json
import re
from codecs import getincrementaldecoder
from typing import Any, BinaryIO

from tunesmith.core.errors import DataError
from tunesmith.data.formats import Source
from tunesmith.data.formats.json_lines import DECODER, why_not
from tunesmith.data.formats.lines import KEPT_OF_LONG, Unreadable, too_long

_SPACE = re.compile(r"[ \t\r\n]*")
_OUTSIDE, _INSIDE = re.compile(r'["\[\]{},]'), re.compile(r'["\\]')
_SCALAR = re.compile(r"[\s,\]}]")
_BLOCK = 2**18


class SetAside(Unreadable):
    """A value that is no row; `raw` is its text, or the start of a long one."""

    def __init__(self, reason: str, raw: str) -> None:
        super().__init__(reason)
        self.raw = raw


class _Scan:
    """Where a value ends, found by its quotes and brackets alone, over as many pieces of text as it takes."""

    def __init__(self, first: str) -> None:
        self._scalar = first not in '"[{'
        self._quoted = self._escaped = False
        self._depth = 0
        self.commas = 0
        """Those directly inside the value."""

    def feed(self, text: str, at: int) -> tuple[int, bool]:
        """Go on from a position; how far it came, and whether the value has ended there."""
        while at < len(text):
            if self._escaped:
                at, self._escaped = at + 1, False
                continue
            match = (_INSIDE if self._quoted else _SCALAR if self._scalar else _OUTSIDE).search(text, at)
            if match is None:
                return len(text), False
            if self._scalar:
                return match.start(), True
            at = match.end()
            if self._ends(match.group()):
                return at, True
        return at, False

    def _ends(self, mark: str) -> bool:
        if mark == "\\":
            self._escaped = True
        elif mark == '"':
            self._quoted = not self._quoted
        elif mark == ",":
            self.commas += self._depth == 1
        else:
            self._depth += 1 if mark in "[{" else -1
        return self._depth <= 0 and not self._quoted and not self._escaped


class JsonText:
    """A cursor over a JSON text. `text[at]` is the next character; `line` and `column` say where it stands."""

    def __init__(self, file: BinaryIO, source: Source) -> None:
        self._file, self.source = file, source
        self._decoder = getincrementaldecoder("utf-8")("surrogateescape")
        self.text, self.at, self._ended = "", 0, False
        self._first = True
        self._line, self._counted, self._begins = 1, 0, 0
        """The line at position `_counted` of `text`, and where that line begins: below 0 where it was dropped."""

    def place(self, at: int | None = None) -> tuple[int, int]:
        """The line and column, from 1, of a position behind the cursor; of the cursor where none is named, which is kept to count on from."""
        to = self.at if at is None else at
        lines = self.text.count("\n", self._counted, to)
        begins = self.text.rfind("\n", self._counted, to) + 1 if lines else self._begins
        if at is None:
            self._line, self._counted, self._begins = self._line + lines, to, begins
            return self._line, to - begins + 1
        return self._line + lines, to - begins + 1

    def more(self, count: int = _BLOCK) -> bool:
        """Read on, dropping what lies behind the cursor; False at the end."""
        if self._ended:
            return False
        block = self._file.read(count)
        self._ended = not block
        new = self._decoder.decode(block, self._ended)
        if self._first and new:
            new, self._first = new.removeprefix("\ufeff"), False
        _, column = self.place()
        self.text, self.at = self.text[self.at :] + new, 0
        self._counted, self._begins = 0, 1 - column
        return True

    def next(self) -> str:
        """The next character that isn't space; nothing at the end."""
        while True:
            match = _SPACE.match(self.text, self.at)
            self.at = match.end() if match else self.at
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.more():
                return ""

    def value(self) -> tuple[Any, str]:
        """The value at the cursor and its text; the cursor goes behind it.

        Raises:
            SetAside: it is no row; the cursor is behind it.
            DataError: it is no JSON, or is cut short.
        """
        if len(self.text) - self.at < _BLOCK // 4:
            self.more()
        while True:
            try:
                value, end = DECODER.raw_decode(self.text, self.at)
                if end == len(self.text) and self.text[end - 1] not in '}]"' and self.more():
                    continue
                held, self.at = self.text[self.at : end], end
                return value, held
            except Unreadable as error:
                raise self._set_aside(str(error)) from error
            except json.JSONDecodeError as error:
                waiting = len(self.text) - self.at
                if waiting <= self.source.longest and self.more(max(_BLOCK, waiting)):
                    continue
                raise self._set_aside("", error) from error
            except (ValueError, RecursionError) as error:
                raise self._set_aside(why_not(error)) from error

    def _set_aside(self, reason: str, broken: json.JSONDecodeError | None = None) -> SetAside:
        """Skip the value at the cursor. DataError where it is no longer than allowed and still no JSON: nothing tells where the next begins."""
        line, _ = self.place()
        where = self.place(broken.pos) if broken else (0, 0)
        raw, size, _ = self.skip(line)
        if broken and size <= self.source.longest:
            raise self.broken(broken.msg[0].lower() + broken.msg[1:], where) from broken
        return SetAside(reason or too_long(self.source.longest), raw)

    def skip(self, line: int) -> tuple[str, int, int]:
        """Go behind the value at the cursor without decoding it: its text (of a long one the start), its characters, its items.

        Raises:
            DataError: the text ends before the value does, which began on `line`.
        """
        scan, held, size, done = _Scan(self.next()), "", 0, False
        while not done:
            begin = self.at
            self.at, done = scan.feed(self.text, begin)
            size += self.at - begin
            held = held + self.text[begin : self.at] if size <= self.source.longest else (held or self.text[begin:])[:KEPT_OF_LONG]
            if not done and not self.more():
                raise self.cut_short(line)
        items = scan.commas + 1 if held[1:2] and held[1:-1].strip() else 0
        return held, size, items

    def cut_short(self, line: int) -> DataError:
        """What to say of a text that ends inside a value."""
        return DataError(
            f"{self.source.path} ends inside the item that begins on line {line}: the file is cut short; copy or write it again."
        )

    def broken(self, why: str, where: tuple[int, int] | None = None) -> DataError:
        """What to say of a text that is no JSON at a place."""
        line, column = where or self.place()
        return DataError(
            f"{self.source.path} is not valid JSON: {why} on line {line}, column {column}; "
            "mend it there, or write one object a line as .jsonl."
        )
