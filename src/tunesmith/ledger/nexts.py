"""Next rounds: which champion they began from, which opinions taught them, and how they ended.

A line has one open next round at most. It is written with all the opinions it uses in one transaction, before anything is trained, so that
a killed one is taken up with exactly these, and no opinion is used by two at a time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from sqlalchemy import insert, select, update

from tunesmith.core.errors import RecipeError, did_you_mean
from tunesmith.ledger.exchange import plain
from tunesmith.ledger.keys import Writer
from tunesmith.ledger.records import check_time, now
from tunesmith.ledger.store import take_turn
from tunesmith.ledger.tables import feedback_uses, next_rounds

NextState = Literal["open", "promoted", "refused", "failed", "overtaken"]
"""`open`: under way, or killed; `promoted`; `refused`: a gate said no; `failed`: its rows or its recipe can't serve; `overtaken`: another
champion was promoted meanwhile. What the last one used counts as not used, unless its model was promoted all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NextRecord:
    """One next round."""

    id: str
    line: str
    champion: str
    """The model it began from, as its step names it."""
    champion_hash: str
    after_step: int
    """Number of the step that made it champion, or of the last one since."""
    round_id: str | None = None
    state: NextState = "open"
    why: str = ""
    """Why it was begun; once it ended, why it ended so."""
    found: Mapping[str, Any] | None = None
    """What was measured."""
    created: str = field(default_factory=now)
    finished: str | None = None

    def __post_init__(self) -> None:
        check_time("created", self.created)
        check_time("finished", self.finished)
        if self.state not in get_args(NextState):
            raise RecipeError(f"A next round can't be '{self.state}'.{did_you_mean(self.state, get_args(NextState))}")


@dataclass(frozen=True, slots=True)
class Use:
    """An opinion that a next round used, as it was then."""

    feedback_id: str
    said: str
    """Names what it said: an opinion that its giver changes is another one."""


class NextRounds:
    """The next rounds of a ledger."""

    def __init__(self, store: Writer) -> None:
        self._store = store

    def begin(self, record: NextRecord, uses: Sequence[Use]) -> NextRecord:
        """Open a next round with what it uses. RecipeError where the line has an open one."""
        with self._store.writing() as connection:
            take_turn(connection, next_rounds.name)
            c = next_rounds.c
            if connection.execute(select(c.id).where(c.line == record.line, c.state == "open")).first() is not None:
                raise RecipeError(f"A next round of '{record.line}' is open: finish it with `tunesmith next --line {record.line}`.")
            connection.execute(insert(next_rounds).values(_values(record)))
            if uses:
                named = [{"next_id": record.id, "feedback_id": use.feedback_id, "said": use.said} for use in uses]
                connection.execute(insert(feedback_uses), named)
        return record

    def open(self, line: str) -> NextRecord | None:
        """The one under way; None where there is none."""
        return next((one for one in self.list(line) if one.state == "open"), None)

    def uses(self, identity: str) -> list[Use]:
        """What one used, in order."""
        c = feedback_uses.c
        with self._store.reading() as connection:
            found = connection.execute(select(c.feedback_id, c.said).where(c.next_id == identity).order_by(c.number))
            return [Use(*row) for row in found]

    def tell_round(self, identity: str, round_id: str) -> None:
        """Which round trains it."""
        self._change(identity, {"round_id": round_id})

    def end(self, identity: str, state: NextState, why: str, found: Mapping[str, Any] | None = None) -> None:
        """End an open one; one that ended stays as it is."""
        told = None if found is None else plain(found, "found")
        self._change(identity, {"state": state, "why": why, "found": told, "finished": now()})

    def of_round(self, round_id: str) -> NextRecord | None:
        """The last one that a round trained, of any line; None where it was no next round."""
        c = next_rounds.c
        with self._store.reading() as connection:
            found = (
                connection.execute(select(next_rounds).where(c.round_id == round_id).order_by(c.number.desc()).limit(1)).mappings().first()
            )
            return None if found is None else NextRecord(**{name: found[name] for name in NextRecord.__slots__})

    def list(self, line: str) -> list[NextRecord]:
        """All of a line, oldest first."""
        c = next_rounds.c
        with self._store.reading() as connection:
            found = connection.execute(select(next_rounds).where(c.line == line).order_by(c.number)).mappings()
            return [NextRecord(**{name: row[name] for name in NextRecord.__slots__}) for row in found]

    def _change(self, identity: str, values: dict[str, Any]) -> None:
        c = next_rounds.c
        with self._store.writing() as connection:
            connection.execute(update(next_rounds).where(c.id == identity, c.state == "open").values(values))


def _values(record: NextRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in NextRecord.__slots__}
