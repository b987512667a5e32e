"""Fewer rows for trying things out: seeded, in proportion to the labels, and mostly the same rows again when others are appended."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from tunesmith.core.rows import Dropped, Kept, Outcome, Row
from tunesmith.core.seeds import fraction


def at_most(rows: Sequence[Row], *, count: int | None, seed: int, stratified: bool, per_label: int | None = None) -> Iterator[Outcome]:
    """Yield exactly one outcome per row, in input order.

    Args:
        rows: to choose from.
        count: how many to keep of all; None keeps all.
        seed: orders rows by a hash of their ids.
        stratified: answers are labels, and each is kept in proportion; sets of labels and numbers are sampled without regard.
        per_label: how many to keep of each answer, before `count` applies; None keeps all.
    """
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (fraction(seed, row.id), row.id)):
        groups[row.answer if stratified or per_label is not None else ""].append(row)
    groups = {answer: group[:per_label] for answer, group in groups.items()}
    of_label = {row.id for group in groups.values() for row in group}
    # The i-th of n rows of a label stands at (i + 1/2) / n: taking the lowest takes the same share of every label.
    ranked = sorted(
        ((place + 0.5) / len(group), fraction(seed, row.id), row.id) for group in groups.values() for place, row in enumerate(group)
    )
    kept = {row_id for _, _, row_id in ranked[:count]}
    for row in rows:
        if row.id in kept:
            yield Kept(row)
        elif row.id in of_label:
            yield Dropped(row, stage="sample", reason=f"not among the {count or 0:,} sampled")
        else:
            yield Dropped(row, stage="sample", reason=f"not among the {per_label or 0:,} sampled of its label")
