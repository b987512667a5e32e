"""Which pairs are worth comparing: texts that share rare pieces.

Two texts at edit similarity 0.85 share unbroken pieces, mostly ones that hardly any other text has. Each text is entered
under hashes of its pieces (3 to 8 characters, by its length; of long texts a seeded sample of about 24). Pieces of one text
only can pair nothing and go; of the others each text keeps its rarest. Texts that share a kept piece are compared if their
lengths and letter counts allow an edit distance that small.

This is prefix filtering by rarity (Bayardo, Ma and Srikant, 2007) over q-grams, with bounds on work in place of a guarantee.
Where no bound bites (some hundred rows) no pair of texts under 24 characters is missed at `edit` 0.85, because d edits leave a
piece of (L - d) / (d + 1) characters whole (Navarro, 2001); beyond that pairs are missed by chance, rarely
(benchmarks/data_cases/near.py), save where edits at the very threshold are spread evenly.

The bounds: a text keeps pieces from the rarest on until they stand for `_BUDGET` comparisons, and at least `_LEAST` of
them. Of texts that share a piece, put in order of length, each is compared with the `_WINDOW` before it; where more share
it, with the `_NARROW` before it (the `_NARROWEST`, where over `_CROWD` share it) and the `_FIRST` of all. So work grows with
the number of texts, however alike they are. A row is counted as capped where it was not compared with all texts that share
a piece, for more than `_UNMET` of its pieces.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tunesmith.data.near.grams import HALF, LOW, U64, Array, Chunk, bag_distance, distinct
from tunesmith.data.near.rule import LARGEST, Rule
from tunesmith.data.near.spill import Parts
from tunesmith.data.working import cores, each

ZONES = ((3, 0, 14), (4, 10, 24), (6, 14, 30), (8, 27, LARGEST + 1))
"""Piece size, and the lengths of the longer text, from and below, of the pairs it finds."""
_SAMPLED = 24
_BUDGET, _TOTAL = 128, 1 << 26
_LEAST = 16
_UNMET = 0.4
_WINDOW, _NARROW, _NARROWEST, _FIRST = 64, 32, 8, 4
_CROWD = 1024
_LEVELS = 16
_PART_BITS, _ROWS_AT_ONCE = 7, 1 << 18


def entries(chunk: Chunk, rule: Rule, base: int, salt: int) -> Array:
    """uint64: hash of a piece (high 32 bits) and ordinal of its text (low 32), for the pieces of a chunk that are entered."""
    lengths = chunk.lengths_T
    longest = (lengths / np.where(rule.long(chunk), rule.config.jaccard, rule.config.edit) + 1e-6).astype(np.int64)
    found = []
    hashed = chunk.hashes([size for size, _, _ in ZONES], salt)
    for size, start, stop in ZONES:
        takes = (lengths < stop) & (longest >= start) & (lengths <= LARGEST)
        share = np.minimum(1.0, (_SAMPLED if size == 8 else np.inf) / np.maximum(1, lengths - size + 1))
        pieces = hashed[size]
        at = np.flatnonzero(takes[chunk.row_C[: len(pieces)]] & (chunk.left_C[: len(pieces)] >= size))
        rows, values = chunk.row_C[at], pieces[at]
        kept = (values & LOW) < (share * 2**32).astype(U64)[rows]
        found.append((values[kept] & ~LOW) | (rows[kept] + base).astype(U64))
    return np.concatenate(found)


@dataclass(frozen=True, slots=True)
class Sizes:
    """What is held in memory of every text."""

    lengths: Array
    """int32 [n]."""
    long: Array
    """bool [n]."""
    bags: Array
    """uint64 [n, 2]."""
    repeats: Array
    """bool [n]: equal to an earlier text; such are not compared by pieces."""


class Index:
    """The pieces of all texts, on disk."""

    def __init__(self, folder: Path) -> None:
        self._parts = Parts(folder, "pieces", _PART_BITS)

    def add(self, found: Array) -> None:
        """Take in what `entries` found."""
        self._parts.add(found)

    def remove(self) -> None:
        """Delete the files."""
        self._parts.remove()

    def candidates(self, sizes: Sizes, rule: Rule, into: Parts) -> Array:
        """Write pairs worth comparing into `into` (the later ordinal in the high 32 bits); bool [n]: rows not compared with all."""
        self._parts.settle()
        order = np.argsort(sizes.lengths, kind="stable").astype(np.uint32)
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order), dtype=np.uint32)
        kept_level, unmet, entered = self._kept_levels(sizes)

        def found(part: int) -> tuple[Array, Array]:
            values = self._parts.read(part)
            ordinals = (values & LOW).astype(np.int64)
            level = np.repeat(*_levels(values))
            values = values[level <= kept_level[ordinals]]
            values = (values & ~LOW) | rank[(values & LOW).astype(np.int64)]
            values.sort()
            window = Window.of(values, order, sizes, rule)
            pairs = [(np.maximum(one, other).astype(U64) << HALF) | np.minimum(one, other).astype(U64) for one, other in window.pairs()]
            met = window.ordinals_E[~window.cut_short()].astype(np.uint32)
            return distinct(np.concatenate([np.zeros(0, U64), *pairs])), met

        for pairs, met in each(found, range(len(self._parts)), cores() if len(self._parts) > 1 else 1):
            into.add(pairs)
            np.subtract.at(unmet, met, np.uint8(1))
        into.settle()
        return unmet > _UNMET * entered

    def _kept_levels(self, sizes: Sizes) -> tuple[Array, Array, Array]:
        """uint8 [n] each: up to which level of commonness a text's pieces are kept, how many it shares with others, and how many it has.

        Lone pieces are taken off the disk.
        """
        count = np.zeros((len(sizes.lengths), _LEVELS), np.uint8)
        for part in range(len(self._parts)):
            values = self._parts.read(part)
            values = values[~sizes.repeats[(values & LOW).astype(np.int64)]]
            ordinals, level = (values & LOW).astype(np.int64), np.repeat(*_levels(values))
            np.add.at(count.reshape(-1), ordinals * _LEVELS + level, np.uint8(1))
            self._parts.replace(part, values[level > 0])
        budget = max(_BUDGET, _TOTAL // max(1, len(count)))
        entered = count.sum(axis=1, dtype=np.uint8)
        count[:, 0] = 0
        cost = np.minimum(2 ** np.arange(_LEVELS), _WINDOW)
        kept = np.zeros(len(count), np.uint8)
        for start in range(0, len(count), _ROWS_AT_ONCE):
            block = count[start : start + _ROWS_AT_ONCE].astype(np.int32)
            within = (np.cumsum(block * cost, axis=1) <= budget).sum(axis=1) - 1
            enough = (np.cumsum(block, axis=1) < _LEAST).sum(axis=1)
            kept[start : start + _ROWS_AT_ONCE] = np.maximum(within, np.minimum(enough, _LEVELS - 1))
        return kept, count.sum(axis=1, dtype=np.uint8), entered


def _starts(values: Array) -> tuple[Array, Array]:
    """Where each run of equal hashes begins, and how many entries it has."""
    pieces = values >> HALF
    starts = np.flatnonzero(np.append(True, pieces[1:] != pieces[:-1])[: len(values)])
    return starts, np.diff(np.append(starts, len(values)))


def _levels(values: Array) -> tuple[Array, Array]:
    """Of each run: log2 of its size, rounded up (0 for a lone entry), and its size."""
    _, counts = _starts(values)
    bounds = 2 ** np.arange(_LEVELS - 1)
    return np.searchsorted(bounds, counts).astype(np.uint8), counts


@dataclass(frozen=True, slots=True)
class Window:
    """Entries of one part, runs of equal pieces one after another, each in order of length. E entries."""

    ordinals_E: Array
    place_E: Array
    """How many entries of the run come before."""
    reach_E: Array
    """With how many before it an entry may be compared."""
    lengths_E: Array
    long_E: Array
    bags_E: Array
    shortfall_E: Array
    rule: Rule

    @classmethod
    def of(cls, values: Array, order: Array, sizes: Sizes, rule: Rule) -> "Window":
        """From sorted hashes and ranks."""
        ordinals = order[(values & LOW).astype(np.int64)].astype(np.int64)
        starts, counts = _starts(values)
        place = np.arange(len(values)) - np.repeat(starts, counts)
        reach = np.repeat(np.select([counts > _CROWD, counts > _WINDOW], [_NARROWEST, _NARROW], _WINDOW), counts)
        lengths, long = sizes.lengths[ordinals].astype(np.int64), sizes.long[ordinals]
        return cls(ordinals, place, reach, lengths, long, sizes.bags[ordinals], rule.shortfall(lengths, long), rule)

    def pairs(self) -> Iterator[tuple[Array, Array]]:
        """Ordinals of pairs that may be near, in blocks."""
        alive = np.flatnonzero(self.place_E > 0)
        for back in range(1, _WINDOW + 1):
            alive = alive[(self.place_E[alive] >= back) & (self.reach_E[alive] >= back)]
            before = alive - back
            alive = alive[self.lengths_E[alive] - self.lengths_E[before] <= self.shortfall_E[alive]]
            if not len(alive):
                break
            yield self._possible(alive, alive - back)
        beyond = np.flatnonzero(self.place_E > self.reach_E)
        for first in range(_FIRST):
            yield self._possible(beyond, beyond - self.place_E[beyond] + first)

    def cut_short(self) -> Array:
        """bool [E]: entries that have a partner of fitting length they were not compared with."""
        short = self.place_E > self.reach_E
        beyond = np.flatnonzero(short)
        unmet = beyond - self.reach_E[beyond] - 1
        short[beyond] = self.lengths_E[beyond] - self.lengths_E[unmet] <= self.shortfall_E[beyond]
        return short

    def _possible(self, later: Array, earlier: Array) -> tuple[Array, Array]:
        """Of pairs of entries those whose letter counts allow it."""
        both_long = self.long_E[later] & self.long_E[earlier]
        apart = self.lengths_E[later] - self.lengths_E[earlier]
        edits = self.rule.edits(self.lengths_E[later])
        least = bag_distance(self.bags_E[later], self.bags_E[earlier]) + apart
        may = both_long | (least <= 2 * edits)
        return self.ordinals_E[later[may]], self.ordinals_E[earlier[may]]
