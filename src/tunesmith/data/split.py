"""Divide rows into sides: in proportion to the labels, no text and no group on two sides, and for good.

The side of a row depends on the rows before it and on nothing after it. Appending rows therefore moves none: that is the
whole proof. Rows are taken in order. A text (or, with `by`, a group) met before goes where it went before. A new one goes to
the side that a seeded hash of it picks, unless that would leave its label, or the rows as a whole, out of proportion; then it
goes to the side that lacks most. The hash keeps most rows in place even when a file is shuffled or thinned.

Bounds, for a label of which n texts were met, and a side of share p: the side holds at most p n + 1 + p n / 50 of them, since
it is given one more only while it has room or lacks some; each side gets something from 27 texts on, by the default shares.
The first text of a label goes to train.

What counts as a label is told by `Strata` from the row and those before it, so this holds for every task: the label itself;
of several labels the one met least so far; for numbers, the tenth of the numbers met so far that a new one falls into;
for judged answers, whether they are wanted. Other rows are of one kind.

With `by`, a text met in two groups that lie on two sides would leak: the later row is dropped.
"""

import math
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from tunesmith.core.rows import Dropped, Kept, Outcome, Row
from tunesmith.core.seeds import fraction
from tunesmith.data.fold import text_key
from tunesmith.data.leak import group_of

SIDES = ("train", "select", "calibrate", "test")
_SLACK = 1.0
_LOOSE = 0.02
"""A side may be out of proportion by one text and 2% of its due before the hash is overruled."""


class _Tally:
    """How many texts each side holds, of one label or of all."""

    def __init__(self, shares: Mapping[str, float]) -> None:
        self._shares = shares
        self._held = dict.fromkeys(shares, 0)
        self._met = 0

    def lacks(self, side: str) -> float:
        """How many the side is short of its due, the next text counted in."""
        return self._shares[side] * (self._met + 1) - self._held[side]

    def room(self, side: str) -> float:
        """How far from its due the side may stray, either way."""
        return _SLACK + _LOOSE * self._shares[side] * (self._met + 1)

    def strained(self, side: str) -> bool:
        """Whether one more would be too many."""
        return self.lacks(side) - 1 < -self.room(side)

    def starved(self, side: str) -> bool:
        """Whether it must have the next."""
        return self.lacks(side) > self.room(side)

    def add(self, side: str) -> None:
        """One more text."""
        self._held[side] += 1
        self._met += 1

    @property
    def empty(self) -> bool:
        """Whether nothing was met yet."""
        return self._met == 0


def choose_side(key: str, seed: int, shares: Mapping[str, float], label: _Tally, whole: _Tally) -> str:
    """The side of a new text or group."""
    if label.empty:
        return next(iter(shares))
    picked, point, total = "", fraction(seed, key), 0.0
    for side, share in shares.items():
        total += share
        picked = side
        if point < total:
            break
    lacking = [side for side in shares if label.lacks(side) > 0]
    hungry = any(tally.starved(side) for side in lacking for tally in (label, whole))
    if not hungry and not label.strained(picked) and not whole.strained(picked):
        return picked
    return max(lacking, key=lambda side: label.lacks(side) + whole.lacks(side))


class Strata:
    """What each row counts as when sides are kept in proportion, from itself and the rows before it."""

    def __init__(self) -> None:
        self._labels: Counter[str] = Counter()
        self._values: list[float] = []

    def of(self, row: Row) -> str:
        """The row's stratum; the row is then one of those before."""
        if row.labels is not None:
            rarest = min(row.labels, key=lambda label: (self._labels[label], label), default="")
            self._labels.update(row.labels)
            return f"label {rarest}" if row.labels else "no label"
        if row.value is not None:
            tenth = BINS * bisect_left(self._values, row.value) // max(1, len(self._values))
            insort(self._values, row.value)
            return f"value {min(tenth, BINS - 1)}"
        return row.answer if row.wanted is None else f"wanted {row.wanted}"


BINS = 10
"""Numbers are kept in proportion by tenths of their distribution."""


def assign(rows: Iterable[Row], shares: Mapping[str, float], seed: int, *, by: str | None, stratified: bool) -> Iterator[str | None]:
    """Yield the side of each row, in order; None for a row of a group on one side whose text stands on another.

    Args:
        rows: in the order they were read, repeats included.
        shares: side -> share, summing to 1; a label's first text goes to the first of them.
        seed: the recipe's.
        by: a column whose values must not be divided.
        stratified: whether the rows' strata (see `Strata`) are kept in proportion.
    """
    strata = Strata()
    side_of_key: dict[str, str] = {}
    side_of_text: dict[str, str] = {}
    whole = _Tally(shares)
    labels: dict[str, _Tally] = {}
    for row in rows:
        text, group = text_key(row), group_of(row, by)
        key = f"text {text}" if group is None else f"group {group}"
        label = labels.setdefault(strata.of(row) if stratified else "", _Tally(shares))
        settled = side_of_key.get(key) or (side_of_text.get(text) if group is None else None)
        side = settled or choose_side(key, seed, shares, label, whole)
        side_of_key[key] = side
        if text not in side_of_text:
            side_of_text[text] = side
            whole.add(side)
            label.add(side)
        yield side if side_of_text[text] == side else None


def split(rows: Sequence[Row], sides: Mapping[str, str | None]) -> Iterator[Outcome]:
    """Yield exactly one outcome per row, in input order; `sides` maps a row's id to what `assign` said of it."""
    for row in rows:
        if sides[row.id] is None:
            yield Dropped(row, stage="split", reason="its text stands on another side, in another group")
        else:
            yield Kept(row)


def shares_of(validation: float | None, test: float | None) -> dict[str, float]:
    """The share of each side that is to be divided off; None for a part that was supplied apart."""
    shares = {"train": 1.0 - (validation or 0.0) - (test or 0.0)}
    if validation is not None:
        shares |= {"select": validation / 2, "calibrate": validation / 2}
    return shares | ({"test": test} if test is not None else {})


def rows_needed(shares: Mapping[str, float]) -> int:
    """So many distinct texts, of labels that have two or more each, surely give every side one or more."""
    return math.ceil(2 / min(shares.values()))
