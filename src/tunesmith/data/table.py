"""What stages that see all rows at once know of each: some eighty bytes a row, by ordinal. The rows themselves lie in the spool.

Legend: N rows.
"""

import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tunesmith.core.rows import Row
from tunesmith.data.chronology import moment
from tunesmith.data.fold import Keys, key_of
from tunesmith.data.leak import group_of
from tunesmith.data.strata import Strata

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    U64 = npt.NDArray[np.uint64]
    Mask = npt.NDArray[np.bool_]

PARTS = ("train", "validation", "test")
"""Where a row was supplied: in the main file, or apart."""
CONTRADICTABLE, MARKED, WANTED, UNWANTED, RAW = 1, 2, 4, 8, 16
"""Flags: another answer to the same prompt contradicts it; it has spans; its answer is one to give, or one not to; it has no prompt."""


_KINDS: dict[str, str] = {
    "text": "Q", "pair": "Q", "answer": "Q", "group": "Q", "stratum": "q", "part": "B", "flags": "B", "read": "Q", "key": "Q",
    "time": "d", "shown": "I", "asked": "I",
}  # fmt: skip
"""Column -> type code of the array module."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The table as arrays of length N."""

    text: "U64"
    """Equal where the model is shown the same words."""
    pair: "U64"
    """Equal where rows repeat one another."""
    answer: "U64"
    """Equal where the same is asked for."""
    group: "U64"
    """Equal where rows must stay together (`split.by`); 0 where a row is of no group."""
    stratum: "npt.NDArray[np.int64]"
    """What a row counts as when sides are kept in proportion."""
    part: "npt.NDArray[np.uint8]"
    """Place in `PARTS`."""
    flags: "npt.NDArray[np.uint8]"
    read: "U64"
    """Place among the rows read, dropped ones included: what the account knows a row by."""
    key: "U64"
    """Hash of the row's content as it was read."""
    time: "npt.NDArray[np.float64]"
    """Seconds since 1970 (`split.time`); NaN where unknown."""
    shown: "npt.NDArray[np.uint32]"
    """Characters of what the model is shown."""
    asked: "npt.NDArray[np.uint32]"
    """Characters of the answer."""

    def of_part(self, name: str) -> "Mask":
        """Which rows were supplied in a part."""
        found: Mask = self.part == PARTS.index(name)
        return found

    def has(self, flag: int) -> "Mask":
        """Which rows carry a flag."""
        found: Mask = (self.flags & flag) != 0
        return found


@dataclass(slots=True)
class Table:
    """Grows row by row; `columns()` when it is whole."""

    by: str | None
    """The column whose values must not be divided."""
    timed: str | None = None
    """The column that tells when a row is from."""
    stratified: bool = False
    _columns: dict[str, "array[Any]"] = field(
        default_factory=lambda: {name: array(kind) for name, kind in _KINDS.items()},
    )
    _strata: dict[int, Strata] = field(default_factory=dict)
    _codes: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        """How many rows are in it."""
        return len(self._columns["text"])

    def add(self, rows: Sequence[Row], keys: Sequence[Keys], read: Sequence[int], content: Sequence[int], part: int) -> None:
        """Rows with their keys, their places among all rows read, and the hashes of their content."""
        self.extend(keyed(rows, keys, self), read, content, part)

    def extend(self, some: "Keyed", read: Sequence[int], content: Sequence[int], part: int) -> None:
        """The same of rows that another process has looked at."""
        held, count = self._columns, len(some.columns["text"])
        for name, column in some.columns.items():
            held[name].extend(column)
        held["stratum"].extend(self._coded(some, self._strata.setdefault(part, Strata())))
        held["part"].extend([part] * count)
        held["read"].extend(read)
        held["key"].extend(content)

    def _coded(self, some: "Keyed", strata: Strata) -> list[int]:
        """The stratum of each row, as its code."""
        codes = self._codes
        if not self.stratified or any(row.labels is not None or row.value is not None for row in some.asking):
            return [codes.setdefault(strata.of(some.asking[at]) if self.stratified else "", len(codes)) for at in some.which]
        known = [codes.setdefault(strata.of(row), len(codes)) for row in some.asking]  # told from the row alone
        return [known[at] for at in some.which]

    def strata(self) -> Iterator[tuple[str, int]]:
        """Every stratum met, with its code in the column."""
        return iter(self._codes.items())

    def columns(self) -> Columns:
        """As arrays that share the table's memory."""
        import numpy as np

        kinds = {"Q": np.uint64, "q": np.int64, "B": np.uint8, "d": np.float64, "I": np.uint32}
        return Columns(**{name: np.frombuffer(self._columns[name], dtype=kinds[kind]) for name, kind in _KINDS.items()})


@dataclass(frozen=True, slots=True)
class Keyed:
    """What the table keeps of a run of rows, and what it tells strata from."""

    columns: dict[str, "array[Any]"]
    asking: list[Row]
    """What rows ask for, each once and without words around it."""
    which: "array[int]"
    """Of each row, its place in `asking`."""


def keyed(rows: Sequence[Row], keys: Sequence[Keys], table: Table) -> Keyed:
    """Columns of some rows for a table, which is only asked what it wants of them."""
    by, timed, stratified = table.by, table.timed, table.stratified
    columns: dict[str, list[Any]] = {
        "text": [key.text for key in keys],
        "pair": [key.pair for key in keys],
        "answer": [key.answer for key in keys],
        "group": [0] * len(rows) if by is None else [_group(row, by) for row in rows],
        "flags": list(map(_flags, rows)),
        "time": [math.nan] * len(rows) if timed is None else [moment(row.fields.get(timed)) for row in rows],
        "shown": [len(key.shown) for key in keys],
        "asked": [len(row.answer) for row in rows],
    }
    targets: dict[Any, int] = {}
    told = [(row.answer, row.labels, row.value, row.wanted) if stratified else None for row in rows]
    which = array("I", [targets.setdefault(target, len(targets)) for target in told])
    asking = [Row(id="") if each is None else Row(id="", answer=each[0], labels=each[1], value=each[2], wanted=each[3]) for each in targets]
    return Keyed({name: array(_KINDS[name], values) for name, values in columns.items()}, asking, which)


def contradictable(row: Row) -> bool:
    """Raw text, preference pairs and judged answers can't contradict one another: many answers to a prompt are their point."""
    return bool(row.prompt) and row.rejected is None and row.wanted is None


def _group(row: Row, by: str) -> int:
    group = group_of(row, by)
    return 0 if group is None else key_of(group) or 1


def _flags(row: Row) -> int:
    flags = CONTRADICTABLE if contradictable(row) else 0
    flags |= (MARKED if row.tags else 0) | (0 if row.prompt else RAW)
    return flags | (0 if row.wanted is None else WANTED if row.wanted else UNWANTED)
