"""Records that hold several rows: self-instruct's `instances`, a list of pairs beside one instruction."""

import json
from collections.abc import Iterator
from typing import Any

from tunesmith.data.formats import BadLine, Record, Source

_LIST, _BESIDE, _HELD = "instances", "instruction", "output"


def unnested(items: Iterator[Record | BadLine], source: Source) -> Iterator[Record | BadLine]:
    """Yield a record for each instance of a record that has some, with the record's other columns; anything else as it is."""
    for item in items:
        if isinstance(item, Record) and _LIST in item.values and _BESIDE in item.values and _are_pairs(item.values[_LIST]):
            source.note(f"{source.name}: each of a record's {_LIST} is read as a row of its own.")
            yield from _each(item)
        else:
            yield item


def _are_pairs(held: Any) -> bool:
    """Whether a value is a list that holds at least one object with an output."""
    return isinstance(held, list) and any(isinstance(one, dict) and _HELD in one for one in held)


def _each(record: Record) -> Iterator[Record | BadLine]:
    shared = {column: value for column, value in record.values.items() if column != _LIST}
    for one in record.values[_LIST]:
        if isinstance(one, dict):
            yield Record(record.number, {**shared, **one})
        else:
            yield BadLine(record.number, "an instance that is not an object", json.dumps(one, ensure_ascii=False))
