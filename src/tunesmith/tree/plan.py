"""From rows of token ids to passes through a model, each prefix computed once.

Rows of a step are sorted; neighbours then share the longest prefixes, and a depth-first walk over their prefix tree is
the sorted rows with what each shares with the one before left out. A token may attend to its ancestors only, its
position is its depth, and a supervised token is predicted from its parent. Nothing else changes: loss and gradient are
those of the rows one by one.

Three layouts. `tree`: one flat row, prefixes shared. `apart`: one flat row, nothing shared and nothing padded. `padded`:
rows of like length side by side, padded on the right, under the ordinary causal mask: for models that take no mask of
our own, and where something random depends on the row.

Letters: T tokens of a flat row, B rows side by side, S supervised tokens, P distinct places predicted from, N tokens of
all rows one by one, R rows.
"""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Layout = Literal["tree", "apart", "padded"]

LIKE_LENGTH = 0.75
"""A padded pass takes no row shorter than this share of its longest, once it holds `SMALL_PASS` tokens."""

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
    """Flat pass (B = 1): j is an ancestor of i, or i itself, exactly when j <= i < ends_T[j]. None: padded causal rows."""
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
    path_N: Ints
    """Flat places of the tokens of each row, one row after the other in the order of rows_R."""
    lengths_R: Ints
    """Tokens of each row: how path_N is divided."""

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
    if left[:most] == right[:most]:
        return most
    for index in range(most):
        if left[index] != right[index]:
            return index
    return most


def plan(rows: Sequence[Sequence_], *, token_budget: int, layout: Layout = "tree", units: Sequence[int] | None = None) -> list[Pass]:
    """Lay rows out in as few tokens as the layout allows.

    Args:
        rows: what to lay out; duplicates and prefixes of one another are fine, empty rows are not.
        token_budget: most tokens in a pass; a longer unit goes alone.
        layout: see the module.
        units: one number a row; rows of the same number always share a pass (the two answers of a pair). Each row its
            own unit where absent.

    Returns:
        Passes that hold every supervised token of every row exactly once.
    """
    if any(not row.ids for row in rows):
        raise ValueError("an empty row can't be laid out")
    members: dict[int, list[int]] = {}
    for index in range(len(rows)):
        members.setdefault(index if units is None else units[index], []).append(index)
    together = list(members.values())
    if layout == "padded":
        return [_padded_pass(rows, group) for group in _padded_groups(rows, together, token_budget)]
    if layout == "apart":
        return [_flat_pass(rows, group, share=False) for group in _apart_groups(rows, together, token_budget)]
    return [_flat_pass(rows, group, share=True) for group in _tree_groups(rows, together, token_budget)]


def _tree_groups(rows: Sequence[Sequence_], units: list[list[int]], budget: int) -> list[list[int]]:
    """Units in the order of their first row, cut where the next would not fit; each group sorted."""
    groups: list[list[int]] = []
    paths: list[tuple[tuple[int, ...], int]] = []  # the current group's rows, sorted
    used = 0
    for unit in sorted(units, key=lambda unit: min(rows[index].ids for index in unit)):
        cost = _insert(rows, paths, unit)
        if used and used + cost > budget:
            fresh: list[tuple[tuple[int, ...], int]] = []
            cost, used = _insert(rows, fresh, unit), 0
            groups.append([index for _, index in paths if index not in unit])
            paths = fresh
        used += cost
    groups.append([index for _, index in paths])
    return [group for group in groups if group]


def _insert(rows: Sequence[Sequence_], paths: list[tuple[tuple[int, ...], int]], unit: list[int]) -> int:
    """Put a unit's rows among sorted ones; returns the tokens that adds to their tree."""
    cost = 0
    for index in unit:
        ids = rows[index].ids
        place = bisect.bisect(paths, (ids, index))
        around = [paths[near][0] for near in (place - 1, place) if 0 <= near < len(paths)]
        cost += len(ids) - max((shared_length(ids, other) for other in around), default=0)
        paths.insert(place, (ids, index))
    return cost


