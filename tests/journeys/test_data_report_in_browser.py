"""A data report in a real browser: it fits its page, runs nothing, says nothing in the console, asks nothing of anyone."""

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

from tunesmith.report.data_card import data_card

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
    "--enable-logging=stderr",
    "--virtual-time-budget=15000",
    "--dump-dom",
]
MEASURE = """<script>
const light = colour => { const [r, g, b] = colour.match(/[\\d.]+/g).map(v => v / 255).map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
  return .2126 * r + .7152 * g + .0722 * b; };
const against = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + .05) / (y + .05); };
addEventListener("load", () => setTimeout(() => {
  const said = {};
  for (const frame of document.querySelectorAll("iframe")) {
    const page = frame.contentDocument, root = page.documentElement, look = frame.contentWindow.getComputedStyle.bind(frame.contentWindow);
    const paper = look(page.body).backgroundColor;
    const texts = [...page.querySelectorAll("p, td, th, dt, figcaption, summary, a")];
    said[frame.name] = {title: page.title, overflow: root.scrollWidth - root.clientWidth, folded: page.querySelectorAll("details").length,
      charts: [...page.querySelectorAll("svg")].map(svg => svg.getBoundingClientRect().width), paper,
      contrast: paper.startsWith("rgb(") ? Math.min(...texts.map(text => against(look(text).color, paper))) : 0};
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
    path = Path(__file__).parents[1] / "unit" / "report" / "fake_data_reports.py"
    spec = importlib.util.spec_from_file_location("fake_data_reports_in_browser", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _look(folder: Path, pages: dict[str, str], *flags: str) -> tuple[dict[str, Any], list[str]]:
    """Open every page in one browser, wide and narrow; what became of it, and what the console said."""
    frames = [
        f'<iframe name="{name}{"" if width > 800 else " narrow"}" width="{width}" height="900" srcdoc="{html.escape(page)}"></iframe>'
        for name, page in pages.items()
        for width in (1100, 400)
    ]
    (folder / "pages.html").write_text("<!doctype html><meta charset=utf-8><body>" + "".join(frames) + MEASURE, encoding="utf-8")
    command = [str(CHROMIUM), *FLAGS, *flags, f"--user-data-dir={folder / 'profile'}", (folder / "pages.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
    found = re.search(r"<pre>(.*?)</pre>", done.stdout, re.DOTALL)
    assert found is not None, done.stdout[:500]
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return json.loads(html.unescape(found.group(1))), console


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: install the package to look at the data report in a browser")
def test_data_reports_in_a_browser(tmp_path: Path, trap: tuple[str, list[str]]) -> None:
    url, asked = trap
    fakes = _fakes()
    reports = {"bare": fakes.bare(), "clean": fakes.clean(), "whole": fakes.whole(), "hostile": fakes.hostile(url), "huge": fakes.huge()}
    pages = {name: data_card(report) for name, report in reports.items()}
    said, console = _look(tmp_path, pages)

    assert asked == []
    assert console == []
    for view, seen in said.items():
        assert seen["title"].endswith("tunesmith"), view
        assert seen["overflow"] <= 0, view
        assert seen["paper"] == "rgb(255, 255, 255)", view
        assert seen["contrast"] >= 4.5, view
    assert len(said) == 10
    assert len(said["whole"]["charts"]) == 9
    assert all(width <= 380 for width in said["whole narrow"]["charts"][:-1])
    assert said["hostile"]["folded"] > 0


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: install the package to look at the data report in a browser")
def test_the_reader_who_wants_it_dark_gets_it_dark_and_legible(tmp_path: Path) -> None:
    said, _ = _look(tmp_path, {"whole": data_card(_fakes().whole())}, "--blink-settings=preferredColorScheme=0")
    assert said["whole"]["paper"] == "rgb(20, 25, 30)"
    assert said["whole"]["contrast"] >= 4.5


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: install the package to look at the data report in a browser")
def test_what_the_browser_test_asserts_can_fail(tmp_path: Path, trap: tuple[str, list[str]]) -> None:
    url, asked = trap
    control = f"<title>control</title><script>document.title='owned';console.error('said')</script><img src='{url}/control'><p style='width:3000px;color:#ddd'>wide</p>"
    said, console = _look(tmp_path, {"control": control})
    assert said["control"]["title"] == "owned"
    assert said["control"]["overflow"] > 1000
    assert set(asked) == {"/control"}
    assert any("said" in line for line in console)
