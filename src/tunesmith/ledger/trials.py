"""Trials: what became of requests while a challenger was tried beside the champion.

One row a request that was answered meanwhile: which of the two answered and whose request it was (a hash that is good for this trial
alone); in shadow how the other model's answer compares. The challenger's words stand only where the request's own are kept. Opinions are
found by completion id, so a trial's figures cost one query over its rows.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from sqlalchemy import and_, delete, func, select, update

from tunesmith.core.errors import RecipeError, did_you_mean
from tunesmith.ledger.exchange import insert_new
from tunesmith.ledger.keys import Writer
from tunesmith.ledger.records import check_time, now
from tunesmith.ledger.steps import running_trials
from tunesmith.ledger.tables import deals, feedback, requests, trials, tried

Side = Literal["champion", "challenger"]
OPINIONS = ("thumbs", "correction", "label")
"""Kinds that say whether an answer was good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedRecord:
    """One answer to one request while a trial ran."""

    step: int
    """Number of the challenge."""
    id: str
    """Of the completion."""
    choice: int = 0
    arm: Side
    """Who answered what was shown."""
    asker: str
    """Hash of whose request it was."""
    agrees: bool | None = None
    """In shadow: both said the same; None where that says nothing, as of answers drawn by chance."""
    shown_confidence: float | None = None
    shown_seconds: float | None = None
    other_confidence: float | None = None
    other_seconds: float | None = None
    """In shadow: what the challenger's answer took, waiting for shown answers left out."""
    answer: str | None = None
    """In shadow: what the challenger said, redacted; None where words are not kept."""
    lost: str | None = None
    """In shadow: why there is no answer of the challenger's: `full`, `slow`, `refused`, `failed`."""
    created: str = field(default_factory=now)

    def __post_init__(self) -> None:
        check_time("created", self.created)
        if self.arm not in get_args(Side):
            raise RecipeError(f"A trial has no side '{self.arm}'.{did_you_mean(self.arm, get_args(Side))}")


@dataclass(frozen=True, slots=True)
class TrialRule:
    """What the gateway may do by itself in a trial."""

    step: int
    promote_when_better: bool = False
    end_when_worse: bool = False
    one_key: bool = False
    """One key may speak for most of the people: it is an application's, and tells its users apart truly."""


@dataclass(frozen=True, slots=True)
class Given:
    """An opinion of an answer that was made in a trial."""

    arm: Side
    asker: str
    good: bool
    key: tuple[str, str]
    """Tenant and id of the key that gave it."""


class Trials:
    """The trials of a ledger."""

    def __init__(self, store: Writer) -> None:
        self._store = store

    def allow(self, rule: TrialRule) -> None:
        """Say what may be done by itself in a trial; what was said first stands. RecipeError where there is no such step."""
        values = {name: getattr(rule, name) for name in TrialRule.__slots__}
        with self._store.writing() as connection:
            insert_new(connection, trials, [values], on=("step",))

    def rule(self, step: int) -> TrialRule:
        """What may be done by itself: nothing where nothing was said."""
        with self._store.reading() as connection:
            found = connection.execute(select(trials).where(trials.c.step == step)).mappings().first()
        return TrialRule(step) if found is None else TrialRule(**found)

    def secret(self, step: int) -> str:
        """What a trial's pseudonyms are keyed with: drawn when it is first asked for, then the same for whoever asks."""
        wanted = select(deals.c.secret).where(deals.c.step == step)
        with self._store.reading() as connection:
            known: str | None = connection.execute(wanted).scalar_one_or_none()
        if known is not None:
            return known
        with self._store.writing() as connection:
            insert_new(connection, deals, [{"step": step, "secret": secrets.token_hex(16)}], on=("step",))
        with self._store.reading() as connection:  # of two gateways that draw at once, one is heard
            return str(connection.execute(wanted).scalar_one())

    def record(self, records: Sequence[TriedRecord]) -> None:
        """Keep some, all of them or none; one that is known stays as it is."""
        values = [{name: getattr(record, name) for name in TriedRecord.__slots__} for record in records]
        with self._store.writing() as connection:
            insert_new(connection, tried, values, on=("id", "choice"))

    def rows(self, step: int, *, limit: int | None = None) -> list[TriedRecord]:
        """A trial's requests, newest first."""
        with self._store.reading() as connection:
            found = connection.execute(select(tried).where(tried.c.step == step).order_by(tried.c.number.desc()).limit(limit)).mappings()
            return [_record(row) for row in found]

    def opinions(self, step: int) -> list[Given]:
        """What people said of a trial's answers, in the order it was first said; not what was rejected or waits in quarantine."""
        same = and_(tried.c.id == feedback.c.completion_id, tried.c.choice == feedback.c.choice)
        asked = and_(tried.c.id == requests.c.id, tried.c.choice == requests.c.choice)
        said = feedback.c
        wanted = (
            select(said.kind, said.value, said.answer, said.tenant, said.key_id, requests.c.label, tried.c.arm, tried.c.asker)
            .select_from(feedback.join(tried, same).outerjoin(requests, asked))
            .where(tried.c.step == step, feedback.c.kind.in_(OPINIONS), feedback.c.state.in_(("new", "accepted")))
            .order_by(feedback.c.number)
        )
        with self._store.reading() as connection:
            rows = connection.execute(wanted).mappings().all()
        told = [(row, _good(row)) for row in rows]
        return [Given(row["arm"], row["asker"], good, (row["tenant"], row["key_id"])) for row, good in told if good is not None]

    def opinion_count(self, step: int) -> tuple[int, str]:
        """How many opinions there are of a trial's answers, and when one last came or changed: whether to look again."""
        same = and_(tried.c.id == feedback.c.completion_id, tried.c.choice == feedback.c.choice)
        asked = select(func.count(), func.max(feedback.c.created), func.max(feedback.c.changed))
        with self._store.reading() as connection:
            count, given, moved = connection.execute(asked.select_from(feedback.join(tried, same)).where(tried.c.step == step)).one()
        return int(count), max(given or "", moved or "")

    def forget(self, *, before: str) -> int:
        """Delete what is older: rows of trials that are over, and the words of those that run, of any line; returns how many rows went."""
        c = tried.c
        with self._store.writing() as connection:
            connection.execute(update(tried).where(c.created < before, c.answer.is_not(None)).values(answer=None))
            over = c.step.not_in(running_trials(connection))
            return int(connection.execute(delete(tried).where(c.created < before, over)).rowcount)


def _good(row: Mapping[Any, Any]) -> bool | None:
    """Whether an opinion calls its answer good; None of a label where the answer is no longer known."""
    if row["kind"] == "thumbs":
        return bool(row["value"] == "up")
    if row["kind"] == "correction":
        return False
    answer = row["label"] if row["answer"] is None else row["answer"]
    return None if answer is None else bool(row["value"] == answer)


def _record(row: Mapping[Any, Any]) -> TriedRecord:
    return TriedRecord(**{name: row[name] for name in TriedRecord.__slots__})
