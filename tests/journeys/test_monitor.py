"""A served model is watched: the same traffic raises nothing, a planted shift is found, told by `monitor`, by metrics and by a webhook."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tunesmith.core.progress import silent
from tunesmith.serve.config import ServeConfig

THINGS = ("car", "house", "boat", "shirt", "door", "cup", "chair", "hat")
OPENINGS = ("I want a", "Please send the", "We sold one", "She painted her", "They lost my")
COLOURS = ("red", "green", "blue")
WHEN = ("today", "now", "again", "soon")


@dataclass
class Watched:
    """A gateway in this process, and the webhook it tells."""

    workspace: Path
    model: str
    serving: Any
    url: str
    alerts: list[dict[str, Any]] = field(default_factory=list)
    secrets: list[str | None] = field(default_factory=list)

    def ask(self, texts: list[str]) -> None:
        for at in range(0, len(texts), 250):
            said = httpx.post(f"{self.url}/classify", json={"model": self.model, "input": texts[at : at + 250]}, timeout=120)
            assert said.status_code == 200, said.text

    def look(self) -> None:
        """What the gateway does once a day."""
        self.serving.watched.watchman.look_for_drift()


@pytest.fixture(scope="module")
def watched(
    tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, command: Any, write_recipe: Any, write_rows: Any
) -> Iterator[Watched]:
    from tunesmith.pipeline.serving import Serving
    from tunesmith.pipeline.workspace import Workspace

    folder = tmp_path_factory.mktemp("watched")
    rows = [
        {"text": f"{opening} {colour} {thing} {when}", "label": colour}
        for opening in OPENINGS for colour in COLOURS for thing in THINGS for when in WHEN
    ]  # fmt: skip
    data = write_rows(folder / "colours.jsonl", rows)
    recipe = write_recipe(folder, data, tiny_base, evaluate={"few_shot": [0], "linear_floor": False})
    made = command("run", recipe, "--workspace", folder / "work", "--json")
    assert made.code == 0, made.err
    alerts: list[dict[str, Any]] = []
    secrets: list[str | None] = []

    class Hook(BaseHTTPRequestHandler):
        timeout = 10

        def do_POST(self) -> None:
            secrets.append(self.headers.get("X-Tunesmith-Secret"))
            alerts.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    hook = HTTPServer(("127.0.0.1", 0), Hook)
    listening = threading.Thread(target=hook.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    listening.start()
    patch = pytest.MonkeyPatch()
    patch.setenv("HOOK_SECRET", "between us")
    config = ServeConfig(port=0, alert_url=f"http://127.0.0.1:{hook.server_port}/", alert_secret_env="HOOK_SECRET")
    serving = Serving([made.json()["id"]], config, Workspace(folder / "work"), silent)
    told, stop, urls = threading.Event(), threading.Event(), list[str]()
    running = threading.Thread(target=serving.run, args=(lambda url: (urls.append(url), told.set()), stop), daemon=True)
    running.start()
    assert told.wait(60)
    yield Watched(folder / "work", made.json()["id"], serving, urls[0], alerts, secrets)
    stop.set()
    running.join(timeout=60)
    hook.shutdown()
    hook.server_close()
    listening.join(timeout=10)
    patch.undo()
    assert not running.is_alive()


def texts(seed: int, count: int, colours: tuple[str, ...] = COLOURS) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(map(str, (rng.choice(OPENINGS), rng.choice(colours), rng.choice(THINGS), rng.choice(WHEN)))) for _ in range(count)]


def test_the_same_traffic_is_no_drift_and_a_planted_shift_is_told_everywhere(watched: Watched, command: Any) -> None:
    assert (watched.workspace / "rounds" / watched.model / "model" / "watch.json").is_file()
    watched.ask(texts(1, 500))
    watched.look()
    said = command("monitor", watched.model, "--workspace", watched.workspace, "--json")
    (state,) = said.json()["models"]
    assert said.code == 0 and state["drifted"] is False and watched.alerts == [], state["shown"]
    assert state["traffic"]["answers"] == 500 and state["traffic"]["requests"] == 2 and state["traffic"]["p95_seconds"] is not None

    watched.ask([f"{one} because of the zeppelin moratorium" for one in texts(2, 500, ("red",))])
    watched.look()
    said = command("monitor", "--workspace", watched.workspace)
    assert said.code == 4 and "FOUND" in said.out and "words that training rows don't hold" in said.out and "zeppelin" not in said.out
    figures = httpx.get(watched.url.replace("/v1", "/metrics"), timeout=30).text
    assert f'tunesmith_drift{{against="training",model="{watched.model}",signal="vocabulary"}} 1.0' in figures

    watched.look()  # the same again is no new alert
    watched.serving.watched.hook.close(30)
    assert [(one["event"], one["signal"], one["model"]) for one in watched.alerts] == [("alert", "drift", watched.model)]
    assert watched.secrets == ["between us"] and "zeppelin" not in json.dumps(watched.alerts)
    assert {one["signal"] for one in watched.alerts[0]["figures"]["signals"]} >= {"vocabulary", "length"}


def test_what_is_kept_for_it_holds_no_word(watched: Watched) -> None:
    kept = b"".join(path.read_bytes() for path in watched.workspace.glob("tunesmith.db*"))
    assert b"zeppelin" not in kept and b"watched" in kept


def test_next_can_ask_whether_the_champion_drifts(watched: Watched) -> None:
    from tunesmith.ledger.steps import StepRecord
    from tunesmith.pipeline.monitoring import drift_of, drifted
    from tunesmith.pipeline.workspace import Workspace

    place = Workspace(watched.workspace)
    with place.ledger() as ledger:
        ledger.steps.take(StepRecord(action="promote", model=watched.model, who="ann", why="it is good"))
    kept = watched.workspace / "rounds" / watched.model / "model" / "watch.json"
    made = kept.read_bytes()
    kept.unlink()  # an older round has none
    found, reasons = drift_of(place)
    assert kept.read_bytes() == made
    assert found is True and drifted(place) is True and len(reasons) >= 2
    assert drifted(place, "another") is None


def test_what_monitor_refuses_is_said(watched: Watched, command: Any, tmp_path: Path) -> None:
    for arguments, words in (
        (("--since", "7"), "--since"), (("r-nobody",), "no round"), (("--line", "gone"), "no champion"), ((watched.model, "--line", "champion"), "both"),
    ):  # fmt: skip
        said = command("monitor", *arguments, "--workspace", watched.workspace)
        assert said.code == 2 and words in said.errors[0], said.err
    assert "Nothing was served" in command("monitor", "--workspace", tmp_path / "new").errors[0]
