"""What people say of answers: opinions, and what a reviewer made of them.

An opinion carries the words it is about, redacted, so that it outlives the request. A key has one opinion of each kind of an answer: the
same again changes nothing, another one takes its place and is new again. A method that returned has written: an opinion that a client was
told of survives a killed process and a lost machine.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from sqlalchemy import Connection, and_, case, func, insert, or_, select, update

from tunesmith.core.errors import RecipeError, did_you_mean
from tunesmith.core.rows import Message
from tunesmith.ledger.keys import Writer
from tunesmith.ledger.records import check_time, now
from tunesmith.ledger.requests import Asked, read, told
from tunesmith.ledger.store import take_turn
from tunesmith.ledger.tables import feedback

Kind = Literal["thumbs", "correction", "preference", "label", "comment"]
State = Literal["new", "accepted", "rejected", "quarantined"]
"""`new`: nobody looked; `accepted`, `rejected`: a reviewer did; `quarantined`: it looks wrong, and waits for a reviewer."""
_SAME = ("tenant", "key_id", "completion_id", "choice", "kind")
_SHOWN = ("value", "other", "prompt", "answer")
"""What a reviewer decides on."""
_WHAT = {"kind": Kind, "state": State, "asked": Asked}


def new_feedback_id() -> str:
    """`fb-` and 24 random hex digits."""
    return f"fb-{secrets.token_hex(12)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackRecord:
    """One opinion of one answer."""

    id: str = field(default_factory=new_feedback_id)
    tenant: str
    key_id: str
    """Who says so: a key's id, `import:NAME` or `review:NAME`; empty where the gateway asks for no key."""
    completion_id: str
    choice: int = 0
    kind: Kind
    value: str
    """`up` or `down`; the corrected answer; the answer that is preferred; the label; the comment."""
    other: str | None = None
    """Of a preference between two answers of ours: the completion id of the preferred one."""
    model: str | None = None
    """The name that was asked: of a model, or of a line of service."""
    model_hash: str | None = None
    """Content hash of the model that answered, where it is known."""
    asker: str | None = None
    """Hash of whose opinion it is, where the key names its users."""
    asked: Asked = "chat"
    prompt: tuple[Message, ...] | None = None
    """What the answer was given to; None where that was no longer known."""
    answer: str | None = None
    """The answer, or its label."""
    confidence: float | None = None
    """The model's, of the answer."""
    flagged: bool = False
    """Whether a filter stopped the answer."""
    state: State = "new"
    reviewer: str | None = None
    """Who accepted or rejected it."""
    reason: str | None = None
    """Why it is where it is."""
    created: str = field(default_factory=now)
    """When it was given, or last changed by who gave it."""
    changed: str | None = None
    """When its state last changed."""

    def __post_init__(self) -> None:
        check_time("created", self.created)
        check_time("changed", self.changed)
        for name, known in _WHAT.items():
            if getattr(self, name) not in get_args(known):
                raise RecipeError(
                    f"An opinion's {name} can't be '{getattr(self, name)}'.{did_you_mean(getattr(self, name), get_args(known))}"
                )
        if self.kind == "thumbs" and self.value not in ("up", "down"):
            raise RecipeError("Thumbs go up or down: send one of the two.")


class ChangedMeanwhile(RecipeError):
    """An opinion is no longer what was decided on."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of an opinion."""

    id: str
    state: State
    reason: str | None = None


