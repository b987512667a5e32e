"""What passed a gateway, added up from the ledger's hours, and what people said of it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tunesmith.score.drift import share_shift
from tunesmith.serve.metrics import SECONDS

if TYPE_CHECKING:
    from tunesmith.ledger.ledger import Ledger
    from tunesmith.ledger.watched import WatchedRecord

WEEK = 7
OPINION_WEEKS = 4
"""Opinions of the last week are held against those of so many weeks before."""


def ago(days: float) -> str:
    """So many days ago, UTC."""
    return (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def own_names(ledger: "Ledger", names: Sequence[str], model_hash: str | None) -> list[str]:
    """Those names under which no other content was ever in service: what was kept without a content hash counts under them.

    A line's name stands for whoever was in service, so it is no model's own unless that was one and the same all the time.
    """
    if model_hash is None:
        return list(names)
    return [name for name in names if {step.model_hash for step in ledger.steps.history(name) if step.action != "keep"} <= {model_hash}]


def hours_of(ledger: "Ledger", names: Sequence[str], model_hash: str | None, days: float) -> "list[WatchedRecord]":
    """The hours of a content, whatever it was called, with those of its own names that tell none; of no content, all of the names."""
    called = [row for name in names for row in ledger.watched.list("hour", since=ago(days), model=name)]
    if model_hash is None:
        return called
    return [*ledger.watched.list("hour", since=ago(days), model_hash=model_hash), *(row for row in called if row.model_hash is None)]


def traffic_of(rows: Sequence["WatchedRecord"]) -> dict[str, Any]:
    """Hours added up."""
    made: dict[str, Any] = {
        name: sum(row.figures.get(name, 0) for row in rows) for name in ("requests", "answers", "abstained", "read", "written")
    }
    for name in ("errors", "blocked"):
        keys = sorted({key for row in rows for key in row.figures.get(name, {})})
        made[name] = {key: sum(row.figures.get(name, {}).get(key, 0) for row in rows) for key in keys}
    for name in ("seconds", "first", "confidence"):
        made[name] = [sum(column) for column in zip(*(row.figures[name] for row in rows if name in row.figures), strict=True)]
    made["p50_seconds"], made["p95_seconds"] = (quantile(made["seconds"], share) for share in (0.5, 0.95))
    made["first_p95_seconds"] = quantile(made["first"], 0.95)
    return made


def quantile(counts: Sequence[int], share: float) -> float | None:
    """The upper end of the bin of times in which a quantile lies; None of no times, or where it lies beyond all bins."""
    total, seen = sum(counts), 0
    for at, count in enumerate(counts):
        seen += count
        if total and seen >= share * total:
            return SECONDS[at] if at < len(SECONDS) else None
    return None


def opinions_of(ledger: "Ledger", names: Sequence[str], model_hash: str | None, days: float) -> dict[str, Any]:
    """How many opinions there are of a model, and the share of good ones with its interval."""
    from tunesmith.score.intervals import share_interval

    given = ledger.feedback.good(names, since=ago(days), model_hash=model_hash)
    good, all_ = (sum(one[at] for one in given.values()) for at in (0, 1))
    told: dict[str, Any] = {"opinions": all_, "good": good, "share": None, "low": None, "high": None}
    if all_:
        around = share_interval(good, all_)
        told |= {"share": around.value, "low": around.low, "high": around.high}
    return told


def quality_of(ledger: "Ledger", names: Sequence[str], model_hash: str | None) -> tuple[float, float, float, int, int] | None:
    """Opinions of the last week against those before: probability under no change, share then and now, how many now and then."""
    now = ledger.feedback.good(names, since=ago(WEEK), model_hash=model_hash)
    then = ledger.feedback.good(names, since=ago(WEEK * (OPINION_WEEKS + 1)), before=ago(WEEK), model_hash=model_hash)
    found = share_shift(now, then)
    if found is None:
        return None
    return *found, sum(one[1] for one in now.values()), sum(one[1] for one in then.values())
