"""A trial while it runs: who answered what, and in shadow what the challenger would have said.

Nothing of this delays an answer that is shown. What is noted goes into a bounded queue and is written by one thread in batches. In shadow
the challenger answers afterwards, one request at a time, from a bounded queue; where shown answers are under way it takes at most one step
a second (`GiveWay`). What does not fit, takes too long or fails is counted by its reason and forgotten. A kill loses what waits.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tunesmith.core.errors import TunesmithError
from tunesmith.feedback.redact import LONGEST, redacted
from tunesmith.ledger.requests import RequestRecord
from tunesmith.ledger.trials import Trials, TriedRecord
from tunesmith.serve.answers import Ask, Labelled
from tunesmith.serve.refusals import Refusal
from tunesmith.serve.speaking import Gathered

if TYPE_CHECKING:
    from tunesmith.serve.service import Arm, Loaded

MOST_NOTED = 10_000
MOST_SHADOWS = 256
"""Requests that may wait for the challenger; each holds its words."""
LONGEST_SECONDS = 120.0
"""A shadow answer that takes longer is dropped."""
PATIENCE_SECONDS = 1.0
"""So long a shadow answer's next step waits at most while shown answers are under way."""
FORGET_SECONDS = 3600.0
_BATCH = 256
_STEP_SECONDS = 0.2
_GLANCE_SECONDS = 0.002


class GiveWay:
    """Called before each step of a shadow answer: waits while shown answers are under way."""

    def __init__(self, busy: Callable[[], bool], patience: float = PATIENCE_SECONDS) -> None:
        self._busy, self._patience = busy, patience
        self._released = threading.Event()
        self.waited = 0.0
        """Seconds in all."""

    def __call__(self) -> None:
        begun = time.monotonic()
        while self._busy() and time.monotonic() - begun < self._patience and not self._released.wait(_GLANCE_SECONDS):
            pass
        self.waited += time.monotonic() - begun

    def release(self) -> None:
        """Wait no longer."""
        self._released.set()


@dataclass(frozen=True, slots=True)
class _Shadow:
    """A request that the challenger shall answer too."""

    challenger: "Loaded"
    asked: Ask | str
    said: Gathered | Labelled
    record: RequestRecord
    tried: TriedRecord


@dataclass(frozen=True, slots=True)
class _Said:
    """What an answer comes to, for comparison."""

    words: str
    confidence: float | None


