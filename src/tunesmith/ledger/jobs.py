"""Fine-tuning jobs: what was asked, who works on it, and what came of it.

A worker has a job for as long as it renews its lease; one that dies is followed by the next worker when the lease ends, which goes on with
the same round. Whatever a worker tells is taken only while the job is its own, so a late word of one that was given up changes nothing.
Leases are compared by the clocks of the machines that workers run on: these should agree to a few seconds.
"""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Connection, and_, case, func, insert, not_, or_, select, update

from tunesmith.core.errors import RecipeError
from tunesmith.ledger.files import QuotaError
from tunesmith.ledger.keys import Writer
from tunesmith.ledger.records import check_time, now
from tunesmith.ledger.store import take_turn
from tunesmith.ledger.tables import job_events, jobs

Status = Literal["validating_files", "queued", "running", "succeeded", "failed", "cancelled"]
MethodName = Literal["supervised", "dpo"]
Level = Literal["info", "warn", "error"]
Standing = Literal["mine", "cancel", "lost"]
"""Of a job for its worker: go on; stop, the client wants no more of it; stop, it is another's."""
OVER = ("succeeded", "failed", "cancelled")
_ISO = "%Y-%m-%dT%H:%M:%SZ"


def new_job_id() -> str:
    """`ftjob-` and 24 random hex digits."""
    return f"ftjob-{secrets.token_hex(12)}"


