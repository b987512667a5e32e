"""`/metrics` for Prometheus: what requests cost, how they went, what waits, what was blocked, how sure the model was.

Each app has a registry of its own. Figures are counted when a request is done, in some ten microseconds, and never between two tokens.
Labels are bounded: a route is one of the app's or `none`, a model one that is served, `ft` (the tenants' own, all of them together) or
`other`, and of rules the first `MOST_RULES` count by name. What others know already (queues, feedback, what was lost) is asked for when Prometheus comes.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tunesmith.core.errors import MachineError, TunesmithError
from tunesmith.ledger.requests import RequestRecord
from tunesmith.serve.log import Line

if TYPE_CHECKING:
    from tunesmith.serve.answers import Backend
    from tunesmith.serve.kept import Counts

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Upper ends of the bins of times; one more bin holds what took longer."""
SURE = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
MOST_MODELS = 100
MOST_RULES = 200
OTHER = "other"
TENANTS = "ft"
"""Models that jobs made; tenants make as many as they like."""
_FEEDBACK_SECONDS = 10.0
"""So long the counts of feedback are not asked anew."""

Backends = Callable[[], Mapping[str, "Backend"]]
Feedback = Callable[[], Mapping[tuple[str, str], int]]
Drift = Callable[[], Mapping[tuple[str, str, str], bool]]


class Bounded:
    """The first so many values of a label; all later ones are `other`."""

    def __init__(self, most: int) -> None:
        self._most, self._known = most, set[str]()

    def __call__(self, value: str) -> str:
        """The value, or what stands for it."""
        if value in self._known:
            return value
        if len(self._known) >= self._most:
            return OTHER
        self._known.add(value)
        return value


def error_kind(status: int) -> str | None:
    """What kind of failure a status is; None of none."""
    if status < 400:
        return None
    named = {429: "busy", 499: "left", 504: "timeout"}
    return named.get(status, "client" if status < 500 else "server")


