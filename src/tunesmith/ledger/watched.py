"""Figures of traffic: by the hour what was asked and how it went, by the day a sketch of it (`score.sketch`). Nothing of a single answer.

Each process that serves writes rows of its own, and writes them anew as the hour or the day goes on; whoever reads adds them up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from sqlalchemy import delete, select, update

from tunesmith.core.errors import RecipeError, did_you_mean
from tunesmith.ledger.exchange import insert_new
from tunesmith.ledger.keys import Writer
from tunesmith.ledger.records import check_time
from tunesmith.ledger.tables import watched

Span = Literal["hour", "day"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedRecord:
    """What one process saw of one model in an hour or a day."""

    model: str
    """The name it was served under; empty: requests that named no model here."""
    model_hash: str | None = None
    span: Span
    start: str
    """When it began, UTC."""
    writer: str
    """The process, by a name drawn when it started."""
    figures: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_time("start", self.start)
        if self.span not in get_args(Span):
            raise RecipeError(f"Figures are of an hour or a day, not '{self.span}'.{did_you_mean(self.span, get_args(Span))}")


class Watched:
    """The figures of a ledger."""

    def __init__(self, store: Writer) -> None:
        self._store = store

    def record(self, records: Sequence[WatchedRecord]) -> None:
        """Keep some, all of them or none; the same process, model and time again replaces what it wrote."""
        c = watched.c
        with self._store.writing() as connection:
            for record in records:
                same = (c.model == record.model, c.span == record.span, c.start == record.start, c.writer == record.writer)
                values = {name: getattr(record, name) for name in WatchedRecord.__slots__} | {"figures": dict(record.figures)}
                done = connection.execute(update(watched).where(*same).values(figures=values["figures"], model_hash=record.model_hash))
                if not done.rowcount:
                    insert_new(connection, watched, [values], on=("model", "span", "start", "writer"))

    def list(
        self, span: Span, *, since: str = "", model: str | None = None, model_hash: str | None = None, limit: int = 100_000
    ) -> list[WatchedRecord]:
        """Figures in order of time.

        Args:
            span: of an hour or a day.
            since: no older than this, UTC.
            model: served under this name.
            model_hash: of this content.
            limit: so many of the newest.
        """
        c = watched.c
        where = [c.span == span, c.start >= since]
        where += [column == value for column, value in ((c.model, model), (c.model_hash, model_hash)) if value is not None]
        with self._store.reading() as connection:
            found = connection.execute(select(watched).where(*where).order_by(c.start.desc(), c.number.desc()).limit(limit)).mappings()
            return [WatchedRecord(**{name: row[name] for name in WatchedRecord.__slots__}) for row in found][::-1]

    def forget(self, before: str) -> int:
        """Delete what began before; returns how many rows went."""
        with self._store.writing() as connection:
            return int(connection.execute(delete(watched).where(watched.c.start < before)).rowcount)
