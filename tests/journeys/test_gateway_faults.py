"""What goes wrong around a gateway: killed under load, its ledger locked or its disk full, clients that are slow, silent or too many, TLS."""

import contextlib
import importlib.util
import json
import os
import random
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tunesmith.core.errors import RecipeError
from tunesmith.ledger.ledger import Ledger
from tunesmith.pipeline.serving import refuse_in_the_open
from tunesmith.serve.config import ServeConfig

openai = pytest.importorskip("openai")


def module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = made
    spec.loader.exec_module(made)
    return made


gateways = module(Path(__file__).with_name("gateways.py"))


@pytest.fixture(scope="module")
def spawner() -> Iterator[Any]:
    with gateways.Spawner() as made:
        yield made


def ask(client: Any, text: str = "some words to say") -> Any:
    return client.chat.completions.create(model="echo", messages=[{"role": "user", "content": text}])


def opinion(client: Any, completion: str, comment: str) -> Any:
    """The feedback's id once the client was told that it is kept."""
    return client.post("/feedback", body={"completion_id": completion, "comment": comment}, cast_to=dict[str, Any])["id"]


def read_all(connection: socket.socket) -> bytes:
    """Until the server closes; a reset is an end, too."""
    said = b""
    with contextlib.suppress(ConnectionError):
        while more := connection.recv(65536):
            said += more
    return said


# Killed


