"""Who may do what: one table of all routes, and the check that stands before each of them.

A key is looked at before a byte of the body is read, so that strangers cost a lookup and no more. Who was refused what concerns the
server is told in the audit log, each key and route once an hour.
"""

import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from tunesmith.core.errors import TunesmithError
from tunesmith.feedback.redact import storable
from tunesmith.ledger.keys import KeyRecord, Scope
from tunesmith.serve.config import is_own_name
from tunesmith.serve.log import Line
from tunesmith.serve.refusals import Refusal

if TYPE_CHECKING:
    from tunesmith.serve.app import Gateway

ACCESS: Mapping[str, Scope | None] = {
    "GET /health": None,
    "GET /ready": None,
    "GET /openapi.json": None,
    "GET /v1/models": "chat",
    "GET /v1/models/{name}": "chat",
    "POST /v1/chat/completions": "chat",
    "POST /v1/completions": "chat",
    "POST /v1/classify": "chat",
    "POST /v1/embeddings": "chat",
    "POST /v1/feedback": "feedback",
    "GET /v1/feedback": "feedback",
    "DELETE /v1/models/{name}": "train",
    "POST /v1/files": "train",
    "GET /v1/files": "train",
    "GET /v1/files/{file_id}": "train",
    "GET /v1/files/{file_id}/content": "train",
    "DELETE /v1/files/{file_id}": "train",
    "POST /v1/fine_tuning/jobs": "train",
    "GET /v1/fine_tuning/jobs": "train",
    "GET /v1/fine_tuning/jobs/{job_id}": "train",
    "POST /v1/fine_tuning/jobs/{job_id}/cancel": "train",
    "GET /v1/fine_tuning/jobs/{job_id}/events": "train",
    "GET /v1/fine_tuning/jobs/{job_id}/checkpoints": "train",
    "GET /metrics": "admin",
}
"""Route -> the scope a key needs for it; None: whoever reaches the server. A key with the scope `admin` may all of it. A test holds the
app to this table, and every cell of it."""
DENIAL_SECONDS = 3600.0
_MOST_DENIALS = 1000


class May:
    """A dependency: the key of a request, if it has the scope."""

    def __init__(self, gateway: "Gateway", scope: Scope) -> None:
        self.gateway, self.scope = gateway, scope

    async def __call__(self, request: Request) -> KeyRecord:
        """The key. Refusal (401, 403, 429, 503)."""
        held = getattr(request.state, "key", None)
        if held is not None:
            return held  # type: ignore[no-any-return]
        holders, header = self.gateway.holders, request.headers.get("authorization")
        line: Line = request.state.line
        try:
            key = holders.at_once(header, self.scope)
            if key is None:
                key = await holders.looked_up(header, self.scope)
            if not key.id and self.gateway.guarded:
                refuse_pages(request, self.gateway.config.origins)
        except Refusal as refusal:
            line.key = refusal.key
            if self.scope == "admin" and refusal.status in (401, 403):
                self.gateway.denials.note(refusal.key, f"{request.method} {_route(request)}")
            raise
        line.key = key.id or None
        holders.take_request(key)
        request.state.key = key
        return key


class KeyFirst(APIRoute):
    """A route that looks at the key before it reads the body, and reads JSON as it has to be."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own, with the checks before it."""
        answer = super().get_route_handler()
        checks = [one.call for one in self.dependant.dependencies if isinstance(one.call, May)]

        async def checked(request: Request) -> Response:
            for check in checks:
                await check(request)
            return await answer(_Read(request.scope, request.receive))

        return checked


class _Read(Request):
    """A request whose JSON is JSON: no NaN, no depth that breaks the parser; halves of surrogate pairs become U+FFFD."""

    async def json(self) -> Any:
        """The body. JSONDecodeError for whatever can't be read."""
        body = await self.body()
        try:
            value = json.loads(body, parse_constant=_refused_constant, parse_float=_number)
            return _storable(value) if b"\\ud" in body.lower() else value
        except (ValueError, RecursionError):
            raise json.JSONDecodeError("no JSON", "", 0) from None


def _refused_constant(name: str) -> None:
    raise ValueError(name)


def _number(text: str) -> float:
    """1.0 is an integer in JSON."""
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value) if any("\ud800" <= c <= "\udfff" for c in value) else value
    if isinstance(value, list):
        return [_storable(one) for one in value]
    return {_storable(name): _storable(one) for name, one in value.items()} if isinstance(value, dict) else value


def _route(request: Request) -> str:
    return str(getattr(request.scope.get("route"), "path", "none"))


def refuse_pages(request: Request, origins: list[str]) -> None:
    """Where no key is needed, web pages must not do what the person at this machine may: a page of another origin, or one whose name
    was pointed at this machine (DNS rebinding). Refusal (403)."""
    host, origin = request.headers.get("host"), request.headers.get("origin")
    if host is not None and not is_own_name(_without_port(host)):
        message = "This server takes requests without a key from its own machine alone, by the names localhost and 127.0.0.1: use one of them, or make a key."
        raise Refusal(403, message, "unknown_host")
    if origin is not None and origin not in origins and not is_own_name(_without_port(origin.partition("://")[2])):
        raise Refusal(403, "Web pages of this origin may not call: name it with --origin, or make a key.", "unknown_origin")


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host


@dataclass(slots=True)
class Denials:
    """Tells the audit log of who was refused what concerns the server; off the path, and each once an hour."""

    tell: Callable[[str, str, dict[str, Any]], None] | None = None
    """Action, who, what."""
    clock: Callable[[], float] = time.monotonic
    _told: dict[tuple[str | None, str], float] = field(default_factory=dict)
    _tasks: set["asyncio.Future[None]"] = field(default_factory=set)

    def note(self, key: str | None, route: str) -> None:
        """One refusal, in the event loop."""
        now = self.clock()
        if self.tell is None or now - self._told.get((key, route), -DENIAL_SECONDS) < DENIAL_SECONDS:
            return
        if len(self._told) >= _MOST_DENIALS:
            self._told.clear()
        self._told[key, route] = now
        task = asyncio.ensure_future(asyncio.to_thread(self._tell, f"key:{key}" if key else "nobody", {"route": route}))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _tell(self, who: str, what: dict[str, Any]) -> None:
        assert self.tell is not None
        try:
            self.tell("access.denied", who, what)
        except TunesmithError:
            return  # the ledger is out of reach; the request log has the refusal