class Opinions:
    """The opinions of a ledger."""

    def __init__(self, store: Writer) -> None:
        self._store = store

    def give(self, records: Sequence[FeedbackRecord]) -> list[FeedbackRecord]:
        """Keep opinions, all of them or none, and return them as they stand: with the ids and states of those that were known."""
        with self._store.writing() as connection:
            take_turn(connection, feedback.name)
            return [self._given(connection, record) for record in records]

    def _given(self, connection: Connection, record: FeedbackRecord) -> FeedbackRecord:
        same = [feedback.c[name] == getattr(record, name) for name in _SAME]
        found = connection.execute(select(feedback).where(*same)).mappings().first()
        if found is None:
            connection.execute(insert(feedback).values(_values(record)))
            return record
        known = _record(found)
        if (known.value, known.other) == (record.value, record.other):
            return known
        changed = replace(record, id=known.id)
        values = _values(changed)
        if changed.prompt is None:  # what was known when it was first given is better than nothing
            values = {
                name: value for name, value in values.items() if name not in ("prompt", "answer", "confidence", "model", "model_hash")
            }
        connection.execute(update(feedback).where(feedback.c.id == known.id).values(values))
        return _record(connection.execute(select(feedback).where(feedback.c.id == known.id)).mappings().one())

    def list(
        self,
        *,
        states: Sequence[State] = (),
        tenant: str | None = None,
        key_id: str | None = None,
        limit: int | None = None,
        after: str = "",
    ) -> list[FeedbackRecord]:
        """Opinions that fit all that is named, oldest first; those behind the one with id `after`."""
        c = feedback.c
        where = [column == value for column, value in ((c.tenant, tenant), (c.key_id, key_id)) if value is not None]
        if states:
            where.append(c.state.in_(states))
        if after:
            where.append(
                c.number > select(c.number).where(c.id == after, *where).scalar_subquery()
            )  # another's id is no place to go on from
        with self._store.reading() as connection:
            return [_record(row) for row in connection.execute(select(feedback).where(*where).order_by(c.number).limit(limit)).mappings()]

    def find(self, identity: str) -> FeedbackRecord:
        """The opinion with this id. RecipeError where there is none."""
        with self._store.reading() as connection:
            found = connection.execute(select(feedback).where(feedback.c.id == identity)).mappings().first()
        if found is None:
            raise RecipeError(f"There is no opinion '{identity}': `tunesmith feedback list` shows those there are.")
        return _record(found)

    def counts(self) -> dict[str, int]:
        """How many stand in each state."""
        with self._store.reading() as connection:
            found = connection.execute(select(feedback.c.state, func.count()).group_by(feedback.c.state)).all()
        held: dict[str, int] = {name: int(number) for name, number in found}
        return {state: held.get(state, 0) for state in get_args(State)}

    def by_kind(self) -> dict[tuple[str, str], int]:
        """(kind, state) -> how many there are."""
        c = feedback.c
        with self._store.reading() as connection:
            found = connection.execute(select(c.kind, c.state, func.count()).group_by(c.kind, c.state)).all()
        return {(kind, state): int(number) for kind, state, number in found}

    def good(self, models: Sequence[str], *, since: str, before: str = "9999", model_hash: str | None = None) -> dict[str, tuple[int, int]]:
        """Key -> its good opinions of a model (thumbs up, a label that agrees) and all its thumbs and labels, set-aside ones left out.

        Args:
            models: names that it is known by.
            since: no older than this, UTC.
            before: older than this.
            model_hash: its content: opinions of others under the same names don't count, those that tell no content do; None: all of a name do.
        """
        c = feedback.c
        good = or_(and_(c.kind == "thumbs", c.value == "up"), and_(c.kind == "label", c.value == c.answer))
        named = c.model.in_(list(models))
        about = named if model_hash is None else or_(c.model_hash == model_hash, and_(c.model_hash.is_(None), named))
        where = (about, c.kind.in_(("thumbs", "label")), c.state.in_(("new", "accepted")))
        chosen = select(c.key_id, func.sum(case((good, 1), else_=0)), func.count()).where(*where, c.created >= since, c.created < before)
        with self._store.reading() as connection:
            found = connection.execute(chosen.group_by(c.key_id)).all()
        return {key: (int(ups), int(all_)) for key, ups, all_ in found}

    def screen(self, verdicts: Iterable[Verdict]) -> int:
        """Move opinions nobody has reviewed between `new` and `quarantined`; returns how many moved. Reviewed ones stay."""
        c, moved = feedback.c, 0
        with self._store.writing() as connection:
            for verdict in verdicts:
                here = update(feedback).where(c.id == verdict.id, c.reviewer.is_(None), c.state.in_(("new", "quarantined")))
                done = connection.execute(here.values(state=verdict.state, reason=verdict.reason, changed=now()))
                moved += int(done.rowcount)
        return moved

    def review(self, verdict: Verdict, reviewer: str, more: Sequence[FeedbackRecord] = (), *, shown: FeedbackRecord | None = None) -> None:
        """Keep what a reviewer decided, with what they put beside it, in one transaction.

        Args:
            verdict: what becomes of the opinion.
            reviewer: who decided.
            more: opinions put beside it.
            shown: the opinion as the reviewer saw it; nothing is kept where it says something else by now. None: whatever it says.

        Raises:
            ChangedMeanwhile: it is no longer what was shown.
            RecipeError: there is no such opinion, or the reviewer has no name.
        """
        if not reviewer.strip():
            raise RecipeError("The reviewer's name is empty: give one with --reviewer, so that it is known who decided.")
        with self._store.writing() as connection:
            take_turn(connection, feedback.name)
            values = {"state": verdict.state, "reason": verdict.reason, "reviewer": reviewer, "changed": now()}
            here = feedback.c.id == verdict.id
            found = connection.execute(select(feedback).where(here)).mappings().first()
            if found is None:
                raise RecipeError(f"There is no opinion '{verdict.id}': `tunesmith feedback list` shows those there are.")
            if shown is not None and _said(_record(found)) != _said(shown):  # whoever gives opinions waits for this turn too
                raise ChangedMeanwhile("The opinion was changed while you looked at it: decide again on what it says now.")
            connection.execute(update(feedback).where(here).values(values))
            for record in more:
                self._given(connection, record)


def _said(record: FeedbackRecord) -> list[Any]:
    return [getattr(record, name) for name in _SHOWN]


def _values(record: FeedbackRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in FeedbackRecord.__slots__} | {"prompt": told(record.prompt)}


def _record(row: Mapping[Any, Any]) -> FeedbackRecord:
    return FeedbackRecord(**{name: row[name] for name in FeedbackRecord.__slots__} | {"prompt": read(row["prompt"])})
