"""Items as training rows: the passage and the question in the prompt, or the question alone.

Each row carries its document in the column `document`: with `data.split.by: document` no document stands on two sides.
"""

from collections.abc import Iterable, Iterator
from typing import Literal

from tunesmith.core.rows import Message, Row
from tunesmith.data.synthesise.items import Item

GROUP = "document"
Style = Literal["open_book", "closed_book"]
"""With the passage in the prompt, or without it."""


def training_rows(items: Iterable[Item], style: Style = "open_book") -> Iterator[Row]:
    """One row an item, in order; ids are those of the items."""
    for one in items:
        question = f"{one.passage}\n\n{_asked(one)}" if style == "open_book" else _asked(one)
        where = f"{one.source}:{one.position}" if one.position else one.source
        fields = {GROUP: one.source, "position": one.position, "title": one.title, "kind": one.kind}
        yield Row(id=one.id, prompt=(Message("user", question),), answer=one.answer, source=where, fields=fields)


def as_record(row: Row) -> dict[str, object]:
    """A row as `read` takes it back from JSONL: prompt, completion, and the other columns."""
    return {"prompt": row.prompt[-1].content, "completion": row.answer, **row.fields}


def _asked(one: Item) -> str:
    return "\n".join([one.question, *(f"- {choice}" for choice in one.choices)])
