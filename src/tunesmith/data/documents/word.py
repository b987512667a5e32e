"""Word documents (.docx): paragraphs, headings by their style, tables; deleted text, pictures and fields' codes are left out. No macro is run."""

import re
import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from tunesmith.data.documents.block import Block, damaged
from tunesmith.data.formats import Source
from tunesmith.data.formats.columnar import seekable
from tunesmith.data.formats.excel import check_zip

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_TITLE = "{http://purl.org/dc/elements/1.1/}title"
_HEADING = re.compile(r"heading ?([1-6])$", re.I)
_SAFE = {"resolve_entities": False, "no_network": True, "load_dtd": False, "huge_tree": False}


def blocks(file: BinaryIO, source: Source) -> Iterator[Block]:
    """Yield blocks in order, paragraphs and tables counted from 1; the title of the document's properties first, where it has one.

    Raises:
        DataError: it is no Word document, is damaged or locked, or unpacks too far.
    """
    with seekable(file) as whole:
        check_zip(whole, source, shared="styles.xml")
        try:
            with zipfile.ZipFile(whole) as held:
                yield from _title(held)
                levels = _levels(held)
                with held.open("word/document.xml") as body:
                    yield from _Body(levels).blocks(cast(BinaryIO, body))
        except GeneratorExit:
            raise
        except Exception as error:  # zipfile, zlib and lxml let many errors through, and the bytes are anybody's
            raise damaged(source, "a Word document") from error


def _title(held: zipfile.ZipFile) -> Iterator[Block]:
    from lxml import etree

    if "docProps/core.xml" in held.namelist():
        with held.open("docProps/core.xml") as opened:
            for _, element in etree.iterparse(opened, tag=_TITLE, **_SAFE):
                if element.text and element.text.strip():
                    yield Block(element.text.strip(), 1, 0)


def _levels(held: zipfile.ZipFile) -> dict[str, int]:
    """Style -> level of the headings."""
    from lxml import etree

    levels: dict[str, int] = {}
    if "word/styles.xml" not in held.namelist():
        return levels
    with held.open("word/styles.xml") as opened:
        for _, style in etree.iterparse(opened, tag=f"{_W}style", **_SAFE):
            name = style.find(f"{_W}name")
            called = "" if name is None else name.get(f"{_W}val", "")
            match = _HEADING.match(called)
            if match or called.casefold() == "title":
                levels[style.get(f"{_W}styleId", "")] = int(match.group(1)) if match else 1
            style.clear()
    return levels


class _Body:
    """Walks the elements of a document's body."""

    def __init__(self, levels: dict[str, int]) -> None:
        self._levels = levels
        self._words: list[list[str]] = []
        """The text of each paragraph that is open: a text box holds paragraphs inside one."""
        self._level: int | None = None
        self._cells: list[str] = []
        self._row: list[str] = []
        self._rows: list[str] = []
        self._tables = self._skipped = self._count = 0

    def blocks(self, body: BinaryIO) -> Iterator[Block]:
        """The blocks of the XML that `body` holds."""
        from lxml import etree

        for event, element in etree.iterparse(body, events=("start", "end"), **_SAFE):
            self._skipped += (event == "start") - (event == "end") if element.tag == _FALLBACK else 0
            if self._skipped or not isinstance(element.tag, str) or not element.tag.startswith(_W):
                continue
            tag = element.tag[len(_W) :]
            if event == "start":
                self._start(tag)
            else:
                yield from self._end(tag, element)

    def _start(self, tag: str) -> None:
        if tag == "p":
            self._words.append([])
            self._level = None
        elif tag == "tbl":
            self._tables += 1

    def _end(self, tag: str, element: Any) -> Iterator[Block]:
        if tag == "p":
            yield from self._paragraph()
        elif tag == "pStyle":
            self._level = self._levels.get(element.get(f"{_W}val", ""))
        elif tag == "numPr" and self._words and not self._words[-1]:
            self._words[-1].append("- ")
        elif tag in _WORDS and self._words:
            self._words[-1].append(element.text or "" if tag == "t" else _WORDS[tag])
        elif tag == "tc" and self._tables == 1:
            self._row.append(" ".join(" ".join(self._cells).split()))
            self._cells = []
        elif tag == "tr" and self._tables == 1:
            self._rows.append(" | ".join(self._row))
            self._row = []
        elif tag == "tbl":
            yield from self._table()
        if tag in ("p", "tbl"):
            element.clear()
            while element.getprevious() is not None:
                del element.getparent()[0]

    def _paragraph(self) -> Iterator[Block]:
        text = "".join(self._words.pop()).strip() if self._words else ""
        if not text or text == "-":
            return
        if self._tables:
            self._cells.append(text)
            return
        level = self._level
        self._count += 1
        yield Block(text.removeprefix("- ") if level else text, self._count, level)

    def _table(self) -> Iterator[Block]:
        self._tables -= 1
        rows = [row for row in self._rows if row.strip("| ")]
        if not self._tables and rows:
            self._count += 1
            yield Block("\n".join(rows), self._count, verbatim=True)
        self._rows = [] if not self._tables else self._rows


_WORDS = {"t": "", "tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
"""Elements of a run that stand for text."""
