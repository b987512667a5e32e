"""Who may do what: every route, every scope and every state of a key, against the app that `tunesmith serve` makes."""

import contextlib
import hmac
import json
import os
import re
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from tunesmith.core.errors import MachineError, RecipeError
from tunesmith.core.progress import Said
from tunesmith.ledger import keys as keys_module
from tunesmith.ledger.keys import expiry
from tunesmith.ledger.ledger import Ledger
from tunesmith.pipeline.guarding import read_policies
from tunesmith.pipeline.serving import Serving, refuse_in_the_open
from tunesmith.pipeline.workspace import Workspace
from tunesmith.serve.access import ACCESS, May
from tunesmith.serve.config import ServeConfig
from tunesmith.serve.holders import Holders
from tunesmith.serve.log import RequestLog
from tunesmith.serve.refusals import Refusal

ROOT = Path(__file__).parents[2]
SCOPES = ("chat", "feedback", "train", "admin")


@pytest.fixture(scope="module")
def hostile() -> Any:
    """The module beside this one."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("hostile", Path(__file__).with_name("hostile.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class World:
    """A gateway as `Serving` makes it, over quick models, with keys of every kind."""

    def __init__(self, folder: Path, hostile: Any, policies: Any = None, **settings: Any) -> None:
        with hostile.quick_models():
            self.said: list[Any] = []
            self.serving = Serving(
                hostile.folders(folder / "models"),
                ServeConfig(**{"port": 0} | settings),
                Workspace(folder),
                self.said.append,
                policies,
                None,
            )
        self.keys, self.folder = self.serving.ledger.keys, folder
        self.client = TestClient(self.serving.app, base_url="http://localhost", raise_server_exceptions=False)

    def ask(self, method: str, path: str, secret: str | None, **more: Any) -> httpx.Response:
        headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        return self.client.request(method, path, headers=headers | more.pop("headers", {}), **more)

    def close(self) -> None:
        self.serving.gateway.kept.close()
        self.serving.gateway.holders.close()
        self.serving.ledger.close()
        self.serving.socket.close()
        self.serving.log.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, hostile: Any) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("keys"), hostile)
    made.keys.create("first", ["chat"])  # from here on a key is needed
    yield made
    made.close()


BODIES: dict[str, dict[str, Any]] = {
    "POST /v1/chat/completions": {"model": "echo", "messages": [{"role": "user", "content": "hi"}]},
    "POST /v1/completions": {"model": "echo", "prompt": "hi"},
    "POST /v1/classify": {"model": "labels", "input": "hi"},
    "POST /v1/embeddings": {"model": "echo", "input": "hi"},
    "POST /v1/feedback": {"completion_id": "chatcmpl-none", "thumbs": "up"},
}
"""What is asked of a route, so that whoever may gets past the door."""


def route_of(line: str) -> tuple[str, str]:
    """Method and a path that fits."""
    method, path = line.split(" ", 1)
    return method, re.sub(r"\{[^}]*\}", "echo", path)


def app_routes(app: Any) -> dict[str, set[str]]:
    """Every route of an app with the scopes that it asks for."""
    found: dict[str, set[str]] = {}
    for route in app.routes:
        for method in (route.methods or ()) if hasattr(route, "methods") else ():
            if method == "HEAD":
                continue
            asked = (
                {one.call.scope for one in route.dependant.dependencies if isinstance(one.call, May)}
                if isinstance(route, APIRoute)
                else set()
            )
            found[f"{method} {getattr(route, 'path_format', route.path)}"] = asked
    return found


def test_every_route_has_its_line_in_the_table_and_asks_for_what_stands_there(world: World) -> None:
    found = app_routes(world.serving.app)
    assert set(found) == set(ACCESS), "serve/access.py: ACCESS has to name every route, and no other"
    assert {line: ({scope} if scope else set()) for line, scope in ACCESS.items()} == found
    guide = (ROOT / "docs/guide/security.md").read_text()
    told = dict(re.findall(r"^\| `([A-Z]+ /[^`]*)` \| (.+) \|$", guide, flags=re.M))
    assert {line: f"`{scope}`" if scope else "anyone" for line, scope in ACCESS.items()} == told


@pytest.fixture(scope="module")
def secrets(world: World) -> dict[str, str | None]:
    """A secret of every kind: each scope, and each way not to have one."""
    made: dict[str, str | None] = {"none": None, "unknown": "ts-00000000-nothing", "empty": "", "not ours": "sk-proj-abc"}
    for scope in SCOPES:
        record, made[scope] = world.keys.create(scope, [scope])
        made[f"{scope}, wrong secret"] = f"ts-{record.id}-{'x' * 43}"
        _, made[f"{scope}, expired"] = world.keys.create(scope, [scope], expires="2020-01-01T00:00:00Z")
        revoked, made[f"{scope}, revoked"] = world.keys.create(scope, [scope])
        world.keys.revoke(revoked.id)
        rotated, made[f"{scope}, rotated away"] = world.keys.create(scope, [scope])
        world.keys.rotate(rotated.id)
    return made


@pytest.mark.parametrize("line", sorted(ACCESS))
def test_each_cell_of_the_table(world: World, secrets: dict[str, str | None], line: str) -> None:
    method, path = route_of(line)
    needed = ACCESS[line]
    for kind, secret in secrets.items():
        may = kind in (needed, "admin")
        expected = "in" if needed is None or may else 403 if kind in SCOPES else 401
        for body in (BODIES.get(line), None if method == "GET" else b"{"):  # who may not learns nothing of the body's faults
            more = {"content": body} if isinstance(body, bytes) else {"json": body} if body else {}
            said = world.ask(method, path, secret, **more)
            if expected == "in":
                assert said.status_code not in (401, 403) and said.status_code < 500, (kind, said.text)
            else:
                assert said.status_code == expected, (kind, said.text)
                assert set(said.json()["error"]) == {"message", "type", "param", "code"}
                assert secret is None or secret == "" or secret not in said.text


def test_a_body_is_not_read_of_whom_is_not_known(world: World) -> None:
    sent = 0

    def body() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(4):
            sent += 1
            yield b"x" * 1000

    class Unread:
        """The app, noting whether it ever asked for the body."""

        asked = False

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            async def noted() -> Any:
                self.asked = True
                return await receive()

            await world.serving.app(scope, noted if scope["type"] == "http" else receive, send)

    app = Unread()
    client = TestClient(app, base_url="http://localhost")
    assert client.post("/v1/chat/completions", content=body(), headers={"Authorization": "Bearer ts-x-y"}).status_code == 401
    assert not app.asked


def test_another_tenants_answer_is_none_whatever_the_scope(world: World) -> None:
    _, ours = world.keys.create("ours", ["chat", "feedback"], tenant="ours")
    _, theirs = world.keys.create("theirs", ["chat", "feedback"], tenant="theirs")
    answer = world.ask("POST", "/v1/chat/completions", ours, json=BODIES["POST /v1/chat/completions"]).json()["id"]
    said = {
        name: world.ask("POST", "/v1/feedback", key, json={"completion_id": answer, "thumbs": "up"})
        for name, key in (("theirs", theirs), ("ours", ours))
    }
    unknown = world.ask("POST", "/v1/feedback", theirs, json={"completion_id": "chatcmpl-0", "thumbs": "up"})
    assert (said["theirs"].status_code, said["ours"].status_code) == (404, 200) and said["theirs"].text == unknown.text
    given = said["ours"].json()["id"]
    assert world.ask("GET", "/v1/feedback", theirs).json()["data"] == []
    mine = world.ask("POST", "/v1/chat/completions", theirs, json=BODIES["POST /v1/chat/completions"]).json()["id"]
    world.ask("POST", "/v1/feedback", theirs, json={"completion_id": mine, "thumbs": "up"})
    assert world.ask("GET", f"/v1/feedback?after={given}", theirs).json()["data"] == []  # another's id is no place to go on from


def test_secrets_are_compared_in_constant_time_unknown_ids_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[str, str]] = []

    class Watched:
        @staticmethod
        def compare_digest(one: str, other: str) -> bool:
            compared.append((one, other))
            return hmac.compare_digest(one, other)

    monkeypatch.setattr(keys_module, "hmac", Watched)
    record, secret = world.keys.create("timed", ["chat"])
    asked = {"right": secret, "wrong": secret[:-2] + "xx", "unknown id": f"ts-ffffffff-{secret[12:]}", "no form": "nonsense"}
    counts = {}
    for kind, one in asked.items():
        compared.clear()
        found = world.keys.holder(one)
        assert (found is not None) == (kind == "right")
        counts[kind] = len(compared)
        assert all(len(a) == len(b) == 64 for a, b in compared)  # digests, and never the secrets themselves
    assert set(counts.values()) == {2}
    world.keys.rotate(record.id, overlap_seconds=60)
    compared.clear()
    assert world.keys.holder(secret) is not None and len(compared) == 2


def test_rotation_keeps_the_key_and_ends_its_former_secret_after_the_overlap(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    record, first = world.keys.create("turning", ["chat"], tenant="t", requests_per_minute=7)
    rotated, second = world.keys.rotate(record.id, overlap_seconds=3600)
    assert (rotated.id, rotated.tenant, rotated.requests_per_minute) == (record.id, "t", 7) and first != second
    held = [world.keys.holder(one) for one in (first, second)]
    assert held == [rotated, rotated]
    assert rotated.former_until is not None
    monkeypatch.setattr(keys_module, "now", lambda: rotated.former_until)
    assert [world.keys.holder(one) is not None for one in (first, second)] == [False, True]
    monkeypatch.undo()
    _, third = world.keys.rotate(record.id, overlap_seconds=60)
    assert [world.keys.holder(one) is not None for one in (first, second, third)] == [False, True, True]  # one former secret, not two
    world.keys.rotate(record.id)
    assert [world.keys.holder(one) for one in (first, second, third)] == [None] * 3
    world.keys.revoke(record.id)
    for refused in (
        lambda: world.keys.rotate(record.id),
        lambda: world.keys.rotate("nobody"),
        lambda: world.keys.rotate(record.id, overlap_seconds=-1),
    ):
        with pytest.raises(RecipeError):
            refused()


def test_rotation_by_command_shows_the_secret_once_and_the_audit_log_never(tmp_path: Path, command: Any) -> None:
    made = command("keys", "create", "shop", "--workspace", tmp_path, "--json").json()
    turned = command("keys", "rotate", made["id"], "--overlap", "24h", "--days", "30", "--workspace", tmp_path, "--json").json()
    assert turned["id"] == made["id"] and turned["secret"] != made["secret"] and turned["former_until"] and turned["expires"]
    assert command("keys", "revoke", made["id"], "--workspace", tmp_path).code == 0
    assert command("keys", "rotate", made["id"], "--workspace", tmp_path).code == 2
    for wrong in ("yesterday", "-1h", "nan", "inf", "9999d", ""):
        assert command("keys", "rotate", made["id"], "--overlap", wrong, "--workspace", tmp_path).code == 2
    said = command("audit", "--workspace", tmp_path, "--json")
    told = said.json()
    assert [one["action"] for one in told["entries"]] == ["key.create", "key.rotate", "key.revoke"] and told["broken"] is None
    assert all(one["who"].startswith("user:") and one["created"] and one["what"]["id"] == made["id"] for one in told["entries"])
    listed = command("keys", "list", "--workspace", tmp_path).out + command("audit", "--workspace", tmp_path).out + said.out
    for secret in (made["secret"], turned["secret"]):
        assert secret not in listed and secret[12:] not in listed
    assert not re.search(r"[0-9a-f]{64}", listed.replace(told["digest"], ""))  # no hash of a key either


def test_an_audit_entry_that_was_changed_shows(world: World) -> None:
    ledger = world.serving.ledger
    ledger.audit.note("key.create", "key:\ud800", {"name": "\0 and \ud83d", "number": 0.1})
    assert ledger.audit.broken() is None
    entries = ledger.audit.list()
    with ledger.writing() as connection:
        connection.exec_driver_sql("UPDATE audit SET who = 'user:nobody' WHERE number = ?", (entries[1].number,))
    assert ledger.audit.broken() == entries[1].number
    with ledger.writing() as connection:
        connection.exec_driver_sql("UPDATE audit SET who = ? WHERE number = ?", (entries[1].who, entries[1].number))
    assert ledger.audit.broken() is None
    with ledger.writing() as connection:
        connection.exec_driver_sql("DELETE FROM audit WHERE number = ?", (entries[2].number,))
    assert ledger.audit.broken() == entries[3].number


def test_starts_and_other_policies_are_told_with_settings_and_no_secrets(world: World) -> None:
    (start,) = [one for one in world.serving.ledger.audit.list() if one.action == "server.start"]
    assert start.what["models"] == ["echo", "labels"] and start.who.startswith("user:") and start.what["settings"] == {"port": 0}


def test_other_policies_than_the_last_time_are_told(tmp_path: Path, hostile: Any) -> None:
    for default in (None, None, "child-friendly", "child-friendly"):
        one = World(tmp_path, hostile, policies=read_policies(None, default))
        told = [entry.what["default"] for entry in one.serving.ledger.audit.list() if entry.action == "policies.change"]
        one.close()
        assert told == ([] if default is None else [default])


def test_who_is_refused_what_concerns_the_server_is_told_once(world: World, hostile: Any, tmp_path: Path) -> None:
    other = World(tmp_path, hostile)
    try:
        admin = Depends(other.serving.gateway.may("admin"))

        @other.serving.app.post("/v1/admin/things")
        async def things(_: Annotated[Any, admin]) -> dict[str, str]:
            return {}

        chat, secret = other.keys.create("chat", ["chat"])
        _, boss = other.keys.create("boss", ["admin"])
        with other.client:
            said = [other.ask("POST", "/v1/admin/things", one).status_code for one in (secret, secret, None, "ts-x-y", boss)]
        assert said == [403, 403, 401, 401, 200]
        told = [(one.who, one.what) for one in other.serving.ledger.audit.list() if one.action == "access.denied"]
        assert sorted(told) == [(f"key:{chat.id}", {"route": "POST /v1/admin/things"}), ("nobody", {"route": "POST /v1/admin/things"})]
    finally:
        other.close()


def test_limits_are_exact_however_many_ask_at_once(world: World) -> None:
    now = 1000.0
    holders = Holders(world.keys.holder, world.keys.any, clock=lambda: now)
    record, _ = world.keys.create("limited", ["chat"], requests_per_minute=60, tokens_per_minute=600)
    begin = threading.Barrier(8)

    def many(_: int) -> int:
        begin.wait(timeout=30)
        passed = 0
        for _ in range(40):
            try:
                holders.take_request(record)
                passed += 1
            except Refusal as refusal:
                assert refusal.status == 429 and int(refusal.headers["Retry-After"]) >= 1
        return passed

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(many, range(8))) == 60  # of 320 at once
        now += 10.0
        assert sum(pool.map(many, range(8))) == 10  # what ten seconds fill up again
        now += 60.0
        list(pool.map(lambda _: holders.take_tokens(record, 25), range(32)))
    with pytest.raises(Refusal, match="tokens"):
        holders.take_request(record)  # 800 of 600 were spent
    now += 19.9
    with pytest.raises(Refusal, match="tokens"):
        holders.take_request(record)
    now += 0.3  # 200 overdrawn at ten a second, and one to take
    holders.take_request(record)
    holders.close()


def test_requests_over_http_stop_exactly_at_the_limit(world: World) -> None:
    _, secret = world.keys.create("app", ["chat"], requests_per_minute=5)
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda _: world.ask("GET", "/v1/models", secret), range(12)))
    statuses = sorted(one.status_code for one in said)
    assert statuses == [200] * 5 + [429] * 7
    assert all(int(one.headers["Retry-After"]) >= 1 for one in said if one.status_code == 429)


def test_a_key_ends_on_time_even_where_it_is_remembered(world: World) -> None:
    record, secret = world.keys.create("brief", ["chat"], expires=expiry(1))
    holders = Holders(lambda _: record, lambda: True, clock=lambda: 0.0)
    assert holders.holder(f"Bearer {secret}", "chat") == record
    ended = type(record)(**{name: getattr(record, name) for name in record.__slots__} | {"expires": "2020-01-01T00:00:00Z"})
    holders._known = {name: (at, ended) for name, (at, _) in holders._known.items()}
    with pytest.raises(Refusal) as refusal:
        holders.at_once(f"Bearer {secret}", "chat")
    assert refusal.value.status == 401
    holders.close()


def test_known_keys_go_on_while_the_ledger_is_out_of_reach_and_unknown_ones_wait(world: World) -> None:
    now, reachable = 0.0, True

    def find(secret: str) -> Any:
        if not reachable:
            raise MachineError("locked")
        return world.keys.holder(secret)

    _, secret = world.keys.create("known", ["chat"])
    holders = Holders(find, lambda: True, clock=lambda: now)
    assert holders.holder(f"Bearer {secret}", "chat").name == "known"
    reachable, now = False, 60.0
    assert holders.holder(f"Bearer {secret}", "chat").name == "known"
    for asked, at in ((f"Bearer {secret}x", 60.0), (f"Bearer {secret}", 601.0)):
        now = at
        with pytest.raises(Refusal) as refusal:
            holders.holder(asked, "chat")
        assert refusal.value.status == 503 and refusal.value.headers["Retry-After"]
    holders.close()


def test_web_pages_of_others_do_not_get_in_where_no_key_is_needed(tmp_path: Path, hostile: Any) -> None:
    open_to = World(tmp_path, hostile, origins=["https://tickets.example.com"])
    try:
        body = {"json": BODIES["POST /v1/chat/completions"]}

        def status(**headers: str) -> int:
            return open_to.ask("POST", "/v1/chat/completions", None, headers=headers, **body).status_code

        assert [status(host=host) for host in ("localhost:8000", "127.0.0.1:1", "[::1]:8000", "127.9.9.9", "LOCALHOST.")] == [200] * 5
        rebound = ("evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "0.0.0.0", "[", "192.0.2.1:80", "")
        assert [status(host=host) for host in rebound] == [403] * len(rebound)
        assert [status(origin=one) for one in ("https://evil.example", "null", "file://", "https://localhost.evil.example")] == [403] * 4
        assert [status(origin=one) for one in ("https://tickets.example.com", "http://localhost:3000")] == [200] * 2
    finally:
        open_to.close()


def test_cors_is_closed_and_opens_to_named_origins_only(world: World, tmp_path: Path, hostile: Any) -> None:
    def preflight(one: World, origin: str) -> httpx.Response:
        return one.client.options("/v1/chat/completions", headers={"Origin": origin, "Access-Control-Request-Method": "POST"})

    closed = preflight(world, "https://tickets.example.com")
    assert closed.status_code == 405 and not [name for name in closed.headers if name.startswith("access-control")]
    named = World(tmp_path, hostile, origins=["https://tickets.example.com"])
    try:
        right, wrong = preflight(named, "https://tickets.example.com"), preflight(named, "https://evil.example")
        assert right.status_code == 200 and right.headers["access-control-allow-origin"] == "https://tickets.example.com"
        assert wrong.status_code == 400 and "access-control-allow-origin" not in wrong.headers
        assert "access-control-allow-credentials" not in right.headers
    finally:
        named.close()
    for origin in ("*", "https://*.example.com", "tickets.example.com", "https://a.example/path", "null", "https://a b"):
        with pytest.raises(ValueError, match="names no web page's origin"):
            ServeConfig(origins=[origin])


def test_bodies_have_a_bound_told_beforehand_or_not(world: World, secrets: dict[str, str | None]) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(1100):
            yield b" " * 1024

    for content in (b" " * (1024 * 1024 + 1), pieces()):
        said = world.ask("POST", "/v1/chat/completions", secrets["chat"], content=content, headers={"content-type": "application/json"})
        assert said.status_code == 413 and said.json()["error"]["code"] == "body_too_large"
    for length in ("9" * 30, "-1", "1e3", "x"):
        said = world.ask("POST", "/v1/chat/completions", secrets["chat"], content=b"{}", headers={"content-length": length})
        assert said.status_code in (400, 413)


def test_it_listens_elsewhere_only_with_a_key_in_use(tmp_path: Path) -> None:
    with Workspace(tmp_path).ledger() as ledger:
        for host in ("0.0.0.0", "::", "192.0.2.1", "", "127.0.0.1.evil.example", "localhost.evil.example", "2130706433"):
            with pytest.raises(RecipeError, match="no API key in use"):
                refuse_in_the_open(ServeConfig(host=host), ledger)
        for host in ("127.0.0.1", "::1", "localhost", "127.3.2.1"):
            assert refuse_in_the_open(ServeConfig(host=host), ledger) is False
        ledger.keys.create("late", ["chat"], expires="2020-01-01T00:00:00Z")
        with pytest.raises(RecipeError, match="no API key in use"):
            refuse_in_the_open(ServeConfig(host="0.0.0.0"), ledger)
        assert refuse_in_the_open(ServeConfig(), ledger) is True  # a key was made once: every request needs one
        ledger.keys.create("now", ["chat"])
        assert refuse_in_the_open(ServeConfig(host="0.0.0.0"), ledger) is True


def test_names_from_clients_never_reach_the_file_system(
    world: World, secrets: dict[str, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = [
        "zqxj",
        "../../zqxj",
        "/etc/zqxj",
        "..%2fzqxj",
        "zqxj\0.txt",
        "file:///zqxj",
        "~/zqxj",
        "C:\\zqxj",
        "round:zqxj",
        "zqxj/../../x",
    ]
    touched: list[str] = []
    watching = True

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event.partition(".")[0] in ("open", "os", "shutil", "glob", "pathlib", "sqlite3", "subprocess", "tempfile"):
            told = " ".join(ascii(one) for one in arguments)
            if "zqxj" in told:
                touched.append(f"{event} {told}")

    def spied(name: str) -> None:  # looks at a file tell no audit hook
        real = getattr(os, name)

        def spy(path: Any, *more: Any, **named: Any) -> Any:
            watch(f"os.{name}", (path,))
            return real(path, *more, **named)

        monkeypatch.setattr(os, name, spy)

    sys.addaudithook(watch)
    for name in ("stat", "lstat", "access", "readlink"):
        spied(name)
    try:
        for name in planted:
            text = name
            bodies = [
                ("chat/completions", {"model": text, "messages": [{"role": "user", "content": text, "name": text}], "user": text}),
                (
                    "chat/completions",
                    {"model": "echo", "messages": [{"role": "user", "content": text}], "stop": [text], "metadata": {text: text}},
                ),
                ("completions", {"model": text, "prompt": text}),
                ("classify", {"model": text, "input": text}),
                ("embeddings", {"model": text, "input": text}),
                ("feedback", {"completion_id": text, "comment": text}),
                ("feedback", {"completion_id": text, "preferred": {"completion_id": text}}),
            ]
            for path, body in bodies:
                said = world.ask("POST", f"/v1/{path}", secrets["admin"], json=body)
                assert said.status_code < 500, said.text
            for path in (f"/v1/models/{name}", f"/v1/{name}", f"/{name}", f"/v1/feedback?after={name}"):
                assert world.ask("GET", path.replace("\0", "%00"), secrets["admin"]).status_code < 500
            world.ask("GET", "/v1/models", name.replace("\0", ""))
        found = list(touched)
        for look in (
            lambda: (world.folder / "zqxj").exists(),
            lambda: (world.folder / "zqxj").open(),
            lambda: list(Path("zqxj").iterdir()),
        ):
            before = len(touched)
            with contextlib.suppress(OSError):
                look()
            assert len(touched) > before  # the watch sees what is touched
    finally:
        watching = False
    assert found == []


def test_the_request_log_knows_keys_by_id_and_denials_by_status(world: World, tmp_path: Path, hostile: Any) -> None:
    one = World(tmp_path, hostile)
    try:
        record, secret = one.keys.create("a", ["feedback"])
        one.ask("GET", "/v1/models", secret)
        (line,) = [json.loads(text) for text in (tmp_path / "requests.jsonl").read_text().splitlines()]
        assert (line["status"], line["key"], line["route"]) == (403, record.id, "/v1/models")
        assert isinstance(one.serving.log, RequestLog) and any(isinstance(said, Said) for said in one.said)
        assert (tmp_path / "requests.jsonl").stat().st_mode & 0o077 == 0
    finally:
        one.close()


def test_a_key_is_told_to_name_its_users_by_command_and_the_list_shows_it(tmp_path: Path, command: Any) -> None:
    work = ("--workspace", tmp_path)
    made = command("keys", "create", "app", "--names-users", "--requests-per-minute", "60", *work, "--json").json()
    other = command("keys", "create", "shop", *work, "--json").json()
    assert made["names_users"] and not other["names_users"] and "user_secret" not in made
    on, off = command("keys", "users", other["id"], *work), command("keys", "users", made["id"], "--off", *work)
    assert on.code == off.code == 0 and "names its users" in on.out and "is one user" in off.out
    assert command("keys", "users", "nobody", *work).code == 2
    rows = {line.split()[1]: line for line in command("keys", "list", *work).out.splitlines() if line[:8] in (made["id"], other["id"])}
    assert "names users" in rows["shop"] and "60 requests/min" in rows["app"] and "names users" not in rows["app"]
    listed = command("keys", "list", *work, "--json").json()["keys"]
    assert [one["names_users"] for one in listed] == [False, True] and "user_secret" not in str(listed)
    told = command("audit", *work, "--json").json()
    assert [one["action"] for one in told["entries"]] == ["key.create", "key.create", "key.users", "key.users"] and told["broken"] is None
    with Ledger.open(tmp_path / "tunesmith.db") as ledger:
        secret = ledger.keys.list()[1].user_secret
    assert secret is not None and secret not in str(told) + str(listed)
