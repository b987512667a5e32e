"""Rows with a missing value go no further; which value it was is told by the name of its column."""

from collections.abc import Iterable, Iterator, Mapping

from tunesmith.core.rows import Dropped, Kept, Outcome, Row

_ASKED = ("label", "labels", "value", "spans", "tags", "completion", "output", "chosen", "messages", "text")
"""Roles that hold what a row asks for."""


def fill(rows: Iterable[Row], mapping: Mapping[str, str]) -> Iterator[Outcome]:
    """Yield exactly one outcome per row, in input order.

    Args:
        rows: after `normalise`, so that what held only white space is empty here.
        mapping: role -> column, as it was read.
    """
    for row in rows:
        reason = _missing(row, mapping)
        yield Dropped(row, stage="fill", reason=reason) if reason else Kept(row)


def _missing(row: Row, mapping: Mapping[str, str]) -> str:
    """What of the row is missing, or nothing."""
    for role in ("messages", "prompt", "instruction", "text", "tokens", "first"):
        if role in mapping and not (role == "text" and not row.prompt) and not any(turn.content.strip() for turn in row.prompt):
            return f"{mapping[role]} is missing" if role != "messages" else "nothing before the answer"
    if not row.answer.strip():
        column = next((mapping[role] for role in _ASKED if role in mapping), "answer")
        return f"{column} is missing"
    if row.rejected is None:
        return ""
    if not row.rejected.strip():
        return f"{mapping.get('rejected', 'rejected')} is missing"
    return "chosen and rejected are the same" if row.rejected == row.answer else ""
