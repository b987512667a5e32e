"""Repeats go; contradictions are counted and, where asked, go too."""

from collections.abc import Iterable, Iterator, Sequence

from tunesmith.core.rows import Dropped, Kept, Outcome, Row
from tunesmith.data.config import DedupConfig
from tunesmith.data.fold import fold, pair_key, text_key

STAGE = "dedup"


def dedup(rows: Sequence[Row], config: DedupConfig) -> Iterator[Outcome]:
    """Yield exactly one outcome per row, in input order: of rows with the same prompt and answer the first is kept.

    Holds one digest per distinct row. With `conflicts: drop`, every row whose prompt also has another answer is dropped.
    """
    against = conflicting(rows) if config.conflicts == "drop" else set()
    first_with: dict[str, str] = {}
    for row in rows:
        earlier = first_with.setdefault(pair_key(row), row.id) if config.exact else row.id
        if text_key(row) in against and contradictable(row):
            yield Dropped(row, stage=STAGE, reason="its prompt has another answer elsewhere")
        elif earlier != row.id:
            yield Dropped(row, stage=STAGE, reason="repeats an earlier row")
        else:
            yield Kept(row)


def contradictable(row: Row) -> bool:
    """Raw text, preference pairs and judged answers can't contradict one another: many answers to a prompt are their point."""
    return bool(row.prompt) and row.rejected is None and row.wanted is None


def conflicting(rows: Iterable[Row]) -> set[str]:
    """The text keys (see `fold`) of prompts that stand there with more than one answer."""
    answer_of: dict[str, str] = {}
    against: set[str] = set()
    for row in rows:
        if contradictable(row):
            key, answer = text_key(row), fold(row.answer)
            if answer_of.setdefault(key, answer) != answer:
                against.add(key)
    return against
