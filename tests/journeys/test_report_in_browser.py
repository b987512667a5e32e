"""A report card in a real browser: it fits its page, runs nothing, asks nothing of anyone."""

import html
import importlib.util
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tunesmith.report.card import card, compare_card

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=15000",
    "--dump-dom",
]
MEASURE = """<script>
addEventListener("load", () => setTimeout(() => {
  const said = {};
  for (const frame of document.querySelectorAll("iframe")) {
    const page = frame.contentDocument, root = page.documentElement;
    said[frame.name] = {title: page.title, overflow: root.scrollWidth - root.clientWidth, height: root.scrollHeight,
      charts: [...page.querySelectorAll("svg")].map(svg => svg.getBoundingClientRect().width)};
  }
  const told = document.createElement("pre");
  told.textContent = JSON.stringify(said);
  document.body.replaceChildren(told);
}, 500));
</script>"""


@pytest.fixture
def trap() -> Iterator[tuple[str, list[str]]]:
    """A server that writes down who asks for what."""
    asked: list[str] = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()
    thread.join()


def _fakes() -> Any:
    path = Path(__file__).parents[1] / "unit" / "report" / "fake_reports.py"
    spec = importlib.util.spec_from_file_location("fake_reports_in_browser", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _look(folder: Path, pages: dict[str, str]) -> dict[str, Any]:
    """Open every page in one browser, wide and narrow, and say what became of it."""
    frames = [
        f'<iframe name="{name}{"" if width > 800 else " narrow"}" width="{width}" height="900" srcdoc="{html.escape(page)}"></iframe>'
        for name, page in pages.items()
        for width in (1100, 430)
    ]
    (folder / "pages.html").write_text("<!doctype html><meta charset=utf-8><body>" + "".join(frames) + MEASURE, encoding="utf-8")
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={folder / 'profile'}", (folder / "pages.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
    found = re.search(r"<pre>(.*?)</pre>", done.stdout, re.DOTALL)
    assert found is not None, done.stdout[:500]
    said: dict[str, Any] = json.loads(html.unescape(found.group(1)))
    return said


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: install the package to look at the report card in a browser")
def test_cards_in_a_browser(tmp_path: Path, trap: tuple[str, list[str]]) -> None:
    url, asked = trap
    fakes = _fakes()
    rounds = {"gain": fakes.gain(), "no gain": fakes.no_gain(), "generation": fakes.generation(), "hostile": fakes.hostile(url)}
    pages = {name: card(report) for name, report in rounds.items()}
    pages["compare"] = compare_card(list(rounds.values()))
    control = f"<title>control</title><script>document.title='owned'</script><img src='{url}/control'><p style='width:3000px'>wide</p>"
    said = _look(tmp_path, {**pages, "control": control})

    assert said["control"]["title"] == "owned", "the control must show that scripts would have run"
    assert said["control"]["overflow"] > 1000, "the control must show that an overflow would have been seen"
    assert set(asked) == {"/control"}, "the control must be asked for, and nothing else"
    for name in pages:
        for view in (name, f"{name} narrow"):
            assert said[view]["title"].endswith("tunesmith"), view
            assert said[view]["overflow"] <= 0, view
            assert said[view]["charts"], view
        assert max(said[name]["charts"]) > 700, name
