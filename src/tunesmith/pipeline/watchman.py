"""Who looks at a running gateway: every minute at errors, times and queues, once a day for drift; and tells the operator's webhook.

One thread. A look for drift reads the ledger and takes some hundred milliseconds; it is never on a request's way.
"""

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.core.errors import TunesmithError
from tunesmith.core.files import read_json, write_json
from tunesmith.pipeline.monitoring import State, Subject, served_lately, state_of, watched_frames
from tunesmith.serve.alerts import Alarms, Look, Webhook, checked_url, secret_of
from tunesmith.serve.config import ServeConfig
from tunesmith.serve.service import Service
from tunesmith.serve.watching import RECENT_SECONDS, Odd, Passed, Watching

if TYPE_CHECKING:
    from tunesmith.ledger.ledger import Ledger
    from tunesmith.pipeline.workspace import Workspace
    from tunesmith.serve.app import Gateway

LOOK_SECONDS = 60.0
FEWEST_REQUESTS = 20
"""Under so many in the last minutes no share is worth an alert."""
_DAYS = 7


class Watchman:
    """Looks until it is closed."""

    def __init__(
        self,
        gateway: "Gateway",
        watching: Watching,
        place: "Workspace",
        ledger: "Ledger",
        subjects: Callable[[], list[Subject]],
        hook: Webhook | None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        """Make one; `start` lets it look.

        Args:
            gateway: whose queues and losses are looked at.
            watching: what passed.
            place: the workspace; the times of the last looks are kept there.
            ledger: where figures are.
            subjects: the models that are looked at for drift.
            hook: where alerts go.
            tell: told once of each kind of error that nobody foresaw.
        """
        self.odd = Odd("A look at the gateway failed", tell)
        self.alarms, self.found = Alarms(), dict[tuple[str, str, str], bool]()
        self._gateway, self._watching, self._place, self._ledger = gateway, watching, place, ledger
        self._subjects, self._hook = subjects, hook
        self._lost = 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchman", daemon=True)

    @property
    def config(self) -> ServeConfig:
        """The gateway's."""
        return self._gateway.config

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """End."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(timeout=30)

    def _run(self) -> None:
        while not self._ending.wait(LOOK_SECONDS):
            self._turn(lambda: self.look(time.monotonic()))
            self._turn(lambda: self._look_where_due(datetime.now(UTC)))

    def _turn(self, look: Callable[[], object]) -> None:
        try:
            look()
        except Exception as error:  # whatever it is, the next minute looks again
            self.odd.see(error)

    def _look_where_due(self, now: datetime) -> None:
        due = self.due(now)
        if due:
            self.look_for_drift(due)

    # Every minute

    def look(self, now: float) -> None:
        """Errors, times, queue, ledger; `now` as `time.monotonic` tells it."""
        recent = [one for one in list(self._watching.recent) if now - one.at <= RECENT_SECONDS]
        self._tell([*looks_at(recent, self.config), self._queue(), self._kept()])

    def _queue(self) -> Look:
        queues: dict[int, float] = {}  # adapters over one base wait in one queue
        for backend in list(self._gateway.backends.values()):
            own = id(getattr(backend, "engine", backend))
            queues[own] = queues.get(own, 0) + backend.load().get("waiting", 0)
        waiting, most = max(queues.values(), default=0), max(1, self.config.most_waiting)
        said = f"The queue is nearly full: {waiting:,.0f} of {most:,} requests wait."
        return Look("queue", "", waiting >= 0.9 * most, waiting < 0.5 * most, said, {"waiting": waiting, "most": most})

    def _kept(self) -> Look:
        counts = self._gateway.kept.counts
        lost = counts.dropped + counts.failed + self._watching.failed
        new, self._lost = lost - self._lost, lost
        said = f"The ledger does not take what it should keep: {new:,} writes or answers were lost since the last look."
        return Look("ledger", "", new > 0, new == 0, said, {"lost": new, "lost_in_all": lost})

    # Every day

    @property
    def _file(self) -> Path:
        return self._place.root / "looked.json"

    def due(self, now: datetime) -> set[str]:
        """The models at which it is time to look for drift. The times of the last looks outlive the process, so that restarts add none,
        and go by model: gateways of one workspace may serve different ones.
        """
        if not self.config.drift_every:
            return set()
        looked, every = self._looked(), timedelta(hours=self.config.drift_every)
        return {name for name in list(self._gateway.backends) if not _within(looked.get(name), now, every)}

    def _looked(self) -> dict[str, Any]:
        try:
            held = read_json(self._file)["looked"]
        except (TunesmithError, KeyError, TypeError):
            return {}
        return held if isinstance(held, dict) else {}

    def look_for_drift(self, names: Collection[str] | None = None) -> list[State]:
        """Look at some models now; None: at all that are served."""
        names = set(self._gateway.backends if names is None else names)
        states = []
        self._watching.count()
        self._watching.write()
        for subject in self._subjects():
            if subject.name not in names:
                continue
            try:
                states.append(state_of(self._place, self._ledger, subject, days=_DAYS))
            except TunesmithError:
                continue  # locked, or out of reach: tomorrow again
            except Exception as error:  # one model's odd rows hide no other model's drift
                self.odd.see(error)
        others = {key: found for key, found in self.found.items() if key[0] not in names and key[0] in self._gateway.backends}
        self.found = others | {(state.model, one.name, one.against): one.found for state in states for one in state.signals}
        self._tell([_of(state) for state in states if state.drifted is not None])
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        with suppress(TunesmithError):  # a full disk: the next minute looks again
            write_json(self._file, {"looked": self._looked() | dict.fromkeys(sorted(names), at)})
        return states

    def _tell(self, looks: list[Look]) -> None:
        for message in self.alarms.see(looks):
            if self._hook is not None:
                self._hook.send(message)


def _within(looked: object, now: datetime, every: timedelta) -> bool:
    """Whether the time of a look is one, and less than so long ago."""
    try:
        return timedelta(0) <= now - datetime.fromisoformat(str(looked)) < every
    except (TypeError, ValueError):
        return False


def _of(state: State) -> Look:
    found = [one for one in state.signals if one.found]
    figures: Mapping[str, Any] = {
        "signals": [
            {"signal": one.name, "against": one.against, "p": one.p_look, "before": one.shift.before, "now": one.shift.now} for one in found
        ]
    }
    said = (
        " ".join([f"Drift of {state.model}:", *(f"{reason};" for reason in state.reasons)])
        if found
        else f"No drift of {state.model} is left."
    )
    return Look("drift", state.model, bool(found), not found, said, figures, at_once=True)


def looks_at(recent: list[Passed], config: ServeConfig) -> list[Look]:
    """Errors and times of the last minutes. A request that the client left, or that was wrong or refused, is no error of ours."""
    done = [one for one in recent if one.model and one.status != 499]
    bad = sum(one.status >= 500 for one in done)
    share, enough = bad / max(1, len(done)), len(done) >= FEWEST_REQUESTS
    times = sorted(one.seconds for one in done if one.status < 400)
    p95 = times[ceil(0.95 * len(times)) - 1] if len(times) >= FEWEST_REQUESTS else 0.0
    errors = f"{share:.1%} of the last {len(done):,} requests failed with status 500 or more."
    slow = f"95% of the last {len(times):,} requests took up to {p95:.3g} s (bound {config.alert_p95_seconds:g} s)."
    limit = config.alert_p95_seconds
    return [
        Look(
            "errors",
            "",
            enough and share >= config.alert_errors,
            share < config.alert_errors / 2,
            errors,
            {"share": share, "requests": len(done)},
        ),
        Look("p95", "", p95 > limit, p95 <= 0.8 * limit, slow, {"p95_seconds": p95, "requests": len(times)}),
    ]


@dataclass(frozen=True, slots=True)
class Watched:
    """All that watches one gateway."""

    watching: Watching
    watchman: Watchman
    hook: Webhook | None
    end_metrics: Callable[[], None]

    def start(self) -> None:
        """Begin."""
        self.watchman.start()

    def close(self) -> None:
        """Write what was seen, send what waits, end."""
        self.watchman.close()
        self.watching.close()
        if self.hook is not None:
            self.hook.close()
        self.end_metrics()


def watched_gateway(
    gateway: "Gateway", place: "Workspace", ledger: "Ledger", folders: Mapping[str, Path], tell: Callable[[str], None] | None = None
) -> Watched:
    """Have a gateway watched: its metrics, its traffic, its alerts.

    Args:
        gateway: not yet an app; its backends may be exchanged at any time.
        place: the workspace.
        ledger: open as long as the gateway is.
        folders: model's name -> its folder.
        tell: told once of each kind of error that nobody foresaw.

    Raises:
        RecipeError: an address of a webhook, or a secret, that can't be meant.
        MachineError: the port for metrics is taken.
    """
    from tunesmith.serve.metrics import Metrics

    def labels(name: str, hash_: str | None) -> Sequence[str] | None:
        backend = gateway.backends.get(name)
        behind = backend.pool if isinstance(backend, Service) else ()
        facts = next((one.backend.facts for one in behind if one.hash == hash_), {} if backend is None else backend.facts)
        found: Sequence[str] | None = facts.get("labels")
        return found

    def unwatched() -> dict[str, int]:
        return {"queue": watching.lost, "error": watching.odd.count, "look": at[0].odd.count if at else 0}

    at: list[Watchman] = []
    metrics = Metrics(
        lambda: gateway.backends,
        kept=gateway.kept.counts,
        feedback=ledger.feedback.by_kind,
        drift=lambda: at[0].found if at else {},
        unwatched=unwatched,
    )
    watching = Watching(ledger.watched, watched_frames(place, ledger, folders, labels), metrics, tell=tell)
    gateway.watching, gateway.kept.watch = watching, watching.answered

    def subjects() -> list[Subject]:
        served = [one for one in served_lately(place, ledger) if one.name in gateway.backends]
        return [replace(one, folder=one.folder or folders.get(one.name)) for one in served]

    given = hook_of(gateway.config)
    hook = None if given is None else Webhook(*given)
    at.append(Watchman(gateway, watching, place, ledger, subjects, hook, tell))
    port = gateway.config.metrics_port
    return Watched(watching, at[0], hook, (lambda: None) if port is None else metrics.serve(port))


def hook_of(config: ServeConfig) -> tuple[str, str | None] | None:
    """Address and secret of the webhook; None where there is none. RecipeError where they can't be meant."""
    if config.alert_url is None:
        return None
    return checked_url(config.alert_url), secret_of(config.alert_secret_env)
