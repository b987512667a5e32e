"""Texts of benchmarks, of validation and of test must not stand among the training rows, word for word or nearly so.

A row is contaminated where one of its texts (prompt or answer, folded by the caller) equals a held text, is near to one by
the rule of `near.rule`, or, for held texts of `ngram` words or more, shares `ngram` words in a row with one (Brown et al., 2020,
appendix C). Words that are common to many held texts are looked at like all others: a benchmark whose questions share a long
instruction should be handed in without it.

Passages are of words parted by spaces: a script without spaces has none. Holds the held texts and their pieces in memory
and nothing of the training rows, which stream past at about 20 microseconds each against 5,000 short held texts.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

import numpy as np

from tunesmith.data.near.find import chunks
from tunesmith.data.near.grams import HALF, LOW, U64, Array, Chunk, bag_distance, distinct, mixed
from tunesmith.data.near.index import entries
from tunesmith.data.near.rule import LARGEST, Rule
from tunesmith.data.settings.dedup import NearConfig

_ROWS = 4096
_KEPT = 16
"""A training text is compared through so many of its pieces, those that fewest held texts share."""
_WINDOW = 64
"""Of held texts that share a piece, with so many."""
_SALT = 0
_OVERLAP = 4096
"""Characters: more than a passage has, save of endless words."""


class How(StrEnum):
    """In which way a row is contaminated."""

    SAME = "the same text"
    NEAR = "nearly the same text"
    OVERLAP = "a passage of it"


@dataclass(frozen=True, slots=True)
class Contaminated:
    """One training row that gives a held text away."""

    ordinal: int
    """Of the row, in the order they streamed."""
    held: str
    """Which held set."""
    how: How


class Held:
    """The held texts, ready to be compared with.

    Args:
        sets: name -> folded texts; the first set that has a text is the one told. Empty texts are passed over.
        config: what near means; None looks for equal texts and passages only.
        ngram: how many words in a row make a passage.
    """

    def __init__(self, sets: Mapping[str, Iterable[str]], config: NearConfig | None, ngram: int) -> None:
        self._rule = None if config is None else Rule(config)
        self._ngram = ngram
        self._names = list(sets)
        self._set_of: dict[str, int] = {}
        for number, texts in enumerate(sets.values()):
            for text in texts:
                if text:
                    self._set_of.setdefault(text, number)
        self._texts = list(self._set_of)
        self._number = np.fromiter(self._set_of.values(), np.int64, len(self._texts))
        self._passages, self._passage_of = self._passages_held()
        self._pieces = np.zeros(0, U64)
        if self._rule is not None:
            self._index(self._rule)

    def _passages_held(self) -> tuple[Array, Array]:
        """Hashes of every passage, sorted, and the held text each is of."""
        found = list(self._passages_of(self._texts)) or [(np.zeros(0, U64), np.zeros(0, np.int64))]
        kept, at = np.unique(np.concatenate([hashed for hashed, _ in found]), return_index=True)
        return kept, np.concatenate([text for _, text in found])[at]

    def _passages_of(self, texts: Sequence[str]) -> Iterator[tuple[Array, Array]]:
        """Hashes of passages, and the text each is of; a giant text in pieces that overlap."""
        cut = [(at, text[start : start + LARGEST]) for at, text in enumerate(texts) for start in range(0, len(text), LARGEST - _OVERLAP)]
        text_of, base = np.array([at for at, _ in cut], np.int64), 0
        for part in chunks([piece for _, piece in cut]):
            hashed, piece = passages(Chunk.of(part), self._ngram)
            yield hashed, text_of[base + piece]
            base += len(part)

    def _index(self, rule: Rule) -> None:
        lengths, long, bags, found, base = [], [], [np.zeros((0, 2), U64)], [self._pieces], 0
        for part in chunks(self._texts):
            chunk = Chunk.of([text if len(text) <= LARGEST else "" for text in part])
            found.append(entries(chunk, rule, base, _SALT))
            lengths.append(chunk.lengths_T)
            long.append(rule.long(chunk))
            bags.append(chunk.bags())
            base += len(part)
        self._pieces = distinct(np.concatenate(found))
        self._lengths = np.concatenate([np.zeros(0, np.int64), *lengths])
        self._long = np.concatenate([np.zeros(0, bool), *long])
        self._bags = np.concatenate(bags)
        self._high = self._pieces >> HALF

    def find(self, rows: Iterable[Sequence[str]]) -> Iterator[Contaminated]:
        """Yield the rows that give a held text away, by rising ordinal, each once: equality is told before nearness, that before passages.

        Args:
            rows: of each training row the folded texts to look at: its prompt, its answer, or what stands for them.
        """
        stream, base = iter(rows), 0
        while batch := list(islice(stream, _ROWS)):
            texts = [text for row in batch for text in row]
            row_of = np.repeat(np.arange(len(batch)), [len(row) for row in batch])
            yield from self._told(texts, row_of, base)
            base += len(batch)

    def _told(self, texts: list[str], row_of: Array, base: int) -> Iterator[Contaminated]:
        """The contaminated rows of one batch."""
        best: dict[int, tuple[int, How]] = {}
        for how, search in ((How.SAME, self._same), (How.NEAR, self._near), (How.OVERLAP, self._overlap)):
            for at, number in search(texts):
                best.setdefault(int(row_of[at]), (number, how))
        for row in sorted(best):
            number, how = best[row]
            yield Contaminated(base + row, self._names[number], how)

    def _same(self, texts: list[str]) -> Iterator[tuple[int, int]]:
        for at, text in enumerate(texts):
            number = self._set_of.get(text)
            if number is not None:
                yield at, number

    def _near(self, texts: list[str]) -> Iterator[tuple[int, int]]:
        if self._rule is None or not len(self._pieces):
            return
        base = 0
        for part in chunks(texts):
            chunk = Chunk.of([text if len(text) <= LARGEST else "" for text in part])
            row, held = self._candidates(chunk, self._rule)
            both_long = self._rule.long(chunk)[row] & self._long[held]
            near = self._rule.near([part[k] for k in row], [self._texts[k] for k in held], both_long)
            for at, text in sorted(zip(row[near].tolist(), held[near].tolist(), strict=True)):
                yield base + at, int(self._number[text])
            base += len(part)

    def _candidates(self, chunk: Chunk, rule: Rule) -> tuple[Array, Array]:
        """Texts of the chunk and held texts that share a rare piece and might be near."""
        found = distinct(entries(chunk, rule, 0, _SALT))
        start = np.searchsorted(self._high, found >> HALF)
        count = np.searchsorted(self._high, found >> HALF, side="right") - start
        found, start, count = found[count > 0], start[count > 0], np.minimum(count[count > 0], _WINDOW)
        row = (found & LOW).astype(np.int64)
        order = np.lexsort((start, count, row))  # each text's rarest pieces first
        row, start, count = row[order], start[order], count[order]
        place = np.arange(len(row)) - np.searchsorted(row, row)
        row, start, count = row[place < _KEPT], start[place < _KEPT], count[place < _KEPT]
        at = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count - start, count)
        row, held = np.repeat(row, count), (self._pieces[at] & LOW).astype(np.int64)
        pairs = distinct((row.astype(U64) << HALF) | held.astype(U64))
        row, held = (pairs >> HALF).astype(np.int64), (pairs & LOW).astype(np.int64)
        return self._possible(chunk, rule, row, held)

    def _possible(self, chunk: Chunk, rule: Rule, row: Array, held: Array) -> tuple[Array, Array]:
        lengths, bags = chunk.lengths_T, chunk.bags()
        both_long = rule.long(chunk)[row] & self._long[held]
        longer = np.maximum(lengths[row], self._lengths[held])
        apart = np.abs(lengths[row] - self._lengths[held])
        fits = apart <= rule.shortfall(longer, both_long)
        fits &= both_long | (bag_distance(bags[row], self._bags[held]) + apart <= 2 * rule.edits(longer))
        return row[fits], held[fits]

    def _overlap(self, texts: list[str]) -> Iterator[tuple[int, int]]:
        if not len(self._passages):
            return
        for hashed, text in self._passages_of(texts):
            at = np.minimum(np.searchsorted(self._passages, hashed), len(self._passages) - 1)
            hit = self._passages[at] == hashed
            for one, held in zip(text[hit].tolist(), self._passage_of[at[hit]].tolist(), strict=True):
                yield one, int(self._number[held])


def passages(chunk: Chunk, ngram: int) -> tuple[Array, Array]:
    """uint64 hashes of every run of `ngram` words of each text, and int64 the text each is of; words are parted by single spaces."""
    if not len(chunk.codes_C):
        return np.zeros(0, U64), np.zeros(0, np.int64)
    first = np.empty(len(chunk.codes_C), bool)
    first[0] = True
    first[1:] = (chunk.row_C[1:] != chunk.row_C[:-1]) | (chunk.codes_C[:-1] == 32)
    word_C = np.cumsum(first) - 1
    begins = np.flatnonzero(first)
    inside = np.arange(len(chunk.codes_C)) - begins[word_C]
    power = np.cumprod(np.full(int(inside.max()) + 1, _POWER, U64))
    letters = np.where(chunk.codes_C == 32, U64(0), mixed(chunk.codes_C.astype(U64), 1) * power[inside])
    words = mixed(np.add.reduceat(letters, begins), 2)
    row = chunk.row_C[begins]
    runs = max(0, len(words) - ngram + 1)
    hashed = np.zeros(runs, U64)
    for place in range(ngram):
        hashed = hashed * _POWER + words[place : place + runs]
    whole = row[:runs] == row[ngram - 1 :] if runs else np.zeros(0, bool)
    return mixed(hashed, 3)[whole], row[:runs][whole]


_POWER = U64(0xD1342543DE82EF95)
