"""HTML: headings, paragraphs, lists and tables, told by their tags with lxml; scripts, styles, menus, forms and asides are left out."""

import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from tunesmith.core.errors import DataError
from tunesmith.data.documents.block import LONGEST, Block, damaged
from tunesmith.data.formats import Source

_LEFT_OUT = frozenset(
    (
        "script", "style", "noscript", "template", "svg", "math", "nav", "aside", "form", "footer", "button", "select", "textarea", "iframe",
        "object", "canvas", "audio", "video", "head",
    )
)  # fmt: skip
_DIVIDES = frozenset(
    (
        "address", "article", "blockquote", "body", "caption", "center", "dd", "details", "div", "dl", "dt", "fieldset", "figcaption", "figure",
        "header", "hr", "html", "li", "main", "ol", "p", "section", "summary", "table", "tbody", "tfoot", "thead", "tr", "ul",
    )
)  # fmt: skip
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_CHARSET = re.compile(rb"<(?:meta[^>]{0,200}charset|\?xml[^>]{0,200}encoding)\s*=\s*[\"']?\s*([\w.:-]+)", re.I)
_STEP = 2**16


class _Target:
    """What lxml tells of tags and text, as blocks."""

    def __init__(self) -> None:
        self.made: list[Block] = []
        self._words: list[str] = []
        self._out: list[str] = []
        self._level: int | None = None
        self._title = self._cell = False
        self._pre = self._tables = self._count = 0
        self._rows: list[str] = []

    def start(self, tag: str, attributes: Any) -> None:
        """A tag opens."""
        if tag == "title":
            self._end()
            self._title = not any(block.level == 0 for block in self.made)
        elif tag in _LEFT_OUT:
            self._out.append(tag)
        if self._out:
            return
        if tag in _HEADINGS:
            self._end()
            self._level = _HEADINGS[tag]
        elif tag == "table":
            self._end()
            self._tables += 1
        elif tag in ("td", "th") and self._tables:
            self._words.append(" | " if self._cell else "")
            self._cell = True
        elif tag == "pre":
            self._end()
            self._pre += 1
        elif tag == "br":
            self._words.append(" " if self._tables else "\n")
        elif tag in _DIVIDES and not self._tables:
            self._end()
            if tag == "li":
                self._words.append("- ")

    def end(self, tag: str) -> None:
        """A tag closes."""
        if tag == "title" and self._title:
            self._title = False
            self._add(Block("", 0, 0))
        if tag in self._out:
            del self._out[self._out.index(tag) :]
        if self._out:
            return
        if tag == "tr" and self._tables:
            self._row()
        elif tag == "table" and self._tables:
            self._tables -= 1
            self._row()
            if not self._tables and self._rows:
                self._count += 1
                self.made.append(Block("\n".join(self._rows), self._count, verbatim=True))
                self._rows = []
        elif tag in _HEADINGS or tag == "pre" or (tag in _DIVIDES and not self._tables):
            self._end()
            self._pre = max(0, self._pre - (tag == "pre"))

    def data(self, text: str) -> None:
        """Text between tags."""
        if self._title or not self._out:
            self._words.append(text if self._pre and not self._tables else re.sub(r"\s+", " ", text))

    def close(self) -> None:
        """The document ends."""
        self._row()
        self._end()

    def _row(self) -> None:
        words = " ".join("".join(self._words).split()).strip("| ") if self._tables or self._cell else ""
        if words:
            self._rows.append(words)
        if self._tables or self._cell:
            self._words, self._cell = [], False

    def _end(self) -> None:
        """What was gathered becomes a block."""
        if self._tables:
            return
        self._add(Block("", 0, self._level, verbatim=self._pre > 0))
        self._level = None

    def _add(self, like: Block) -> None:
        text = "".join(self._words)
        text = text.strip("\n").rstrip() if like.verbatim else re.sub(r" *\n *", "\n", re.sub(r" +", " ", text)).strip()
        self._words = []
        if text and text != "-":
            self._count += like.level != 0
            self.made.append(Block(text, self._count, like.level, like.verbatim))

    def take(self) -> list[Block]:
        """The blocks that are whole so far."""
        made, self.made = self.made, []
        return made


def blocks(file: BinaryIO, source: Source) -> Iterator[Block]:
    """Yield blocks in order, counted from 1.

    Raises:
        DataError: the page is over 128 MiB, or so deeply nested that lxml gives it up.
    """
    from lxml import etree

    data = file.read(LONGEST + 1)
    if len(data) > LONGEST:
        raise DataError(f"{source.path} is over {LONGEST >> 20} MiB: divide it.")
    target = _Target()
    text = _decoded(data, source).replace("\0", "")
    parser = etree.HTMLParser(target=target, encoding="utf-8", huge_tree=True, no_network=True)
    try:
        for start in range(0, len(text), _STEP):
            parser.feed(text[start : start + _STEP].encode("utf-8", "replace"))
            yield from target.take()
        if text.strip():
            parser.close()
    except (etree.LxmlError, ValueError, AssertionError) as error:
        raise damaged(source, "HTML") from error
    if any("depth" in entry.message for entry in parser.error_log):
        raise damaged(source, "HTML")
    yield from target.take()


def _decoded(data: bytes, source: Source) -> str:
    """The page as text: UTF-8, else what it says of itself, else Windows-1252, which is said."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        declared = _CHARSET.search(data[:4096])
        name = declared.group(1).decode("ascii", "replace") if declared else ""
    if name and not source.foreign:
        try:
            return data.decode(name)
        except (LookupError, ValueError):
            pass
    source.note(f"{source.name} is not UTF-8 and read as Windows-1252; name another in data.read.encoding if its letters are wrong.")
    return data.decode("cp1252", "replace")
