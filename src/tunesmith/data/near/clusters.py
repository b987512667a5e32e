"""Which rows belong together, from pairs that are near.

Two answers, because near is not transitive (A near B, B near C, A far from C): `first` for dropping, where every row is
verified against the row that stays in its place, so that no chain drops what is unlike anything kept; and `component` for
dividing, where whole chains stay together, so that no near pair is on two sides.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tunesmith.core.files import explained
from tunesmith.data.near.grams import HALF, LOW, Array

_AT_ONCE = 1 << 17


@dataclass(frozen=True, slots=True)
class Clusters:
    """What was found among n texts."""

    first: Array
    """int64 [n]: the row that stays in this one's place: near to it and before it; itself where it stays."""
    component: Array
    """int64 [n]: the lowest ordinal among all rows joined to this one by a chain of near pairs."""
    pairs: int
    """Near pairs that were found, equal texts counted once each against the first of them."""
    compared: int
    """Pairs of texts that were compared in full."""
    capped: int
    """Rows that share pieces with so many others that they were compared with some of them only."""
    near: "NearPairs"
    """The near pairs among texts that are not equal."""

    @property
    def dropped(self) -> int:
        """Rows that another stands for."""
        return int((self.first != np.arange(len(self.first))).sum())

    def largest(self, count: int) -> Iterator[Array]:
        """The largest clusters by `first`, of two rows or more: their ordinals, rising, the row that stays in front."""
        sizes = np.bincount(self.first, minlength=len(self.first))
        heads = np.flatnonzero(sizes > 1)
        for head in heads[np.argsort(-sizes[heads], kind="stable")][:count]:
            yield np.flatnonzero(self.first == head)


class NearPairs:
    """Near pairs as they are found, in order of the later row, then of the earlier; in two files of 4 bytes a pair each."""

    def __init__(self, folder: Path) -> None:
        self._paths = (folder / "earlier.pairs", folder / "later.pairs")
        for path in self._paths:
            with explained(path):
                path.write_bytes(b"")
        self.count = 0

    def add(self, pairs: Array) -> None:
        """Take in pairs (later ordinal in the high 32 bits) above all those taken in before."""
        for path, half in zip(self._paths, (pairs & LOW, pairs >> HALF), strict=True):
            with explained(path), path.open("ab") as file:
                half.astype(np.uint32).tofile(file)
        self.count += len(pairs)

    @property
    def earlier(self) -> Array:
        """uint32 [count], read from disk where it is looked at."""
        return self._mapped(0)

    @property
    def later(self) -> Array:
        """uint32 [count], the same."""
        return self._mapped(1)

    def _mapped(self, which: int) -> Array:
        return np.memmap(self._paths[which], np.uint32, "r") if self.count else np.zeros(0, np.uint32)


class Joining:
    """Clusters of n rows as they grow. Holds two numbers a row, and nothing of the pairs."""

    def __init__(self, count: int) -> None:
        self.first = np.arange(count)
        self.component = np.arange(count)
        self.pairs = 0

    def add(self, pairs: Array) -> None:
        """Take in near pairs (later ordinal in the high 32 bits), sorted, and above all those taken in before."""
        later, earlier = (pairs >> HALF).astype(np.int64), (pairs & LOW).astype(np.int64)
        self.pairs += len(pairs)
        for start in range(0, len(pairs), _AT_ONCE):
            self._stand(later[start : start + _AT_ONCE], earlier[start : start + _AT_ONCE])
        self._chain(later, earlier)

    def _stand(self, later: Array, earlier: Array) -> None:
        """Each row's earliest partner that stays stands for it: rows are settled in order, so those that stay are the first maximal independent set."""
        places, packed = np.unique(np.concatenate([later, earlier]), return_inverse=True)
        stays = (self.first[places] == places).tolist()
        gone, kept = [], []
        late, early = np.split(packed, 2)
        for one, other in zip(late.tolist(), early.tolist(), strict=True):
            if stays[one] and stays[other]:
                stays[one] = False
                gone.append(one)
                kept.append(other)
        self.first[places[gone]] = places[kept]

    def _chain(self, later: Array, earlier: Array) -> None:
        """Components that a pair joins become one."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        one, other = self.component[later], self.component[earlier]
        apart = one != other
        if not apart.any():
            return
        places, packed = np.unique(np.concatenate([one[apart], other[apart]]), return_inverse=True)
        ends = np.split(packed, 2)
        graph = coo_array((np.ones(len(ends[0]), np.uint8), (ends[0], ends[1])), shape=(len(places), len(places)))
        number, label = connected_components(graph, directed=False)
        lowest = np.full(number, len(self.first), np.int64)
        np.minimum.at(lowest, label, places)
        table = np.arange(len(self.component))
        table[places] = lowest[label]
        self.component = table[self.component]
