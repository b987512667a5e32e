"""What is seen of traffic while it passes: figures by the hour, a sketch by the day, and the last minutes for alerts.

Requests and answers that are done go into a bounded queue, and one thread counts them; texts are forgotten once counted. Rows of the ledger
are written anew every minute. What a kill takes with it is that minute, and of the day what is still under `LEAST` answers a box.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import numpy as np

from tunesmith.core.errors import TunesmithError
from tunesmith.ledger.requests import RequestRecord
from tunesmith.ledger.watched import WatchedRecord
from tunesmith.score.sketch import Frame, Sketch, box_of, plain_frame
from tunesmith.serve.log import Line
from tunesmith.serve.metrics import SECONDS, SURE, Metrics, error_kind

if TYPE_CHECKING:
    from tunesmith.ledger.watched import Watched

MOST_WAITING = 20_000
WRITE_SECONDS = 60.0
KEEP_DAYS = 90
RECENT_SECONDS = 300.0
"""What alerts look at."""
_STEP_SECONDS = 1.0
_TEXT = 4096
"""Characters of a text that wait to be counted."""
Frames = Callable[[str, str | None], Frame]


@dataclass(frozen=True, slots=True)
class Seen:
    """An answer on its way into the sketch."""

    model: str
    model_hash: str | None
    who: str
    first: str
    """The first message of the conversation, by which nameless users are told apart."""
    text: str
    length: int
    answer: str | None
    label: str | None
    confidence: float | None
    abstains: bool


@dataclass(frozen=True, slots=True)
class Passed:
    """A request that is done."""

    model: str
    at: float
    status: int
    seconds: float
    first: float | None
    read: int
    written: int
    blocked: tuple[str, ...]
    model_hash: str | None = None


class Odd:
    """Errors that nobody foresaw: counted, and each kind told once, so that whoever watches goes on."""

    def __init__(self, what: str, tell: Callable[[str], None] | None) -> None:
        self.count, self._what, self._tell = 0, what, tell
        self._told = set[str]()

    def see(self, error: Exception) -> None:
        """Take one."""
        self.count += 1
        kind = type(error).__name__
        if self._tell is not None and kind not in self._told:
            self._told.add(kind)
            self._tell(f"{self._what} ({kind}); watching goes on, and further ones are counted in tunesmith_unwatched_total alone.")


@dataclass(slots=True)
class _Day:
    """The sketch of a model's day."""

    frame: Frame
    sketch: Sketch


@dataclass(slots=True)
class _Hour:
    """The figures of a model's hour."""

    figures: dict[str, Any] = field(
        default_factory=lambda: {
            "requests": 0, "errors": {}, "seconds": [0] * (len(SECONDS) + 1), "first": [0] * (len(SECONDS) + 1), "read": 0, "written": 0,
            "blocked": {}, "answers": 0, "abstained": 0, "confidence": [0] * (len(SURE) + 1),
        }
    )  # fmt: skip


