"""Divide rows into sides: in proportion to the labels, no text, group or near-duplicate on two sides, and for good.

The side of a row depends on the rows before it and on nothing after it. Appending rows therefore moves none, with three
exceptions: a set of under 160 rows, whose chains of near-duplicates may grow longer as it grows; one that begins or ceases to
count as written from templates (`deciding`); and shares that follow from the number of rows (`split.gain`).

Rows are taken in order. A text (or, with `by`, a group) met before goes where it went before, and a row that resembles one
before goes where that one went. A new one goes to the side that a seeded hash of it picks, unless that would
leave its label, or the rows as a whole, out of proportion; then it goes to the side that lacks most. The hash keeps most rows
in place even when a file is shuffled or thinned.

Bounds, for a label of which n texts were met, and a side of share p: the side holds at most p n + 1 + p n / 50 of them, since
it is given one more only while it has room or lacks some; each side gets something from 27 texts on, by the default shares.
The first text of a label goes to train. Rows that go along with others (groups, near-duplicates) may break these bounds.

A row that would tie two sides together (a text in two groups, a row that resembles two) is dropped where it comes later. Where
near-duplicates chain through more than a twentieth of the rows (and twenty rows), that is how the set is written: such a chain
stops growing, and what follows is divided like any other row.

Legend: N rows, M rows that are divided.
"""

import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tunesmith.data.decision import Decision, mixed

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tunesmith.data.table import Columns

    Mask = npt.NDArray[np.bool_]

SIDES = ("train", "select", "calibrate", "test")
NOWHERE, TORN_TEXT, TORN_NEAR, UNTIMED = -1, -2, -3, -4
"""Codes of rows on no side: not divided; text or group on another side; resembling rows on two sides; of no known time."""
_SLACK = 1.0
_LOOSE = 0.02
"""A side may be out of proportion by one text and 2% of its due before the hash is overruled."""
_ROWS_AT_ONCE = 2**18
_CHAIN_ROWS, _CHAIN_PART, _CHAIN_SHARE = 20, 8, 0.05
"""A chain of near-duplicates may hold so many rows (of a set under 160 rows an eighth), or this share of those met so far."""


