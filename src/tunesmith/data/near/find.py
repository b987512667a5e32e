"""Near-duplicates among texts that come in order, in flat memory.

Costs about 130 bytes a text in memory at its peak, and on disk the texts once more and about 250 bytes a text.
Leaves to others which text of a row is compared, folding it, and what becomes of what is found.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np

from tunesmith.core.errors import DataError
from tunesmith.data.near.clusters import Clusters, Joining, NearPairs
from tunesmith.data.near.grams import HALF, LOW, U64, Array, Chunk
from tunesmith.data.near.index import Index, Sizes, entries
from tunesmith.data.near.rule import LARGEST, Rule
from tunesmith.data.near.spill import Parts, TextStore
from tunesmith.data.settings.dedup import NearConfig

_CHUNK_CHARACTERS, _CHUNK_TEXTS = 1 << 18, 1 << 14
_BLOCK_BYTES = 1 << 26
_PAIR_BITS = 6
_MOST = 2**32 - 1


def chunks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Runs of texts of about a million characters; a longer text by itself."""
    ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)))
    start = 0
    while start < len(texts):
        before = ends[start - 1] if start else 0
        stop = int(np.searchsorted(ends, before + _CHUNK_CHARACTERS, side="right"))
        stop = max(start + 1, min(stop, start + _CHUNK_TEXTS))
        yield texts[start:stop]
        start = stop


class NearDuplicates:
    """Takes texts in ordinal order, then tells which are near (see `rule`).

    Args:
        config: the thresholds.
        folder: for scratch files, this finder's alone; what an earlier, killed run left there is overwritten.
        seed: picks the pieces that long texts are looked up by; the same texts and seed give the same result.
    """

    def __init__(self, config: NearConfig, folder: Path, seed: int) -> None:
        self._rule = Rule(config)
        self._folder, self._salt = folder, seed % 2**31
        self._texts, self._index = TextStore(folder), Index(folder)
        self._columns: dict[str, list[Array]] = {"lengths": [], "long": [], "bags": [], "keys": []}
        self._count = 0

    def add(self, texts: Sequence[str]) -> None:
        """Take in the next texts, folded by the caller; some thousands at a time are fastest."""
        for part in chunks(texts):
            chunk = Chunk.of([text if len(text) <= LARGEST else "" for text in part])
            lengths = np.fromiter(map(len, part), np.int32, len(part))
            self._texts.add(part)
            self._index.add(entries(chunk, self._rule, self._count, self._salt))
            keys = np.fromiter(map(hash, part), np.int64, len(part))
            column = {"lengths": lengths, "long": self._rule.long(chunk) | (lengths > LARGEST), "bags": chunk.bags(), "keys": keys}
            for name, values in column.items():
                self._columns[name].append(values)
            self._count += len(part)
            if self._count > _MOST:
                raise DataError(f"More than {_MOST:,} rows can't be compared for near-duplicates: set data.dedup.near to false.")

    def clusters(self) -> Clusters:
        """Compare, and tell what belongs together. To be called once; the scratch files are removed."""
        with self:
            lengths = self._column("lengths")
            equal_to = self._equals(self._column("keys"), lengths)
            repeats = equal_to != np.arange(self._count)
            sizes = Sizes(lengths, self._column("long"), self._column("bags"), repeats)
            candidates = Parts(self._folder, "candidates", _PAIR_BITS, top=32 - max(1, self._count.bit_length()))
            joining, compared, kept = Joining(self._count), 0, NearPairs(self._folder)
            try:
                capped = self._index.candidates(sizes, self._rule, candidates)
                self._index.remove()
                for part in range(len(candidates)):
                    pairs = candidates.read(part)
                    near = self._verified(pairs, sizes)
                    joining.add(near)
                    kept.add(near)
                    compared += len(pairs)
            finally:
                candidates.remove()
            pairs_found = joining.pairs + int(repeats.sum())
            return Clusters(joining.first[equal_to], joining.component[equal_to], pairs_found, compared, int(capped.sum()), kept)

    def _column(self, name: str) -> Array:
        """One value a text; handed over, not kept."""
        shape = {"bags": (0, 2)}.get(name, (0,))
        kind = {"bags": U64, "keys": np.int64, "lengths": np.int32, "long": np.bool_}[name]
        return np.concatenate([np.zeros(shape, kind), *self._columns.pop(name)])

    def _equals(self, keys: Array, lengths: Array) -> Array:
        """int64 [n]: the first text that is equal to this one, character for character."""
        order = np.argsort(keys, kind="stable")
        new = np.append(True, keys[order][1:] != keys[order][:-1])[: len(keys)]
        equal_to = np.empty(len(keys), np.int64)
        equal_to[order] = order[np.flatnonzero(new)][np.cumsum(new) - 1] if len(keys) else order
        again = np.flatnonzero(equal_to != np.arange(len(keys)))
        for block in self._blocks(again, equal_to[again], lengths):
            one, other = self._fetched(again[block], equal_to[again[block]])
            differs = np.fromiter((a != b for a, b in zip(one, other, strict=True)), bool, len(one))
            equal_to[again[block][differs]] = again[block][differs]  # two texts of one hash
        return equal_to

    def _verified(self, pairs: Array, sizes: Sizes) -> Array:
        """Of candidate pairs those that are near."""
        later, earlier = (pairs >> HALF).astype(np.int64), (pairs & LOW).astype(np.int64)
        near = np.zeros(len(pairs), bool)
        for block in self._blocks(later, earlier, sizes.lengths):
            late, early = later[block], earlier[block]
            near[block] = self._rule.near(*self._fetched(early, late), sizes.long[early] & sizes.long[late])
        kept: Array = pairs[near]
        return kept

    def _blocks(self, later: Array, earlier: Array, lengths: Array) -> Iterator[slice]:
        """Runs of pairs whose texts fit in memory together."""
        cost = 256 + 4 * (lengths[later].astype(np.int64) + lengths[earlier])
        number = np.cumsum(cost) // _BLOCK_BYTES
        bounds = np.append(np.flatnonzero(np.append(True, number[1:] != number[:-1])[: len(later)]), len(later))
        return (slice(int(start), int(stop)) for start, stop in pairwise(bounds))

    def _fetched(self, first: Array, second: Array) -> tuple[list[str], list[str]]:
        ordinals, places = np.unique(np.concatenate([first, second]), return_inverse=True)
        texts = np.empty(len(ordinals), object)
        texts[:] = self._texts.fetch(ordinals)
        one, other = np.split(texts[places], 2)
        return one.tolist(), other.tolist()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._index.remove()
        self._texts.remove()
