"""Works through fine-tuning jobs, one at a time: claims one, holds it by a lease, tells of it, and stops between two steps when it must.

A thread of its own renews the lease and writes what the job told, at most once a second, so that steps cost no fsync each. A worker that is
killed leaves a lease that ends; whoever comes next goes on with the same round. Of several workers one holds a job: the ledger hands it to
one, and the round's own lock keeps out a second where a lease ended under a worker that still lived.
"""

import contextlib
import math
import os
import secrets
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tunesmith.core.errors import BusyError, DataError, DivergedError, MachineError, TunesmithError
from tunesmith.core.progress import Advanced, Event, Listener, Said, silent
from tunesmith.ledger.jobs import JobEvent, JobRecord, Level, Standing, moment
from tunesmith.pipeline.jobs import FOLDER, JobPlace, Made, model_name, prepare_rows, run_job, tidy, told_to_clients
from tunesmith.pipeline.workspace import Workspace
from tunesmith.serve.file_store import PART, result_file
from tunesmith.serve.log import place_of

if TYPE_CHECKING:
    from tunesmith.ledger.ledger import Ledger

LEASE_SECONDS = 30.0
POLL_SECONDS = 0.5
LATER_SECONDS = 5.0
"""After the ledger refused."""
BEAT_SECONDS = 1.0
MOST_ATTEMPTS = 5
"""A job that its workers died of so many times, without a step more, is given up."""
MOST_STEPS_TOLD = 1000
"""Steps told of one job, evenly; evaluations are told all."""
FILES = "files"
LEFT_SECONDS = 86_400.0
TRIES = 6
"""How often the end of a job is written before the ledger is given up: 30 s of waiting lie within each try already."""
Outcome = Literal["succeeded", "failed", "cancelled", "released", "lost"]


class Stopped(BaseException):
    """A job is to end between two steps. No Exception: nothing on the way may take it for an error of its own."""

    def __init__(self, why: Literal["cancel", "lost", "stop"]) -> None:
        super().__init__(why)
        self.why = why


@dataclass(slots=True)
class Held:
    """A job under way: its lease, and what it has told that is not written yet."""

    ledger: "Ledger"
    job: JobRecord
    lease_seconds: float
    stop: threading.Event
    standing: Standing = "mine"
    step: int = 0
    estimated: str | None = None
    _told: list[JobEvent] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _done: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    @contextlib.contextmanager
    def beating(self) -> Iterator["Held"]:
        """Renew the lease while inside."""
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)
        self._thread.start()
        try:
            yield self
        finally:
            self._done.set()
            self._thread.join(timeout=60)  # a beat may wait for the ledger as long as that waits for others

    def tell(self, message: str, level: Level = "info", data: Mapping[str, float] | None = None, *, step: int = 0) -> None:
        """Say something, and how far it came with that; both are written with the next beat."""
        with self._lock:
            self.step = max(self.step, step)
            self._told.append(JobEvent(job_id=self.job.id, message=message, level=level, data=data))

    def check(self) -> None:
        """Raise Stopped where the job is to end here."""
        if self.standing != "mine":
            raise Stopped("cancel" if self.standing == "cancel" else "lost")
        if self.stop.is_set():
            raise Stopped("stop")

    def flush(self) -> None:
        """One beat now. Raises MachineError where the ledger can't be had; what was told waits for the next."""
        with self._lock:
            told, step = list(self._told), self.step
        standing = self.ledger.jobs.beat(self.job, self.lease_seconds, told, step=step, estimated=self.estimated)
        with self._lock:
            del self._told[: len(told)]
        if self.standing == "mine":
            self.standing = standing

    def _beat(self) -> None:
        while not self._done.wait(min(BEAT_SECONDS, self.lease_seconds / 4)):
            with contextlib.suppress(TunesmithError):  # locked or full for a while: the next beat tries again
                self.flush()


