"""A worker beside the gateway, as a process of its own: started again where it dies, ended with the server however that ends."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

FIRST_SECONDS = 1.0
MOST_SECONDS = 60.0
"""Between two starts; it doubles with each death, and begins anew after a life as long as this."""
END_SECONDS = 20.0
"""To stop between two steps; then it is killed, and the next worker goes on from its last checkpoint."""


def worker_command(workspace: str, bases: Sequence[str]) -> list[str]:
    """The command of a worker that ends with whoever started it."""
    named = [part for base in bases for part in ("--bases", base)]
    return [sys.executable, "-m", "tunesmith", "worker", "--tied", "--quiet", "--workspace", workspace, *named]


@dataclass(slots=True)
class Beside:
    """Keeps one process running. Its standard input is a pipe that closes when this process dies, even of kill -9."""

    command: Sequence[str]
    said: Callable[[str], None] = lambda line: None
    """Told when it died and comes again."""
    deaths: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _process: "subprocess.Popen[bytes] | None" = None
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Start it. MachineError is not raised: what can't be started is tried again."""
        self._thread = threading.Thread(target=self._keep, name="worker", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """Of the process, where it runs."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    def close(self) -> None:
        """End it: asked first, killed after a while."""
        self._stop.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
        if self._thread is not None:
            self._thread.join(END_SECONDS)

    def _keep(self) -> None:
        wait = FIRST_SECONDS
        while not self._stop.is_set():
            begun = time.monotonic()
            code = self._once()
            if self._stop.is_set():
                return
            self.deaths += 1
            wait = FIRST_SECONDS if time.monotonic() - begun > MOST_SECONDS else wait
            self.said(f"The worker ended with code {code}; it is started again in {wait:g} s.")
            self._stop.wait(wait)
            wait = min(MOST_SECONDS, wait * 2)

    def _once(self) -> int:
        """One life of the process."""
        try:
            process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        except OSError:
            return -1
        self._process = process
        if self._stop.is_set():  # told to stop while it was being started
            process.terminate()
        code = process.wait()
        if process.stdin is not None:
            process.stdin.close()
        return code
