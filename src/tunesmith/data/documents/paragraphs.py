"""Plain text as a document: paragraphs between blank lines."""

from collections.abc import Iterator
from typing import BinaryIO

from tunesmith.data.documents.block import Block
from tunesmith.data.formats import BadLine, Source
from tunesmith.data.formats.lines import Unreadable, decoded_for_quarantine, lines, text_of, too_long


def text_lines(file: BinaryIO, source: Source) -> Iterator[tuple[int, str] | BadLine]:
    """Number and text of each line, its ending left out; a line that can't be read as it is met."""
    for line in lines(file, source.longest):
        try:
            if not line.whole:
                raise Unreadable(too_long(source.longest))
            if b"\0" in line.data:
                raise Unreadable("holds NUL bytes")
            yield line.number, text_of(line.data, line.number, source).rstrip()
        except Unreadable as error:
            yield BadLine(line.number, str(error), decoded_for_quarantine(line.data))


def blocks(file: BinaryIO, source: Source) -> Iterator[Block | BadLine]:
    """Yield paragraphs. Their line breaks stay."""
    held: list[str] = []
    start = 0
    for line in text_lines(file, source):
        if isinstance(line, BadLine):
            yield line
            continue
        number, text = line
        if text:
            start = start if held else number
            held.append(text)
        elif held:
            yield Block("\n".join(held), start)
            held = []
    if held:
        yield Block("\n".join(held), start)
