"""Files come in as a stream: in blocks, bounded, whole or not at all, under their own id."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.requests import ClientDisconnect

from tunesmith.ledger.files import FileRecord
from tunesmith.ledger.jobs import JobRecord
from tunesmith.ledger.ledger import Ledger
from tunesmith.serve.config import ServeConfig
from tunesmith.serve.file_store import BLOCK, LEFT_SECONDS, FileStore, Incoming, result_file, shown_name
from tunesmith.serve.refusals import Refusal

ROW = b'{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n'
FORM = "multipart/form-data; boundary=xyz"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FileStore]:
    with Ledger.open(tmp_path / "l.db") as ledger:
        yield FileStore(tmp_path / "files", ledger.files, ServeConfig(file_mib=4, most_files=2))


def form(*parts: tuple[str, bytes], end: bytes = b"--xyz--\r\n") -> bytes:
    return (
        b"".join(b"--xyz\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + body + b"\r\n" for head, body in parts) + end
    )


PURPOSE = ('name="purpose"', b"fine-tune")


def file(body: bytes, name: str = "rows.jsonl") -> tuple[str, bytes]:
    return f'name="file"; filename="{name}"', body


def receive(store: FileStore, body: bytes, *, kind: str = FORM, piece: int = 65_536) -> FileRecord:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(body), piece):
            yield body[at : at + piece]

    async def within() -> FileRecord:
        async with asyncio.timeout(60):
            return await store.receive("a", "k", kind, pieces())

    return asyncio.run(within())


@pytest.mark.parametrize("piece", [1, 7, 65_536])
def test_however_the_body_is_cut_the_file_is_the_same(store: FileStore, piece: int) -> None:
    record = receive(store, form(file(ROW * 3, "../../etc/passwd"), PURPOSE), piece=piece)
    assert (record.name, record.bytes, record.rows, record.form) == ("passwd", 3 * len(ROW), 3, "chat")
    assert store.path(record).read_bytes() == ROW * 3 and [path.name for path in store.folder.iterdir()] == [record.id]


def test_no_more_than_a_block_is_in_memory(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    flush = Incoming.flush
    monkeypatch.setattr(Incoming, "flush", lambda self: (held.append(len(self._block)), flush(self))[1])
    rows = ROW * (3 * BLOCK // len(ROW))
    assert receive(store, form(PURPOSE, file(rows))).bytes == len(rows)
    assert len(held) == 3 and max(held) < BLOCK + 65_536


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (form(PURPOSE, file(ROW * (5 * BLOCK // len(ROW)))), FORM, 413, "file_too_large"),
        (form(PURPOSE, file(ROW), end=b""), FORM, 400, "invalid_form"),
        (form(PURPOSE, file(ROW))[:-40], FORM, 400, "invalid_form"),
        (b"no form", FORM, 400, "invalid_form"),
        (form(PURPOSE, file(ROW)), "application/json", 400, "invalid_form"),
        (form(PURPOSE, file(ROW)), "multipart/form-data", 400, "invalid_form"),
        (form(file(ROW)), FORM, 400, "invalid_purpose"),
        (form(('name="purpose"', b"assistants"), file(ROW)), FORM, 400, "invalid_purpose"),
        (form(PURPOSE), FORM, 400, "missing_required_parameter"),
        (form(PURPOSE, file(ROW), file(ROW)), FORM, 400, "invalid_value"),
        (form(PURPOSE, PURPOSE, file(ROW)), FORM, 400, "invalid_value"),
        (form(PURPOSE, ('name="path"', b"/etc"), file(ROW)), FORM, 400, "unknown_parameter"),
        (form(('name="purpose"', b"x" * 5000), file(ROW)), FORM, 400, "invalid_value"),
        (form(PURPOSE, file(b"{}\n")), FORM, 400, "invalid_file_format"),
    ],
)
def test_what_is_refused_leaves_nothing(store: FileStore, body: bytes, kind: str, status: int, code: str) -> None:
    with pytest.raises(Refusal) as told:
        receive(store, body, kind=kind)
    assert (told.value.status, told.value.code) == (status, code)
    assert not list(store.folder.iterdir()) and not store.files.list("a")


def test_a_client_that_leaves_is_told_of_as_one_that_left(store: FileStore) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield form(PURPOSE, file(ROW))[:60]
        raise ClientDisconnect

    with pytest.raises(Refusal) as told:
        asyncio.run(store.receive("a", "k", FORM, pieces()))
    assert told.value.status == 499 and not list(store.folder.iterdir())


def test_a_job_has_one_result_file_however_often_it_is_written(store: FileStore) -> None:
    job = JobRecord(tenant="a", key_id="k", model="m", base="m", seed=0, training_file="f")
    made = [
        result_file(store.folder, store.files, one, "r.csv", text)
        for one, text in ((job, "x"), (job, "xy"), (replace(job, id="ftjob-2"), "z"))
    ]
    assert made[0].id == made[1].id != made[2].id
    assert [(one.id, one.bytes) for one in store.files.list("a")] == [(made[2].id, 1), (made[1].id, 2)]
    assert store.path(made[1]).read_text() == "xy"


def test_a_tenant_has_as_many_files_as_it_may(store: FileStore) -> None:
    for _ in range(2):
        first = receive(store, form(PURPOSE, file(ROW)))
    with pytest.raises(Refusal) as told:
        receive(store, form(PURPOSE, file(ROW)))
    assert told.value.code == "storage_quota_exceeded" and len(list(store.folder.iterdir())) == 2
    assert not store.remove("b", first.id) and store.remove("a", first.id) and not store.path(first).exists()
    receive(store, form(PURPOSE, file(ROW)))


def test_what_kills_left_is_swept_when_it_is_old_and_nothing_that_another_ledger_may_know(store: FileStore) -> None:
    kept = receive(store, form(PURPOSE, file(ROW)))
    old, young, anothers = (store.folder / name for name in (".old.part", ".young.part", "file-0123"))
    for path in (old, young, anothers):
        path.write_bytes(ROW)
    past = time.time() - LEFT_SECONDS - 60
    for path in (old, anothers, store.path(kept)):
        os.utime(path, (past, past))
    assert store.sweep() == 1 and not old.exists()
    assert young.exists() and anothers.exists() and store.path(kept).exists()


def test_names_are_for_people() -> None:
    told = {"": "file", "a/b\\c.jsonl": "c.jsonl", "\x1b[31mred\n": "[31mred", "x" * 999: "x" * 255, "../": "file"}
    assert {name: shown_name(name) for name in told} == told
