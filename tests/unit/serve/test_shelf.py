"""The shelf keeps a few models loaded: one load however many ask, the one used longest ago makes room, none is closed while it answers."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tunesmith.core.errors import MachineError
from tunesmith.ledger.jobs import JobRecord
from tunesmith.serve.answers import Ask, Piece
from tunesmith.serve.refusals import Refusal
from tunesmith.serve.requests import MOST_NAME
from tunesmith.serve.shelf import Shelf

SECONDS = 20


class Model:
    """A model that answers when it is let."""

    def __init__(self, name: str) -> None:
        self.name, self.closed = name, False
        self.go = asyncio.Event()

    async def pieces(self, ask: Ask) -> AsyncIterator[Piece]:
        assert not self.closed
        yield Piece(index=0, text=self.name)
        await self.go.wait()
        assert not self.closed, "closed in the middle of an answer"
        yield Piece(index=0, finish="stop")

    def close(self, *, drain: bool) -> None:
        self.closed = True


class Jobs:
    """Tenant `a` has the models ft:1 to ft:9."""

    def __init__(self) -> None:
        self.asked = 0

    def model(self, tenant: str, name: str) -> JobRecord | None:
        self.asked += 1
        if tenant != "a":
            return None
        return JobRecord(
            id=f"ftjob-{name}",
            tenant="a",
            key_id="",
            model="m",
            base="m",
            seed=0,
            training_file="f",
            fine_tuned_model=name,
            status="succeeded",
        )


class Loads:
    """Counts what is loaded; a load may fail."""

    def __init__(self) -> None:
        self.made: list[Model] = []
        self.fails = False

    def __call__(self, job: JobRecord) -> Any:
        if self.fails:
            raise MachineError("no memory")
        self.made.append(Model(str(job.fine_tuned_model)))
        return self.made[-1]


def shelf(most: int = 2) -> tuple[Shelf, Loads, Jobs]:
    jobs, loads = Jobs(), Loads()
    return Shelf(jobs, loads, most), loads, jobs  # type: ignore[arg-type]


async def begun(shelf: Shelf, name: str) -> Any:
    backend = await shelf.backend(name, "a")
    assert backend is not None
    pieces = backend.pieces(Ask(text="x"))
    assert (await anext(pieces)).text == name
    return pieces


async def ended(pieces: Any, model: Model) -> None:
    model.go.set()
    assert [piece.finish async for piece in pieces] == ["stop"]


def run(story: Any) -> None:
    async def within() -> None:
        async with asyncio.timeout(SECONDS):
            await story()

    asyncio.run(within())


def test_many_who_ask_at_once_wait_for_one_load() -> None:
    async def story() -> None:
        held, loads, _ = shelf()
        pieces = await asyncio.gather(*(begun(held, "ft:1") for _ in range(8)))
        assert len(loads.made) == 1
        for one in pieces:
            await ended(one, loads.made[0])
        await held.close()
        assert loads.made[0].closed

    run(story)


def test_the_one_used_longest_ago_makes_room_and_nobody_is_cut_off() -> None:
    async def story() -> None:
        held, loads, _ = shelf(2)
        one, two = await begun(held, "ft:1"), await begun(held, "ft:2")
        with pytest.raises(Refusal) as told:
            await begun(held, "ft:3")
        assert told.value.status == 429 and int(told.value.headers["Retry-After"]) > 0
        await ended(two, loads.made[1])
        three = await begun(held, "ft:3")
        assert held.loaded == ["ftjob-ft:1", "ftjob-ft:3"]
        await ended(one, loads.made[0])
        await ended(three, loads.made[2])
        await held.close()
        assert all(model.closed for model in loads.made) and len(loads.made) == 3

    run(story)


def test_a_dropped_model_finishes_its_answers_and_takes_no_more() -> None:
    async def story() -> None:
        held, loads, jobs = shelf()
        pieces = await begun(held, "ft:1")
        record = jobs.model("a", "ft:1")
        assert record is not None
        held.drop(record)
        assert held.loaded == [] and not loads.made[0].closed
        await ended(pieces, loads.made[0])
        await held.close()
        assert loads.made[0].closed

    run(story)


def test_a_load_that_fails_is_told_as_503_and_tried_anew() -> None:
    async def story() -> None:
        held, loads, _ = shelf()
        loads.fails = True
        with pytest.raises(Refusal) as told:
            await begun(held, "ft:1")
        assert told.value.status == 503 and "memory" not in told.value.message and held.loaded == []
        loads.fails = False
        await ended(await begun(held, "ft:1"), loads.made[0])
        await held.close()

    run(story)


def test_a_client_that_leaves_frees_its_place() -> None:
    async def story() -> None:
        held, loads, _ = shelf(1)
        pieces = await begun(held, "ft:1")
        await pieces.aclose()
        await ended(await begun(held, "ft:2"), loads.made[1])
        await held.close()
        assert loads.made[0].closed

    run(story)


def test_another_tenant_has_no_such_model_and_names_are_remembered_for_a_while() -> None:
    async def story() -> None:
        held, _, jobs = shelf()
        assert await held.backend("ft:1", "b") is None and await held.backend("plain", "a") is None
        assert [await held.backend("ft:1", "a") is not None for _ in range(5)] == [True] * 5
        assert jobs.asked == 2

    run(story)


def test_names_that_there_are_not_take_no_memory() -> None:
    async def story() -> None:
        held, _, jobs = shelf()
        assert [await held.backend(f"ft:{at}", "b") for at in range(20)] == [None] * 20
        assert jobs.asked == 20 and not held._known
        assert await held.backend("ft:" + "x" * MOST_NAME, "a") is None and jobs.asked == 20

    run(story)


def test_while_the_ledger_is_locked_the_loop_goes_on() -> None:
    async def story() -> None:
        held, _, jobs = shelf()
        locked, find = threading.Event(), jobs.model
        jobs.model = lambda *which: find(*which) if locked.wait(SECONDS) else None  # type: ignore[method-assign]
        asked = asyncio.ensure_future(held.backend("ft:1", "a"))
        await asyncio.sleep(0)
        assert not asked.done()
        locked.set()  # were the loop held up, nobody would
        assert await asked is not None

    run(story)


def test_a_model_deleted_while_its_name_is_looked_up_is_not_found() -> None:
    async def story() -> None:
        held, _, jobs = shelf()
        looking, deleted, find = threading.Event(), threading.Event(), jobs.model

        def model(*which: str) -> JobRecord | None:
            gone = deleted.is_set()
            looking.set()
            deleted.wait(SECONDS)
            return None if gone else find(*which)

        jobs.model = model  # type: ignore[method-assign]
        asked = asyncio.ensure_future(held.backend("ft:1", "a"))
        await asyncio.to_thread(looking.wait, SECONDS)
        record = find("a", "ft:1")
        assert record is not None
        deleted.set()
        held.drop(record)
        assert await asked is None

    run(story)


def test_a_model_deleted_while_it_is_loaded_is_closed() -> None:
    async def story() -> None:
        jobs, made, go = Jobs(), [Model("ft:1")], threading.Event()
        held = Shelf(jobs, lambda job: made[0] if go.wait(SECONDS) else None, 2)  # type: ignore[arg-type,return-value]
        asked = asyncio.ensure_future(begun(held, "ft:1"))
        while not held.loaded:
            await asyncio.sleep(0)
        record = jobs.model("a", "ft:1")
        assert record is not None
        held.drop(record)
        asked.cancel()  # its client leaves
        await asyncio.gather(asked, return_exceptions=True)
        go.set()
        await held.close()
        assert made[0].closed

    run(story)


def test_a_damaged_file_is_told_as_503_and_tried_anew() -> None:
    class Damaged(Exception):
        """As libraries have them, of no kind that is known here."""

    async def story() -> None:
        loads, tries = Loads(), iter([Damaged("header too large")])

        def load(job: JobRecord) -> Any:
            for error in tries:
                raise error
            return loads(job)

        held = Shelf(Jobs(), load, 1)  # type: ignore[arg-type]
        with pytest.raises(Refusal) as told:
            await begun(held, "ft:1")
        assert told.value.status == 503 and held.loaded == []
        await ended(await begun(held, "ft:1"), loads.made[0])
        await held.close()

    run(story)
