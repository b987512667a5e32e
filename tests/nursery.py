"""The real command in processes that can be killed, without four seconds of imports each.

Run as a program, it imports what a round needs, once, and is then asked on stdin: every start is a fork, made while it has a single
thread, that goes through the entry point with its own arguments and streams and ends as any process does. Costs one import of torch a
session that asks for it. It leaves to `python -m tunesmith` what begins before the entry point; who uses this starts that once, too.
"""

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HEAVY = (
    "torch._dynamo",
    "peft",
    "transformers.models.llama.modeling_llama",
    "tunesmith.pipeline.api",
    "tunesmith.pipeline.serving",
    "tunesmith.pipeline.worker",
)
"""What a command imports for itself where it was not imported before; scikit-learn is left out, whose libraries start a thread."""


@dataclass
class Child:
    """A command that was started."""

    ask: Callable[[dict[str, Any]], Any]
    pid: int
    out: Path
    err: Path
    returncode: int | None = None

    def poll(self) -> int | None:
        """How it ended, as `subprocess` has it: a negative signal where one killed it; None while it runs."""
        if self.returncode is None:
            self.returncode = self.ask({"ended": self.pid})
        return self.returncode

    def wait(self, seconds: float) -> int:
        """How it ended; TimeoutExpired where it runs for longer."""
        until = time.monotonic() + seconds
        while (code := self.poll()) is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired(f"process {self.pid}", seconds)
            time.sleep(0.005)
        return code

    def url(self) -> str:
        """Where a server listens, once it says so with --json; AssertionError with what it complained of where it ends instead."""
        until = time.monotonic() + 300
        while not (line := self.out.read_text()).endswith("\n"):
            assert self.poll() is None and time.monotonic() < until, self.err.read_text()
            time.sleep(0.005)
        return str(json.loads(line)["url"])

    def end(self, number: int) -> str:
        """Send a signal, wait until it has ended, and give what it said on both streams."""
        self.send_signal(number)
        self.wait(60)
        return self.out.read_text() + self.err.read_text()

    def send_signal(self, number: int) -> None:
        """Nothing where it has ended: only its parent's question lets its id go."""
        if self.poll() is None:
            os.kill(self.pid, number)


@dataclass
class Nursery:
    """The process that others are forked from."""

    folder: Path
    """Where what they say is kept."""
    _process: subprocess.Popen[str] = field(init=False)
    _started: list[Child] = field(default_factory=list)

    def __post_init__(self) -> None:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def start(self, *arguments: object) -> Child:
        """`tunesmith ...`, with nothing on stdin."""
        out, err = (self.folder / f"{len(self._started)}.{name}" for name in ("out", "err"))
        for file in (out, err):
            file.touch()
        pid = self.ask({"start": [str(one) for one in arguments], "out": str(out), "err": str(err)})
        self._started.append(Child(self.ask, pid, out, err))
        return self._started[-1]

    def ask(self, what: dict[str, Any]) -> Any:
        """One question, one answer."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the nursery has ended"
        return json.loads(answer)

    def close(self) -> None:
        """End whatever still runs."""
        for child in self._started:
            child.send_signal(9)
        self._process.communicate(timeout=60)


def _fork(out: str, err: str, arguments: list[str]) -> int:
    """The id of the new process; in that one, the command, which does not come back."""
    if pid := os.fork():
        return pid
    for place, (name, flags) in enumerate(((os.devnull, os.O_RDONLY), *((file, os.O_WRONLY | os.O_CREAT) for file in (out, err)))):
        os.dup2(os.open(name, flags, 0o600), place)
    sys.argv = ["tunesmith", *arguments]
    from tunesmith.cli.main import entry

    entry()
    sys.exit(0)


def _ended(pid: int) -> int | None:
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def _serve() -> None:
    for name in HEAVY:
        importlib.import_module(name)
    threads = len(list(Path("/proc/self/task").iterdir())) if Path("/proc/self/task").is_dir() else 1
    assert threads == 1, f"{threads} threads: a fork would lose all but one"
    while line := sys.stdin.readline():
        asked = json.loads(line)
        told = _fork(asked["out"], asked["err"], asked["start"]) if "start" in asked else _ended(asked["ended"])
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    _serve()
