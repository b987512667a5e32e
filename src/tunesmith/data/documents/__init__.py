"""Documents (.md, .html, .pdf, .docx, and .txt where the recipe says so) as passages: each a record with its text, file, position and title.

One module for each format tells blocks (headings, paragraphs, tables, code); `passages` cuts them. A document is read by itself, so that memory is
that of the largest one at most.
"""

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import PurePath
from typing import BinaryIO

from tunesmith.core.errors import DataError
from tunesmith.data.documents.block import Block
from tunesmith.data.documents.passages import passages
from tunesmith.data.formats import BadLine, Record, Source, suffix_of

_MODULES = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "hypertext",
    ".htm": "hypertext",
    ".xhtml": "hypertext",
    ".pdf": "pdf",
    ".docx": "word",
    ".txt": "paragraphs",
}
Blocks = Callable[[BinaryIO, Source], Iterator[Block | BadLine]]


def records(source: Source) -> Iterator[Record | BadLine]:
    """Yield one record for each passage, with the columns text, source (the file), position and title.

    Raises:
        DataError: the document is damaged, locked, or holds no text.
    """
    suffix = suffix_of(source.name)
    blocks: Blocks = import_module(f"tunesmith.data.documents.{_MODULES[suffix]}").blocks
    title = [PurePath(source.name).name.split(".")[0]]
    found = False
    with source.open() as file:
        for passage in passages(_watched(blocks(file, source), title), source.config.passage_words):
            if isinstance(passage, BadLine):
                yield passage
                continue
            found = True
            where = f"page {passage.number}" if suffix == ".pdf" else " > ".join(passage.headings) or f"{_COUNTED[suffix]} {passage.number}"
            yield Record(passage.number, {"text": passage.text, "source": source.name, "position": where, "title": title[0]})
    if not found:
        raise DataError(f"{source.path} holds no text: leave it out{_SCANNED if suffix == '.pdf' else ''}.")


_COUNTED = dict.fromkeys(_MODULES, "paragraph") | dict.fromkeys((".md", ".markdown", ".txt"), "line")
_SCANNED = ", or if its pages are pictures of text, make them readable with OCR (such as ocrmypdf)"


def _watched(blocks: Iterator[Block | BadLine], title: list[str]) -> Iterator[Block | BadLine]:
    """The blocks, with the document's title noted: what its metadata say, or the first heading of the first level."""
    known = False
    for block in blocks:
        if isinstance(block, Block) and not known and block.level in (0, 1) and block.text.strip():
            title[0], known = " ".join(block.text.split()), True
        yield block
