"""Who asks: the key of a request, what it may do, and how much of it a minute.

Keys are looked up in the ledger and remembered for a few seconds, so that a revoked one ends soon and a busy one costs nothing. While the
ledger can't be read, a key that was good goes on for ten minutes. Secrets that nobody knows wait in a short queue of their own, so that
guessing holds up nobody who has a key. As long as no key was ever made, and the server so listens to its own machine only, whoever asks may do everything; from the first key on
every request needs one, whatever becomes of that key.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from hashlib import sha256

from tunesmith.core.errors import MachineError
from tunesmith.ledger.keys import KeyRecord, Scope
from tunesmith.serve.refusals import Refusal

REMEMBERED_SECONDS = 5.0
STALE_SECONDS = 600.0
"""A key goes on for so long while the ledger can't be read; so does the door that was open."""
MOST_REMEMBERED = 10_000
MOST_STRANGERS = 128
"""Unknown secrets that wait to be looked up; the next is told to come again."""
ANYONE = KeyRecord(id="", name="anyone on this machine", hash="", tenant="default", scopes=("admin",))

Find = Callable[[str], KeyRecord | None]


def _secret(authorization: str | None) -> str:
    """The secret of a header. Refusal (401) where there is none."""
    kind, _, secret = (authorization or "").partition(" ")
    if kind.lower() != "bearer" or not secret.strip():
        said = "No API key came with the request: send the header 'Authorization: Bearer ts-...'; tunesmith keys create makes one."
        raise Refusal(401, said, "invalid_api_key")
    return secret.strip()


def _name(secret: str) -> bytes:
    return sha256(secret.encode("utf-8", "replace")).digest()


def _allowed(key: KeyRecord | None, scope: Scope) -> KeyRecord:
    """The key, if it is one and may. Refusal (401, 403)."""
    if key is None or not key.usable:
        raise Refusal(401, "The API key is unknown, revoked or expired: ask whoever runs this server for another.", "invalid_api_key")
    if not key.may(scope):
        raise Refusal(403, f"This key may not do that: it lacks the scope '{scope}'.", "insufficient_scope", key=key.id)
    return key


def _unsure() -> Refusal:
    said = "Keys can't be looked up just now, the ledger is out of reach: come again later."
    return Refusal(503, said, "ledger_unavailable", headers={"Retry-After": "5"})


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
    _known: dict[bytes, tuple[float, KeyRecord]] = field(default_factory=dict)
    _unknown: dict[bytes, float] = field(default_factory=dict)
    _friends: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(2, "keys"))
    _strangers: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "strangers"))
    _strange: int = 0
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
        return _allowed(self._remembered(_secret(authorization)), scope)

    def at_once(self, authorization: str | None, scope: Scope) -> KeyRecord | None:
        """The same where it is known without asking the ledger, which may wait; else None. For the event loop."""
        now = self.clock()
        if not self._closed:
            return ANYONE if now < self._open_until else None
        name = _name(_secret(authorization))
        with self._lock:
            held, strange = self._known.get(name), self._unknown.get(name)
        if strange is not None and now - strange < REMEMBERED_SECONDS:
            return _allowed(None, scope)
        if held is None or now - held[0] >= REMEMBERED_SECONDS:
            return None
        return _allowed(held[1], scope)

    async def looked_up(self, authorization: str | None, scope: Scope) -> KeyRecord:
        """The same in a thread: those that were good before have threads of their own. Refusal 503 where many strangers wait."""
        loop = asyncio.get_running_loop()
        if not self._closed or _name(_secret(authorization)) in self._known:
            return await loop.run_in_executor(self._friends, self.holder, authorization, scope)
        if self._strange >= MOST_STRANGERS:
            raise Refusal(503, "Too many unknown keys are being looked up: come again in 1 s.", "overloaded", headers={"Retry-After": "1"})
        self._strange += 1
        try:
            return await loop.run_in_executor(self._strangers, self.holder, authorization, scope)
        finally:
            self._strange -= 1

    def close(self) -> None:
        """Let the threads go."""
        for threads in (self._friends, self._strangers):
            threads.shutdown(wait=False, cancel_futures=True)

    def _open(self) -> bool:
        """Whether nobody needs a key; asked anew every few seconds until the first is made."""
        now = self.clock()
        if not self._closed and now >= self._open_until:
            try:
                self._closed = self.needed()
            except MachineError:
                if self._open_until == 0 or now >= self._open_until + STALE_SECONDS:
                    raise _unsure() from None
                return True  # it was open; asked again with the next request
            self._open_until = now + REMEMBERED_SECONDS
        return not self._closed

    def _remembered(self, secret: str) -> KeyRecord | None:
        name, now = _name(secret), self.clock()
        with self._lock:
            held = self._known.get(name)
        if held is not None and now - held[0] < REMEMBERED_SECONDS:
            return held[1]
        try:
            found = self.find(secret)
        except MachineError:
            if held is None or now - held[0] >= STALE_SECONDS or not held[1].usable:
                raise _unsure() from None
            return held[1]
        with self._lock:
            if found is not None and found.former_until is not None and found.former_hash == name.hex():
                ends = min(found.former_until, found.expires or found.former_until)
                found = replace(found, expires=ends)  # by its former secret the key ends then, remembered too
            if found is None:
                self._known.pop(name, None)
                if len(self._unknown) >= MOST_REMEMBERED:
                    self._unknown.clear()
                self._unknown[name] = now
            else:
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
                bucket = self._bucket(key.id, "tokens", key.tokens_per_minute)
                bucket.wait(self.clock())  # what idle time filled up ends at the brim: it can't be spent twice
                bucket.left -= tokens

    def _bucket(self, key: str, what: str, per_minute: int) -> _Bucket:
        found = self._buckets.get((key, what))
        if found is None or found.per_minute != per_minute:
            found = self._buckets[key, what] = _Bucket(per_minute, float(per_minute), self.clock())
        return found