class Metrics:
    """The figures of one gateway."""

    def __init__(
        self,
        backends: Backends,
        *,
        kept: "Counts | None" = None,
        feedback: Feedback | None = None,
        drift: Drift | None = None,
        unwatched: Callable[[], Mapping[str, int]] | None = None,
    ) -> None:
        """Begin to count.

        Args:
            backends: gives the models by name, as they are now: promotions change them.
            kept: how keeping requests goes.
            feedback: (kind, state) -> opinions.
            drift: (model, signal, reference) -> whether the last look found it.
            unwatched: why -> answers that went into no sketch, and looks that failed.
        """
        from prometheus_client import CollectorRegistry, Counter, Histogram

        self.registry = CollectorRegistry()
        self._backends, self._kept, self._feedback, self._drift, self._unwatched = backends, kept, feedback, drift, unwatched
        self._told: tuple[float, Mapping[tuple[str, str], int]] = (-_FEEDBACK_SECONDS, {})
        self._models, self._rules = Bounded(MOST_MODELS), Bounded(MOST_RULES)

        def counter(name: str, about: str, *labels: str) -> Any:
            return Counter(f"tunesmith_{name}", about, labels, registry=self.registry)

        def histogram(name: str, about: str, bounds: tuple[float, ...], *labels: str) -> Any:
            return Histogram(f"tunesmith_{name}", about, labels, buckets=bounds, registry=self.registry)

        self._seconds = histogram("request_seconds", "From a request's arrival to its answer's end.", SECONDS, "route", "model", "status")
        self._first = histogram("first_token_seconds", "From a request's arrival to the first piece of a stream.", SECONDS, "model")
        self._tokens = counter("tokens", "Tokens read and written.", "model", "direction")
        self._errors = counter("errors", "Requests that failed: client, busy (429), left, timeout, server.", "route", "model", "kind")
        self._blocked = counter("blocked", "Requests and answers that a rule blocked.", "side", "rule")
        self._found = counter("findings", "Findings of filters, whether blocked, redacted or marked.", "side", "rule")
        self._redacted = counter("redactions", "Texts out of which a filter took something.", "side")
        self._confidence = histogram("confidence", "Confidence of answers, as told.", SURE, "model")
        self._abstained = counter("abstentions", "Answers that the model should rather have left to a person.", "model")
        self._answers = counter("answers", "Answers by how they ended.", "model", "finish")
        self.registry.register(_Asked(self))

    def model(self, name: str | None) -> str:
        """A model's label."""
        if name is None:
            return "none"
        if name.startswith("ft:"):
            return TENANTS
        return self._models(name) if name in self._backends() else OTHER

    def request(self, line: Line, status: int, seconds: float) -> None:
        """A request that is done."""
        model = self.model(line.model)
        self._seconds.labels(line.route, model, str(status)).observe(seconds)
        if line.first is not None:
            self._first.labels(model).observe(line.first)
        for direction, tokens in (("read", line.read), ("written", line.written)):
            if tokens:
                self._tokens.labels(model, direction).inc(tokens)
        kind = error_kind(status)
        if kind is not None:
            self._errors.labels(line.route, model, kind).inc()
        if line.found or line.blocked or line.redacted:
            self._filtered(line)

    def _filtered(self, line: Line) -> None:
        for blocked in line.blocked:
            side, _, rule = blocked.partition(":")
            self._blocked.labels(side, self._rules(rule)).inc()
        for of, counts in line.found.items():
            for rule, count in counts.items():
                self._found.labels(of, self._rules(rule)).inc(count)
        for of, texts in line.redacted.items():
            self._redacted.labels(of).inc(texts)

    def answered(self, record: RequestRecord, abstains: bool | None) -> None:
        """An answer that is done."""
        model = self.model(record.model)
        self._answers.labels(model, record.finish or "left").inc()
        if record.confidence is not None:
            self._confidence.labels(model).observe(record.confidence)
        if abstains:
            self._abstained.labels(model).inc()

    def text(self) -> bytes:
        """All of it, as Prometheus reads it. Asks the ledger: not for the event loop."""
        from prometheus_client import generate_latest

        return generate_latest(self.registry)

    def serve(self, port: int) -> Callable[[], None]:
        """Answer at a port of this machine, without a key; returns what ends it. MachineError where the port can't be had."""
        from prometheus_client import start_http_server

        try:
            server, thread = start_http_server(port, addr="127.0.0.1", registry=self.registry)
        except OSError as error:
            raise MachineError(f"Port {port} for metrics can't be had ({error.strerror}): choose another with --metrics-port.") from error

        def end() -> None:
            server.shutdown()
            server.server_close()
            thread.join(timeout=5)

        return end

    def asked(self) -> Iterator[Any]:
        """What is known elsewhere."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        queue = GaugeMetricFamily("tunesmith_queue", "Requests that wait and that are being answered.", labels=["model", "state"])
        for name, backend in list(self._backends().items()):
            for state, count in backend.load().items():
                queue.add_metric([self.model(name), state], count)
        yield queue
        opinions = GaugeMetricFamily("tunesmith_feedback", "Opinions by kind and state.", labels=["kind", "state"])
        for (kind, state), count in self._opinions().items():
            opinions.add_metric([kind, state], count)
        yield opinions
        lost = CounterMetricFamily("tunesmith_kept_lost", "Answers that could not be kept in the ledger.", labels=["why"])
        for why, count in (("queue", self._kept.dropped), ("ledger", self._kept.failed)) if self._kept else ():
            lost.add_metric([why], count)
        yield lost
        unwatched = CounterMetricFamily("tunesmith_unwatched", "Answers that went into no sketch, looks that failed.", labels=["why"])
        for why, count in (self._unwatched() if self._unwatched else {}).items():
            unwatched.add_metric([why], count)
        yield unwatched
        drift = GaugeMetricFamily("tunesmith_drift", "1 where the last look found a drift.", labels=["model", "signal", "against"])
        for labels, found in (self._drift() if self._drift else {}).items():
            drift.add_metric([self.model(labels[0]), *labels[1:]], float(found))
        yield drift

    def _opinions(self) -> Mapping[tuple[str, str], int]:
        at, told = self._told
        if self._feedback is not None and time.monotonic() - at >= _FEEDBACK_SECONDS:
            with suppress(TunesmithError):  # a ledger that is locked for long: the earlier counts are better than no metrics
                told = self._feedback()
            self._told = (time.monotonic(), told)
        return told


class _Asked:
    """What the registry asks at each scrape."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def describe(self) -> list[Any]:
        """Nothing beforehand: registering must ask no ledger."""
        return []

    def collect(self) -> Iterator[Any]:
        """The families."""
        return self._metrics.asked()
