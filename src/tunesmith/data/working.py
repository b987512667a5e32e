"""The same work on many pieces by several processes, results in the order of the pieces.

Workers are forked, so they know all that was known before, and each is handed one piece at a time: memory holds a piece and a result a worker.
Where there is one core, or no fork to rely on, the work is done here, piece after piece: what comes out never depends on how
many did it. Worth it above some ten thousand rows: a fork costs some milliseconds, and each result is copied once.
"""

import gc
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from multiprocessing import current_process, get_context
from multiprocessing.connection import Connection
from traceback import format_exception
from typing import Any, TypeVar

from tunesmith.core.errors import MachineError, TunesmithError

Piece = TypeVar("Piece")
Result = TypeVar("Result")

_MOST = 8
"""Workers; beyond, the process that takes the results in is what all wait for."""


def cores() -> int:
    """How many workers to start: the cores this process may use, eight at most; 1 where forking is not safe."""
    if sys.platform != "linux" or current_process().daemon:
        return 1
    return min(_MOST, len(os.sched_getaffinity(0)))


def each(work: Callable[[Piece], Result], pieces: Iterable[Piece], workers: int) -> Iterator[Result]:
    """What `work` gives for each piece, in order.

    Args:
        work: touches nothing but its piece and what it returns; what it changes elsewhere is lost with its process.
        pieces: asked for in this process, as workers get free. Pieces and results pass through a pipe.
        workers: processes; 1 for none.

    Raises:
        MachineError: a worker was killed.
        Exception: what `work` raised on the first piece that it could not do.
    """
    if workers < 2:
        yield from map(work, pieces)
        return
    waiting = iter(pieces)
    with ExitStack() as stack:
        team = [stack.enter_context(_Worker(work)) for _ in range(workers)]
        busy = [worker for worker in team if worker.hand_next(waiting)]
        while busy:
            worker = busy.pop(0)
            result: Result = worker.result()
            if worker.hand_next(waiting):
                busy.append(worker)
            yield result


class _Worker:
    """One process; use as a context manager."""

    def __init__(self, work: Callable[[Piece], Result]) -> None:
        self._pipe, theirs = get_context("fork").Pipe()
        self._process = get_context("fork").Process(target=_serve, args=(work, theirs, self._pipe), daemon=True)
        self._process.start()
        theirs.close()

    def hand_next(self, pieces: Iterator[Piece]) -> bool:
        """Hand it one piece more, if there is one; it must have none."""
        for piece in pieces:
            with suppress(BrokenPipeError):  # told where its result is asked for
                self._pipe.send(piece)
            return True
        return False

    def result(self) -> Any:
        """What it made of its piece."""
        try:
            done, told = self._pipe.recv()
        except (EOFError, ConnectionResetError) as error:
            self._process.join()
            raise MachineError(
                f"A process that prepared rows was ended from outside (exit code {self._process.exitcode}), most often for lack of memory: "
                "free some, or use fewer cores (taskset -c 0)."
            ) from error
        if not done:
            raise told
        return told

    def __enter__(self) -> "_Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.terminate()
        self._process.join()


def _serve(work: Callable[[Piece], Result], pipe: Connection, parents: Connection) -> None:
    """A worker's life; it ends with its parent, whose end of the pipe then closes."""
    parents.close()
    gc.disable()  # rows form no cycles, and looking for some takes a sixth of the time
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted, and ends its workers
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with suppress(EOFError, BrokenPipeError):
        while True:
            piece = pipe.recv()
            try:
                told: tuple[bool, Any] = (True, work(piece))
            except TunesmithError as error:
                told = (False, error)
            except Exception as error:  # a bug: raised again in the parent, where its traceback would not say where it was
                error.add_note("".join(format_exception(error)))
                told = (False, error)
            pipe.send(told)
