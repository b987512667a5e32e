"""The watchman's looks: bounds, hysteresis, one look for drift a day however often the gateway restarts."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from starlette.testclient import TestClient

from tests.unit.serve.test_service import loaded
from tunesmith.core.files import write_json
from tunesmith.ledger.ledger import Ledger
from tunesmith.pipeline.watchman import Watchman, looks_at, watched_gateway
from tunesmith.pipeline.workspace import Workspace
from tunesmith.serve.app import Gateway, make_app
from tunesmith.serve.config import ServeConfig
from tunesmith.serve.holders import Holders
from tunesmith.serve.kept import Kept
from tunesmith.serve.service import Arm, Now, Service
from tunesmith.serve.watching import Passed


def passed(status: int, seconds: float = 0.1, at: float = 0.0, model: str = "m") -> Passed:
    return Passed(model, at, status, seconds, None, 0, 0, ())


class Told:
    """A webhook that remembers."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    def send(self, message: dict[str, Any]) -> None:
        self.messages.append(message)


def watchman(folder: Path, hook: Any = None, waiting: int = 0, tell: Any = None, **settings: Any) -> Any:
    backends = {"m": SimpleNamespace(load=lambda: {"waiting": waiting, "answering": 1})}
    kept = SimpleNamespace(counts=SimpleNamespace(dropped=0, failed=0))
    gateway: Any = SimpleNamespace(config=ServeConfig(**settings), backends=backends, kept=kept)
    watching: Any = SimpleNamespace(recent=[], failed=0, count=lambda: None, write=lambda: None)
    return Watchman(gateway, watching, Workspace(folder), SimpleNamespace(), list, hook, tell)  # type: ignore[arg-type]


def test_errors_are_ours_alone_and_need_enough_requests() -> None:
    config = ServeConfig()
    cases = {
        "enough": ([passed(500)] * 2 + [passed(200)] * 20, True),
        "too few": ([passed(500)] * 10, False),
        "clients'": ([passed(400)] * 10 + [passed(429)] * 10 + [passed(499)] * 20 + [passed(200)] * 20, False),
        "none of a model": ([passed(500, model="")] * 50, False),
    }
    assert {name: looks_at(recent, config)[0].bad for name, (recent, _) in cases.items()} == {name: bad for name, (_, bad) in cases.items()}


def test_the_slowest_twentieth_is_what_counts() -> None:
    config = ServeConfig(alert_p95_seconds=2)
    for slow, bad in ((1, False), (6, True)):
        (_, p95) = looks_at([passed(200, 9.0)] * slow + [passed(200)] * (100 - slow), config)
        assert p95.bad is bad and p95.good is not bad


def test_a_full_queue_and_a_lost_ledger_are_told_and_resolved(tmp_path: Path) -> None:
    hook = Told()
    one = watchman(tmp_path, hook, waiting=250)
    for dropped in (3, 9, 9, 9, 9):
        one._gateway.kept.counts.dropped = dropped
        one.look(0.0)
    one._gateway.backends = {}
    for _ in range(3):
        one.look(0.0)
    told = [(message["event"], message["signal"]) for message in hook.messages]
    assert sorted(told) == [("alert", "ledger"), ("alert", "queue"), ("resolved", "ledger"), ("resolved", "queue")]
    assert next(message for message in hook.messages if message["signal"] == "queue")["figures"] == {"waiting": 250, "most": 256}


def test_adapters_over_one_base_wait_in_one_queue(tmp_path: Path) -> None:
    one, engine = watchman(tmp_path), SimpleNamespace()
    loads = {"a": (engine, 120), "b": (engine, 120), "c": (SimpleNamespace(), 200)}
    one._gateway.backends = {
        name: SimpleNamespace(engine=behind, load=lambda waiting=waiting: {"waiting": waiting}) for name, (behind, waiting) in loads.items()
    }
    look = one._queue()
    assert look.bad and look.figures["waiting"] == 240