def moment(seconds: float) -> str:
    """Seconds since 1970 as the ledger writes times."""
    return time.strftime(_ISO, time.gmtime(seconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """A job as it stands."""

    id: str = field(default_factory=new_job_id)
    tenant: str
    key_id: str
    request: str | None = None
    """What the client calls its request (Idempotency-Key): the same again makes no second job."""
    model: str
    """What is to be tuned, as the client named it."""
    base: str
    """The base of the allow-list that it rests on."""
    parent: str | None = None
    """The job whose model it starts from; None: the base itself."""
    method: MethodName = "supervised"
    settings: Mapping[str, int | float | str] = field(default_factory=dict)
    """Hyperparameters as asked; `auto` where the recipe's own default holds."""
    suffix: str | None = None
    seed: int
    notes: Mapping[str, str] | None = None
    """The client's metadata."""
    training_file: str
    validation_file: str | None = None
    hashes: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the files by id, as they were when the job was made."""
    status: Status = "queued"
    error: Mapping[str, str | None] | None = None
    """`code`, `message`, `param`."""
    fine_tuned_model: str | None = None
    round_id: str | None = None
    trained_tokens: int | None = None
    result_file: str | None = None
    checkpoint: Mapping[str, Any] | None = None
    """The step whose weights were kept, with its figures."""
    step: int = 0
    """Furthest step told of."""
    estimated: str | None = None
    """When it may be done."""
    cancel: bool = False
    """Its client wants no more of it."""
    worker: str | None = None
    lease: float | None = None
    """Seconds since 1970 until which it is its worker's; of a waiting one, before which nobody takes it."""
    attempts: int = 0
    """Times it was taken up since it last came further."""
    created: str = field(default_factory=now)
    started: str | None = None
    finished: str | None = None
    removed: str | None = None
    """When its model was deleted."""

    def __post_init__(self) -> None:
        for name in ("created", "started", "finished", "removed", "estimated"):
            check_time(name, getattr(self, name))

    @property
    def over(self) -> bool:
        """Whether nothing more will become of it."""
        return self.status in OVER


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvent:
    """One thing a job tells of."""

    id: str = field(default_factory=lambda: f"ftevent-{secrets.token_hex(12)}")
    job_id: str
    level: Level = "info"
    message: str
    data: Mapping[str, Any] | None = None
    """Figures: `step`, `train_loss`, `valid_loss`."""
    created: str = field(default_factory=now)


class Jobs:
    """The jobs of a ledger."""

    def __init__(self, store: Writer, clock: Callable[[], float] = time.time) -> None:
        self._store, self._clock = store, clock

    # What clients do

    def create(self, record: JobRecord, *, most_waiting: int | None = None) -> JobRecord:
        """Keep a job; the same request of the same tenant again gives the job that it made.

        Raises:
            QuotaError: as many of its tenant's jobs are under way or wait as may.
        """
        c = jobs.c
        with self._store.writing() as connection:
            take_turn(connection, jobs.name)
            if record.request is not None:
                same = select(jobs).where(c.tenant == record.tenant, c.request == record.request)
                known = connection.execute(same).mappings().first()
                if known is not None:
                    return _record(known)
            unfinished = select(func.count()).where(c.tenant == record.tenant, c.status.not_in(OVER), not_(and_(c.cancel, self._alone())))
            number = connection.execute(unfinished).scalar_one()
            if most_waiting is not None and number >= most_waiting:
                raise QuotaError(f"{number:,} jobs are under way or wait, as many as may: come again when one is done, or cancel one.")
            connection.execute(insert(jobs).values(_values(record)))
            _tell(connection, [JobEvent(job_id=record.id, message=f"Created fine-tuning job: {record.id}")])
        return record

    def find(self, tenant: str, identity: str) -> JobRecord | None:
        """A tenant's job; None where it has none of this id."""
        return self._first(jobs.c.id == identity, jobs.c.tenant == tenant)

    def list(self, tenant: str, *, limit: int = 20, after: str = "", notes: Mapping[str, str] | None = None) -> list[JobRecord]:
        """A tenant's jobs, newest first, those behind the one with id `after`; those with these notes only."""
        c = jobs.c
        where = [c.tenant == tenant]
        if after:
            where.append(c.number < select(c.number).where(c.id == after, c.tenant == tenant).scalar_subquery())
        asked = select(jobs).where(*where).order_by(c.number.desc())
        with self._store.reading() as connection:
            found = (_record(row) for row in connection.execute(asked if notes else asked.limit(limit)).mappings())
            fitting = (one for one in found if not notes or (one.notes or {}).items() >= notes.items())
            return [one for _, one in zip(range(limit), fitting, strict=False)]

    def cancel(self, tenant: str, identity: str) -> JobRecord | None:
        """Want no more of a job: one that has no living worker is over, another as soon as its worker hears; None where there is none."""
        c = jobs.c
        with self._store.writing() as connection:
            take_turn(connection, jobs.name)
            own = (c.id == identity, c.tenant == tenant)
            alone = update(jobs).where(*own, c.status.not_in(OVER), self._alone())
            ended = connection.execute(alone.values(_ended("cancelled") | {"cancel": True})).rowcount
            if ended:
                _tell(connection, [JobEvent(job_id=identity, message="The job has been cancelled")])
            connection.execute(update(jobs).where(*own, c.status.not_in(OVER)).values(cancel=True))
            found = connection.execute(select(jobs).where(*own)).mappings().first()
        return None if found is None else _record(found)

    def events(self, identity: str, *, limit: int = 20, after: str = "") -> Sequence[JobEvent]:
        """What a job told, newest first, behind the event with id `after`."""
        c = job_events.c
        where = [c.job_id == identity]
        if after:
            where.append(c.number < select(c.number).where(c.id == after, c.job_id == identity).scalar_subquery())
        asked = select(job_events).where(*where).order_by(c.number.desc()).limit(limit)
        with self._store.reading() as connection:
            return [JobEvent(**{name: row[name] for name in JobEvent.__slots__}) for row in connection.execute(asked).mappings()]

    # The models that came of them

    def model(self, tenant: str, name: str) -> JobRecord | None:
        """The job that made a tenant's model; None where there is none, or it was deleted."""
        c = jobs.c
        return self._first(c.tenant == tenant, c.fine_tuned_model == name, c.status == "succeeded", c.removed.is_(None))

    def models(self, tenant: str) -> Sequence[JobRecord]:
        """The jobs whose models a tenant has, oldest first."""
        c = jobs.c
        asked = select(jobs).where(c.tenant == tenant, c.status == "succeeded", c.removed.is_(None)).order_by(c.number)
        with self._store.reading() as connection:
            return [_record(row) for row in connection.execute(asked).mappings()]

    def remove(self, tenant: str, name: str) -> JobRecord | None:
        """Have a model no longer; None where there is none.

        Raises:
            RecipeError: another job starts from it and is not over.
        """
        c = jobs.c
        with self._store.writing() as connection:
            take_turn(connection, jobs.name)
            own = (c.tenant == tenant, c.fine_tuned_model == name, c.status == "succeeded", c.removed.is_(None))
            found = connection.execute(select(jobs).where(*own)).mappings().first()
            if found is None:
                return None
            child = connection.execute(select(c.id).where(c.parent == found["id"], c.status.not_in(OVER))).scalar()
            if child is not None:
                raise RecipeError(f"Job {child} starts from this model: wait until it is over, or cancel it.")
            connection.execute(update(jobs).where(c.id == found["id"]).values(removed=now()))
            return _record(found)

    # What workers do

    def claim(self, worker: str, lease_seconds: float, bases: Sequence[str]) -> JobRecord | None:
        """Take a job up: one that waits, or whose worker is gone; None where there is none.

        The tenant that has waited longest since a job of its own began comes first, and of its jobs the oldest.

        Args:
            worker: who takes it.
            lease_seconds: for how long, unless renewed.
            bases: the bases that this worker knows.
        """
        c, at = jobs.c, self._clock()
        free = or_(c.lease.is_(None), c.lease < at)
        theirs = jobs.alias()
        served = select(func.max(theirs.c.started)).where(theirs.c.tenant == c.tenant).scalar_subquery()
        asked = select(jobs).where(c.status.not_in(OVER), free, c.base.in_(bases)).order_by(func.coalesce(served, ""), c.number).limit(1)
        with self._store.writing() as connection:
            take_turn(connection, jobs.name)
            found = connection.execute(asked).mappings().first()
            if found is None:
                return None
            values = {"worker": worker, "lease": at + lease_seconds, "attempts": found["attempts"] + 1}
            values["started"] = found["started"] or now()
            connection.execute(update(jobs).where(c.id == found["id"]).values(values))
            return _record({**found, **values})

    def beat(
        self, job: JobRecord, lease_seconds: float, told: Sequence[JobEvent] = (), *, step: int = 0, estimated: str | None = None
    ) -> Standing:
        """Renew a lease and keep what the job told; nothing is kept of a job that is another's by now.

        Args:
            job: as its worker claimed it.
            lease_seconds: from now.
            told: what is new.
            step: furthest so far.
            estimated: when it may be done.
        """  # fmt: skip
        c = jobs.c
        mine = self._mine(job)
        with self._store.writing() as connection:
            values = {"lease": self._clock() + lease_seconds, "estimated": estimated}
            if not connection.execute(update(jobs).where(mine).values(values)).rowcount:
                return "lost"
            connection.execute(update(jobs).where(mine, c.step < step).values(step=step, attempts=0))
            _tell(connection, told)
            return "cancel" if connection.execute(select(c.cancel).where(c.id == job.id)).scalar_one() else "mine"

    def advance(self, job: JobRecord, status: Status, message: str) -> bool:
        """A job comes to its next status; whether it was still its worker's."""
        return self._settle(job, {"status": status}, JobEvent(job_id=job.id, message=message))

    def release(self, job: JobRecord, seconds: float, why: str) -> bool:
        """Give a job back, for the next worker to go on with after some seconds."""
        less = case((jobs.c.attempts > 0, jobs.c.attempts - 1), else_=0)  # it did not die of it
        values = {"status": "queued", "worker": None, "lease": self._clock() + seconds, "estimated": None, "attempts": less}
        return self._settle(job, values, JobEvent(job_id=job.id, level="warn", message=why))

    def succeed(self, job: JobRecord, **made: Any) -> bool:
        """A job is done.

        Args:
            job: as claimed.
            made: `fine_tuned_model`, `round_id`, `trained_tokens`, `result_file`, `checkpoint`.
        """
        message = f"New fine-tuned model created: {made['fine_tuned_model']}. The job has successfully completed"
        return self._settle(job, made | _ended("succeeded"), JobEvent(job_id=job.id, message=message))

    def fail(self, job: JobRecord, code: str, message: str, param: str | None = None) -> bool:
        """A job can't be done."""
        error = {"code": code, "message": message, "param": param}
        return self._settle(job, {"error": error} | _ended("failed"), JobEvent(job_id=job.id, level="error", message=message))

    def cancelled(self, job: JobRecord) -> bool:
        """A job's worker has heard that it is no longer wanted."""
        return self._settle(job, _ended("cancelled"), JobEvent(job_id=job.id, message="The job has been cancelled"))

    def by_id(self, identity: str) -> JobRecord | None:
        """A job, whoever's: for those who work on it, never for clients."""
        return self._first(jobs.c.id == identity)

    def _settle(self, job: JobRecord, values: dict[str, Any], told: JobEvent) -> bool:
        with self._store.writing() as connection:
            changed = connection.execute(update(jobs).where(self._mine(job)).values(values)).rowcount
            if changed:
                _tell(connection, [told])
            return bool(changed)

    def _alone(self) -> Any:
        """Nobody works on it: it waits, or its worker was not heard of for as long as its lease."""
        return or_(jobs.c.worker.is_(None), jobs.c.lease < self._clock())

    def _mine(self, job: JobRecord) -> Any:
        return and_(jobs.c.id == job.id, jobs.c.worker == job.worker, jobs.c.status.not_in(OVER))

    def _first(self, *where: Any) -> JobRecord | None:
        with self._store.reading() as connection:
            found = connection.execute(select(jobs).where(*where)).mappings().first()
        return None if found is None else _record(found)


def _ended(status: Status) -> dict[str, Any]:
    return {"status": status, "finished": now(), "worker": None, "lease": None, "estimated": None}


def _tell(connection: Connection, told: Sequence[JobEvent]) -> None:
    if told:
        connection.execute(insert(job_events), [{name: getattr(one, name) for name in JobEvent.__slots__} for one in told])


def _values(record: JobRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in JobRecord.__slots__}


def _record(row: Mapping[Any, Any]) -> JobRecord:
    return JobRecord(**{name: row[name] for name in JobRecord.__slots__})
