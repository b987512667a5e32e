"""Markdown: headings, paragraphs, tables and code as they are written; front matter and comments are left out."""

import re
from collections.abc import Iterator
from typing import BinaryIO

from tunesmith.data.documents.block import Block
from tunesmith.data.documents.paragraphs import text_lines
from tunesmith.data.formats import BadLine, Source

_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))??(?:[ \t]+#+)?[ \t]*$")
_UNDERLINE = re.compile(r" {0,3}(=+|-{2,})[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_TITLE = re.compile(r"title\s*[:=]\s*[\"']?(.*?)[\"']?\s*$", re.I)
_RULES = {"---": ("---", "..."), "+++": ("+++",)}
"""What opens front matter (YAML, TOML), and what closes it."""
_FRONT = 500
"""Lines that front matter has at most: a rule on the first line may be a rule."""


class _Reader:
    """Puts lines together to blocks."""

    def __init__(self) -> None:
        self._held: list[str] = []
        self._start = 0
        self._fence = ""
        self._comment = False

    def line(self, number: int, text: str) -> Iterator[Block]:
        """Take a line; yield what it ends."""
        if self._fence:
            self._held.append(text)
            if text.strip().startswith(self._fence) and not text.strip().strip(self._fence[0]):
                self._fence = ""
                yield from self.end(verbatim=True)
            return
        text = self._without_comment(text)
        if fence := _FENCE.match(text):
            yield from self.end()
            self._fence = fence.group(1)
            self._hold(number, text)
        elif heading := _HEADING.match(text):
            yield from self.end()
            if heading.group(2):
                yield Block(heading.group(2), number, len(heading.group(1)))
        elif self._held and len(self._held) <= 2 and (line := _UNDERLINE.match(text)) and not self._is_table():
            words, start = " ".join(self._held), self._start
            self._held = []
            yield Block(words.strip(), start, 1 if line.group(1)[0] == "=" else 2)
        elif text.strip():
            self._hold(number, text)
        else:
            yield from self.end()

    def end(self, verbatim: bool = False) -> Iterator[Block]:
        """What is held, as a block."""
        if self._held:
            yield Block("\n".join(self._held), self._start, verbatim=verbatim or bool(self._fence) or self._is_table())
        self._held = []

    def _hold(self, number: int, text: str) -> None:
        self._start = self._start if self._held else number
        self._held.append(text)

    def _is_table(self) -> bool:
        return all("|" in line for line in self._held)

    def _without_comment(self, text: str) -> str:
        """A line without `<!-- -->`, which may reach over many."""
        kept = ""
        while text:
            before, mark, text = text.partition("-->" if self._comment else "<!--")
            kept += "" if self._comment else before
            self._comment = self._comment != bool(mark)
        return kept.rstrip()


def blocks(file: BinaryIO, source: Source) -> Iterator[Block | BadLine]:
    """Yield headings and blocks with the lines they begin on; a title that the front matter gives comes first."""
    reader = _Reader()
    lines = text_lines(file, source)
    for line in _after_front_matter(lines, reader):
        if isinstance(line, (Block, BadLine)):
            yield line
        else:
            yield from reader.line(*line)
    yield from reader.end()


def _after_front_matter(lines: Iterator[tuple[int, str] | BadLine], reader: _Reader) -> Iterator[tuple[int, str] | BadLine | Block]:
    """The lines behind front matter; all of them where it is none."""
    held: list[tuple[int, str] | BadLine] = []
    closing: tuple[str, ...] = ()
    for line in lines:
        held.append(line)
        text = "" if isinstance(line, BadLine) else line[1]
        if len(held) == 1:
            closing = _RULES.get(text, ())
        elif text in closing:
            yield from (one for one in held if isinstance(one, BadLine))
            titles = [match.group(1) for one in held if isinstance(one, tuple) and (match := _TITLE.match(one[1])) and match.group(1)]
            yield from (Block(title, 1, 0) for title in titles[:1])
            held = []
            break
        if not closing or len(held) > _FRONT:
            break
    yield from held
    yield from lines
