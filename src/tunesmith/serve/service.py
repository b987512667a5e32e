"""A line of service: the champion under the line's name, perhaps a challenger beside it, exchanged while requests go on.

Who answers a request is decided once, when it comes (`Service.arm`), and stays: what is under way finishes on the model it began on. The
exchange is one assignment. Models are loaded by others (`pipeline.in_service`) and handed in; one that nobody needs is let go of when the
last request on it has ended. Costs a hash a request in a trial by share, and nothing otherwise.
"""

import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from tunesmith.ledger.keys import KeyRecord
from tunesmith.ledger.requests import RequestRecord
from tunesmith.ledger.steps import InService, Mode
from tunesmith.ledger.trials import Side
from tunesmith.serve.answers import Ask, Backend, Labelled, Piece
from tunesmith.serve.speaking import Gathered

if TYPE_CHECKING:
    from tunesmith.serve.trial import Trial

SHOWN_HASH = 12
"""Digits of a content hash in `system_fingerprint`."""
_OURS = f"tunesmith-{version('tunesmith')}"  # looked up once: it takes the reading of a file


@dataclass(eq=False)
class Loaded:
    """A model that is loaded, whatever its part is."""

    model: InService
    backend: Backend
    hash: str
    """Content hash of its folder."""
    bytes: int = 0
    """Of its weights."""
    give_way: Callable[[Callable[[], None] | None], None] = lambda way: None
    """Takes what to call before each step, so that others go first; None: nothing."""
    arms: "WeakSet[Arm]" = field(default_factory=WeakSet)
    """Requests that are answered, or about to be."""
    free_since: float | None = None
    """When it was last found to be needed no longer; None while it is."""
    lent: bool = False
    """Whether it is served under its own name in any case: letting go of it closes nothing."""

    def close(self, *, drain: bool) -> None:
        """Stop it, unless others have it too."""
        if not self.lent:
            self.backend.close(drain=drain)


@dataclass(frozen=True, slots=True)
class Now:
    """Who answers at this moment."""

    champion: Loaded
    step: int = 0
    """Of the line's last step that was followed."""
    challenger: Loaded | None = None
    mode: Mode | None = None
    share: float = 0.0
    secret: str = field(default="", repr=False)
    """What the trial's pseudonyms are keyed with; the same in every gateway over the ledger."""


class Arm:
    """The model that answers one request. A `Backend`, under the name that was asked for."""

    def __init__(self, name: str, loaded: Loaded, *, side: Side = "champion", asker: str = "", now: Now, trial: "Trial | None") -> None:
        self.name, self.loaded, self.side, self.asker, self.now = name, loaded, side, asker, now
        self._trial = trial if now.challenger is not None else None
        self.asked: list[Ask | str] = []
        """In shadow: what the model was asked, in order."""
        self.said: list[Gathered | Labelled] = []
        """What it said, before filters."""

    def arm(self, asker: str | None) -> "Arm":
        """Of a model under its own name: itself, for one request."""
        return Arm(self.name, self.loaded, asker=asker or "", now=self.now, trial=None).taken()

    def taken(self) -> "Arm":
        """From here on its model is not let go of until the request has ended."""
        self.loaded.arms.add(self)
        return self

    @property
    def hash(self) -> str:
        """Content hash of the model's folder."""
        return self.loaded.hash

    @property
    def created(self) -> int:
        """Of the model that answers."""
        return self.loaded.backend.created

    @property
    def facts(self) -> dict[str, Any]:
        """Of the model that answers."""
        return self.loaded.backend.facts

    def pieces(self, ask: Ask) -> AsyncIterator[Piece]:
        """The answer; in shadow what is said is remembered, for the comparison."""
        pieces = self.loaded.backend.pieces(ask)
        if not self._shadowed:
            return pieces
        made = Gathered(ask.n)
        self.asked.append(ask)
        self.said.append(made)
        return _gathered(pieces, made)

    @property
    def _shadowed(self) -> bool:
        return self._trial is not None and self.now.mode == "shadow"

    async def classify(self, texts: Sequence[str]) -> list[Labelled]:
        """Labels of texts."""
        found = await self.loaded.backend.classify(texts)
        if self._shadowed:
            self.asked += texts
            self.said += found
        return found

    async def embed(self, texts: Sequence[str]) -> tuple[list[list[float]], int]:
        """Embeddings; until they are made the model is not let go of, whoever asks."""
        arm = self.arm(None)
        return await arm.loaded.backend.embed(texts)

    def ready(self) -> bool:
        """Whether it can answer now."""
        return self.loaded.backend.ready()

    def load(self) -> dict[str, float]:
        """Of the model."""
        return self.loaded.backend.load()

    def close(self, *, drain: bool) -> None:
        """Nothing: the service lets go of its models."""

    def noted(self, record: RequestRecord) -> None:
        """An answer of this request is complete, and was noted as this."""
        if self._trial is not None:
            self._trial.answered(self, record)


async def _gathered(pieces: AsyncIterator[Piece], made: Gathered) -> AsyncIterator[Piece]:
    try:
        async for piece in pieces:
            made.add(piece)
            yield piece
    finally:
        await pieces.aclose()  # type: ignore[attr-defined]


