"""Items as CSV for spreadsheets. A cell that would be run as a formula gets an apostrophe before it, as spreadsheets write text."""

import csv
import io
from collections.abc import Iterable, Iterator

from tunesmith.data.synthesise.items import Item

COLUMNS = ("id", "kind", "question", "answer", "choices", "passage", "source", "position", "title")
_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "＝", "＋", "－", "＠")


def csv_lines(items: Iterable[Item]) -> Iterator[str]:
    """The header and one record an item; choices stand one a line in their cell."""
    yield _record(COLUMNS)
    for one in items:
        cells = (one.id, one.kind, one.question, one.answer, "\n".join(one.choices), one.passage, one.source, one.position, one.title)
        yield _record([_cell(cell) for cell in cells])


def _cell(text: str) -> str:
    text = text.replace("\x00", "")
    return f"'{text}" if text.startswith(_STARTS) or text.lstrip().startswith(_STARTS) else text


def _record(cells: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(list(cells))
    return line.getvalue()
