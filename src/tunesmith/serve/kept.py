"""What is kept of requests: figures of every answer for as long as opinions are taken, texts of a sample, redacted.

Nothing of this delays an answer: an answer that is done goes into a bounded queue and is written by one thread in batches; where the queue
is full, or the ledger refuses, the request is counted as lost and forgotten. The last answers stay in memory with their texts as they were
said, so that an opinion that comes soon is about words and not about an id alone. See docs/decisions/0018.
"""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING

from tunesmith.core.errors import BusyError, TunesmithError
from tunesmith.core.rows import Message
from tunesmith.feedback.redact import LONGEST, length, redacted_request
from tunesmith.ledger.keys import KeyRecord, asker
from tunesmith.ledger.requests import Asked, RequestRecord
from tunesmith.serve.answers import Labelled, Piece
from tunesmith.serve.config import ServeConfig
from tunesmith.serve.speaking import Gathered

if TYPE_CHECKING:
    from tunesmith.ledger.requests import Requests
    from tunesmith.serve.service import Arm

Watch = Callable[[RequestRecord, str, bool | None], None]
BATCH = 256
MOST_WAITING = 10_000
MOST_REMEMBERED = 10_000
MOST_CHARACTERS = 1 << 24
"""Of all texts in memory."""
FORGET_SECONDS = 3600.0
_STEP_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class About:
    """A request that is being answered."""

    id: str
    key: KeyRecord
    model: str
    kind: Asked
    prompt: tuple[Message, ...]
    """As it was asked; a text to be continued or labelled as one message of the user."""
    started: float = field(default_factory=time.monotonic)
    by: "Arm | None" = None
    """Which model of a line of service answers; None of a model that serves alone."""
    user: str = ""
    """The client's own name for who asks; kept nowhere but as a hash, and that of a key that names its users alone."""


@dataclass(slots=True)
class Counts:
    """For metrics."""

    written: int = 0
    dropped: int = 0
    """The queue was full."""
    failed: int = 0
    """The ledger refused."""