def test_only_the_last_minutes_count(tmp_path: Path) -> None:
    hook = Told()
    one = watchman(tmp_path, hook)
    one._watching.recent = [passed(500, at=0.0)] * 100
    for _ in range(3):
        one.look(1000.0)
    assert hook.messages == []
    for _ in range(3):
        one.look(100.0)
    assert [(message["signal"], message["figures"]["share"]) for message in hook.messages] == [("errors", 1.0)]


def test_one_look_a_day_however_often_the_gateway_restarts(tmp_path: Path) -> None:
    now = datetime(2026, 5, 4, 12, tzinfo=UTC)
    assert watchman(tmp_path).due(now) == {"m"}
    write_json(tmp_path / "looked.json", {"looked": {"m": "2026-05-04T10:00:00Z"}})
    assert not watchman(tmp_path).due(now) and watchman(tmp_path).due(now + timedelta(hours=23))
    assert watchman(tmp_path, drift_every=1).due(now) and not watchman(tmp_path, drift_every=0).due(now + timedelta(days=9))
    for damaged in ({}, {"looked": "never"}, *({"looked": {"m": time}} for time in ("never", 3, None, "2026-05-04"))):
        write_json(tmp_path / "looked.json", damaged)
        assert watchman(tmp_path).due(now)


def test_gateways_of_one_workspace_look_at_their_own_models(tmp_path: Path) -> None:
    one, two = watchman(tmp_path), watchman(tmp_path)
    two._gateway.backends = {"other": one._gateway.backends["m"]}
    one.look_for_drift(one.due(datetime.now(UTC)))
    assert one.due(datetime.now(UTC)) == set() and two.due(datetime.now(UTC)) == {"other"}
    two.look_for_drift(two.due(datetime.now(UTC)))
    assert one.due(datetime.now(UTC)) == two.due(datetime.now(UTC)) == set()


def test_a_look_that_fails_oddly_ends_no_other(tmp_path: Path) -> None:
    told: list[str] = []
    one = watchman(tmp_path, tell=told.append)
    turns = iter((False, False, False, True))
    one._ending = SimpleNamespace(wait=lambda seconds: next(turns))

    def odd() -> dict[str, float]:
        raise ZeroDivisionError

    one._gateway.backends = {"m": SimpleNamespace(load=odd)}
    one._run()
    assert one.odd.count == 3 and len(told) == 1 and "ZeroDivisionError" in told[0]
    assert (tmp_path / "looked.json").is_file()  # the look for drift went on


def test_metrics_of_a_gateway_know_the_line_that_is_served_after_they_were_made(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        config = ServeConfig()
        gateway = Gateway({}, Holders(ledger.keys.holder, ledger.keys.any), config, kept=Kept(ledger.requests, config))
        watched = watched_gateway(gateway, Workspace(tmp_path), ledger, {})
        metrics = watched.watching.metrics
        assert metrics is not None
        with TestClient(make_app(gateway)) as client:
            old = loaded("old")
            gateway.backends = {"champion": Service("champion", Now(old, 1)), "old": Arm("old", old, now=Now(old), trial=None)}
            asked = {"model": "champion", "messages": [{"role": "user", "content": "hello"}]}
            assert client.post("/v1/chat/completions", json=asked).status_code == 200
            assert client.post("/v1/chat/completions", json=asked | {"model": "old"}).status_code == 200
        told = metrics.text().decode().splitlines()
        watched.close()
        gateway.kept.close()
    for line in (
        'tunesmith_answers_total{finish="stop",model="champion"} 1.0',
        'tunesmith_answers_total{finish="stop",model="old"} 1.0',
        'tunesmith_tokens_total{direction="written",model="champion"} 2.0',
        'tunesmith_queue{model="champion",state="waiting"} 0.0',
    ):
        assert line in told
    assert not [line for line in told if 'model="other"' in line]
