"""What near means, to the letter: the rule that every pair handed out has passed.

Of two texts, at least one of them short: 1 - Levenshtein distance / length of the longer is at least `edit`. Of two long
ones: the Jaccard similarity of their sets of 5-character pieces is at least `jaccard`, and so is the shorter's share of the
longer's length. Long is above `words` words, or above 8 times as many characters (scripts without spaces, one endless word).
Texts above 2**20 characters are near only to their equals.

Five characters are the usual width for short documents (Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, 3.2.2);
unlike word n-grams they need no words and don't lose a whole word, or five, to one typing mistake.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tunesmith.data.near.grams import Array, Chunk, piece_set
from tunesmith.data.settings.dedup import NearConfig

PIECE = 5
CHARACTERS_A_WORD = 8
LARGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Rule:
    """The thresholds at work."""

    config: NearConfig

    def long(self, chunk: Chunk) -> Array:
        """bool [T]: which texts are long."""
        words = self.config.words
        return (chunk.words_T > words) | (chunk.lengths_T > CHARACTERS_A_WORD * words)

    def edits(self, lengths: Array) -> Array:
        """int64: how many edits are allowed where the longer text has so many characters."""
        return np.floor((1 - self.config.edit) * lengths + 1e-9).astype(np.int64)

    def shortfall(self, lengths: Array, long: Array) -> Array:
        """int64: how many characters a shorter partner may lack, of a text that is long or not."""
        return np.where(long, np.floor((1 - self.config.jaccard) * lengths + 1e-9).astype(np.int64), self.edits(lengths))

    def near(self, first: Sequence[str], second: Sequence[str], both_long: Array) -> Array:
        """bool [P]: which pairs of texts are near."""
        near = np.zeros(len(first), bool)
        short = np.flatnonzero(~both_long).tolist()
        near[short] = self._edit([first[k] for k in short], [second[k] for k in short])
        sets: dict[str, Array] = {}
        for k in np.flatnonzero(both_long).tolist():
            near[k] = self._jaccard(first[k], second[k], sets)
        return near

    def _edit(self, first: Sequence[str], second: Sequence[str]) -> Array:
        from rapidfuzz.distance import Levenshtein
        from rapidfuzz.process import cpdist

        if not len(first):
            return np.zeros(0, bool)
        longer = np.maximum(np.fromiter(map(len, first), np.int64), np.fromiter(map(len, second), np.int64))
        score = Levenshtein.normalized_similarity
        alike = cpdist(first, second, scorer=score, score_cutoff=self.config.edit - 1e-6, dtype=np.float64)
        near: Array = np.rint((1 - alike) * longer) <= self.edits(longer)
        return near

    def _jaccard(self, first: str, second: str, sets: dict[str, Array]) -> bool:
        shorter, longer = sorted((len(first), len(second)))
        if first == second or longer > LARGEST:
            return first == second
        if longer - shorter > self.shortfall(np.asarray(longer), np.asarray(True)):
            return False
        one, other = (sets[text] if text in sets else sets.setdefault(text, piece_set(text, PIECE)) for text in (first, second))
        common = len(np.intersect1d(one, other, assume_unique=True))
        return common >= self.config.jaccard * (len(one) + len(other) - common) - 1e-9