class Service:
    """What stands behind the line's name. Threads may share it."""

    def __init__(self, line: str, now: Now, trial: "Trial | None" = None) -> None:
        self.line, self.now, self.trial = line, now, trial
        self.pool: tuple[Loaded, ...] = (now.champion,)
        """Whatever is loaded; only who follows the ledger changes it."""
        self.behind: str | None = None
        """Why the ledger's last step is not followed yet; None where it is."""
        self.counts = {"swaps": 0, "load_failures": 0}
        """For metrics."""
        self._lock = threading.Lock()

    def arm(self, asker: str | None) -> Arm:
        """Who answers a request.

        Args:
            asker: whose request it is (`asker_of`); None: nobody's, drawn anew each time.
        """
        now, trial = self.now, self.trial  # read once: an exchange meanwhile changes nothing here
        if now.challenger is None:
            return Arm(self.line, now.champion, now=now, trial=trial).taken()
        whose = pseudonym(asker or secrets.token_hex(12), now.step, now.secret)
        tried = now.mode == "share" and falls_to_challenger(whose, now.share)
        side: Side = "challenger" if tried else "champion"
        loaded = now.challenger if tried else now.champion
        return Arm(self.line, loaded, side=side, asker=whose, now=now, trial=trial).taken()

    def take(self, now: Now) -> None:
        """Let others answer from here on."""
        with self._lock:
            self.counts["swaps"] += now.champion is not self.now.champion
            self.now = now

    def find(self, model: InService) -> Loaded | None:
        """The model that a step means, where it is loaded; one whose content the step doesn't name is the one of its name."""
        fits = (one for one in self.pool if one.model.model == model.model and model.model_hash in (None, one.hash))
        return next(fits, None)

    # As a backend

    @property
    def name(self) -> str:
        """The line's."""
        return self.line

    @property
    def created(self) -> int:
        """The champion's."""
        return self.now.champion.backend.created

    @property
    def facts(self) -> dict[str, Any]:
        """The champion's."""
        return self.now.champion.backend.facts

    def pieces(self, ask: Ask) -> AsyncIterator[Piece]:
        """The champion's answer."""
        return self.now.champion.backend.pieces(ask)

    async def classify(self, texts: Sequence[str]) -> list[Labelled]:
        """The champion's labels."""
        return await self.now.champion.backend.classify(texts)

    async def embed(self, texts: Sequence[str]) -> tuple[list[list[float]], int]:
        """The champion's, in a trial too: vectors of two models can't be compared."""
        champion = self.now.champion
        return await Arm(self.line, champion, now=Now(champion), trial=None).taken().embed(texts)

    def ready(self) -> bool:
        """Whether the champion can answer; what can't be loaded beside it changes nothing of that."""
        return self.now.champion.backend.ready()

    def load(self) -> dict[str, float]:
        """Of all that is loaded, together."""
        total: dict[str, float] = {}
        for loaded in self.pool:
            for name, value in loaded.backend.load().items():
                total[name] = total.get(name, 0) + value
        return total

    def busy(self) -> bool:
        """Whether an answer that will be shown is under way."""
        load = self.now.champion.backend.load()
        return load.get("waiting", 0) + load.get("answering", 0) > 0

    def close(self, *, drain: bool) -> None:
        """Stop all of it."""
        if self.trial is not None:
            self.trial.close()
        for loaded in self.pool:
            loaded.give_way(None)
            loaded.close(drain=drain)

    def health(self) -> dict[str, Any]:
        """For anybody: whether the ledger is followed; no names."""
        return {"step": self.now.step, "follows": self.behind is None}

    def state(self) -> dict[str, Any]:
        """For those who run it: who serves, who is tried, what is loaded, why it is behind."""

        def told(loaded: Loaded) -> dict[str, Any]:
            return {"model": loaded.model.model, "hash": loaded.hash, "since": loaded.model.since, "bytes": loaded.bytes}

        now = self.now
        return {
            "line": self.line,
            "step": now.step,
            "champion": told(now.champion),
            "challenger": None if now.challenger is None else told(now.challenger),
            "mode": now.mode,
            "share": now.share or None,
            "loaded": [told(loaded) for loaded in self.pool],
            "behind": self.behind,
            "counts": self.counts | ({} if self.trial is None else self.trial.counts),
        }


def asker_of(key: KeyRecord, user: str | None) -> str | None:
    """Whose request it is: the key's user where the request names one, else the key; None where nobody is named."""
    if user:
        return f"user\0{key.tenant}\0{user}"
    return f"key\0{key.id}" if key.id else None


def pseudonym(asker: str, step: int, secret: str) -> str:
    """32 hex digits that stand for an asker in one trial, and for nobody in the next; without the secret nobody can tell which."""
    return blake2b(asker.encode("utf-8", "replace"), digest_size=16, key=f"trial {step} {secret}".encode()).hexdigest()


def falls_to_challenger(whose: str, share: float) -> bool:
    """Whether the challenger answers an asker: from the pseudonym alone, so always the same, and anew in each trial."""
    return int(whose[:14], 16) < share * (1 << 56)


def content_of(backend: Backend) -> str | None:
    """Content hash of the model of a line that answers; None of one that serves alone."""
    if isinstance(backend, Service):
        return backend.now.champion.hash
    return backend.hash if isinstance(backend, Arm) else None


def fingerprint(backend: Backend) -> str:
    """`system_fingerprint`: the version, and of a line of service the content hash of the model that answers.

    While a trial by share runs, a hash of both that may answer: whoever asks is not told which of them did, and sees the trial begin and end.
    """
    if not isinstance(backend, Arm):
        return _OURS
    now = backend.now
    if now.mode != "share" or now.challenger is None:
        return f"{_OURS}-{backend.hash[:SHOWN_HASH]}"
    both = f"{now.champion.hash} {now.challenger.hash}".encode()
    return f"{_OURS}-{blake2b(both, digest_size=32).hexdigest()[:SHOWN_HASH]}"


def unused(loaded: Loaded, seconds: float, clock: Callable[[], float] = time.monotonic) -> bool:
    """Whether a model that is not needed has been so for a while, and no request is on it."""
    return loaded.free_since is not None and clock() - loaded.free_since >= seconds and not loaded.arms
