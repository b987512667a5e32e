"""The gateway's log: one JSON line a request, with what was decided and never a word of what was asked or answered.

Fields: `time`, `id` (also in the answer's header `x-request-id`; the client's own where it sent a harmless one), `route`, `status`, `ms`,
and where known `key` (its id), `model`, `read` and `written` (tokens), `first_ms` (until a stream's first piece), `policy`,
`found` (`input` and `output`: findings by rule), `blocked` (the rules that blocked). A line is written whole, by one call, so that several
processes may share a file. What can't be written is said once on stderr; requests go on.
"""

import json
import os
import re
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import JSONResponse

from tunesmith.core.errors import MachineError
from tunesmith.serve.refusals import Refusal
from tunesmith.serve.speaking import new_id

STDERR = "-"
Side = Literal["input", "output"]
Told = Callable[["Line", int, float], None]
"""Takes a line, the status and the seconds of a request that is done."""
_HARMLESS = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(slots=True)
class Line:
    """What is known of one request, filled in on its way."""

    id: str = field(default_factory=lambda: new_id("req"))
    route: str = "none"
    key: str | None = None
    model: str | None = None
    content: str | None = None
    """Content hash of the model that answers; for figures, not for the log."""
    policy: str | None = None
    read: int | None = None
    written: int | None = None
    found: dict[Side, Counter[str]] = field(default_factory=dict)
    bug: str | None = None
    """Kind and place of an exception that is nobody's fault but ours; never its message."""
    blocked: list[str] = field(default_factory=list)
    """`input:lexicon`, `output:topic.weapons`, each once."""
    redacted: Counter[Side] = field(default_factory=Counter)
    """Texts out of which a filter took something."""
    first: float | None = None
    """Seconds until a stream's first piece."""

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
        line |= {name: value for name in ("key", "model", "policy", "read", "written", "bug") if (value := getattr(self, name)) is not None}
        line |= {"first_ms": round(self.first * 1000, 1)} if self.first is not None else {}
        line |= {"found": {side: dict(sorted(counts.items())) for side, counts in self.found.items()}} if self.found else {}
        return line | ({"blocked": self.blocked} if self.blocked else {})


def place_of(error: BaseException) -> str:
    """The kind of an exception and where it came from; never its message, which may hold what a client sent."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    return f"{type(error).__name__} at " + " < ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in reversed(frames))


def asked_id(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The id that the client gave its request (`x-request-id`), if it can do no harm: up to 64 letters, digits, dots, dashes."""
    found = [value for name, value in headers if name == b"x-request-id"]
    return found[0].decode() if len(found) == 1 and _HARMLESS.fullmatch(found[0]) else None


def line_of(request: Request) -> Line:
    """The line that the log will tell of a request."""
    line: Line = request.state.line
    return line


class RequestLog:
    """Where lines go: a file that is appended to, for its owner alone, or stderr."""

    def __init__(self, path: str | Path) -> None:
        """Open it. MachineError where it can't be written."""
        self._told = self._cut = False
        self._own = str(path) != STDERR
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600) if self._own else 2
        except OSError as error:
            raise MachineError(f"The log {path} can't be written ({error.strerror or error}): name another file with --log.") from error

    def write(self, line: Mapping[str, Any]) -> None:
        """One line."""
        told = (json.dumps(line, ensure_ascii=True) + "\n").encode()
        told = b"\n" + told if self._cut else told
        try:
            written = os.write(self._file, told)
            self._cut = written < len(told) if written else self._cut  # half a line where the disk is full: the next begins anew
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

    def __init__(self, app: Any, log: RequestLog | None, told: Told | None = None) -> None:
        self.app, self.log, self.told = app, log, told

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        line, begun = Line(), time.monotonic()
        line.id = asked_id(scope["headers"]) or line.id
        scope.setdefault("state", {})["line"] = line
        status = 0

        async def noted(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in message.get("headers", ())):
                    line.first = time.monotonic() - begun  # a stream begins with its first piece
                message = message | {"headers": [*message.get("headers", ()), (b"x-request-id", line.id.encode())]}
            await send(message)

        try:
            await self.app(scope, receive, noted)
        except Exception as error:
            status, begun_to_say, line.bug = status or 500, bool(status), place_of(error)
            if begun_to_say:
                raise
            told = Refusal(500, "Something went wrong in the server; the request is in its log.", "internal_error")
            await JSONResponse(told.body(), 500, headers={"x-request-id": line.id})(scope, receive, send)
        finally:
            route = scope.get("route")
            line.route = getattr(route, "path", "none")  # never the path as it was asked for: it may hold anything
            seconds = time.monotonic() - begun
            if self.log is not None:
                self.log.write(line.to_json(status, seconds))
            if self.told is not None:
                self.told(line, status, seconds)
