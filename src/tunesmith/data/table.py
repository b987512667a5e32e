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
        held = self._columns
        strata = self._strata.setdefault(part, Strata())
        for row, key in zip(rows, keys, strict=True):
            held["text"].append(key.text)
            held["pair"].append(key.pair)
            held["answer"].append(key.answer)
            group = group_of(row, self.by)
            held["group"].append(0 if group is None else key_of(group) or 1)
            stratum = strata.of(row) if self.stratified else ""
            held["stratum"].append(self._codes.setdefault(stratum, len(self._codes)))
            held["part"].append(part)
            held["flags"].append(_flags(row))
            held["time"].append(math.nan if self.timed is None else moment(row.fields.get(self.timed)))
            held["shown"].append(len(key.shown))
            held["asked"].append(len(row.answer))
        held["read"].extend(read)
        held["key"].extend(content)

    def strata(self) -> Iterator[tuple[str, int]]:
        """Every stratum met, with its code in the column."""
        return iter(self._codes.items())

    def columns(self) -> Columns:
        """As arrays that share the table's memory."""
        import numpy as np

        kinds = {"Q": np.uint64, "q": np.int64, "B": np.uint8, "d": np.float64, "I": np.uint32}
        return Columns(**{name: np.frombuffer(self._columns[name], dtype=kinds[kind]) for name, kind in _KINDS.items()})


def contradictable(row: Row) -> bool:
    """Raw text, preference pairs and judged answers can't contradict one another: many answers to a prompt are their point."""
    return bool(row.prompt) and row.rejected is None and row.wanted is None


def _flags(row: Row) -> int:
    flags = CONTRADICTABLE if contradictable(row) else 0
    flags |= (MARKED if row.tags else 0) | (0 if row.prompt else RAW)
    return flags | (0 if row.wanted is None else WANTED if row.wanted else UNWANTED)
