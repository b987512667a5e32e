"""Raw text: blank lines stand between documents; a file without blank lines holds one document a line."""

from collections.abc import Iterator

from tunesmith.data.formats import BadLine, Record, Source
from tunesmith.data.formats.lines import Line, decoded_for_quarantine, lines, too_long


def records(source: Source) -> Iterator[Record | BadLine]:
    """Yield one record or bad document each, under the column `text`."""
    with source.open() as file:
        by_block = _has_blank_line(lines(file, source.longest))
    with source.open() as file:
        block: list[Line] = []
        for line in lines(file, source.longest):
            if line.data.strip():
                block.append(line)
            if block and (not by_block or not line.data.strip()):
                yield _document(block, source.longest)
                block = []
        if block:
            yield _document(block, source.longest)
    source.notes.append(f"{source.path.name}: one document a {'block between blank lines' if by_block else 'line'}.")


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


def _document(block: list[Line], longest: int) -> Record | BadLine:
    data = b"".join(line.data for line in block)
    number = block[0].number
    if len(data) > longest or not all(line.whole for line in block):
        return BadLine(number, too_long(longest), decoded_for_quarantine(data[:4096]))
    if b"\0" in data:
        return BadLine(number, "holds NUL bytes", decoded_for_quarantine(data))
    try:
        return Record(number, {"text": data.decode("utf-8").strip()})
    except UnicodeDecodeError:
        return BadLine(number, "not UTF-8", decoded_for_quarantine(data))