class Watching:
    """Counts what passes. Threads may share it."""

    def __init__(
        self,
        book: "Watched | None",
        frames: Frames | None = None,
        metrics: Metrics | None = None,
        clock: Callable[[], datetime] | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        """Begin to count.

        Args:
            book: where figures are kept; None: in memory alone.
            frames: the frame of a model, by its name and content hash; asked once a content and day, by this object's thread.
            metrics: told of everything too.
            clock: the time, UTC.
            tell: told once of each kind of error that nobody foresaw.
        """
        self.metrics, self.lost, self.failed = metrics, 0, 0
        self.odd = Odd("An answer could not be watched", tell)
        self.recent: deque[Passed] = deque(maxlen=MOST_WAITING)
        self._book, self._frames = book, frames or (lambda name, hash_: plain_frame(None))
        self._clock = clock or (lambda: datetime.now(UTC))
        self._writer = token_hex(6)
        self._waiting: deque[Seen | Passed] = deque()
        self._days: dict[tuple[str, str | None, str], _Day] = {}
        self._frameless = set[tuple[str, str | None]]()
        """Models whose frame could not be had; asked again after the next write."""
        self._hours: dict[tuple[str, str | None, str], _Hour] = {}
        self._counting, self._ending = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="watching", daemon=True)
        self._thread.start()

    # On the path

    def request(self, line: Line, status: int, seconds: float) -> None:
        """A request that is done."""
        if self.metrics is not None:
            self.metrics.request(line, status, seconds)
        blocked = tuple(line.blocked)
        at, read, written = time.monotonic(), line.read or 0, line.written or 0
        self._take(Passed(line.model or "", at, status, seconds, line.first, read, written, blocked, line.content))

    def answered(self, record: RequestRecord, user: str, abstains: bool | None) -> None:
        """An answer that is done."""
        if self.metrics is not None:
            self.metrics.answered(record, abstains)
        asked = [turn.content for turn in record.prompt or () if turn.role == "user"] or [turn.content for turn in record.prompt or ()]
        if not asked:
            return
        who = f"{record.key_id} {user}" if user else ""
        answer = None if record.answer is None else record.answer[:_TEXT]
        self._take(
            Seen(
                record.model, record.model_hash, who, asked[0][:_TEXT], asked[-1][:_TEXT], len(asked[-1]), answer, record.label,
                record.confidence, bool(abstains),
            )
        )  # fmt: skip

    def _take(self, one: Seen | Passed) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self.lost += 1
        else:
            self._waiting.append(one)

    # Counting

    def _run(self) -> None:
        written = time.monotonic()
        while not self._ending.wait(_STEP_SECONDS):
            self.count()
            if time.monotonic() - written >= WRITE_SECONDS:
                self._write()
                written = time.monotonic()

    def count(self) -> None:
        """Count what waits."""
        with self._counting:
            now = self._clock()
            day, hour = now.strftime("%Y-%m-%dT00:00:00Z"), now.strftime("%Y-%m-%dT%H:00:00Z")
            while self._waiting:
                try:
                    self._count(self._waiting.popleft(), day, hour)
                except Exception as error:  # whatever it is, the next one is counted
                    self.odd.see(error)

    def _count(self, one: Seen | Passed, day: str, hour: str) -> None:
        figures = self._hours.setdefault((one.model, one.model_hash, hour), _Hour()).figures
        if isinstance(one, Passed):
            self.recent.append(one)
            _count_request(figures, one)
        else:
            _count_answer(figures, one)
            self._sketch(one, day)

    def _sketch(self, one: Seen, day: str) -> None:
        """Several models may answer under one name (a trial, a rollback): each has its own sketch all day."""
        held = self._days.get((one.model, one.model_hash, day))
        if held is None:
            if (one.model, one.model_hash) in self._frameless:
                self.odd.count += 1
                return
            self._frameless.add((one.model, one.model_hash))
            frame = self._frames(one.model, one.model_hash)
            self._frameless.discard((one.model, one.model_hash))
            held = self._days[one.model, one.model_hash, day] = _Day(frame, Sketch.empty(frame.bins))
        bins = [*held.frame.of_text(one.text, one.length), *held.frame.of_answer(one.answer, one.label, one.confidence)]
        held.sketch.count(box_of(one.who, one.first), bins)

    # Writing

    def _write(self) -> None:
        try:
            self.write()
        except Exception as error:  # the next minute writes all of it
            self.odd.see(error)

    def write(self) -> None:
        """Write what is counted, and let go of days and hours that are over."""
        self._frameless.clear()
        if self._book is None:
            return
        with self._counting:
            records = [self._hour_record(*key, held) for key, held in self._hours.items()]
            records += [made for key, held in self._days.items() if (made := self._day_record(*key, held)) is not None]
        try:
            self._book.record(records)
            self._book.forget((self._clock() - timedelta(days=KEEP_DAYS)).strftime("%Y-%m-%dT%H:%M:%SZ"))
        except TunesmithError:
            self.failed += 1
            return  # the next minute writes all of it
        with self._counting:
            now = self._clock()
            day, hour = now.strftime("%Y-%m-%dT00:00:00Z"), now.strftime("%Y-%m-%dT%H:00:00Z")
            over = {record.start for record in records} - {day, hour}
            self._hours = {key: held for key, held in self._hours.items() if key[2] not in over}
            self._days = {key: held for key, held in self._days.items() if key[2] not in over or key[2] == day}

    def _hour_record(self, model: str, model_hash: str | None, start: str, held: _Hour) -> WatchedRecord:
        writer = self._writer_of(model_hash)
        return WatchedRecord(model=model, model_hash=model_hash, span="hour", start=start, writer=writer, figures=held.figures)

    def _writer_of(self, model_hash: str | None) -> str:
        """The ledger's key: rows of one name and time are told apart by their content."""
        return f"{self._writer}-{(model_hash or '')[:16]}"

    def _day_record(self, model: str, model_hash: str | None, start: str, held: _Day) -> WatchedRecord | None:
        folded = held.sketch.folded(held.frame.variables[0].bins)
        if folded is None:
            return None
        figures: dict[str, Any] = {"frame": held.frame.id, "counts": folded.to_json()}
        if not held.frame.known:  # a plain frame is made again from the labels
            figures["labels"] = next((list(one.labels) for one in held.frame.variables if one.labels), None)
        writer = self._writer_of(model_hash)
        return WatchedRecord(model=model, model_hash=model_hash, span="day", start=start, writer=writer, figures=figures)

    def close(self) -> None:
        """Count and write what there is, and end."""
        if not self._ending.is_set():
            self._ending.set()
            self._thread.join(timeout=30)
            self.count()
            self._write()


def _count_request(figures: dict[str, Any], one: Passed) -> None:
    figures["requests"] += 1
    kind = error_kind(one.status)
    if kind is not None:
        figures["errors"][kind] = figures["errors"].get(kind, 0) + 1
    figures["seconds"][int(np.searchsorted(SECONDS, one.seconds))] += 1
    if one.first is not None:
        figures["first"][int(np.searchsorted(SECONDS, one.first))] += 1
    figures["read"] += one.read
    figures["written"] += one.written
    for rule in one.blocked:
        figures["blocked"][rule] = figures["blocked"].get(rule, 0) + 1


def _count_answer(figures: dict[str, Any], one: Seen) -> None:
    figures["answers"] += 1
    figures["abstained"] += one.abstains
    if one.confidence is not None:
        figures["confidence"][int(np.searchsorted(SURE, one.confidence))] += 1
