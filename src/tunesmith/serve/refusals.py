"""What a client is told when a request can't be served: a status, and OpenAI's error object with one clear sentence.

400 invalid_request_error    the request is wrong: the value, the rule, the next move
401 authentication_error     no key, or none that is known
403 permission_error         the key may not do this
404 not_found_error          no such model, or another tenant's
413 invalid_request_error    the body is too large
429 rate_limit_error         too many requests for now: Retry-After tells when to come again
499 client_closed            nobody listens any longer
500 server_error             a bug
502 server_error             the engine behind doesn't do as its API says
503 server_error             draining, or the engine behind is out of reach
504 server_error             took too long
"""

from dataclasses import dataclass, field
from typing import Any

_KINDS = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}


@dataclass(slots=True)
class Refusal(Exception):
    """A request that is not served."""

    status: int
    message: str
    code: str | None = None
    param: str | None = None
    """Name of the field that is wrong."""
    headers: dict[str, str] = field(default_factory=dict)
    key: str | None = None
    """Id of the key that was refused; for logs."""

    def body(self) -> dict[str, Any]:
        """As OpenAI's clients read it."""
        kind = _KINDS.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        param = None if self.param is None else _sendable(self.param[:200])
        return {"error": {"message": _sendable(self.message), "type": kind, "param": param, "code": self.code}}


def _sendable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def wrong(param: str, message: str, code: str | None = None) -> Refusal:
    """A field that can't be meant."""
    return Refusal(400, message, code or "invalid_value", param)


def no_such_model(name: str, known: str) -> Refusal:
    """A model that is not served here."""
    return Refusal(404, f"The model '{name[:80]}' is not served here: {known} is.", "model_not_found", "model")


def busy(seconds: int) -> Refusal:
    """As many wait as may."""
    message = f"Too many requests are waiting: come again in {seconds} s."
    return Refusal(429, message, "overloaded", headers={"Retry-After": str(seconds)})


def ledger_unavailable() -> Refusal:
    """What has to be kept or read can't be now."""
    message = "The ledger is out of reach, locked or full: come again later."
    return Refusal(503, message, "ledger_unavailable", headers={"Retry-After": "5"})


def draining() -> Refusal:
    """The server is about to stop."""
    return Refusal(503, "The server is stopping and takes no more requests: ask another one.", "draining", headers={"Retry-After": "5"})
