"""Raw text: blank lines stand between documents; a file without blank lines holds one document a line."""

from collections.abc import Iterator

from tunesmith.data.formats import BadLine, Record, Source
from tunesmith.data.formats.lines import KEPT_OF_LONG, Line, Unreadable, decoded_for_quarantine, lines, text_of, too_long


def records(source: Source) -> Iterator[Record | BadLine]:
    """Yield one record or bad document each, under the column `text`."""
    with source.open() as file:
        by_block = _has_blank_line(lines(file, source.longest))
    with source.open() as file:
        for block in _blocks(lines(file, source.longest), by_block, source.longest):
            yield _document(block, source)
    source.note(f"{source.name}: one document a {'block between blank lines' if by_block else 'line'}.")


def _has_blank_line(all_lines: Iterator[Line]) -> bool:
    """Whether a blank line stands between two that aren't."""
    seen_text = seen_blank = False
    for line in all_lines:
        blank = not line.data.strip()
        if seen_blank and not blank:
            return True
        seen_text = seen_text or not blank
        seen_blank = seen_text and blank
    return False


def _blocks(all_lines: Iterator[Line], by_block: bool, longest: int) -> Iterator[list[Line]]:
    """The lines of each document; of one over the limit the first, marked as not whole."""
    block: list[Line] = []
    size = 0
    for line in all_lines:
        blank = not line.data.strip()
        if not blank:
            size += len(line.data)
            block.append(line)
            if size > longest:
                block = [Line(block[0].number, block[0].data, whole=False)]
        if block and (blank or not by_block):
            yield block
            block, size = [], 0
    if block:
        yield block


def _document(block: list[Line], source: Source) -> Record | BadLine:
    """The lines of one document as a record; each is decoded by itself."""
    number = block[0].number
    data = b"".join(line.data for line in block)
    if not all(line.whole for line in block):
        return BadLine(number, too_long(source.longest), decoded_for_quarantine(data[:KEPT_OF_LONG]))
    if b"\0" in data:
        return BadLine(number, "holds NUL bytes", decoded_for_quarantine(data))
    try:
        return Record(number, {"text": "".join(text_of(line.data, line.number, source) for line in block).strip()})
    except Unreadable as error:
        return BadLine(number, str(error), decoded_for_quarantine(data))