class Kept:
    """Takes answers that are done. Threads may share it."""

    def __init__(
        self, book: "Requests | None", config: ServeConfig, hashes: Mapping[str, str] | None = None, watch: Watch | None = None
    ) -> None:
        """Begin to write.

        Args:
            book: where requests are kept; None: in memory alone.
            config: how many, how long.
            hashes: model's name -> content hash.
            watch: told of every answer, by whom it was asked for, and whether the model abstains.
        """
        self.watch = watch
        self.counts = Counts()
        self._book, self._config, self._hashes = book, config, dict(hashes or {})
        self._remembered: OrderedDict[tuple[str, int], RequestRecord] = OrderedDict()
        self._characters = 0
        self._waiting: deque[RequestRecord] = deque()
        self._lock, self._woken = threading.Lock(), threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._write, name="kept", daemon=True)
        if book is not None:
            self._thread.start()

    # What is done

    def done(self, about: About, made: Gathered, first: int = 0) -> None:
        """An answer to a request for text; its choices count from `first`."""
        seconds = time.monotonic() - about.started
        for index, text in enumerate(made.texts):
            if text or made.finish[index] is not None:
                extra = made.extras[index] or {}
                shares = len(made.texts)
                self._done(
                    about,
                    replace(
                        self._record(about, first + index, seconds),
                        answer=extra.get("label", text),
                        label=extra.get("label"),
                        confidence=extra.get("confidence"),
                        prompt_tokens=made.prompt_tokens,
                        answer_tokens=made.answer_tokens // shares,
                        finish=made.finish[index],
                    ),
                    extra.get("abstains"),
                )

    def labelled(self, about: About, texts: Sequence[str], found: Sequence[Labelled]) -> None:
        """Labels of texts, each one choice of the request."""
        seconds = time.monotonic() - about.started
        for index, (text, one) in enumerate(zip(texts, found, strict=True)):
            base = replace(self._record(about, index, seconds), prompt=(Message("user", text),), prompt_tokens=one.prompt_tokens)
            label = one.label if one.found is None else None
            told = replace(base, answer=one.label, label=label, confidence=one.confidence, finish="stop")
            self._done(about, told, one.abstains)

    async def watched(self, about: About, pieces: AsyncIterator[Piece], choices: int) -> AsyncGenerator[Piece, None]:
        """The same pieces; what came is noted when they end, or when the client leaves."""
        made = Gathered(choices)
        try:
            async for piece in pieces:
                made.add(piece)
                yield piece
        finally:
            self.done(about, made)
            await pieces.aclose()  # type: ignore[attr-defined]

    def _done(self, about: About, record: RequestRecord, abstains: bool | None) -> None:
        self.note(record, about.user, abstains)
        if about.by is not None:
            about.by.noted(record)

    def _record(self, about: About, choice: int, seconds: float) -> RequestRecord:
        return RequestRecord(
            id=about.id,
            choice=choice,
            tenant=about.key.tenant,
            key_id=about.key.id,
            model=about.model,
            model_hash=self.content(about.model) if about.by is None else about.by.hash,
            asker=asker(about.key, about.user),
            kind=about.kind,
            prompt=about.prompt,
            seconds=round(seconds, 4),
            sampled=drawn(about.id, self._config.keep_requests),
        )

    def note(self, record: RequestRecord, user: str = "", abstains: bool | None = None) -> None:
        """Take one in."""
        if self.watch is not None:
            self.watch(record, user, abstains)
        if length(record) > LONGEST:
            record = replace(record, prompt=None, answer=None)
        with self._lock:
            self._remember(record)
            if self._book is None:
                return
            if len(self._waiting) >= MOST_WAITING or self._closing:
                self.counts.dropped += 1
            else:
                self._waiting.append(record)

    def _remember(self, record: RequestRecord) -> None:
        old = self._remembered.pop((record.id, record.choice), None)
        self._remembered[record.id, record.choice] = record
        self._characters += length(record) - (0 if old is None else length(old))
        while len(self._remembered) > MOST_REMEMBERED or self._characters > MOST_CHARACTERS:
            _, gone = self._remembered.popitem(last=False)
            self._characters -= length(gone)

    # What is known

    def content(self, model: str) -> str | None:
        """Content hash of a model that serves alone under a name; None where it is not known."""
        return self._hashes.get(model)

    def find(self, id_: str, choice: int) -> RequestRecord | None:
        """The answer of this id, redacted; None where it is unknown or older than opinions are taken of. Blocks: not for the event loop."""
        with self._lock:
            found = self._remembered.get((id_, choice))
        if found is not None:
            found = redacted_request(found)
        elif self._book is not None:
            found = self._book.find(id_, choice)
        return None if found is None or found.created < _ago(self._config.feedback_days) else found

    # Writing

    def close(self) -> None:
        """Write what waits, and end."""
        with self._lock:
            self._closing = True
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(timeout=60)

    def _write(self) -> None:
        forgotten = -FORGET_SECONDS
        while True:
            ending = self._closing
            while (batch := self._taken()) and self._store(batch, last=ending):
                pass
            if ending:
                return
            if time.monotonic() - forgotten >= FORGET_SECONDS:
                forgotten = time.monotonic()
                self._forget()
            self._woken.wait(_STEP_SECONDS)

    def _taken(self) -> list[RequestRecord]:
        with self._lock:
            return [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]

    def _store(self, batch: Sequence[RequestRecord], *, last: bool) -> bool:
        """Write some; whether that went well. What did not waits for the next time, unless this is the last."""
        assert self._book is not None
        try:
            self._book.record(
                [redacted_request(record) if record.sampled else replace(record, prompt=None, answer=None) for record in batch]
            )
            self.counts.written += len(batch)
            return True
        except BusyError:  # locked: answers matter more than their record, and the lock will end
            if not last:
                with self._lock:
                    self._waiting.extendleft(reversed(batch))
                return False
        except Exception:  # the disk is full, or one of them can't be kept: the thread must live, and the others be written
            pass
        self.counts.failed += len(batch)
        return True

    def _forget(self) -> None:
        assert self._book is not None
        try:
            self._book.forget(sampled_before=_ago(self._config.keep_days), others_before=_ago(self._config.feedback_days))
        except TunesmithError:
            return  # the next hour tries again


def drawn(id_: str, rate: float) -> bool:
    """Whether a completion is of the sample: from its id alone, so that all of its choices are or none."""
    return int.from_bytes(blake2b(id_.encode(), digest_size=7).digest(), "big") < rate * (1 << 56)


def _ago(days: float) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
