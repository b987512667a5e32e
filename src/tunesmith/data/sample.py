"""Fewer rows for trying things out: seeded, in proportion to the labels, and the same rows again when others are appended."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from tunesmith.core.rows import Dropped, Kept, Outcome, Row
from tunesmith.core.seeds import fraction


def at_most_per_label(rows: Sequence[Row], count: int, seed: int) -> Iterator[Outcome]:
    """Yield one outcome per row, in input order: of each answer the `count` rows of lowest hash are kept."""
    kept = {row.id for group in _by_answer(rows, seed).values() for row in group[:count]}
    reason = f"not among the {count:,} sampled of its label"
    return _outcomes(rows, kept, reason)


def at_most(rows: Sequence[Row], count: int, seed: int, *, stratified: bool) -> Iterator[Outcome]:
    """Yield one outcome per row, in input order: `count` rows are kept, of each label in proportion where `stratified`."""
    groups = _by_answer(rows, seed) if stratified else {"": _in_hash_order(rows, seed)}
    ranked = [((place + 0.5) / len(group), fraction(seed, row.id), row.id) for group in groups.values() for place, row in enumerate(group)]
    kept = {row_id for _, _, row_id in sorted(ranked)[:count]}
    return _outcomes(rows, kept, f"not among the {count:,} sampled")


def _in_hash_order(rows: Sequence[Row], seed: int) -> list[Row]:
    return sorted(rows, key=lambda row: (fraction(seed, row.id), row.id))


def _by_answer(rows: Sequence[Row], seed: int) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in _in_hash_order(rows, seed):
        groups[row.answer].append(row)
    return groups


def _outcomes(rows: Sequence[Row], kept: set[str], reason: str) -> Iterator[Outcome]:
    for row in rows:
        yield Kept(row) if row.id in kept else Dropped(row, stage="sample", reason=reason)
