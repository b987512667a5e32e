"""Items as notes for Anki: a text file with headers, read by File > Import from Anki 2.1.54 on, without any library.

A note keeps its id, so that a later import changes notes instead of doubling them. Everything is escaped, brackets too: a passage can
bring neither HTML nor `[sound:...]` nor `[latex]` into a collection.
"""

import html
import re
from collections.abc import Iterable, Iterator

from tunesmith.data.synthesise.items import Item

_ESCAPES = str.maketrans({"[": "&#91;", "]": "&#93;", "{": "&#123;", "}": "&#125;", "\\": "&#92;", "\t": " ", "\r": " ", "\n": "<br>"})
_NO_TAG = re.compile(r"[^\w.-]+")
COLUMNS = ("id", "Front", "Back", "tags")


def anki_lines(items: Iterable[Item], deck: str) -> Iterator[str]:
    """The lines of the file, line ends included."""
    name = " ".join(deck.split()) or "Quiz"
    yield from ("#separator:tab\n", "#html:true\n", "#notetype:Basic\n", f"#deck:{name}\n", "#guid column:1\n", "#tags column:4\n")
    for one in items:
        front = "<br>".join([_field(one.question), *(f"&#9711; {_field(choice)}" for choice in one.choices)])
        where = _field(", ".join(part for part in (one.title, one.source, one.position) if part))
        back = f"<b>{_field(one.answer)}</b><hr><small>{_field(one.passage)}<br><i>{where}</i></small>"
        yield "\t".join([one.id, front, back, f"tunesmith {one.kind} {_NO_TAG.sub('_', one.source)}"]) + "\n"


def _field(text: str) -> str:
    """HTML that shows the text and does nothing else."""
    return html.escape(text).translate(_ESCAPES)
