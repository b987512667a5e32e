"""Servers as processes of their own group: started on a free port, asked until they answer, paused, and killed at the end whatever happens."""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
START_SECONDS = 400.0


class ServerFailed(Exception):
    """A server did not come up, or a process about it did not end as it should; the message holds what it said last."""


@dataclass(frozen=True, slots=True)
class Server:
    """One that answers."""

    name: str
    url: str
    model: str
    process: "subprocess.Popen[bytes]"

    def pause(self) -> None:
        """Let the others have the machine."""
        os.killpg(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Go on."""
        os.killpg(self.process.pid, signal.SIGCONT)


def free_port() -> int:
    """A port that nobody listens at now."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


@contextmanager
def serving(name: str, command: Sequence[str], port: int, model: str, **environment: str) -> Iterator[Server]:
    """A server that answers /health.

    Raises:
        ServerFailed: it ended, or did not answer within START_SECONDS.
    """
    quiet = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONWARNINGS": "ignore"}
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env=os.environ | quiet | environment,
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )
        try:
            _await(name, process, f"http://127.0.0.1:{port}/health", said)
            yield Server(name, f"http://127.0.0.1:{port}", model, process)
        finally:
            _kill(process)


def _die_with_parent() -> None:
    """Linux kills the process when we are gone, however we went."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _await(name: str, process: "subprocess.Popen[bytes]", health: str, said: Any) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(health, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    said.seek(0)
    raise ServerFailed(f"{name} did not come up: {said.read().decode('utf-8', 'replace')[-800:]}")


def _kill(process: "subprocess.Popen[bytes]") -> None:
    for kind, patience in ((signal.SIGCONT, 0.0), (signal.SIGTERM, 10.0), (signal.SIGKILL, 10.0)):
        try:
            os.killpg(process.pid, kind)
        except ProcessLookupError:
            break
        if patience and _ended(process, patience):
            break
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # whatever it started itself
    _ended(process, 10.0)


def _ended(process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def tunesmith(arguments: Sequence[str], workspace: Path, model: str, name: str = "tunesmith") -> Any:
    """Our gateway, as a user starts it; for `with`."""
    port = free_port()
    command = [sys.executable, "-m", "tunesmith", "serve", *arguments, "--port", str(port), "--workspace", str(workspace)]
    return serving(name, command, port, model)


def transformers_serve(python: Path, folder: Path, options: Sequence[str]) -> Any:
    """`transformers serve` from its own environment; for `with`."""
    port = free_port()
    program = python.parent / "transformers"
    command = [str(python), str(program), "serve", str(folder), "--port", str(port), "--host", "127.0.0.1", "--device", "cpu", *options]
    return serving(f"transformers serve {' '.join(options)}".strip(), command, port, str(folder), PYTHONPATH="")


def load(server: Server, requests: Sequence[dict[str, Any]], *, seconds: float, clients: int, patience: float = 240.0, **plan: Any) -> Any:
    """What the clients tell (client.py), who run in a process of their own.

    Raises:
        ServerFailed: that process failed.
    """
    told = {"url": server.url, "path": "/v1/completions", "model": server.model, "clients": clients, "seconds": seconds} | plan
    told |= {"most_seconds": seconds + patience, "requests": list(requests)}
    client = subprocess.run(
        [sys.executable, str(HERE / "client.py")],
        input=json.dumps(told).encode(),
        capture_output=True,
        timeout=seconds + patience + 60,
        check=False,
    )
    if client.returncode:
        raise ServerFailed(f"the clients failed: {client.stderr.decode('utf-8', 'replace')[-800:]}")
    return json.loads(client.stdout)
