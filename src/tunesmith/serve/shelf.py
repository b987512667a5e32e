"""Models that jobs made, each for its tenant alone: loaded when first asked, a few kept, the one used longest ago making room.

A model is closed only when nobody is being answered by it. Where all that are loaded answer, the next one is refused with 429 and told when
to come again; one that can't be loaded (memory, a damaged folder) with 503. A client that leaves does not stop a load: the next finds it.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tunesmith.ledger.jobs import JobRecord, Jobs
from tunesmith.serve.answers import Ask, Backend, Labelled, Piece
from tunesmith.serve.aside import Aside
from tunesmith.serve.refusals import Refusal
from tunesmith.serve.requests import MOST_NAME

REMEMBERED_SECONDS = 5.0
"""A model deleted through another server is known to be gone after so long."""
MOST_REMEMBERED = 10_000
RETRY_SECONDS = 5


@dataclass(slots=True)
class _Slot:
    """A model that is loaded, or being loaded."""

    loading: "asyncio.Future[Backend]"
    users: int = 0
    dropped: bool = False
    """To be closed when the last user leaves."""

    @property
    def idle(self) -> bool:
        return not self.users and self.loading.done()


class Shelf:
    """The models of all tenants. One event loop uses it."""

    def __init__(self, jobs: Jobs, load: Callable[[JobRecord], Backend], most: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is loaded yet.

        Args:
            jobs: where models are looked up.
            load: makes a model ready; called in a thread of its own.
            most: models loaded at the same time.
            clock: for what is remembered.
        """
        self.jobs, self.most = jobs, most
        self._load, self._clock = load, clock
        self._slots: OrderedDict[str, _Slot] = OrderedDict()
        self._known: dict[tuple[str, str], tuple[float, JobRecord]] = {}
        self._drops = 0
        self._aside = Aside(name="names")  # where the ledger is locked, nobody else waits
        self._closing: set[asyncio.Task[None]] = set()
        self._loader = ThreadPoolExecutor(1, "shelf")  # one after the other, so that room for one is not counted twice

    async def backend(self, name: str, tenant: str) -> Backend | None:
        """A tenant's model of this name; None where it has none. Refusal (503) where the ledger can't tell.

        Names that there are not are not remembered: anybody can think of any number of them.
        """
        if not name.startswith("ft:") or len(name) > MOST_NAME:
            return None
        held = self._known.get((tenant, name))
        if held is None or self._clock() - held[0] >= REMEMBERED_SECONDS:
            held = await self._looked_up(name, tenant)
        return None if held is None else Shelved(self, held[1])

    async def _looked_up(self, name: str, tenant: str) -> tuple[float, JobRecord] | None:
        at, drops = self._clock(), self._drops
        job = await self._aside.run(lambda: self.jobs.model(tenant, name))
        while job is not None and drops != self._drops:  # a model was deleted meanwhile, perhaps this one
            at, drops = self._clock(), self._drops
            job = await self._aside.run(lambda: self.jobs.model(tenant, name))
        self._known.pop((tenant, name), None)
        if job is None:
            return None
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        held = self._known[tenant, name] = (at, job)
        return held

    async def models(self, tenant: str) -> Sequence[Backend]:
        """All of a tenant's models, oldest first. Refusal (503) where the ledger can't tell."""
        return [Shelved(self, job) for job in await self._aside.run(lambda: self.jobs.models(tenant))]

    @property
    def loaded(self) -> list[str]:
        """The jobs whose models are loaded or being loaded, the one used longest ago first."""
        return list(self._slots)

    @asynccontextmanager
    async def borrowed(self, job: JobRecord) -> AsyncIterator[Backend]:
        """A job's model, loaded, for as long as an answer takes. Refusal (429, 503) where it can't be had now."""
        slot = self._slots.get(job.id)
        if slot is None:
            self._make_room()
            loading = asyncio.get_running_loop().run_in_executor(self._loader, self._load, job)
            slot = self._slots[job.id] = _Slot(loading)
        self._slots.move_to_end(job.id)
        slot.users += 1
        try:
            yield await self._loaded(job, slot)
        finally:
            slot.users -= 1
            if slot.dropped and not slot.users:
                self._close(slot)

    async def _loaded(self, job: JobRecord, slot: _Slot) -> Backend:
        try:
            return await asyncio.shield(slot.loading)
        except Exception:  # a damaged file, a full machine or a bug, each in its library's own words: the server goes on
            if self._slots.get(job.id) is slot:
                del self._slots[job.id]
            message = "The model can't be loaded now: come again later, and tell whoever runs this server if it stays so."
            raise Refusal(503, message, "model_not_loaded", "model", headers={"Retry-After": "30"}) from None

    def _make_room(self) -> None:
        while len(self._slots) >= self.most:
            idle = next((name for name, slot in self._slots.items() if slot.idle), None)
            if idle is None:
                message = f"{self.most} fine-tuned models are loaded and answering, as many as may be: come again in {RETRY_SECONDS} s."
                raise Refusal(429, message, "overloaded", "model", headers={"Retry-After": str(RETRY_SECONDS)})
            self._close(self._slots.pop(idle))

    def drop(self, job: JobRecord) -> None:
        """Have a model no longer: what is being answered is finished, nothing more is taken."""
        self._drops += 1
        self._known = {place: held for place, held in self._known.items() if held[1].id != job.id}
        slot = self._slots.pop(job.id, None)
        if slot is not None:
            slot.dropped = True
            if not slot.users:
                self._close(slot)

    def _close(self, slot: _Slot) -> None:
        """Close a model in a thread, once it is loaded; it is not in use."""

        async def close() -> None:
            with suppress(Exception):  # one that was never loaded has nothing to close
                backend = await slot.loading
                await asyncio.to_thread(backend.close, drain=True)

        task = asyncio.ensure_future(close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close all; the server stops."""
        for slot in self._slots.values():
            with suppress(Exception):
                backend = await slot.loading
                await asyncio.to_thread(backend.close, drain=False)
        self._slots.clear()
        for task in list(self._closing):
            await task
        self._loader.shutdown(wait=False)


class Shelved:
    """A tenant's model as what answers under its name; loaded when it has to answer."""

    def __init__(self, shelf: Shelf, job: JobRecord) -> None:
        self._shelf, self._job = shelf, job
        self.name = job.fine_tuned_model or ""
        self.created = int(datetime.fromisoformat(job.finished or job.created).timestamp())

    @property
    def facts(self) -> dict[str, Any]:
        """Where it comes from; nothing is loaded to tell it."""
        return {"task": "generate", "labels": None, "base": self._job.model, "job": self._job.id, "method": self._job.method}

    async def pieces(self, ask: Ask) -> AsyncIterator[Piece]:
        """The answer as it comes."""
        async with self._shelf.borrowed(self._job) as backend, aclosing(backend.pieces(ask)) as pieces:  # type: ignore[type-var]
            async for piece in pieces:
                yield piece

    async def classify(self, texts: Sequence[str]) -> list[Labelled]:
        """Refused by the model itself, which writes."""
        async with self._shelf.borrowed(self._job) as backend:
            return await backend.classify(texts)

    async def embed(self, texts: Sequence[str]) -> tuple[list[list[float]], int]:
        """An embedding of each text."""
        async with self._shelf.borrowed(self._job) as backend:
            return await backend.embed(texts)

    def ready(self) -> bool:
        """It can be loaded at any time."""
        return True

    def load(self) -> dict[str, float]:
        """Whether it is loaded."""
        return {"loaded": float(self._job.id in self._shelf.loaded)}

    def close(self, *, drain: bool) -> None:
        """Nothing: the shelf closes it."""
