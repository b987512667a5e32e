"""Alerts: told once, resolved once, and delivered as far as the other side lets them."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from tunesmith.core.errors import RecipeError
from tunesmith.serve.alerts import SECRET_HEADER, Alarms, Look, Webhook, checked_url, secret_of

MESSAGE = {"event": "alert", "signal": "errors", "text": "so it is"}


def look(bad: bool, good: bool = False, at_once: bool = False) -> Look:
    return Look("errors", "m", bad, good, "so it is", {"share": 0.1}, at_once)


class Hook:
    """A webhook that answers as it is told to."""

    def __init__(self, answers: list[int]) -> None:
        self.got: list[tuple[str, str | None, Any]] = []
        left, got = list(answers), self.got

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                got.append((self.path, self.headers.get(SECRET_HEADER), body))
                status = left.pop(0) if left else 200
                self.send_response(status)
                if status == 302:
                    self.send_header("location", "/elsewhere")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(timeout=10)


@pytest.fixture
def hooks() -> Iterator[list[Hook]]:
    made: list[Hook] = []
    yield made
    for one in made:
        one.close()


def sent(hooks: list[Hook], answers: list[int], secret: str | None = None) -> tuple[Hook, Webhook]:
    hooks.append(Hook(answers))
    webhook = Webhook(hooks[-1].url, secret, wait=lambda seconds: None)
    webhook.send(dict(MESSAGE))
    webhook.close(30)
    return hooks[-1], webhook


def test_what_flickers_is_told_once_and_resolved_once() -> None:
    alarms = Alarms()
    looks = [True, False, True, True, True, False, True, False, False, False, False]
    told = [[one["event"] for one in alarms.see([look(bad, not bad)])] for bad in looks]
    assert [at for at, events in enumerate(told) if events] == [3, 9] and told[3] == ["alert"] and told[9] == ["resolved"]
    assert alarms.raised == []


def test_between_bad_and_good_an_alert_stays() -> None:
    alarms = Alarms()
    assert len([told for _ in range(2) for told in alarms.see([look(True)])]) == 1
    assert [told for _ in range(9) for told in alarms.see([look(False, good=False)])] == [] and alarms.raised == [("errors", "m")]


def test_a_resolved_message_names_its_alert() -> None:
    alarms = Alarms()
    (raised,), (resolved,) = alarms.see([look(True, at_once=True)]), alarms.see([look(False, True, at_once=True)])
    assert raised["id"] == resolved["id"] and resolved["text"] == "Resolved: so it is" and raised["figures"] == {"share": 0.1}


def test_a_message_arrives_with_its_secret(hooks: list[Hook]) -> None:
    hook, webhook = sent(hooks, [200], "s3cret")
    assert hook.got == [("/hook", "s3cret", MESSAGE)] and (webhook.sent, webhook.lost) == (1, 0)


def test_a_server_that_stumbles_is_tried_again(hooks: list[Hook]) -> None:
    hook, webhook = sent(hooks, [500, 429, 200])
    assert len(hook.got) == 3 and (webhook.sent, webhook.lost) == (1, 0)


def test_tries_have_an_end(hooks: list[Hook]) -> None:
    hook, webhook = sent(hooks, [500] * 9)
    assert len(hook.got) == 3 and (webhook.sent, webhook.lost) == (0, 1)


@pytest.mark.parametrize("status", [302, 404])
def test_a_redirect_is_not_followed_and_a_refusal_not_repeated(hooks: list[Hook], status: int) -> None:
    hook, webhook = sent(hooks, [status], "s3cret")
    assert [path for path, _, _ in hook.got] == ["/hook"] and webhook.lost == 1


def test_nobody_there_loses_the_message_and_nothing_else() -> None:
    webhook = Webhook("http://127.0.0.1:9/", wait=lambda seconds: None)
    webhook.send(dict(MESSAGE))
    webhook.close(30)
    assert webhook.lost == 1


@pytest.mark.parametrize("url", ["ftp://x/", "http://", "file:///etc/passwd", "https://me:pw@x/", "x", "http://[::"])
def test_what_is_no_webhook_is_refused(url: str) -> None:
    with pytest.raises(RecipeError, match="--alert-url"):
        checked_url(url)


def test_a_secret_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOOK_SECRET", raising=False)
    with pytest.raises(RecipeError, match="HOOK_SECRET"):
        secret_of("HOOK_SECRET")
    monkeypatch.setenv("HOOK_SECRET", "two\nlines")
    with pytest.raises(RecipeError, match="HOOK_SECRET"):
        secret_of("HOOK_SECRET")
    monkeypatch.setenv("HOOK_SECRET", "fine")
    assert secret_of("HOOK_SECRET") == "fine" and secret_of(None) is None