def longest_chain(divided: int, met: int) -> float:
    """How many rows a chain of near-duplicates may hold, of so many that are divided in all, once so many were met."""
    return max(1, min(_CHAIN_ROWS, divided // _CHAIN_PART), _CHAIN_SHARE * met)


class Tally:
    """How many texts each side holds, of one label or of all."""

    __slots__ = ("held", "met", "shares")

    def __init__(self, shares: Sequence[float]) -> None:
        self.shares = shares
        self.held = [0] * len(shares)
        self.met = 0

    def lacks(self, side: int) -> float:
        """How many the side is short of its due, the next text counted in."""
        return self.shares[side] * (self.met + 1) - self.held[side]

    def room(self, side: int) -> float:
        """How far from its due the side may stray, either way."""
        return _SLACK + _LOOSE * self.shares[side] * (self.met + 1)

    def strained(self, side: int) -> bool:
        """Whether one more would be too many."""
        return self.lacks(side) - 1 < -self.room(side)

    def add(self, side: int) -> None:
        """One more text."""
        self.held[side] += 1
        self.met += 1


def choose_side(picked: int, label: Tally, whole: Tally) -> int:
    """The side of a new text or group, for which the hash picked one."""
    if label.met == 0:
        return 0
    if not _hungry(label, whole) and not label.strained(picked) and not whole.strained(picked):
        return picked
    lacking = [side for side in range(len(label.shares)) if label.lacks(side) > 0]
    return max(lacking, key=lambda side: label.lacks(side) + whole.lacks(side))


def _hungry(label: Tally, whole: Tally) -> bool:
    """Whether a side that lacks texts of the label must have the next, by the label or by all: asked for every row, so spelt out."""
    of_label, of_all = label.met + 1, whole.met + 1
    for share, held, held_of_all in zip(label.shares, label.held, whole.held, strict=True):
        lacks = share * of_label - held
        if lacks > 0 and (lacks > _SLACK + _LOOSE * share * of_label or share * of_all - held_of_all > _SLACK + _LOOSE * share * of_all):
            return True
    return False


@dataclass(frozen=True, slots=True)
class Near:
    """Which earlier rows each row resembles: those of row i are `earlier[starts_N1[i] : starts_N1[i + 1]]`."""

    starts_N1: "npt.NDArray[np.int64]"
    earlier: "npt.NDArray[np.uint32]"
    """On disk, where there are many."""

    @classmethod
    def of_pairs(cls, earlier: "npt.NDArray[np.integer]", later: "npt.NDArray[np.integer]", count: int) -> "Near":
        """From pairs of ordinals in any order, among so many rows."""
        import numpy as np

        order = np.argsort(later, kind="stable")
        return cls.of_sorted(np.asarray(earlier, np.uint32)[order], np.asarray(later)[order], count)

    @classmethod
    def of_sorted(cls, earlier: "npt.NDArray[np.uint32]", later: "npt.NDArray[np.integer]", count: int) -> "Near":
        """From pairs in order of the later row."""
        import numpy as np

        return cls(np.searchsorted(later, np.arange(count + 1)).astype(np.int64), earlier)

    def blocks(self) -> "Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]":
        """The earlier and the later rows of all pairs, some at a time."""
        import numpy as np

        for start in range(0, len(self.starts_N1) - 1, _ROWS_AT_ONCE):
            starts = self.starts_N1[start : start + _ROWS_AT_ONCE + 1]
            later = np.repeat(np.arange(start, start + len(starts) - 1), np.diff(starts))
            yield np.asarray(self.earlier[starts[0] : starts[-1]], np.int64), later


class _Chains:
    """Where rows went, and sizes of the chains that near-duplicates form, in the order rows come; 5 bytes a row."""

    def __init__(self, count: int, divided: int) -> None:
        import numpy as np

        self._divided = divided
        self._side_N = np.full(count, NOWHERE, np.int8)
        self._chain_N = np.full(count, -1, np.int32)
        self._sizes: list[int] = []
        self.met = 0

    def sides_beside(self, neighbours: "npt.NDArray[np.uint32]") -> set[int]:
        """The sides of the rows that one resembles; none where their chain may grow no more."""
        limit = longest_chain(self._divided, self.met)
        if any(self._sizes[chain] >= limit for chain in set(self._chain_N[neighbours].tolist()) if chain >= 0):
            return set()
        return set(self._side_N[neighbours].tolist()) - {NOWHERE}

    def join(self, row: int, side: int, neighbours: "npt.NDArray[np.uint32]", *, along: bool) -> None:
        """A row that went to a side joins the chain of the first it resembles, or begins one."""
        chains = [chain for chain in self._chain_N[neighbours].tolist() if chain >= 0] if along else []
        if not chains:
            self._sizes.append(0)
        chain = chains[0] if chains else len(self._sizes) - 1
        self._side_N[row], self._chain_N[row] = side, chain
        self._sizes[chain] += 1


def assign(
    columns: "Columns", divided_N: "Mask", shares: Mapping[str, float], seed: int, near: Near | None = None
) -> "npt.NDArray[np.int8]":
    """The side of each row, as its place in `shares`, or one of the codes above.

    Args:
        columns: of all rows.
        divided_N: which rows to divide; repeats included.
        shares: side -> share, summing to 1; a label's first text goes to the first of them.
        seed: the recipe's.
        near: which rows resemble one another; None where that is not asked.
    """
    import numpy as np

    rows = np.flatnonzero(divided_N)
    groups_M, texts_M = columns.group[rows], columns.text[rows]
    grouped_M = groups_M != 0
    bounds = np.cumsum(list(shares.values()))[:-1] * 2.0**64
    picked = np.searchsorted(bounds, mixed(np.where(grouped_M, groups_M, texts_M), seed).astype(np.float64), side="right")
    sides_N = np.full(len(divided_N), NOWHERE, np.int8)
    walk = _Walk(rows, columns, picked.astype(np.int8), tuple(shares.values()), near)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        some = slice(start, start + _ROWS_AT_ONCE)
        sides_N[rows[some]] = walk.sides(some)
    return sides_N


class _Walk:
    """Takes the rows that are divided in order, and keeps in mind where texts, groups and neighbours went; some 60 bytes a row."""

    def __init__(
        self,
        rows: "npt.NDArray[np.int64]",
        columns: "Columns",
        picked_M: "npt.NDArray[np.int8]",
        shares: tuple[float, ...],
        near: Near | None,
    ) -> None:
        import numpy as np

        self._rows, self._picked_M, self._near = rows, picked_M, near
        self._text_M = np.unique(columns.text[rows], return_inverse=True)[1]
        group_M = np.unique(columns.group[rows], return_inverse=True)[1]
        self._group_M = np.where(columns.group[rows] != 0, group_M, -1)
        self._stratum_M = columns.stratum[rows]
        self._side_of_text, self._side_of_group = array("b", [NOWHERE]) * len(rows), array("b", [NOWHERE]) * len(rows)
        self._whole, self._labels = Tally(shares), {stratum: Tally(shares) for stratum in np.unique(self._stratum_M).tolist()}
        count = len(columns.text)
        self._beside = _Beside(near, count, len(rows)) if near is not None and len(near.earlier) else None

    def sides(self, some: slice) -> list[int]:
        """The side of each of a run of rows."""
        keys = zip(self._text_M[some].tolist(), self._group_M[some].tolist(), self._stratum_M[some].tolist(), strict=True)
        kept = [False] * _ROWS_AT_ONCE if self._beside is None else self._beside.kept_N[self._rows[some]].tolist()
        picked, told = self._picked_M[some].tolist(), []
        for place, (text, group, stratum) in enumerate(keys):
            if kept[place]:
                told.append(self._near_side(some.start + place, text, group, stratum, picked[place]))
                continue
            settled = self._side_of_group[group] if group >= 0 else self._side_of_text[text]
            side = settled if settled >= 0 else choose_side(picked[place], self._labels[stratum], self._whole)
            told.append(self._settled(text, group, stratum, side))
        return told

    def _near_side(self, place: int, text: int, group: int, stratum: int, picked: int) -> int:
        """Of a row that resembles others."""
        assert self._beside is not None
        row = int(self._rows[place])
        settled = self._side_of_group[group] if group >= 0 else self._side_of_text[text]
        along = self._beside.sides(row, place + 1)
        if len(along) > 1 or (settled >= 0 and along and settled not in along):
            return TORN_NEAR
        side = settled if settled >= 0 else next(iter(along)) if along else choose_side(picked, self._labels[stratum], self._whole)
        side = self._settled(text, group, stratum, side)
        if side >= 0:
            self._beside.settle(row, side, along=bool(along))
        return side

    def _settled(self, text: int, group: int, stratum: int, side: int) -> int:
        """The side, if its text has gone to no other; what was met is kept in mind."""
        if group >= 0:
            self._side_of_group[group] = side
        before = self._side_of_text[text]
        if before >= 0:
            return side if before == side else TORN_TEXT
        self._side_of_text[text] = side
        self._whole.add(side)
        self._labels[stratum].add(side)
        return side


class _Beside:
    """The neighbours of the rows being divided, and where they went."""

    def __init__(self, near: Near, count: int, divided: int) -> None:
        import numpy as np

        self._near, self._chains = near, _Chains(count, divided)
        self.kept_N = np.diff(near.starts_N1) > 0
        """Which rows resemble others, before or after them."""
        for earlier, _ in near.blocks():
            self.kept_N[earlier] = True

    def _neighbours(self, row: int) -> "npt.NDArray[np.uint32]":
        return self._near.earlier[self._near.starts_N1[row] : self._near.starts_N1[row + 1]]

    def sides(self, row: int, met: int) -> set[int]:
        """The sides that a row's neighbours went to; so many rows were met, this one counted."""
        self._chains.met = met
        neighbours = self._neighbours(row)
        return self._chains.sides_beside(neighbours) if len(neighbours) else set()

    def settle(self, row: int, side: int, *, along: bool) -> None:
        """A row went to a side."""
        self._chains.join(row, side, self._neighbours(row), along=along)


TORN = "its text or group stands on another side"


def split(sides_N: "npt.NDArray[np.int8]") -> Decision:
    """Drop the rows that would tie two sides together; `sides_N` as `assign` tells them."""
    import numpy as np

    codes_N = np.zeros(len(sides_N), np.uint8)
    codes_N[sides_N == TORN_TEXT] = 1
    codes_N[sides_N == TORN_NEAR] = 2
    codes_N[sides_N == UNTIMED] = 3
    return Decision(codes_N, (TORN, "resembles a row on another side", "its time is missing or unreadable"))


def crossing(near: Near, sides_N: "npt.NDArray[np.int8]") -> int:
    """How many pairs of rows that resemble one another stand on two sides."""
    found = 0
    for earlier, later in near.blocks():
        one, other = sides_N[earlier], sides_N[later]
        found += int(((one >= 0) & (other >= 0) & (one != other)).sum())
    return found


def on_two_sides(keys_N: "npt.NDArray[np.uint64]", sides_N: "npt.NDArray[np.int8]") -> int:
    """How many keys (texts, groups) stand on more than one side; 0 is no key."""
    import numpy as np

    rows = (sides_N >= 0) & (keys_N != 0)
    keys, which = np.unique(keys_N[rows], return_inverse=True)
    lowest = np.full(len(keys), np.iinfo(np.int8).max, np.int8)
    highest = np.full(len(keys), NOWHERE, np.int8)
    np.minimum.at(lowest, which, sides_N[rows])
    np.maximum.at(highest, which, sides_N[rows])
    return int((lowest < highest).sum())


def shares_of(validation: float | None, test: float | None) -> dict[str, float]:
    """The share of each side that is to be divided off; None for a part that was supplied apart."""
    shares = {"train": 1.0 - (validation or 0.0) - (test or 0.0)}
    if validation is not None:
        shares |= {"select": validation / 2, "calibrate": validation / 2}
    return shares | ({"test": test} if test is not None else {})


def rows_needed(shares: Mapping[str, float]) -> int:
    """So many distinct texts, of labels that have two or more each, surely give every side one or more."""
    return math.ceil(2 / min(shares.values()))
