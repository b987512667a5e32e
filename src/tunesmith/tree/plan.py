"""From rows of token ids to passes through a model, each prefix computed once.

Rows of a step are sorted; neighbours then share the longest prefixes, and a depth-first walk over their prefix tree is
the sorted rows with what each shares with the one before left out. A token may attend to its ancestors only, its
position is its depth, and a supervised token is predicted from its parent. Nothing else changes: loss and gradient are
those of the rows one by one.

Where little is shared, a pass is plain: rows of like length side by side, padded on the right, under the ordinary
causal mask, which is cheaper than a mask of our own. Which of the two is taken is decided by counting work: tokens
through the layers, and pairs of tokens through attention.

Letters: T tokens of a flat row, B rows side by side, S supervised tokens, P distinct places predicted from.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

PAIRS_A_TOKEN = 1000
"""Attention pairs that cost as much as one token's way through the layers: about three times a model's width. Taken for
small models; for larger ones attention weighs less still. A mask of our own doubles the price of a pair."""

LIKE_LENGTH = 0.75
"""A plain pass takes no row shorter than this share of its longest, once it holds `SMALL_PASS` tokens."""

SMALL_PASS = 256

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sequence_:
    """A row to be laid out: ids, and the weight of predicting each from those before it."""

    ids: tuple[int, ...]
    weights: tuple[float, ...]
    """One per id; 0 where nothing is supervised. The first id has nothing before it and is never supervised."""


def answer_only(ids: Sequence[int], answer_start: int, weight: float = 1.0) -> Sequence_:
    """A row whose answer is supervised, every token of it with the same weight."""
    return Sequence_(tuple(ids), (0.0,) * answer_start + (weight,) * (len(ids) - answer_start))


@dataclass(frozen=True, slots=True)
class Pass:
    """One forward pass and what is read from it."""

    ids_BT: Ints
    positions_BT: Ints
    ends_T: Ints | None
    """Tree pass (B = 1): j is an ancestor of i, or i itself, exactly when j <= i < ends_T[j]. None: plain causal rows."""
    from_P: Ints
    """Flat places (b * T + t) whose next token is asked for."""
    place_S: Ints
    """Which of from_P each supervised token is predicted from."""
    target_S: Ints
    weight_S: Floats
    row_S: Ints
    """The row, as an index into the rows that were planned, each supervised token belongs to."""
    last_R: Ints
    """Flat place of the last token of each row of this pass."""
    rows_R: Ints
    """The rows of this pass, as indices into the rows that were planned."""

    @property
    def tokens(self) -> int:
        """Tokens computed, padding included."""
        return int(self.ids_BT.size)

    @property
    def weight(self) -> float:
        """Sum of the supervised weights."""
        return float(self.weight_S.sum())


def shared_length(left: Sequence[int], right: Sequence[int]) -> int:
    """How many leading ids two rows have in common."""
    most = min(len(left), len(right))
    for index in range(most):
        if left[index] != right[index]:
            return index
    return most


def plan(rows: Sequence[Sequence_], *, token_budget: int, share: bool = True, always: bool = False) -> list[Pass]:
    """Lay rows out in as few tokens as the budget allows.

    Args:
        rows: what to lay out; duplicates and prefixes of one another are fine, empty rows are not.
        token_budget: most tokens in a pass; a longer single row goes alone.
        share: compute shared prefixes once. False: plain passes only.
        always: take the tree whatever the count of work says.

    Returns:
        Passes that hold every supervised token of every row exactly once.
    """
    if not rows:
        return []
    if any(not row.ids for row in rows):
        raise ValueError("an empty row can't be laid out")
    order = sorted(range(len(rows)), key=lambda index: rows[index].ids)
    fresh = [len(rows[order[0]].ids)]
    for before, index in itertools.pairwise(order):
        fresh.append(len(rows[index].ids) - shared_length(rows[before].ids, rows[index].ids))
    plain = _plain_groups(rows, token_budget)
    if share or always:
        groups = _tree_groups(rows, order, fresh, token_budget)
        if always or _tree_work(rows, groups) < _plain_work(rows, plain):
            return [_tree_pass(rows, group) for group in groups]
    return [_plain_pass(rows, group) for group in plain]


def _tree_work(rows: Sequence[Sequence_], groups: list[list[int]]) -> float:
    """Work of tree passes, in tokens."""
    work = 0.0
    for group in groups:
        tokens = len(rows[group[0]].ids)
        for before, index in itertools.pairwise(group):
            tokens += len(rows[index].ids) - shared_length(rows[before].ids, rows[index].ids)
        work += tokens + 2 * tokens * tokens / PAIRS_A_TOKEN
    return work


def _plain_work(rows: Sequence[Sequence_], groups: list[list[int]]) -> float:
    """Work of plain passes, in tokens, padding included."""
    work = 0.0
    for group in groups:
        width = len(rows[group[0]].ids)
        work += len(group) * (width + width * width / PAIRS_A_TOKEN)
    return work


def _tree_groups(rows: Sequence[Sequence_], order: list[int], fresh: list[int], budget: int) -> list[list[int]]:
    """Cut the sorted rows where the next would not fit."""
    groups: list[list[int]] = []
    used = budget + 1
    for index, cost in zip(order, fresh, strict=True):
        if used + cost > budget:
            groups.append([])
            used, cost = 0, len(rows[index].ids)
        groups[-1].append(index)
        used += cost
    return groups


def _plain_groups(rows: Sequence[Sequence_], budget: int) -> list[list[int]]:
    """Rows of like length together, as many as fit padded; longest first, so that memory peaks at once."""
    groups: list[list[int]] = []
    for index in sorted(range(len(rows)), key=lambda index: (-len(rows[index].ids), index)):
        width = len(rows[groups[-1][0]].ids) if groups else 0
        small = groups and width * len(groups[-1]) < SMALL_PASS
        alike = len(rows[index].ids) >= LIKE_LENGTH * width
        if groups and width * (len(groups[-1]) + 1) <= budget and (alike or small):
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def _tree_pass(rows: Sequence[Sequence_], group: list[int]) -> Pass:
    """One flat row over the prefix tree of sorted rows."""
    ids: list[int] = []
    depths: list[int] = []
    ends: list[int] = []
    path: list[int] = []  # places of the current row's tokens, by depth
    paths: list[list[int]] = []
    previous: tuple[int, ...] = ()
    for index in group:
        row = rows[index]
        shared = shared_length(previous, row.ids)
        for place in path[shared:]:
            ends[place] = len(ids)
        path = path[:shared]
        for depth in range(shared, len(row.ids)):
            path.append(len(ids))
            ids.append(row.ids[depth])
            depths.append(depth)
            ends.append(-1)
        paths.append(path)
        previous = row.ids
    for place, end in enumerate(ends):
        if end < 0:
            ends[place] = len(ids)
    return _gather(
        rows,
        group,
        paths,
        np.array([ids], dtype=np.int64),
        np.array([depths], dtype=np.int64),
        np.array(ends, dtype=np.int64),
    )


def _plain_pass(rows: Sequence[Sequence_], group: list[int]) -> Pass:
    """Rows side by side, padded on the right with id 0, which no real token can see."""
    width = max(len(rows[index].ids) for index in group)
    ids = np.zeros((len(group), width), dtype=np.int64)
    for line, index in enumerate(group):
        ids[line, : len(rows[index].ids)] = rows[index].ids
    positions = np.broadcast_to(np.arange(width, dtype=np.int64), ids.shape).copy()
    paths = [list(range(line * width, line * width + len(rows[index].ids))) for line, index in enumerate(group)]
    return _gather(rows, group, paths, ids, positions, None)


def _gather(rows: Sequence[Sequence_], group: list[int], paths: list[list[int]], ids: Ints, positions: Ints, ends: Ints | None) -> Pass:
    """Collect what is supervised: each token from its parent."""
    sources: list[int] = []
    targets: list[int] = []
    weights: list[float] = []
    owners: list[int] = []
    for index, path in zip(group, paths, strict=True):
        row = rows[index]
        for depth in range(1, len(row.ids)):
            if row.weights[depth] != 0.0:
                sources.append(path[depth - 1])
                targets.append(row.ids[depth])
                weights.append(row.weights[depth])
                owners.append(index)
    from_P, place_S = np.unique(np.array(sources, dtype=np.int64), return_inverse=True)
    return Pass(
        ids_BT=ids,
        positions_BT=positions,
        ends_T=ends,
        from_P=from_P,
        place_S=place_S.astype(np.int64).reshape(-1),
        target_S=np.array(targets, dtype=np.int64),
        weight_S=np.array(weights, dtype=np.float64),
        row_S=np.array(owners, dtype=np.int64),
        last_R=np.array([path[-1] for path in paths], dtype=np.int64),
        rows_R=np.array(group, dtype=np.int64),
    )
