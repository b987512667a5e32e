"""Servers to be attacked, started in a moment by a process that imported everything once (`hostile.py`); all end with the test."""

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tunesmith.ledger.ledger import Ledger

HOSTILE = Path(__file__).with_name("hostile.py")


def hostile() -> Any:
    """The module beside this one."""
    spec = importlib.util.spec_from_file_location("hostile", HOSTILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def app(folder: Path, **settings: Any) -> Iterator[Any]:
    """What `tunesmith serve` makes, over quick models, in this process and not listening."""
    from tunesmith.pipeline.serving import Serving
    from tunesmith.pipeline.workspace import Workspace
    from tunesmith.serve.config import ServeConfig

    quick = hostile()
    with quick.quick_models():
        serving = Serving(
            quick.folders(folder / "models"), ServeConfig(**{"port": 0} | settings), Workspace(folder), lambda _: None, None, None
        )
    try:
        yield serving
    finally:
        serving.gateway.kept.close()
        serving.gateway.holders.close()
        serving.ledger.close()
        serving.socket.close()
        serving.log.close()


def key(workspace: Path, name: str, scopes: list[str], **limits: Any) -> str:
    """A new key's secret."""
    workspace.mkdir(parents=True, exist_ok=True)
    with Ledger.open(workspace / "tunesmith.db") as ledger:
        return ledger.keys.create(name, scopes, **limits)[1]


@dataclass
class Running:
    """A server."""

    pid: int
    url: str
    errors: Path

    def client(self, secret: str = "none", **settings: Any) -> Any:
        """The official client."""
        import httpx
        import openai

        plain = {} if "http_client" in settings else {"http_client": httpx.Client(verify=False)}  # certificates take a while to read
        return openai.OpenAI(base_url=self.url, api_key=secret, **{"max_retries": 0, "timeout": 30} | plain | settings)

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.url.partition("://")[2].partition("/")[0].rsplit(":", 1)
        return host, int(port)

    def end(self, number: int) -> None:
        """Send a signal and wait until it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)
        for _ in range(1500):
            try:
                if Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2].startswith("Z"):
                    return
            except (FileNotFoundError, ProcessLookupError):
                return
            time.sleep(0.02)
        raise AssertionError(f"the server did not end on signal {number}")

    def kill(self) -> None:
        self.end(signal.SIGKILL)

    def stop(self) -> None:
        self.end(signal.SIGTERM)

    def stderr(self) -> str:
        return self.errors.read_text() if self.errors.exists() else ""


class Spawner:
    """Starts servers."""

    def __enter__(self) -> Self:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, str(HOSTILE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        assert self.process.stdout is not None and self.process.stdout.readline() == "{}\n"
        self.started: list[Running] = []
        return self

    def start(self, workspace: Path, *, log: Path | None = None, **settings: Any) -> Running:
        """One that takes requests."""
        workspace.mkdir(parents=True, exist_ok=True)
        assert self.process.stdin is not None and self.process.stdout is not None
        errors = workspace.parent / f"{workspace.name}-stderr.txt"
        order = {"workspace": str(workspace), "settings": settings, "stderr": str(errors), "log": None if log is None else str(log)}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        told = json.loads(self.process.stdout.readline())
        assert "url" in told, told
        self.started.append(Running(told["pid"], told["url"], errors))
        return self.started[-1]

    def __exit__(self, *_: object) -> None:
        for one in self.started:
            with contextlib.suppress(AssertionError):
                one.kill()
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(timeout=20)