class Trial:
    """Notes what becomes of requests. Threads may share it."""

    def __init__(self, book: Trials, keep_days: float = 30) -> None:
        """Begin to write."""
        self.counts = {"tried": 0, "compared": 0, "shadows_dropped": 0, "trial_rows_lost": 0}
        """For metrics."""
        self._book, self._keep_days = book, keep_days
        self._noted: deque[TriedRecord] = deque()
        self._shadows: deque[_Shadow] = deque()
        self._lock, self._woken, self._called = threading.Lock(), threading.Event(), threading.Event()
        self._closing = False
        self._way: GiveWay | None = None
        self._threads = [threading.Thread(target=run, name=name, daemon=True) for run, name in self._work()]
        for thread in self._threads:
            thread.start()

    def _work(self) -> list[tuple[Callable[[], None], str]]:
        return [(self._write, "trial"), (self._answer_shadows, "shadows")]

    def way(self, way: GiveWay | None) -> None:
        """Whom shadow answers give way to; what they waited is no part of their time."""
        self._way = way

    def let_go(self) -> None:
        """The trial is over: what waits for its challenger is not answered any more."""
        with self._lock:
            self._shadows.clear()

    # What is noted

    def answered(self, arm: "Arm", record: RequestRecord) -> None:
        """An answer that was shown is complete. Quick: on the path of requests."""
        tried = TriedRecord(
            step=arm.now.step, id=record.id, choice=record.choice, arm=arm.side, asker=arm.asker,
            shown_confidence=record.confidence, shown_seconds=record.seconds,
        )  # fmt: skip
        if arm.now.mode == "share":
            self._note(tried)
            return
        place = _place(arm, record)
        if place is None or arm.now.challenger is None:
            return
        shadow = _Shadow(arm.now.challenger, arm.asked[place], arm.said[place], record, tried)
        with self._lock:
            room = len(self._shadows) < MOST_SHADOWS and not self._closing
            if room:
                self._shadows.append(shadow)
        if room:
            self._called.set()
        else:
            self._lose(tried, "full")

    def _note(self, tried: TriedRecord) -> None:
        with self._lock:
            if len(self._noted) >= MOST_NOTED:
                self.counts["trial_rows_lost"] += 1
            else:
                self._noted.append(tried)

    def _lose(self, tried: TriedRecord, why: str) -> None:
        self.counts["shadows_dropped"] += 1
        self._note(replace(tried, lost=why))

    # Shadows

    def _answer_shadows(self) -> None:
        loop = asyncio.new_event_loop()
        try:
            while not self._closing:
                with self._lock:
                    shadow = self._shadows.popleft() if self._shadows else None
                if shadow is not None:
                    self._note_shadow(loop, shadow)
                    continue
                self._called.wait(_STEP_SECONDS)
                self._called.clear()
        finally:
            loop.close()

    def _note_shadow(self, loop: asyncio.AbstractEventLoop, shadow: _Shadow) -> None:
        waited, begun = 0.0 if self._way is None else self._way.waited, time.monotonic()
        try:
            other = loop.run_until_complete(asyncio.wait_for(_other(shadow), LONGEST_SECONDS))
        except TimeoutError:
            self._lose(shadow.tried, "slow")
        except Refusal:
            self._lose(shadow.tried, "refused")
        except (Exception, asyncio.CancelledError):  # whatever is wrong with a challenger, the champion serves on
            self._lose(shadow.tried, "failed")
        else:
            seconds = time.monotonic() - begun - ((0.0 if self._way is None else self._way.waited) - waited)
            self._note(_compared(shadow, other, seconds))
            self.counts["compared"] += 1

    # Writing

    def close(self) -> None:
        """Write what was noted, let go of what waits, and end."""
        self._closing = True
        if self._way is not None:
            self._way.release()
        self._woken.set()
        self._called.set()
        self._threads[0].join(timeout=60)

    def _write(self) -> None:
        forgotten = -FORGET_SECONDS
        while True:
            ending = self._closing
            while batch := self._taken():
                self._store(batch)
            if ending:
                return
            if time.monotonic() - forgotten >= FORGET_SECONDS:
                forgotten = time.monotonic()
                self._forget()
            self._woken.wait(_STEP_SECONDS)

    def _taken(self) -> list[TriedRecord]:
        with self._lock:
            return [self._noted.popleft() for _ in range(min(_BATCH, len(self._noted)))]

    def _store(self, batch: list[TriedRecord]) -> None:
        try:
            self._book.record(batch)
            self.counts["tried"] += len(batch)
        except TunesmithError:  # locked for long, or the disk is full: answers matter more than their record
            self.counts["trial_rows_lost"] += len(batch)

    def _forget(self) -> None:
        before = (datetime.now(UTC) - timedelta(days=self._keep_days)).strftime("%Y-%m-%dT%H:%M:%SZ")
        try:
            self._book.forget(before=before)
        except TunesmithError:
            return  # the next hour tries again


def _place(arm: "Arm", record: RequestRecord) -> int | None:
    """Which of the arm's answers was noted; None of further choices, and of answers that nobody waited for."""
    if not arm.asked or record.finish is None:
        return None
    first = arm.asked[0]
    n = 1 if isinstance(first, str) else first.n
    place, choice = divmod(record.choice, n)
    return None if choice or place >= len(arm.asked) else place


async def _other(shadow: _Shadow) -> _Said:
    """The challenger's answer."""
    backend = shadow.challenger.backend
    if isinstance(shadow.asked, str):
        (found,) = await backend.classify([shadow.asked])
        return _said(found)
    made = Gathered(1)
    pieces = backend.pieces(replace(shadow.asked, n=1, logprobs=False, top=0))
    try:
        async for piece in pieces:
            made.add(piece)
    finally:
        await pieces.aclose()  # type: ignore[attr-defined]
    return _said(made)


def _said(answer: Gathered | Labelled) -> _Said:
    if isinstance(answer, Labelled):
        return _Said(answer.label, answer.confidence)
    extra = answer.extras[0] or {}
    return _Said(str(extra.get("label", answer.texts[0])), extra.get("confidence"))


def _compared(shadow: _Shadow, other: _Said, seconds: float) -> TriedRecord:
    """Both answers side by side; words of the challenger's only where those of the request are kept."""
    shown = _said(shadow.said)
    by_chance = isinstance(shadow.asked, Ask) and bool(shadow.asked.temperature)
    words = redacted(other.words) if shadow.record.sampled and len(other.words) <= LONGEST else None
    return replace(
        shadow.tried,
        agrees=None if by_chance else shown.words.strip() == other.words.strip(),
        shown_confidence=shown.confidence,
        other_confidence=other.confidence,
        other_seconds=round(max(0.0, seconds), 4),
        answer=words,
    )
