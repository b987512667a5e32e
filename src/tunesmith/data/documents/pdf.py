"""PDF: the text of each page with pypdf, in the order the file draws it; lines put together to paragraphs, running heads and page numbers left out.

A PDF has no paragraphs, only lines at places: a line that ends a sentence well short of the others ends one. Columns come in the order they were
drawn, which is right for what LaTeX and Word write. Pictures of text hold no text.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, BinaryIO

from tunesmith.core.errors import DataError
from tunesmith.data.documents.block import LONGEST, Block, damaged
from tunesmith.data.formats import Source
from tunesmith.data.formats.columnar import seekable

_LIGATURES = str.maketrans({"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st", "\u00ad": "", "\0": ""})
_EDGE, _COMMON, _FEWEST = 2, 0.5, 4
"""Lines at the top and bottom of a page that may be running heads, the share of pages they stand on, and the fewest pages to tell by."""
_ENDS = re.compile(r"[.!?:…][\"”’')\]]*$")
_BULLET = re.compile(r"\s*(?:[•▪◦‣*–-]|\(?\d{1,3}[.)])\s+\S")
_MOST = 64 * 2**20
"""Most characters of one PDF."""


def blocks(file: BinaryIO, source: Source) -> Iterator[Block]:
    """Yield paragraphs with the page they begin on; the title of the document's properties first, where it has one.

    Raises:
        DataError: it is no PDF, is damaged, or is locked with a password.
    """
    with seekable(file) as whole:
        title, pages = _read(whole, source)
    if title:
        yield Block(title, 1, 0)
    yield from _joined(paragraph for number, lines in enumerate(_without_heads(pages), 1) for paragraph in _paragraphs(lines, number))


def _read(file: BinaryIO, source: Source) -> tuple[str, list[list[str]]]:
    """The title, and the lines of each page."""
    import logging

    from pypdf import PdfReader

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it warns of what it mends, one line each
    if file.seek(0, 2) > LONGEST:
        raise DataError(f"{source.path} is over {LONGEST >> 20} MiB: divide it.")
    file.seek(0)
    try:
        reader = PdfReader(file)
        if reader.is_encrypted and not _opens(reader):
            raise DataError(f"{source.path} is locked with a password: save it without one.")
        title = str(reader.metadata.title or "") if reader.metadata else ""
        pages: list[list[str]] = []
        size = 0
        for page in reader.pages:
            text = page.extract_text().encode("utf-8", "ignore").decode().translate(_LIGATURES)
            size += len(text)
            if size > _MOST:
                raise DataError(f"{source.path} holds over {_MOST:,} characters: divide it.")
            pages.append(text.splitlines())
    except DataError:
        raise
    except Exception as error:  # a damaged PDF fails in pypdf in dozens of ways
        raise damaged(source, "a PDF") from error
    return " ".join(title.encode("utf-8", "ignore").decode().split()), pages


def _opens(reader: Any) -> bool:
    """Whether an encrypted file opens without a password."""
    try:
        return bool(reader.decrypt(""))
    except Exception:  # a cipher that isn't here is as good as a password
        return False


def _without_heads(pages: list[list[str]]) -> list[list[str]]:
    """The pages without lines that stand at the edge of at least half of them, digits aside, and without bare page numbers there."""
    pages = [[line.rstrip() for line in page if line.strip()] for page in pages]
    counts = Counter(key for page in pages for key in {_key(line) for line in page[:_EDGE] + page[-_EDGE:]})
    heads = {key for key, count in counts.items() if len(pages) >= _FEWEST and count > _COMMON * len(pages)}
    return [
        [line for place, line in enumerate(page) if not (min(place, len(page) - 1 - place) < _EDGE and _key(line) in heads | {"#"})]
        for page in pages
    ]


def _key(line: str) -> str:
    """A line as running heads are compared: numbers, Roman ones that stand alone included, are alike."""
    return re.sub(r"\d+|^[ivxlc]+$", "#", " ".join(line.split()).casefold())


def _paragraphs(lines: list[str], number: int) -> Iterator[Block]:
    """The paragraphs of one page."""
    width = sorted(map(len, lines))[int(0.8 * len(lines))] if lines else 0
    held = ""
    for place, line in enumerate(lines):
        if held and (_BULLET.match(line) or (_ENDS.search(held) and len(lines[place - 1]) < 0.8 * width)):
            yield Block(held, number)
            held = ""
        held = _glued(held, line.strip())
    if held:
        yield Block(held, number)


def _glued(held: str, line: str) -> str:
    """Two lines as one: a word that was divided at the end of a line is put together."""
    if re.search(r"[a-z]-$", held) and re.match(r"[a-z]", line):
        return held[:-1] + line
    return f"{held} {line}" if held else line


def _joined(paragraphs: Iterator[Block]) -> Iterator[Block]:
    """Paragraphs, one that goes on over the page put together."""
    held: Block | None = None
    for block in paragraphs:
        if held is not None and held.number != block.number and not _ENDS.search(held.text) and block.text[:1].islower():
            held = Block(_glued(held.text, block.text), held.number)
            continue
        if held is not None:
            yield held
        held = block
    if held is not None:
        yield held