def test_no_opinion_that_was_acknowledged_is_lost_or_doubled_when_the_server_is_killed_at_any_moment(tmp_path: Path, spawner: Any) -> None:
    work = tmp_path / "work"
    secret = gateways.key(work, "load", ["chat", "feedback"], tokens_per_minute=10**9)
    other = gateways.key(work, "limited", ["chat"], requests_per_minute=3)
    kept: dict[str, tuple[str, str]] = {}
    tried: set[tuple[str, str]] = set()
    draw = random.Random(0)
    for moment in range(6):
        server = spawner.start(work, feedback_per_minute=1_000_000)
        enough, dead = threading.Event(), threading.Event()
        target = len(kept) + draw.randrange(1, 9)

        def talk(
            number: int, server: Any = server, moment: int = moment, enough: Any = enough, dead: Any = dead, target: int = target
        ) -> None:
            client = server.client(secret)
            with contextlib.suppress(openai.APIConnectionError), client:
                for turn in range(1000):
                    if dead.is_set():
                        return
                    answer, comment = ask(client).id, f"{moment} {number} {turn}"
                    tried.add((answer, comment))
                    kept[opinion(client, answer, comment)] = (answer, comment)
                    if len(kept) >= target:
                        enough.set()

        with ThreadPoolExecutor(4) as pool:
            talks = [pool.submit(talk, number) for number in range(4)]
            assert enough.wait(timeout=60)
            server.kill()
            dead.set()
            for one in talks:
                one.result(timeout=60)
        assert server.stderr() == ""
    server = spawner.start(work)
    with server.client(secret) as client:
        listed, after = [], ""
        while page := client.get("/feedback", cast_to=dict[str, Any], options={"params": {"limit": 100, "after": after}})["data"]:
            listed += page
            after = page[-1]["id"]
    statuses = [httpx.get(f"{server.url}/models", headers={"Authorization": f"Bearer {other}"}).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    server.stop()
    found = {one["id"]: (one["completion_id"], one["comment"]) for one in listed}
    assert len(listed) == len(found) and found.items() >= kept.items() and set(found.values()) <= tried
    assert len(found) - len(kept) <= 4 * 6  # written, and killed before the client heard of it
    assert len(set(found.values())) == len(found)
    with Ledger.open(work / "tunesmith.db") as ledger:
        assert ledger.audit.broken() is None and [one.action for one in ledger.audit.list()].count("server.start") == 7
        assert [one.action for one in ledger.audit.list()].count("server.stop") == 1
    with sqlite3.connect(work / "tunesmith.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


# The ledger and the disk


def test_while_the_ledger_is_locked_answers_go_on_and_opinions_are_refused_in_bounded_time(tmp_path: Path, spawner: Any) -> None:
    secret = gateways.key(tmp_path / "work", "app", ["chat", "feedback"])
    server = spawner.start(tmp_path / "work")
    lock = sqlite3.connect(tmp_path / "work" / "tunesmith.db", isolation_level=None, check_same_thread=False)
    with server.client(secret, timeout=60) as client, ThreadPoolExecutor(12) as pool:
        first = ask(client).id
        lock.execute("BEGIN EXCLUSIVE")
        waiting = [pool.submit(opinion, client, first, f"{number}") for number in range(12)]
        answered = [ask(client).id for _ in range(20)]  # meanwhile
        assert not any(one.done() and one.exception() is None for one in waiting)
        for one in waiting:
            error = one.exception(timeout=60)
            assert isinstance(error, openai.InternalServerError) and error.status_code == 503
            assert int(error.response.headers["retry-after"]) > 0 and "send it again" in error.message
        lock.execute("ROLLBACK")
        assert opinion(client, answered[-1], "now") and opinion(client, first, "again")  # of answers given while it was locked, too
    server.stop()
    lock.close()
    assert server.stderr() == ""
    with Ledger.open(tmp_path / "work" / "tunesmith.db") as ledger:
        assert [one.value for one in ledger.feedback.list()] == ["now", "again"]  # and nothing of what was refused
        assert {one.id for one in ledger.requests.list()} >= {first, *answered}  # what waited for the lock was written


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1.5 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1536k", "tmpfs", place], capture_output=True, check=False, timeout=30)
    if done.returncode:
        pytest.skip("a small disk can't be mounted here: that takes root and the right to mount")
    yield place
    subprocess.run(["umount", "-l", place], check=False, timeout=30)


def test_on_a_full_disk_answers_go_on_opinions_are_refused_and_all_is_well_when_there_is_room(small_disk: Path, spawner: Any) -> None:
    work = small_disk / "work"
    secret = gateways.key(work, "app", ["chat", "feedback"])
    server = spawner.start(work)
    errors = server.errors.open("a")  # on the full disk itself nothing could be said
    errors.close()
    with server.client(secret) as client:
        told = [opinion(client, ask(client).id, "before")]
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 4096)
        refused = 0
        for number in range(40):
            answer = ask(client, "words " * 20).id
            try:
                told.append(opinion(client, answer, f"{number} " + "long " * 800))
            except openai.InternalServerError as error:
                refused += 1
                assert error.status_code == 503 and error.response.headers["retry-after"] and "could not be kept" in error.message
        assert refused > 20
        filler.unlink()
        told.append(opinion(client, ask(client).id, "after"))
    server.stop()
    with Ledger.open(work / "tunesmith.db") as ledger:
        kept = ledger.feedback.list()
        assert [one.id for one in kept] == told
        assert all(one.value in ("before", "after") or one.value.endswith("long ") for one in kept)
    with sqlite3.connect(work / "tunesmith.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    for line in (work / "requests.jsonl").read_text().splitlines():
        if line.endswith("}"):  # where the disk was full a line may end early; the next begins anew
            json.loads(line)


def test_a_log_that_takes_nothing_stops_no_answer(tmp_path: Path, spawner: Any) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    server = spawner.start(tmp_path / "work", log=Path("/dev/full"))
    with server.client() as client:
        assert all(ask(client).choices for _ in range(5))
    server.stop()
    assert server.stderr().count("the log can't be written") == 1 and server.stderr().count("\n") == 1


# Clients


def test_silent_and_dripping_clients_are_let_go_and_hold_nobody_up(tmp_path: Path, spawner: Any) -> None:
    server = spawner.start(tmp_path / "work", receive_seconds=0.4)
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 400\r\n"
    begun = [b"", b"POST /v1/ch", head, head + b"\r\n" + b'{"model"']
    with contextlib.ExitStack() as stack, server.client() as client:
        open_ = [stack.enter_context(socket.create_connection(server.address, timeout=30)) for _ in range(len(begun) + 1)]
        for one, sent in zip(open_, begun, strict=False):
            one.sendall(sent)
        assert ask(client).choices
        ends = [read_all(one) for one in open_[:-1]]
        assert [said[9:12] for said in ends] == [b"408"] * 4 and b'"code": "timeout"' in ends[0]
        dripping = open_[-1]
        with contextlib.suppress(ConnectionError):
            for byte in (head + b"\r\n" + b" " * 400) * 4:  # a byte now and then is no request
                dripping.sendall(bytes([byte]))
                if dripping in _readable([dripping], 0.02):
                    break
        assert read_all(dripping)[9:12] in (b"408", b"")
    server.stop()
    assert server.stderr() == ""


def _readable(sockets: list[socket.socket], seconds: float) -> list[socket.socket]:
    import select

    return list(select.select(sockets, [], [], seconds)[0])


def test_who_does_not_read_is_dropped_in_bounded_memory_and_the_others_are_answered(tmp_path: Path, spawner: Any) -> None:
    server = spawner.start(tmp_path / "work", stalled_seconds=0.5, receive_seconds=60)
    one = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"

    def resident() -> int:
        return int(Path(f"/proc/{server.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    with server.client() as client:
        ask(client)
        before = resident()
        with contextlib.ExitStack() as stack:
            lazy = []
            for _ in range(4):
                made = stack.enter_context(socket.socket())
                made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                made.settimeout(30)
                made.connect(server.address)
                with contextlib.suppress(ConnectionError, TimeoutError):
                    made.sendall(one * 600)  # some 20 MiB of answers that nobody takes
                lazy.append(made)
            assert all(ask(client).choices for _ in range(5))
            assert resident() - before < 32 * 2**20
            taken = [_until_dropped(made) for made in lazy]
            assert max(taken) < 16 * 2**20
        assert ask(client).choices
    server.stop()
    assert server.stderr() == ""


def _until_dropped(connection: socket.socket) -> int:
    """Wait for the server to give up, then count what had been sent."""
    import select

    poll = select.poll()
    poll.register(connection, select.POLLERR | select.POLLHUP)  # not for what could be read
    assert poll.poll(30_000)
    return len(read_all(connection))


def test_a_stream_that_is_read_slowly_holds_nobody_up(tmp_path: Path, spawner: Any) -> None:
    server = spawner.start(tmp_path / "work", slow=0.01)
    body = json.dumps({"model": "echo", "messages": [{"role": "user", "content": "word " * 40}], "stream": True})
    with socket.create_connection(server.address, timeout=30) as slow, server.client() as client:
        slow.sendall(
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()
        )
        said = b""
        for _ in range(10):
            said += slow.recv(1)
            assert ask(client, "one").choices[0].message.content == "one "
        said += read_all(slow)
    assert said.startswith(b"HTTP/1.1 200") and said.count(b'"content": "word "') == 40 and b"[DONE]" in said
    server.stop()


def test_so_many_connections_and_no_more(tmp_path: Path, spawner: Any) -> None:
    server = spawner.start(tmp_path / "work", most_connections=10, receive_seconds=60)
    with contextlib.ExitStack() as stack:
        open_ = [stack.enter_context(socket.create_connection(server.address, timeout=30)) for _ in range(10)]
        over = [read_all(stack.enter_context(socket.create_connection(server.address, timeout=30))) for _ in range(10)]
        assert all(said.startswith(b"HTTP/1.1 503") and b"Retry-After: 5" in said and b'"code": "overloaded"' in said for said in over)
        open_[0].sendall(b"GET /health HTTP/1.0\r\n\r\n")
        assert b"200 OK" in read_all(open_[0])
    with server.client() as client:
        for _ in range(200):  # the server has to notice that they left
            with contextlib.suppress(openai.InternalServerError):
                assert ask(client).choices
                break
        else:
            raise AssertionError("no connection came free")
    server.stop()


# TLS


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2", "-subj", "/CN=localhost"]
    try:
        for name, more in (("own", ["-nodes"]), ("other", ["-nodes"]), ("locked", ["-passout", "pass:abcdef"])):
            names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", f"{name}.key", "-out", f"{name}.pem"]
            subprocess.run([*make, *names, *more], cwd=folder, check=True, capture_output=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("needs openssl to make a certificate")
    return folder


def test_with_a_certificate_it_speaks_tls_and_nothing_else(tmp_path: Path, spawner: Any, certificates: Path) -> None:
    secret = gateways.key(tmp_path / "work", "app", ["chat"])
    server = spawner.start(
        tmp_path / "work", tls_certificate=str(certificates / "own.pem"), tls_key=str(certificates / "own.key"), receive_seconds=2
    )
    assert server.url.startswith("https://")
    trusting = ssl.create_default_context(cafile=certificates / "own.pem")
    with httpx.Client(verify=trusting) as web, server.client(secret, http_client=web) as client:
        assert ask(client).choices
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/models", timeout=30)  # a stranger's certificate, for all the client knows
    with socket.create_connection(server.address, timeout=30) as plain:
        plain.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200" not in read_all(plain)[:20]
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    with pytest.warns(DeprecationWarning):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(server.address, timeout=30) as early, pytest.raises((ssl.SSLError, ConnectionError)):
        old.wrap_socket(early)
    server.stop()
    assert secret not in server.stderr() and "Traceback" not in server.stderr()


@pytest.mark.parametrize(("certificate", "key"), [("own.pem", "other.key"), ("locked.pem", "locked.key"), ("own.key", "own.pem")])
def test_files_that_tls_can_not_be_spoken_with_are_refused_before_anything_listens(
    tmp_path: Path, certificates: Path, certificate: str, key: str
) -> None:
    config = ServeConfig(tls_certificate=str(certificates / certificate), tls_key=str(certificates / key))
    with Ledger.open(tmp_path / "ledger.db") as ledger, pytest.raises(RecipeError, match="TLS can't be spoken"):
        refuse_in_the_open(config, ledger)
