"""What goes wrong inside the gateway: bugs that are told without a word of a client, answers nobody waits for, a ledger that hangs."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from tunesmith.core.errors import BusyError, MachineError
from tunesmith.ledger.keys import KeyRecord
from tunesmith.serve import answer_routes
from tunesmith.serve.answers import Ask, Piece
from tunesmith.serve.app import Gateway, make_app
from tunesmith.serve.aside import Aside
from tunesmith.serve.config import ServeConfig
from tunesmith.serve.holders import ANYONE, Holders
from tunesmith.serve.kept import Kept
from tunesmith.serve.log import RequestLog
from tunesmith.serve.refusals import Refusal
from tunesmith.serve.wire import LOGGER

SECRET = "ann@example.com said ts-00000000-secret"
CHAT = {"model": "m", "messages": [{"role": "user", "content": SECRET}]}


class Model:
    """Says words for ever, or fails with what it was asked."""

    name, created = "m", 0
    facts: dict[str, Any] = {"labels": None}  # noqa: RUF012

    def __init__(self, fails: Exception | None = None, late: bool = False) -> None:
        self.fails, self.late, self.left = fails, late, 0

    async def pieces(self, ask: Ask) -> AsyncIterator[Piece]:
        try:
            if self.fails is not None and not self.late:
                raise self.fails
            for _ in range(30):
                yield Piece(index=0, text="word ", prompt_tokens=7)
                await asyncio.sleep(0)
                if self.fails is not None and (ask.text is None or ask.text == "fail"):
                    raise self.fails
            yield Piece(index=0, finish="stop", prompt_tokens=7, answer_tokens=30)
        finally:
            self.left += 1

    def ready(self) -> bool:
        return True

    def close(self, *, drain: bool) -> None:
        pass


def gateway(model: Model, log: RequestLog | None = None, **holding: Any) -> Gateway:
    return Gateway({"m": model}, Holders(lambda _: None, lambda: False, **holding), ServeConfig(), log=log)  # type: ignore[dict-item]


@pytest.mark.parametrize("stream", [False, True])
def test_of_a_bug_its_kind_and_place_are_told_and_not_a_word_of_the_client(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], stream: bool
) -> None:
    log = RequestLog(tmp_path / "log.jsonl")
    client = TestClient(make_app(gateway(Model(ValueError(SECRET)), log)))
    said = client.post("/v1/chat/completions", json=CHAT | {"stream": stream})
    assert said.status_code == 500 and said.json()["error"]["code"] == "internal_error" and said.headers["x-request-id"]
    (line,) = [json.loads(text) for text in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert line["status"] == 500 and line["bug"].startswith("ValueError at test_faults.py:") and line["id"] == said.headers["x-request-id"]
    try:
        raise KeyError(SECRET)
    except KeyError:
        LOGGER.exception("Exception in ASGI application")
    LOGGER.warning("Invalid HTTP request received. %s", SECRET)
    out, err = capsys.readouterr()
    assert err.startswith("error: KeyError at test_faults.py:") and err.count("\n") == 1
    for told in (said.text, (tmp_path / "log.jsonl").read_text(), out + err):
        assert "ann@example" not in told and "ts-0000" not in told


def test_a_ledger_out_of_reach_is_no_bug() -> None:
    client = TestClient(make_app(gateway(Model(MachineError("/secret/path is locked")))))
    said = client.post("/v1/chat/completions", json=CHAT)
    assert said.status_code == 503 and said.headers["retry-after"] == "5" and "/secret" not in said.text


class Client:
    """The wire to a client of a stream, which may leave, or read as slowly as it likes."""

    def __init__(self, leaves_after: int | None = None) -> None:
        self.said: list[bytes] = []
        self.leaves_after, self.left = leaves_after, asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        if self.leaves_after is not None:
            await self.left.wait()
            return {"type": "http.disconnect"}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(self, message: dict[str, Any]) -> None:
        if len(self.said) == self.leaves_after:
            self.left.set()
            await asyncio.Event().wait()
        self.said += [message["body"]] if message.get("body") else []


async def streamed(model: Any, client: Client, spent: list[tuple[int, int]], seconds: float = 60) -> None:
    """A stream from its beginning to its end."""
    scope: dict[str, Any] = {"type": "http", "asgi": {"spec_version": "2.3"}}
    over, request = gateway(model), Request(scope, client.receive)
    over.config = ServeConfig(timeout_seconds=seconds)

    def told(read: int, written: int) -> None:
        spent.append((read, written))

    answer = await answer_routes._streamed(over, request, told, model.pieces(Ask()), lambda piece: {"t": piece.text}, None)
    await answer(scope, client.receive, client.send)  # type: ignore[arg-type]


@pytest.mark.parametrize(("leaves_after", "spent"), [(10, (7, 11)), (0, (7, 1)), (None, (7, 30))])
def test_a_stream_is_counted_before_its_request_is_over_however_it_ends(leaves_after: int | None, spent: tuple[int, int]) -> None:
    async def story() -> None:
        model, told = Model(), list[tuple[int, int]]()
        await asyncio.wait_for(streamed(model, Client(leaves_after), told), 30)
        assert told == [spent] and model.left == 1

    asyncio.run(story())


def test_time_is_up_for_the_model_and_not_for_who_reads_slowly() -> None:
    class Slow(Client):
        async def send(self, message: dict[str, Any]) -> None:
            await super().send(message)
            await asyncio.sleep(0.02)

    class Stuck(Model):
        async def pieces(self, ask: Ask) -> AsyncIterator[Piece]:
            try:
                yield Piece(index=0, text="word", prompt_tokens=7)
                await asyncio.Event().wait()
            finally:
                self.left += 1

    class Ready(Model):
        async def pieces(self, ask: Ask) -> AsyncIterator[Piece]:
            for _ in range(5):
                yield Piece(index=0, text="word ", prompt_tokens=7)

    async def story() -> None:
        for model, end in ((Ready(), b"[DONE]"), (Stuck(), b'"code": "timeout"')):
            slow, told = Slow(), list[tuple[int, int]]()
            await asyncio.wait_for(streamed(model, slow, told, seconds=0.01), 30)
            assert end in slow.said[-1] and told == [(7, len(slow.said) - 1)]

    asyncio.run(story())


def test_who_leaves_before_the_first_token_ends_the_answer() -> None:
    class Silent(Model):
        async def pieces(self, ask: Ask) -> AsyncIterator[Piece]:
            try:
                client.left.set()
                await asyncio.Event().wait()
                yield Piece(index=0)
            finally:
                self.left += 1

    async def story() -> None:
        with pytest.raises(Refusal) as refused:
            await asyncio.wait_for(streamed(model, client, []), 30)
        await asyncio.sleep(0)
        assert refused.value.status == 499 and model.left == 1

    model, client = Silent(), Client(leaves_after=0)
    asyncio.run(story())


def test_where_one_of_several_texts_fails_the_others_are_not_gone_on_with() -> None:
    model = Model(Refusal(429, "full"), late=True)
    client = TestClient(make_app(gateway(model)))
    said = client.post("/v1/completions", json={"model": "m", "prompt": ["fail", "go on", "go on"]})
    assert said.status_code == 429 and model.left == 3


def test_many_short_texts_are_filtered_with_room_for_others_in_between() -> None:
    from tunesmith.guard.policy import Policy
    from tunesmith.serve.filters import filtered_texts
    from tunesmith.serve.log import Line

    async def both() -> int:
        turns, done = 0, False

        async def other() -> None:
            nonlocal turns
            while not done:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.ensure_future(other())
        await filtered_texts(Policy("p", "", (), (), (), False), ["short"] * 100, Line())
        done = True
        await task
        return turns

    assert asyncio.run(both()) >= 100


def test_what_was_refused_is_not_done_later() -> None:
    locked, done = threading.Event(), []

    async def run() -> list[Any]:
        aside = Aside(queue_seconds=0.05)
        under_way = [asyncio.ensure_future(aside.run(lambda: locked.wait(60))) for _ in range(4)]
        await asyncio.sleep(0)
        queued = await asyncio.gather(*(aside.run(lambda at=at: done.append(at)) for at in range(8)), return_exceptions=True)
        locked.set()
        assert await asyncio.gather(*under_way) == [True] * 4
        await aside.run(lambda: done.append("now"))
        return queued

    queued = asyncio.run(run())
    assert all(isinstance(one, Refusal) and one.status == 503 and one.headers["Retry-After"] for one in queued)
    assert done == ["now"]


def test_more_that_wait_for_the_ledger_than_may_are_refused_at_once() -> None:
    locked = threading.Event()

    async def run() -> int:
        aside = Aside(queue_seconds=60)
        waiting = [asyncio.ensure_future(aside.run(lambda: locked.wait(60))) for _ in range(64)]
        await asyncio.sleep(0)
        with pytest.raises(Refusal) as refusal:
            await aside.run(lambda: None)
        locked.set()
        await asyncio.gather(*waiting)
        return refusal.value.status

    assert asyncio.run(run()) == 503


def test_strangers_wait_in_a_short_queue_of_their_own_and_keys_that_are_known_do_not() -> None:
    held, now = threading.Event(), 0.0
    known = KeyRecord(id="k", name="k", hash="", tenant="t", scopes=("chat",))

    def find(secret: str) -> KeyRecord | None:
        if secret != "known":
            held.wait(60)
        return known if secret == "known" else None

    async def run() -> tuple[KeyRecord, int, int]:
        nonlocal now
        holders = Holders(find, lambda: True, clock=lambda: now)
        holders.holder("Bearer known", "chat")
        now = 60.0  # it has to be looked up again
        assert holders.at_once("Bearer known", "chat") is None
        strangers = [asyncio.ensure_future(holders.looked_up(f"Bearer {number}", "chat")) for number in range(140)]
        await asyncio.sleep(0)
        found = await asyncio.wait_for(holders.looked_up("Bearer known", "chat"), 60)
        held.set()
        said = await asyncio.gather(*strangers, return_exceptions=True)
        holders.close()
        statuses = [one.status for one in said if isinstance(one, Refusal)]
        return found, statuses.count(503), statuses.count(401)

    found, busy, unknown = asyncio.run(run())
    assert found is known and (busy, unknown) == (12, 128)


def test_a_former_secret_ends_at_its_time_though_the_ledger_is_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    now, reachable = 0.0, True
    hashed = {name: sha256(name.encode()).hexdigest() for name in ("new", "former")}
    until = "2999-01-01T00:00:00Z"
    key = KeyRecord(id="k", name="k", hash=hashed["new"], tenant="t", scopes=("chat",), former_hash=hashed["former"], former_until=until)

    def find(secret: str) -> KeyRecord:
        if not reachable:
            raise MachineError("locked")
        return key

    holders = Holders(find, lambda: True, clock=lambda: now)
    for secret in ("new", "former"):
        assert holders.holder(f"Bearer {secret}", "chat").id == "k"
    reachable, now = False, 60.0
    assert holders.holder("Bearer former", "chat").id == "k"
    monkeypatch.setattr("tunesmith.ledger.keys.now", lambda: "2999-01-01T00:00:01Z")
    assert holders.holder("Bearer new", "chat").id == "k"
    with pytest.raises(Refusal) as refusal:
        holders.holder("Bearer former", "chat")
    assert refusal.value.status == 503


def test_an_open_door_stays_open_while_the_ledger_is_out_of_reach_and_not_for_ever() -> None:
    now, reachable = 0.0, True

    def needed() -> bool:
        if not reachable:
            raise MachineError("locked")
        return False

    holders = Holders(lambda _: None, needed, clock=lambda: now)
    assert holders.at_once(None, "chat") is None and holders.holder(None, "chat") is ANYONE and holders.at_once(None, "chat") is ANYONE
    reachable, now = False, 100.0
    assert holders.holder(None, "chat") is ANYONE
    now = 700.0
    with pytest.raises(Refusal) as refusal:
        holders.holder(None, "chat")
    assert refusal.value.status == 503


def test_requests_that_the_lock_held_up_are_written_after_it() -> None:
    class Book:
        locked, rows = True, 0

        def record(self, records: Any) -> None:
            if self.locked:
                raise BusyError("locked")
            self.rows += len(records)

        def forget(self, **_: str) -> int:
            return 0

    from tunesmith.ledger.requests import RequestRecord

    book = Book()
    kept = Kept(book, ServeConfig())  # type: ignore[arg-type]
    kept.note(RequestRecord(id="c1", tenant="a", key_id="k", model="m"))
    kept._woken.wait(0.3)
    assert kept.counts.failed == 0
    book.locked = False
    kept.close()
    assert (book.rows, kept.counts.written, kept.counts.failed) == (1, 1, 0)


def test_half_a_line_on_a_full_disk_does_not_swallow_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    log, real, room = RequestLog(tmp_path / "log.jsonl"), os.write, [5, 1000]
    monkeypatch.setattr("tunesmith.serve.log.os.write", lambda file, data: real(file, data[: room.pop(0)]))
    log.write({"first": 1})
    log.write({"second": 2})
    assert (tmp_path / "log.jsonl").read_text().splitlines() == ['{"fir', '{"second": 2}']
