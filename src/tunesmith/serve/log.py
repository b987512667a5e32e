"""The gateway's log: one JSON line a request, with what was decided and never a word of what was asked or answered.

Fields: `time`, `id` (also in the answer's header `x-request-id`), `route`, `status`, `ms`, and where known `key` (its id), `model`,
`read` and `written` (tokens), `policy`, `found` (`input` and `output`: findings by rule), `blocked` (the rules that blocked). A line is
written whole, by one call, so that several processes may share a file. What can't be written is said once on stderr; requests go on.
"""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from tunesmith.core.errors import MachineError
from tunesmith.serve.speaking import new_id

STDERR = "-"
Side = Literal["input", "output"]


@dataclass(slots=True)
class Line:
    """What is known of one request, filled in on its way."""

    id: str = field(default_factory=lambda: new_id("req"))
    route: str = "none"
    key: str | None = None
    model: str | None = None
    policy: str | None = None
    read: int | None = None
    written: int | None = None
    found: dict[Side, Counter[str]] = field(default_factory=dict)
    blocked: list[str] = field(default_factory=list)
    """`input:lexicon`, `output:topic.weapons`, each once."""

    def note(self, side: Side, counts: Mapping[str, int], blocked: str | None) -> None:
        """What a filter found in one text."""
        if counts:
            self.found.setdefault(side, Counter()).update(counts)
        if blocked is not None and f"{side}:{blocked}" not in self.blocked:
            self.blocked.append(f"{side}:{blocked}")

    def spent(self, read: int, written: int) -> None:
        """Tokens."""
        self.read, self.written = (self.read or 0) + read, (self.written or 0) + written

    def to_json(self, status: int, seconds: float) -> dict[str, Any]:
        """The line, without what is not known."""
        line: dict[str, Any] = {"time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"), "id": self.id, "route": self.route}
        line |= {"status": status, "ms": round(seconds * 1000, 1)}
        line |= {name: value for name in ("key", "model", "policy", "read", "written") if (value := getattr(self, name)) is not None}
        line |= {"found": {side: dict(sorted(counts.items())) for side, counts in self.found.items()}} if self.found else {}
        return line | ({"blocked": self.blocked} if self.blocked else {})


class RequestLog:
    """Where lines go: a file that is appended to, for its owner alone, or stderr."""

    def __init__(self, path: str | Path) -> None:
        """Open it. MachineError where it can't be written."""
        self._told = False
        self._own = str(path) != STDERR
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600) if self._own else 2
        except OSError as error:
            raise MachineError(f"The log {path} can't be written ({error.strerror or error}): name another file with --log.") from error

    def write(self, line: Mapping[str, Any]) -> None:
        """One line."""
        try:
            os.write(self._file, (json.dumps(line, ensure_ascii=True) + "\n").encode())
        except OSError as error:
            if not self._told:
                self._told = True
                print(f"warning: the log can't be written ({error.strerror or error}); requests go on.", file=sys.stderr)

    def close(self) -> None:
        """Done."""
        if self._own:
            os.close(self._file)


class Logged:
    """Writes the line of every request when its answer is complete, errors included."""

    def __init__(self, app: Any, log: RequestLog | None) -> None:
        self.app, self.log = app, log

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        line, begun = Line(), time.monotonic()
        scope.setdefault("state", {})["line"] = line
        status = 0

        async def noted(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = message | {"headers": [*message.get("headers", ()), (b"x-request-id", line.id.encode())]}
            await send(message)

        try:
            await self.app(scope, receive, noted)
        except Exception:
            status = status or 500
            raise
        finally:
            route = scope.get("route")
            line.route = getattr(route, "path", "none")  # never the path as it was asked for: it may hold anything
            if self.log is not None:
                self.log.write(line.to_json(status, time.monotonic() - begun))
