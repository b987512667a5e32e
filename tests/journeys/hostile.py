"""A gateway to be attacked: the real server (uvicorn, routes, keys, ledger, log) over a model that is quick and simple.

As a program it waits for orders on stdin, one a line, forks a server as `tunesmith serve` would run it, or a worker, and prints its pid and
URL; the forks share what was imported, so that a server is up in a moment and can be killed often.
"""

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from tunesmith.serve.answers import Ask, Labelled, Piece

ready: list[str] = []
"""The URL, once this process serves."""


class Quick:
    """Says the last message's words again, one a piece; `labels` labels."""

    created = 0

    def __init__(self, name: str, *_: Any, **__: Any) -> None:
        self.name, self.slow = name, 0.0
        self.facts: dict[str, Any] = {"labels": ["red", "blue"] if name == "labels" else None}

    async def pieces(self, ask: Ask) -> AsyncIterator[Piece]:
        if self.facts["labels"] is not None and ask.text is None:
            yield Piece(index=0, text="red", finish="stop", prompt_tokens=3, extra={"label": "red", "confidence": 0.5, "abstains": False})
            return
        text = ask.text if ask.text is not None else ask.messages[-1].content
        text.encode()  # as a tokenizer would: half a character is no text
        for index in range(ask.n):
            for word in text.split()[: min(ask.max_tokens or 50, 50)]:
                yield Piece(index=index, text=word + " ")
                await asyncio.sleep(self.slow)
            yield Piece(index=index, finish="stop", prompt_tokens=3, answer_tokens=2)

    async def classify(self, texts: Sequence[str]) -> list[Labelled]:
        return [Labelled(label="red", confidence=0.5, abstains=False, chances={"red": 0.5, "blue": 0.5}, prompt_tokens=1) for _ in texts]

    async def embed(self, texts: Sequence[str]) -> tuple[list[list[float]], int]:
        return [[1.0, 0.0] for _ in texts], len(texts)

    def ready(self) -> bool:
        return True

    def load(self) -> dict[str, float]:
        return {}

    def close(self, *, drain: bool) -> None:
        pass


@contextlib.contextmanager
def quick_models() -> Iterator[None]:
    """Meanwhile `Serving` loads `Quick` for whatever folder it is given, and no torch; afterwards what it loaded before."""
    from tunesmith.pipeline import serving

    package: Any = ModuleType("tunesmith.models.package")
    package.model_digest = lambda folder: "0" * 64
    before, load = sys.modules.get("tunesmith.models.package"), serving.load_backends
    sys.modules["tunesmith.models.package"] = package
    serving.load_backends = lambda named, *_: {one.name: Quick(one.name) for one in named}  # type: ignore[assignment,return-value]
    try:
        yield
    finally:
        serving.load_backends = load
        sys.modules.pop("tunesmith.models.package")
        if before is not None:
            sys.modules["tunesmith.models.package"] = before


def folders(place: Path) -> list[str]:
    """Folders that look like a model's."""
    made = []
    for name in ("echo", "labels"):
        (place / name).mkdir(parents=True, exist_ok=True)
        (place / name / "tunesmith.json").write_text("{}")
        made.append(str(place / name))
    return made


def serve(workspace: str, settings: dict[str, Any], log: str | None) -> None:
    from tunesmith.pipeline.serving import Serving
    from tunesmith.pipeline.workspace import Workspace
    from tunesmith.serve.config import ServeConfig

    limits = settings.pop("rlimit_fsize", None)
    if limits is not None:
        import resource
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limits, limits))
    slow = settings.pop("slow", 0.0)
    serving = Serving(
        folders(Path(workspace) / "models"), ServeConfig(**{"port": 0} | settings), Workspace(Path(workspace)), lambda _: None, None, log
    )
    for backend in serving.gateway.backends.values():
        backend.slow = slow  # type: ignore[attr-defined]

    def told(url: str) -> None:
        ready.append(url)
        print(json.dumps({"pid": os.getpid(), "url": url}), flush=True)

    serving.run(told)


def work(workspace: str, bases: list[str]) -> None:
    """A worker whose jobs are quick, until it is told to stop."""
    import quick_jobs

    def told(url: str) -> None:
        ready.append(url)
        print(json.dumps({"pid": os.getpid(), "url": url}), flush=True)

    quick_jobs.work(workspace, bases, told)


def main() -> None:
    with quick_models():
        _obey()


def _obey() -> None:
    """Do what is ordered until stdin ends."""
    import fastapi  # noqa: F401
    import uvicorn  # noqa: F401

    import tunesmith.pipeline.serving
    import tunesmith.pipeline.worker
    import tunesmith.serve.app  # noqa: F401
    from tunesmith.ledger.ledger import Ledger  # noqa: F401

    parent = os.getpid()
    print("{}", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        if os.fork() == 0:
            code = 1
            try:
                os.close(0)
                os.dup2(os.open(order["stderr"], os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
                _end_with(parent, order.get("seconds", 180))
                if order["settings"].pop("worker", False):
                    work(order["workspace"], order["settings"]["bases"])
                else:
                    serve(order["workspace"], order["settings"], order.get("log"))
                code = 0
            except Exception as error:
                told = {"failed": f"{type(error).__name__}: {error}"}
                print(json.dumps(told), flush=True, file=sys.stderr if ready else sys.stdout)
            finally:
                os._exit(code)
        while True:  # the dead ones
            try:
                if os.waitpid(-1, os.WNOHANG)[0] == 0:
                    break
            except ChildProcessError:
                break


def _end_with(parent: int, seconds: int) -> None:
    """No server outlives the one that was told to start it, nor its time."""
    import threading

    def watch() -> None:
        for _ in range(seconds * 5):
            if os.getppid() != parent:
                break
            time.sleep(0.2)
        os._exit(3)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    main()
