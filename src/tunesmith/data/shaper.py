"""Records become rows, once it is known what a file's columns are."""

import json
from collections.abc import Mapping
from typing import Any

from tunesmith.core.rows import Row
from tunesmith.data.content import BadRow
from tunesmith.data.formats import BadLine, Record
from tunesmith.data.formats.columnar import plain
from tunesmith.data.forms import Form, Recognised, forms_of
from tunesmith.data.shape import shape

_MERGED = ("instruction", "input", "first", "second")
"""Roles that one prompt is made of, so that each is also kept apart, to group by."""


class Shaper:
    """Makes rows of records, once it is known what their columns are."""

    def __init__(self, recognised: Recognised) -> None:
        self._form, self._mapping, self._separator = recognised.form, recognised.mapping, recognised.separator
        self.used = {column for role, column in recognised.mapping.items() if role not in _MERGED}
        self._required = [recognised.mapping[role] for role in recognised.form.required]
        self._other: dict[frozenset[str], str] = {}

    def row(self, record: Record, name: str) -> Row | BadLine:
        """The row that a record makes, or why it makes none."""
        values, used = record.values, self.used
        try:
            if not all(column in values for column in self._required):
                _check_form(values, self._form, self._other)
            content = shape(self._form, self._mapping, values, self._separator)
            rest = {column: plain(value) for column, value in values.items() if column not in used}
        except BadRow as error:
            return BadLine(record.number, str(error), _as_text(values), name)
        return Row(
            id="",
            prompt=content.prompt,
            answer=content.answer,
            rejected=content.rejected,
            labels=content.labels,
            value=content.value,
            tags=content.tags,
            wanted=content.wanted,
            weight=content.weight,
            source=f"{name}:{record.number}",
            fields=rest,
        )


def _check_form(values: Mapping[str, Any], form: Form, known: dict[frozenset[str], str]) -> None:
    """BadRow where a record lacks columns of the file's form and makes another form by itself."""
    columns = frozenset(values)
    if columns not in known:
        known[columns] = ", ".join(sorted(forms_of(columns) - {form.name}))
    if known[columns]:
        raise BadRow(f"a row in the form {known[columns]} in a file of {form.name}")


def _as_text(values: Mapping[str, Any]) -> str:
    return json.dumps(plain(dict(values)), ensure_ascii=False)