def _longest_first(rows: Sequence[Sequence_], units: list[list[int]]) -> list[list[int]]:
    """So that memory peaks at once."""
    return sorted(units, key=lambda unit: (-max(len(rows[index].ids) for index in unit), unit[0]))


def _apart_groups(rows: Sequence[Sequence_], units: list[list[int]], budget: int) -> list[list[int]]:
    """As many units as fit."""
    groups: list[list[int]] = []
    used = budget + 1
    for unit in _longest_first(rows, units):
        cost = sum(len(rows[index].ids) for index in unit)
        if used + cost > budget:
            groups.append([])
            used = 0
        groups[-1].extend(unit)
        used += cost
    return groups


def _padded_groups(rows: Sequence[Sequence_], units: list[list[int]], budget: int) -> list[list[int]]:
    """Units of like length together, as many as fit padded."""
    groups: list[list[int]] = []
    width = 0
    for unit in _longest_first(rows, units):
        length = max(len(rows[index].ids) for index in unit)
        small = bool(groups) and width * len(groups[-1]) < SMALL_PASS
        fits = bool(groups) and width * (len(groups[-1]) + len(unit)) <= budget
        if fits and (small or length >= LIKE_LENGTH * width):
            groups[-1].extend(unit)
        else:
            groups.append(list(unit))
            width = length
    return groups


def _flat_pass(rows: Sequence[Sequence_], group: list[int], *, share: bool) -> Pass:
    """One flat row over rows in the order they stand; sorted, their prefix tree in depth-first order."""
    ids: list[int] = []
    depths: list[int] = []
    ends: list[int] = []
    path: list[int] = []  # places of the current row's tokens, by depth
    paths: list[list[int]] = []
    previous: tuple[int, ...] = ()
    for index in group:
        row = rows[index]
        shared = shared_length(previous, row.ids) if share else 0
        for place in path[shared:]:
            ends[place] = len(ids)
        fresh = len(row.ids) - shared
        path = path[:shared] + list(range(len(ids), len(ids) + fresh))
        ids.extend(row.ids[shared:])
        depths.extend(range(shared, len(row.ids)))
        ends.extend([-1] * fresh)
        paths.append(path)
        previous = row.ids
    for place in path:
        ends[place] = len(ids)
    ends = [end if end >= 0 else len(ids) for end in ends]
    return _gather(rows, group, paths, np.array([ids], np.int64), np.array([depths], np.int64), np.array(ends, np.int64))


def _padded_pass(rows: Sequence[Sequence_], group: list[int]) -> Pass:
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
    sources: list[Ints] = []
    targets: list[Ints] = []
    weights: list[Floats] = []
    owners: list[Ints] = []
    places: list[Ints] = []
    for index, path in zip(group, paths, strict=True):
        weight_L, path_L = np.array(rows[index].weights, np.float64), np.array(path, np.int64)
        depths = np.flatnonzero(weight_L[1:]) + 1
        places.append(path_L)
        sources.append(path_L[depths - 1])
        targets.append(np.array(rows[index].ids, np.int64)[depths])
        weights.append(weight_L[depths])
        owners.append(np.full(len(depths), index, np.int64))
    from_P, place_S = np.unique(np.concatenate(sources), return_inverse=True)
    return Pass(
        ids_BT=ids,
        positions_BT=positions,
        ends_T=ends,
        from_P=from_P,
        place_S=place_S.astype(np.int64).reshape(-1),
        target_S=np.concatenate(targets),
        weight_S=np.concatenate(weights),
        row_S=np.concatenate(owners),
        last_R=np.array([path[-1] for path in paths], dtype=np.int64),
        rows_R=np.array(group, dtype=np.int64),
        path_N=np.concatenate(places),
        lengths_R=np.array([len(path) for path in paths], dtype=np.int64),
    )
