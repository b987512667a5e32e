"""What waits for the ledger, in a few threads of its own: where it is locked or slow, nothing else of the server is held up."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tunesmith.core.errors import MachineError
from tunesmith.serve.refusals import Refusal, ledger_unavailable

QUEUE_SECONDS = 4.0
"""What could not be begun with for so long is refused."""
_THREADS = 4
_MOST_WAITING = 64
T = TypeVar("T")


class Aside:
    """A queue with a bound, before a few threads."""

    def __init__(
        self, queue_seconds: float = QUEUE_SECONDS, *, name: str = "aside", refusal: Callable[[], Refusal] = ledger_unavailable
    ) -> None:
        self._threads, self._queue_seconds, self._waiting = ThreadPoolExecutor(_THREADS, name), queue_seconds, 0
        self._refusal = refusal

    async def run(self, work: Callable[[], T]) -> T:
        """The result. Refusal (503) where the ledger refuses, or many wait for it.

        What was refused is not done later: it would take the place of what the same key said since.
        """
        if self._waiting >= _MOST_WAITING:
            raise self._refusal()
        begun = self._threads.submit(work)
        self._waiting += 1
        begun.add_done_callback(self._done)
        result = asyncio.wrap_future(begun)
        await asyncio.wait({result}, timeout=self._queue_seconds)
        if not result.done() and begun.cancel():
            raise self._refusal()
        try:
            return await asyncio.shield(result)  # under way: the ledger waits for a lock no longer than it was told to
        except MachineError:
            raise self._refusal() from None

    def _done(self, _: object) -> None:
        self._waiting -= 1
