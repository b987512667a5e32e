"""What a row counts as when sides are kept in proportion."""

from bisect import bisect_left, insort
from collections import Counter

from tunesmith.core.rows import Row

BINS = 10
"""Numbers are kept in proportion by tenths of their distribution."""
_VALUES_KEPT = 100_000
"""The tenths are those of the first so many numbers; later ones fall into them."""


class Strata:
    """Tells the stratum of each row from itself and the rows before it, so that later rows change nothing.

    The label itself; of several labels the one met least so far; for numbers, the tenth of the numbers met so far that a new
    one falls into; for judged answers, whether they are wanted.
    """

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
            if len(self._values) < _VALUES_KEPT:
                insort(self._values, row.value)
            return f"value {min(tenth, BINS - 1)}"
        return row.answer if row.wanted is None else f"wanted {row.wanted}"