@dataclass(slots=True)
class Telling:
    """What of a round's progress its client hears, as it comes."""

    held: Held
    place: JobPlace
    base: str
    also: Listener = silent
    _total: int = 0
    _before: int = 0
    """Steps that an earlier worker told."""
    _heard: int = 0
    """The last step of training."""

    def __post_init__(self) -> None:
        self._before = self.held.job.step or -1  # the base itself is measured at step 0
        self._heard = self.held.job.step

    def __call__(self, event: Event) -> None:
        """Hear one; raises Stopped where the job is to end."""
        self.also(event)
        if isinstance(event, Said):
            self._before = -1 if event.warning else self._before  # it may go back: what follows is new
            self.held.tell(told_to_clients(event.text, self.place, self.base), "warn" if event.warning else "info")
        elif isinstance(event, Advanced) and event.work == "train" and event.figures is not None:
            self._step(event, event.figures)
        elif getattr(event, "work", "") == "train" and (total := getattr(event, "total", None)):
            self._total = total
        self.held.check()

    def _step(self, event: Advanced, figures: Mapping[str, float]) -> None:
        if event.seconds_left is not None:
            self.held.estimated = moment(time.time() + event.seconds_left)
        trained = "train_loss" in figures
        if trained:
            self.fill(event.done)
            self._heard = event.done
        if event.done > self._before:
            self._tell(event.done, figures, trained=trained)

    def fill(self, until: float = math.inf) -> None:
        """Tell the steps below one that nobody told of: a worker that was killed made them, and a checkpoint has them."""
        from tunesmith.pipeline.training import read_steps

        if self._heard + 1 >= until:
            return
        for folder in (self.place.folder / "rounds").glob("*/training"):
            for step in read_steps(folder):
                if self._heard < step["step"] < until:
                    self._heard = step["step"]
                    self._tell(step["step"], {"train_loss": step["loss"]}, trained=True)

    def _tell(self, done: int, figures: Mapping[str, float], *, trained: bool) -> None:
        every = max(1, -(-self._total // MOST_STEPS_TOLD))
        if trained and done % every and done != self._total:
            return
        what = f"training loss={figures['train_loss']:.4f}" if trained else f"validation loss={figures['valid_loss']:.4f}"
        finite = {name: value for name, value in figures.items() if math.isfinite(value)}  # JSON has no other numbers
        self.held.tell(
            f"Step {done}/{self._total}: {what}", data={"step": done, **finite, "total_steps": self._total}, step=done if trained else 0
        )


@dataclass(slots=True)
class Worker:
    """One process that works through jobs."""

    place: Workspace
    ledger: "Ledger"
    bases: Mapping[str, str]
    """Name -> model."""
    lease_seconds: float = LEASE_SECONDS
    say: Callable[[str], None] = lambda line: None
    """Told in a line when a job begins and ends."""
    listen: Listener = silent
    stop: threading.Event = field(default_factory=threading.Event)
    name: str = field(default_factory=lambda: f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(4)}")

    def work(self, *, once: bool = False, idle_seconds: float | None = None) -> int:
        """Take jobs until told to stop; returns how many were taken.

        Args:
            once: end after the first, or where none waits.
            idle_seconds: end when none came for so long; None: wait for ever.

        Raises:
            MachineError: the ledger can't be had at the start, or with `once` at all.
        """
        taken, since = 0, time.monotonic()
        self.sweep()
        while not self.stop.is_set():
            try:
                job = self.ledger.jobs.claim(self.name, self.lease_seconds, list(self.bases))
                if job is not None:
                    taken, since = taken + 1, time.monotonic()
                    self.one(job)
            except MachineError as error:  # locked, full or out of reach for a while: a job that was held is found again by its lease
                if once:
                    raise
                self.say(str(error))
                job = None
                self.stop.wait(LATER_SECONDS)
            if once or (job is None and idle_seconds is not None and time.monotonic() - since >= idle_seconds):
                break
            if job is None:
                self.stop.wait(POLL_SECONDS)
        return taken

    def one(self, job: JobRecord) -> Outcome:
        """Work on a job that was claimed, to its end or until it must be let go."""
        place = JobPlace(self.place.root.absolute(), job)
        self.say(f"Job {job.id}: begun")
        held = Held(self.ledger, job, self.lease_seconds, self.stop)
        held.step = job.step
        with held.beating():
            outcome = self._outcome(held, place)
        self.say(f"Job {job.id}: {outcome}")
        if outcome not in ("released", "lost"):
            tidy(replace(place, job=self.ledger.jobs.by_id(job.id) or job))
        return outcome

    def _outcome(self, held: Held, place: JobPlace) -> Outcome:
        job, jobs = held.job, self.ledger.jobs
        if job.cancel:
            return self._ended(held, "cancelled", lambda: jobs.cancelled(job))
        if job.attempts > MOST_ATTEMPTS:
            message = (
                f"The job's worker died {MOST_ATTEMPTS} times without coming further: try fewer or shorter examples, or a smaller base."
            )
            return self._ended(held, "failed", lambda: jobs.fail(job, "worker_lost", message))
        base = self.bases[job.base]
        try:
            base = self._base(place)
            made = self._made(held, place, base)
            return self._ended(held, "succeeded", lambda: self._succeed(held, made))
        except Stopped as stopped:
            return self._let_go(held, stopped.why)
        except BusyError:
            return self._give_back(held, self.lease_seconds, "Another worker still holds the round: the job waits for it to end")
        except TunesmithError as error:
            code, param = _kind(error)
            message = told_to_clients(str(error), place, base)
            return self._ended(held, "failed", lambda: jobs.fail(job, code, message, param))
        except Exception as error:  # a bug, or no memory: the next job is not to suffer
            print(f"error: {place_of(error)}", file=sys.stderr)  # not its message, which may hold a client's row
            short = isinstance(error, MemoryError) or "out of memory" in str(error).lower()
            message = (
                "The machine has too little memory for this job." if short else "Something went wrong in the server, and is in its log."
            )
            return self._ended(held, "failed", lambda: jobs.fail(job, "out_of_memory" if short else "server_error", message))

    def _base(self, place: JobPlace) -> str:
        """What the job starts from. MachineError where the model it names is gone."""
        if place.job.parent is None:
            return self.bases[place.job.base]
        parent = self.ledger.jobs.by_id(place.job.parent)
        if parent is None or parent.removed is not None:
            raise DataError("The model that the job starts from was deleted: name another one.")
        return str(place.of(parent.id, str(parent.round_id)))

    def _made(self, held: Held, place: JobPlace, base: str) -> Made:
        jobs, job = self.ledger.jobs, held.job
        if job.status == "queued":
            jobs.advance(job, "validating_files", "Validating training file")
        prepare_rows(place)
        held.check()
        again = "Fine-tuning job goes on" if (place.folder / "rounds").is_dir() else "Files validated. Fine-tuning job started"
        jobs.advance(job, "running", again)
        telling = Telling(held, place, base, self.listen)
        made = run_job(place, base, telling)
        telling.fill()
        held.check()
        if made.round.sentence:
            held.tell(told_to_clients(made.round.sentence, place, base))
        return made

    def _succeed(self, held: Held, made: Made) -> bool:
        job = held.job
        held.flush()
        file = result_file(self.place.root / FILES, self.ledger.files, job, "step_metrics.csv", made.table)
        done = self.ledger.jobs.succeed(
            job,
            fine_tuned_model=model_name(job),
            round_id=made.round.id,
            trained_tokens=made.trained_tokens,
            result_file=file.id,
            checkpoint=made.checkpoint,
        )
        now = None if done else self.ledger.jobs.by_id(job.id)
        if now is not None and now.status in ("failed", "cancelled"):  # of one that is another's the file is too: it has one id
            self.ledger.files.forget(job.tenant, file.id)
            (self.place.root / FILES / file.id).unlink(missing_ok=True)
        return done

    def _let_go(self, held: Held, why: str) -> Outcome:
        if why == "cancel":
            return self._ended(held, "cancelled", lambda: self.ledger.jobs.cancelled(held.job))
        return "lost" if why == "lost" else self._give_back(held, 0.0, "The worker stops: the job waits for the next one")

    def _give_back(self, held: Held, seconds: float, why: str) -> Outcome:
        return self._ended(held, "released", lambda: self.ledger.jobs.release(held.job, seconds, why))

    def _ended(self, held: Held, outcome: Outcome, write: Callable[[], bool]) -> Outcome:
        """Write the end of a job, however long the ledger is busy. MachineError where it stays so: the lease ends, and the next finds it."""
        for attempt in range(TRIES):
            try:
                with contextlib.suppress(MachineError):
                    held.flush()
                return outcome if write() else "lost"
            except MachineError:
                if attempt == TRIES - 1:
                    raise
                self.stop.wait(1.0)
        raise AssertionError("unreachable")

    def sweep(self) -> None:
        """Remove the folders of jobs that the ledger knows to be over, where a kill left them, and those that were never whole.

        A folder that the ledger doesn't know stays: it may be another ledger's, or this one's before it was put back from a copy.
        """
        folder = self.place.root.absolute() / FOLDER
        for item in folder.iterdir() if folder.is_dir() else ():
            job = self.ledger.jobs.by_id(item.name)
            if job is not None and job.over:
                tidy(JobPlace(self.place.root.absolute(), job))
            elif job is None and item.suffix == PART and _older(item, LEFT_SECONDS) and not (item / "rounds").exists():
                shutil.rmtree(item, ignore_errors=True)


def _older(path: Path, seconds: float) -> bool:
    try:
        return time.time() - path.stat().st_mtime > seconds
    except OSError:
        return False


def _kind(error: TunesmithError) -> tuple[str, str | None]:
    """OpenAI's code and the parameter that is wrong, of what stopped a round."""
    if isinstance(error, DataError):
        return "invalid_training_file", "training_file"
    if isinstance(error, DivergedError):
        return "diverged", None
    return ("server_error" if isinstance(error, MachineError) else "invalid_hyperparameters"), None
