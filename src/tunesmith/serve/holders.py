"""Who asks: the key of a request, what it may do, and how much of it a minute.

Keys are looked up in the ledger and remembered for a few seconds, so that a revoked one ends soon and a busy one costs nothing. As long
as no key was ever made, and the server so listens to its own machine only, whoever asks may do everything; from the first key on
every request needs one, whatever becomes of that key.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

from tunesmith.ledger.keys import KeyRecord, Scope
from tunesmith.serve.refusals import Refusal

REMEMBERED_SECONDS = 5.0
MOST_REMEMBERED = 10_000
ANYONE = KeyRecord(id="", name="anyone on this machine", hash="", tenant="default", scopes=("admin",))

Find = Callable[[str], KeyRecord | None]


@dataclass(slots=True)
class _Bucket:
    """A minute's allowance that fills up again steadily (token bucket)."""

    per_minute: int
    left: float
    at: float

    def wait(self, now: float) -> float:
        """Seconds until one more may be taken; 0 where it may."""
        self.left = min(float(self.per_minute), self.left + (now - self.at) * self.per_minute / 60)
        self.at = now
        return 0.0 if self.left >= 1 else (1 - self.left) * 60 / self.per_minute


@dataclass(slots=True)
class Holders:
    """Looks keys up and holds them to their limits. Threads may share it."""

    find: Find
    """The usable key with a secret."""
    needed: Callable[[], bool]
    """Whether a key was ever made."""
    clock: Callable[[], float] = time.monotonic
    _known: dict[bytes, tuple[float, KeyRecord | None]] = field(default_factory=dict)
    _buckets: dict[tuple[str, str], _Bucket] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _open_until: float = 0.0
    _closed: bool = False

    def holder(self, authorization: str | None, scope: Scope) -> KeyRecord:
        """The key that a request brings.

        Args:
            authorization: the header, `Bearer SECRET`.
            scope: what it wants to do.

        Raises:
            Refusal: 401 without a known key, 403 where it may not.
        """
        if self._open():
            return ANYONE
        kind, _, secret = (authorization or "").partition(" ")
        if kind.lower() != "bearer" or not secret.strip():
            raise Refusal(
                401,
                "No API key came with the request: send the header 'Authorization: Bearer ts-...'; tunesmith keys create makes one.",
                "invalid_api_key",
            )
        key = self._remembered(secret.strip())
        if key is None:
            raise Refusal(401, "The API key is unknown, revoked or expired: ask whoever runs this server for another.", "invalid_api_key")
        if not key.may(scope):
            raise Refusal(403, f"This key may not do that: it lacks the scope '{scope}'.", "insufficient_scope")
        return key

    def _open(self) -> bool:
        """Whether nobody needs a key; asked anew every few seconds until the first is made."""
        now = self.clock()
        if not self._closed and now >= self._open_until:
            self._closed, self._open_until = self.needed(), now + REMEMBERED_SECONDS
        return not self._closed

    def _remembered(self, secret: str) -> KeyRecord | None:
        name, now = sha256(secret.encode("utf-8", "replace")).digest(), self.clock()
        with self._lock:
            held = self._known.get(name)
        if held is not None and now - held[0] < REMEMBERED_SECONDS:
            return held[1]
        found = self.find(secret)
        with self._lock:
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            self._known[name] = (now, found)
        return found

    def take_request(self, key: KeyRecord) -> None:
        """Count a request. Refusal (429) where the key's allowance is used up; so is one whose tokens are."""
        for what, per_minute in (("requests", key.requests_per_minute), ("tokens", key.tokens_per_minute)):
            if per_minute is None:
                continue
            with self._lock:
                bucket = self._bucket(key.id, what, per_minute)
                wait = bucket.wait(self.clock())
                if not wait and what == "requests":
                    bucket.left -= 1
            if wait:
                seconds = max(1, round(wait + 0.5))
                message = f"This key may make use of {per_minute:,} {what} a minute, and has: come again in {seconds} s."
                raise Refusal(429, message, "rate_limit_exceeded", headers={"Retry-After": str(seconds)})

    def take_tokens(self, key: KeyRecord, tokens: int) -> None:
        """Count tokens that were read and written. The last request may overdraw; the next wait for it."""
        if key.tokens_per_minute is not None:
            with self._lock:
                self._bucket(key.id, "tokens", key.tokens_per_minute).left -= tokens

    def _bucket(self, key: str, what: str, per_minute: int) -> _Bucket:
        found = self._buckets.get((key, what))
        if found is None or found.per_minute != per_minute:
            found = self._buckets[key, what] = _Bucket(per_minute, float(per_minute), self.clock())
        return found
