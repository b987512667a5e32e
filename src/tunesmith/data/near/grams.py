"""Texts as numbers: hashed character pieces, lengths and letter counts of a chunk of texts at once, in numpy.

Costs about 3 microseconds for a text of 60 characters on one core, and about 200 bytes of working memory a character of the
chunk. Letters: T texts, C characters of all texts joined.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

U64 = np.uint64
Array = np.ndarray
LOW = U64(0xFFFFFFFF)
HALF = U64(32)
_ONCE, _STEP = U64(0x9E3779B97F4A7C15), 0xBF58476D1CE4E5B9
_MIX = U64(0xD6E8FEB86659FD93)
_NIBBLES, _PAIRS, _SUM16 = U64(0x0F0F0F0F0F0F0F0F), U64(0x00FF00FF00FF00FF), U64(0x0001000100010001)
BAG_BINS = 32


def mixed(values: Array, salt: int) -> Array:
    """Every bit of the result depends on every bit of the value (the multiply-and-shift finaliser of SplitMix64's family)."""
    x: Array = values + U64(salt)
    for _ in range(2):
        x = (x ^ (x >> HALF)) * _MIX
    x ^= x >> HALF
    return x


def _power(width: int) -> np.uint64:
    """What a hash is multiplied by when `width` more characters follow."""
    return U64(pow(_STEP, width, 2**64))


def distinct(values: Array) -> Array:
    """The values sorted, none twice (numpy 2.3's `unique` hashes, at ten times the cost)."""
    values = np.sort(values)
    once: Array = values[np.append(True, values[1:] != values[:-1])[: len(values)]]
    return once


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk of texts, laid end to end."""

    codes_C: Array
    """uint32: code points."""
    lengths_T: Array
    """int64: characters of each text."""
    words_T: Array
    """int64: single spaces of each text and one more: its words, after folding."""
    row_C: Array
    """int64: which text a character is of."""
    left_C: Array
    """int64: characters from here to the end of the text, this one counted."""

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Chunk":
        """Lay texts end to end; lone surrogates pass."""
        codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        ends = np.cumsum(lengths)
        row = np.repeat(np.arange(len(texts)), lengths)
        words = np.bincount(row[codes == 32], minlength=len(texts)) + 1
        return cls(codes, lengths, words, row, ends[row] - np.arange(len(codes)))

    def hashes(self, sizes: Sequence[int], salt: int) -> dict[int, Array]:
        """Size -> uint64 hash of the piece that begins at each character [C - size + 1], pieces that run over a text's end included."""
        known = {1: self.codes_C.astype(U64) * _ONCE}
        hashed = {}
        for size in sizes:
            part, done = known[1][:0], 0
            for width in (8, 4, 2, 1):
                while size - done >= width:
                    piece = self._run(known, width)
                    part = piece if not done else part[: max(0, len(piece) - done)] * _power(width) + piece[done:]
                    done += width
            hashed[size] = mixed(part, salt + size)
        return hashed

    def _run(self, known: dict[int, Array], width: int) -> Array:
        """Hashes of every run of `width` characters (a power of two), by doubling."""
        if width not in known:
            half = self._run(known, width // 2)
            known[width] = half[: max(0, len(half) - width // 2)] * _power(width // 2) + half[width // 2 :]
        return known[width]

    def bags(self) -> Array:
        """uint64 [T, 2]: how many letters fall in each of 32 bins, four bits each, at most 15."""
        codes = self.codes_C
        letter = (codes >= 97) & (codes < 123)
        digit = (codes >= 48) & (codes < 58)
        bins = np.where(letter, codes - 97, np.where(codes == 32, 31, np.where(digit, 26 + codes % 3, codes % BAG_BINS)))
        counts = np.bincount(self.row_C * BAG_BINS + bins, minlength=BAG_BINS * len(self.lengths_T))
        nibbles = np.minimum(counts, 15).astype(np.uint8).reshape(-1, BAG_BINS)
        return (nibbles[:, ::2] | (nibbles[:, 1::2] << 4)).view(U64)


def bag_distance(first: Array, second: Array) -> Array:
    """int64 [P]: the sum of differences between two rows of bags [P, 2]; at most twice the edit distance, less the lengths' difference."""
    total = np.zeros(first.shape, U64)
    for shift in (U64(0), U64(4)):
        one, other = ((first >> shift) & _NIBBLES).view(np.int8), ((second >> shift) & _NIBBLES).view(np.int8)
        total += np.abs(one - other).view(U64)
    bytes_ = total[:, 0] + total[:, 1]  # at most 4 x 15 in each byte
    halves = (bytes_ & _PAIRS) + ((bytes_ >> U64(8)) & _PAIRS)
    return ((halves * _SUM16) >> U64(48)).astype(np.int64)


def piece_set(text: str, size: int) -> Array:
    """uint64, sorted, none twice: hashes of the pieces of `size` characters of one text (of the whole text, where it is shorter)."""
    chunk = Chunk.of([text])
    width = min(size, len(text))
    return distinct(chunk.hashes([width], 0)[width]) if text else np.zeros(0, U64)
