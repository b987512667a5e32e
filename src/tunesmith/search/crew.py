"""Who trains the trials of a search: this process, one after another, or several processes at once.

A worker is a process started anew (spawn), with a trainer of its own that a factory makes there; what passes through its pipe is JSON: a
trial to train, its evaluations and the answers to them, how it ended. The cores are divided among workers by the variables that numeric
libraries read when they are loaded. A worker ends with its leader, whatever ends that: it waits for it in a thread.
"""

import json
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Protocol

from tunesmith.core import errors
from tunesmith.core.errors import BusyError, MachineError, TunesmithError
from tunesmith.core.files import only_one
from tunesmith.search.outcome import measured_from, measured_json
from tunesmith.search.trial import BUDGET, Answer, Measured, Point, Settings, Trainer

Factory = Callable[[], Trainer]
"""Makes a trainer in a worker; must be picklable, so best a dataclass of paths with a `__call__`."""

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_PATIENCE_SECONDS = 30.0
"""How long a worker of a search that goes on waits for one that was left behind by its killed leader."""
_GRACE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Task:
    """A trial to train."""

    number: int
    settings: Settings
    seed: int


class Leading(Protocol):
    """Who says what to train, as crews see it."""

    def next(self) -> Task | None:
        """The next trial; None where there is none to begin now."""

    def heard(self, number: int, point: Point) -> Answer:
        """Of an evaluation; whether to end the trial there, and why."""

    def done(self, number: int, measured: Measured) -> None:
        """Of a trial's end."""

    def died(self, number: int, how: str) -> None:
        """Of a worker that is gone with its trial."""


def alone(trainer: Trainer, leader: Leading) -> None:
    """Train one after another, here, until there is nothing to train."""
    while (task := leader.next()) is not None:
        leader.done(task.number, trainer.train(task.number, task.settings, task.seed, partial(leader.heard, task.number)))


def together(factory: Factory, workers: int, folder: Path, leader: Leading) -> None:
    """Train in several processes until there is nothing to train; none is left when this returns or raises.

    Raises:
        TunesmithError: what a trainer raised.
        MachineError: workers end before they have begun.
    """
    with ExitStack() as stack:
        team = [stack.enter_context(_Worker(factory, folder / f"worker-{position}.lock", workers)) for position in range(workers)]
        while True:
            for worker in team:
                if worker.task is None and (task := leader.next()) is not None:
                    worker.give(task)
            busy = {worker.waits_for: worker for worker in team if worker.task is not None}
            if not busy:
                return
            for ready in wait(list(busy)):
                _hear(busy[ready], leader)  # type: ignore[index]


def _hear(worker: "_Worker", leader: Leading) -> None:
    """Take in one message of a worker, or its death."""
    assert worker.task is not None
    number = worker.task.number
    told = worker.told()
    if told is None:
        how = worker.renew()
        leader.died(number, how)
    elif "point" in told:
        worker.answer(leader.heard(number, Point(*told["point"])))
    elif "measured" in told:
        worker.task = None
        leader.done(number, measured_from(told["measured"]))
    else:
        _raise(told)


def _raise(told: dict[str, Any]) -> None:
    """What a trainer raised, again; a bug with its traceback."""
    if "bug" in told:
        raise RuntimeError(f"A trainer failed in a worker:\n{told['bug']}")
    kind = getattr(errors, told["error"], MachineError)
    raise kind(told["text"]) if kind in (errors.RecipeError, errors.DataError, BusyError) else MachineError(told["text"])


class _Worker:
    """One process, renewed where it dies; use as a context manager."""

    def __init__(self, factory: Factory, lock: Path, workers: int) -> None:
        self.factory, self.lock, self.workers = factory, lock, workers
        self.task: Task | None = None

    @property
    def waits_for(self) -> Connection:
        """What becomes ready when it has something to say, or is gone."""
        return self.pipe

    def give(self, task: Task) -> None:
        """Have it train a trial."""
        self.task = task
        with suppress(OSError):  # told where its answer is asked for
            self._send([task.number, dict(task.settings), task.seed])

    def answer(self, end: Answer) -> None:
        """To an evaluation."""
        with suppress(OSError):
            self._send(end)

    def told(self) -> dict[str, Any] | None:
        """Its message; None where it is gone."""
        try:
            return dict(json.loads(self.pipe.recv_bytes()))
        except (EOFError, OSError):
            return None

    def renew(self) -> str:
        """A new process in its place; how the old one ended, in words."""
        self.process.join(_GRACE_SECONDS)
        code = self.process.exitcode
        self._end()
        self._start()
        self.task = None
        return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"

    def __enter__(self) -> "_Worker":
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _start(self) -> None:
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        with _cores_divided(self.workers):
            self.process = context.Process(target=_serve, args=(self.factory, str(self.lock), theirs), daemon=False)
            self.process.start()
        theirs.close()

    def _end(self) -> None:
        self.pipe.close()
        self.process.terminate()
        self.process.join(_GRACE_SECONDS)
        if self.process.is_alive():
            self.process.kill()
        self.process.join()

    def _send(self, value: Any) -> None:
        self.pipe.send_bytes(json.dumps(value, allow_nan=False).encode())


@contextmanager
def _cores_divided(workers: int) -> Iterator[None]:
    """What a process that is started inside may use: read by numeric libraries as they are loaded."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, str(max(1, cores // workers))))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(factory: Factory, lock: str, pipe: Connection) -> None:
    """A worker's life."""
    threading.Thread(target=_end_with_leader, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the leader is interrupted, and ends its workers
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with suppress(EOFError, OSError):
        try:
            with _alone_in_place(Path(lock)):
                trainer = factory()
                while True:
                    number, settings, seed = json.loads(pipe.recv_bytes())
                    measured = trainer.train(number, settings, seed, partial(_asked, pipe))
                    _tell(pipe, {"measured": measured_json(measured)})
        except TunesmithError as error:
            _tell(pipe, {"error": type(error).__name__, "text": str(error)})
        except (EOFError, BrokenPipeError):
            raise
        except Exception:
            _tell(pipe, {"bug": traceback.format_exc()})


def _end_with_leader() -> None:
    leader = parent_process()
    if leader is not None:
        leader.join()
    os._exit(1)


@contextmanager
def _alone_in_place(lock: Path) -> Iterator[None]:
    """Wait for a worker in the same place whose leader was killed: it is about to end, and may still write."""
    until = time.monotonic() + _PATIENCE_SECONDS
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(only_one(lock, "A worker of this search"))
                break
            except BusyError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
        yield


def _asked(pipe: Connection, point: Point) -> Answer:
    """Tell an evaluation and hear whether to end there."""
    _tell(pipe, {"point": [point.step, point.share, point.value]})
    answer = json.loads(pipe.recv_bytes())
    return BUDGET if answer == BUDGET else bool(answer)


def _tell(pipe: Connection, value: dict[str, Any]) -> None:
    pipe.send_bytes(json.dumps(value).encode())
