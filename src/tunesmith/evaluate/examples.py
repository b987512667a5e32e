"""Which training rows stand in a prompt as worked examples: some for all rows at random, or for each row those that are most like it.

Likeness is the cosine of TF-IDF, as in the nearest-neighbour floor, and costs a sparse product of the rows asked about with the
training rows. Examples of a row's own share no prefix between rows, so a model reads each prompt whole; random ones are read once a pass.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tunesmith.core.rows import Row
from tunesmith.core.seeds import derive_seed
from tunesmith.evaluate.neighbour import text_features

USUAL = 0.9
"""Rows longer than this share of all are passed over: they would crowd out the others."""
_BLOCK = 4_000_000
"""Cosines held at a time."""


def in_turn(train: Sequence[Row], seed: int) -> list[Row]:
    """Training rows of usual length in a seeded order."""
    order = np.random.default_rng(derive_seed(seed, "few-shot")).permutation(len(train))
    lengths = [sum(len(message.content) for message in row.prompt) + len(row.answer) for row in train]
    longest = float(np.quantile(lengths, USUAL)) if lengths else 0.0
    return [train[index] for index in order if lengths[index] <= longest]


def random_examples(rows: Sequence[Row], k: int, *, by_label: bool) -> tuple[Row, ...]:
    """The first k rows; by label in turn where there are labels. The first j of k are the choice for j."""
    if not by_label:
        return tuple(rows[:k])
    queues: dict[str, list[Row]] = {}
    for row in rows:
        queues.setdefault(row.answer, []).append(row)
    chosen: list[Row] = []
    for turn in range(max(map(len, queues.values()), default=0)):
        if len(chosen) >= k:
            break
        chosen += [queue[turn] for queue in queues.values() if turn < len(queue)]
    return tuple(chosen[:k])


@dataclass(frozen=True, slots=True)
class Similar:
    """For each row asked about, the training rows that are most like it."""

    train: Sequence[Row]
    places: Mapping[str, tuple[int, ...]]
    """Row id -> the training rows nearest to it, the nearest first."""

    def examples(self, row: Row, k: int) -> tuple[Row, ...]:
        """The k nearest, the nearest last: beside the question, where a model heeds it most. Fewer where there are fewer."""
        return tuple(self.train[place] for place in reversed(self.places[row.id][:k]))

    def fewest(self) -> int:
        """Examples that every row has."""
        return min(map(len, self.places.values()), default=0)


def similar_examples(train: Sequence[Row], asked: Sequence[Row], most: int, *, group_by: str | None = None) -> Similar:
    """The nearest training rows of each row asked about, never the row itself, another with the same words, or one of its group.

    Of equals, and where no row shares a word, the earlier one is taken: hand in rows in an order that favours none.

    Args:
        train: rows to take examples from.
        asked: rows that will be answered.
        most: examples kept for each.
        group_by: a column whose equal values belong together; a row without one stands alone.
    """
    if not train or not asked:
        return Similar(train, {row.id: () for row in asked})
    features, held = text_features([row.text() for row in train])
    columns = held.T.tocsr()
    found: dict[str, tuple[int, ...]] = {}
    marks = [_marks(row, group_by) for row in train]
    at: dict[tuple[str, str], list[int]] = {}
    for place, own in enumerate(marks):
        for mark in own:
            at.setdefault(mark, []).append(place)
    step = max(1, _BLOCK // len(train))
    for start in range(0, len(asked), step):
        some = asked[start : start + step]
        cosines = (features([row.text() for row in some]) @ columns).toarray()
        for row, near in zip(some, cosines, strict=True):
            near[[place for mark in _marks(row, group_by) for place in at.get(mark, ())]] = -1.0
            order = np.argsort(-near, kind="stable")[:most]
            found[row.id] = tuple(int(place) for place in order if near[place] >= 0)
    return Similar(train, found)


def _marks(row: Row, group_by: str | None) -> list[tuple[str, str]]:
    """What two rows must not share if one is to be an example for the other: id, words, group."""
    group = row.fields.get(group_by) if group_by is not None else None
    return [("id", row.id), ("words", " ".join(row.text().casefold().split())), *([("group", str(group))] if group is not None else [])]
