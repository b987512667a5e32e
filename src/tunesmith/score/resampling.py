"""Resamples of the test rows: drawn once from a seed, the same for every system and measure.

A resample is how often each unit was drawn; a unit is a row, or a group of rows that are drawn together (the rows of
a customer tell less than as many rows of strangers). Sums of statistics are one product of weights and table, taken
in blocks, so memory stays near 16 MB whatever the number of resamples. Measures that are no function of sums are given
the weights themselves, row by row, in blocks too.

Legend: R rows, U units, S statistics, B resamples.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import DataError
from tunesmith.core.seeds import derive_seed
from tunesmith.score.measures import Floats

if TYPE_CHECKING:
    from scipy.sparse import csr_array

BLOCK = 2_000_000
"""Weights held at a time."""
LEFT_OUT = 200
"""Values without a part of the units, at most: enough for BCa's acceleration, where each costs a pass over all rows."""
DENSE = 64
"""Up to so many columns, sparse tables are multiplied faster as dense ones."""


def units(ids: Iterable[str], groups: Mapping[str, str] | None) -> list[str] | None:
    """What rows are drawn by, one name a row: its group, or itself where it has none; None where every row stands alone.

    Both are prefixed, so a lone row's stand-in can't be a real group's name.

    Args:
        ids: of the rows.
        groups: row id -> group; None where no row has one.
    """
    return None if groups is None else [f"group {groups[one]}" if one in groups else f"row {one}" for one in ids]


@dataclass(frozen=True, eq=False, kw_only=True)
class Resamples:
    """`count` resamples of `rows` rows."""

    rows: int
    count: int = 2000
    seed: int = 0
    groups: Sequence[str] | None = None
    """The group of each row, [R]; every row its own where absent."""
    unit_R: NDArray[np.int64] = field(init=False)
    """The unit of each row."""
    units: int = field(init=False)

    def __post_init__(self) -> None:
        if self.rows < 1:
            raise DataError("No row was scored: an interval needs at least one.")
        if self.groups is not None and len(self.groups) != self.rows:
            raise DataError(f"{len(self.groups)} groups were given for {self.rows} rows: give each row one.")
        names = range(self.rows) if self.groups is None else self.groups
        place = {name: index for index, name in enumerate(dict.fromkeys(names))}
        object.__setattr__(self, "unit_R", np.array([place[name] for name in names], dtype=np.int64))
        object.__setattr__(self, "units", len(place))

    @property
    def grouped(self) -> bool:
        """Whether some unit has more than one row."""
        return self.units < self.rows

    def by_unit(self, table_RS: "Floats | csr_array") -> "Floats | csr_array":
        """Statistics summed within units, [U, S]."""
        if not isinstance(table_RS, np.ndarray) and table_RS.shape[1] <= DENSE:
            table_RS = table_RS.toarray()
        if not self.grouped:
            return table_RS
        from scipy.sparse import csr_array

        gather_UR = csr_array((np.ones(self.rows), (self.unit_R, np.arange(self.rows))), shape=(self.units, self.rows))
        summed: Floats | csr_array = gather_UR @ table_RS
        return summed

    def sums(self, table_RS: "Floats | csr_array") -> Floats:
        """Sums of statistics over each resample, [B, S]."""
        table_US = self.by_unit(table_RS)
        return np.concatenate([np.asarray(weights @ table_US) for weights in self._draws()])

    def swapped(self, difference_RS: "Floats | csr_array") -> Floats:
        """Sums of differences of statistics whose sign is turned by a fair coin for each unit, [B, S]."""
        table_US = self.by_unit(difference_RS)
        return np.concatenate([np.asarray(signs @ table_US) for signs in self._coins()])

    def without_each(self, table_RS: "Floats | csr_array") -> Iterator[Floats]:
        """Sums over all units but one, for each in turn, in blocks [b, S]: the jackknife."""
        table_US = self.by_unit(table_RS)
        whole_S = np.asarray(table_US.sum(axis=0), dtype=np.float64).reshape(-1)
        step = max(1, BLOCK // max(1, len(whole_S)))
        for start in range(0, self.units, step):
            block = table_US[start : start + step]
            yield whole_S - (block if isinstance(block, np.ndarray) else block.toarray())

    def weights(self) -> Iterator[Floats]:
        """How often each row counts in the resamples, in blocks [b, R]; the draws are those behind `sums`."""
        for drawn_BU in self._draws(self.rows):
            yield drawn_BU[:, self.unit_R]

    def coins(self) -> Iterator[Floats]:
        """+1 or -1 for each row, the same for all rows of a unit, in blocks [b, R]; the coins are those behind `swapped`."""
        for turned_BU in self._coins(self.rows):
            yield turned_BU[:, self.unit_R]

    def weights_without(self) -> Iterator[Floats]:
        """1 for each row but those of one unit (0), in blocks [b, R]; of many units, without one of `LEFT_OUT` parts of them.

        The parts are drawn, and as large as one another to one unit. A measure's skew among parts gives the same
        acceleration as among units, since both its moments add up (Efron and Tibshirani, 1993, 11.5).
        """
        parts = min(self.units, LEFT_OUT)
        part_U = np.arange(self.units)
        if parts < self.units:
            part_U = np.random.default_rng(derive_seed(self.seed, "left out")).permutation(self.units) % parts
        part_R = part_U[self.unit_R]
        step = max(1, BLOCK // self.rows)
        for start in range(0, parts, step):
            left_out = np.arange(start, min(start + step, parts))
            yield (part_R[None, :] != left_out[:, None]).astype(np.float64)

    def _blocks(self, wide: int = 0) -> Iterator[int]:
        """How many resamples at a time, so that a block of them as wide as the units, or as `wide`, holds no more than `BLOCK`."""
        step = max(1, BLOCK // max(self.units, wide))
        for start in range(0, self.count, step):
            yield min(step, self.count - start)

    def _draws(self, wide: int = 0) -> Iterator[Floats]:
        """How often each unit is drawn, [b, U]; the same each time it is asked."""
        random = np.random.default_rng(derive_seed(self.seed, "bootstrap"))
        for size in self._blocks(wide):
            drawn = random.integers(0, self.units, size=(size, self.units))
            drawn += np.arange(size)[:, None] * self.units
            yield np.bincount(drawn.ravel(), minlength=size * self.units).reshape(size, self.units).astype(np.float64)

    def _coins(self, wide: int = 0) -> Iterator[Floats]:
        """+1 or -1 for each unit, [b, U]; the same each time it is asked."""
        random = np.random.default_rng(derive_seed(self.seed, "swap"))
        for size in self._blocks(wide):
            yield random.integers(0, 2, size=(size, self.units)).astype(np.float64) * 2 - 1
