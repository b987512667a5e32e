"""Alerts to a webhook of the operator's: raised once, resolved once, never in the way of a request.

What is told: a signal, its figures, the model; never a word of a request. Messages wait in a bounded queue for one thread, which tries each
a few times, follows no redirect and gives up after `ATTEMPTS`; what was given up is counted.
"""

import os
import queue
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit

from tunesmith.core.errors import RecipeError

ATTEMPTS = 3
TIMEOUT_SECONDS = 5.0
SECRET_HEADER = "X-Tunesmith-Secret"
MOST_WAITING = 100
_STEP_SECONDS = 0.2
BAD_LOOKS, GOOD_LOOKS = 2, 3
"""So many looks in a row raise an alert, and so many resolve it."""


@dataclass(frozen=True, slots=True)
class Look:
    """How one signal stands."""

    signal: str
    """errors, p95, queue, ledger, drift."""
    model: str
    bad: bool
    good: bool
    """Clearly so; between the two an alert stays as it is."""
    said: str
    figures: Mapping[str, Any] = field(default_factory=dict)
    at_once: bool = False
    """Whether one look is enough, either way: it is rare, and sure in itself."""


@dataclass(slots=True)
class _Standing:
    id: str | None = None
    """Of the alert that is raised, if one is."""
    bad: int = 0
    good: int = 0


class Alarms:
    """Which alerts are raised (hysteresis): what flickers is told once."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], _Standing] = {}

    def see(self, looks: Iterable[Look]) -> list[dict[str, Any]]:
        """What has to be told after some looks."""
        return [told for one in looks if (told := self._see(one)) is not None]

    @property
    def raised(self) -> list[tuple[str, str]]:
        """(signal, model) of all that stand."""
        return [key for key, held in self._held.items() if held.id is not None]

    def _see(self, one: Look) -> dict[str, Any] | None:
        held = self._held.setdefault((one.signal, one.model), _Standing())
        held.bad = held.bad + 1 if one.bad else 0
        held.good = held.good + 1 if one.good and not one.bad else 0
        if held.id is None and held.bad >= (1 if one.at_once else BAD_LOOKS):
            held.id = f"al-{token_hex(8)}"
            return _message("alert", held.id, one)
        if held.id is not None and held.good >= (1 if one.at_once else GOOD_LOOKS):
            id_, held.id = held.id, None
            return _message("resolved", id_, one)
        return None


def _message(event: str, id_: str, one: Look) -> dict[str, Any]:
    text = f"{'Resolved: ' if event == 'resolved' else ''}{one.said}"
    said = {"event": event, "id": id_, "signal": one.signal, "model": one.model, "text": text, "figures": dict(one.figures)}
    return said | {"time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}


def checked_url(url: str) -> str:
    """The webhook's address. RecipeError where it is none."""
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
    except ValueError:
        fine = False
    if not fine:
        raise RecipeError("--alert-url is no address of a webhook: give one as https://hooks.example.com/tunesmith, without a user.")
    return url


def secret_of(variable: str | None) -> str | None:
    """The secret that an environment variable holds. RecipeError where it is named and holds none, or one that fits into no header."""
    if variable is None:
        return None
    value = os.environ.get(variable, "")
    if not value or not value.isascii() or not value.isprintable():
        raise RecipeError(
            f"--alert-secret-env names {variable}, which holds no secret of printable characters: set it, or leave the option out."
        )
    return value


class Webhook:
    """Sends messages one after the other. Threads may share it."""

    def __init__(self, url: str, secret: str | None = None, *, wait: Callable[[float], object] | None = None) -> None:
        """Begin to wait for messages.

        Args:
            url: where they go.
            secret: sent along in `SECRET_HEADER`.
            wait: waits some seconds between two attempts; until it is closed at most where absent.
        """
        self.sent = self.lost = 0
        self._url, self._headers = checked_url(url), {} if secret is None else {SECRET_HEADER: secret}
        self._waiting: queue.Queue[dict[str, Any]] = queue.Queue(MOST_WAITING)
        self._ending = threading.Event()
        self._wait = wait or self._ending.wait
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
        self._thread.start()

    def send(self, message: dict[str, Any]) -> None:
        """Send it when its turn comes; it is lost where too many wait."""
        try:
            self._waiting.put_nowait(message)
        except queue.Full:
            self.lost += 1

    def close(self, seconds: float = 2 * TIMEOUT_SECONDS) -> None:
        """Send what waits without pauses, for so long at most."""
        self._ending.set()
        self._thread.join(timeout=seconds)

    def _run(self) -> None:
        while True:
            try:
                message = self._waiting.get(timeout=_STEP_SECONDS)
            except queue.Empty:
                if self._ending.is_set():
                    return
                continue
            if self._delivered(message):
                self.sent += 1
            else:
                self.lost += 1
                print(f"warning: an alert ({message['signal']}) did not reach its webhook.", file=sys.stderr)

    def _delivered(self, message: dict[str, Any]) -> bool:
        import httpx

        for attempt in range(ATTEMPTS):
            try:
                answer = httpx.post(self._url, json=message, headers=self._headers, timeout=TIMEOUT_SECONDS, follow_redirects=False)
                if answer.is_success:
                    return True
                if answer.status_code < 500 and answer.status_code not in (408, 429):
                    return False  # it was understood and refused: again is of no use
            except (httpx.HTTPError, httpx.InvalidURL):
                pass  # out of reach, or too slow: again
            if attempt + 1 < ATTEMPTS:
                self._wait(4.0**attempt)  # no time at all once it is closed
        return False
