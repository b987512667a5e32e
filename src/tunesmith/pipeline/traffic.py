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


def opinions_of(ledger: "Ledger", names: Sequence[str], days: float) -> dict[str, Any]:
    """How many opinions there are, and the share of good ones with its interval."""
    from tunesmith.score.intervals import share_interval

    given = ledger.feedback.good(names, since=ago(days))
    good, all_ = (sum(one[at] for one in given.values()) for at in (0, 1))
    told: dict[str, Any] = {"opinions": all_, "good": good, "share": None, "low": None, "high": None}
    if all_:
        around = share_interval(good, all_)
        told |= {"share": around.value, "low": around.low, "high": around.high}
    return told


def quality_of(ledger: "Ledger", names: Sequence[str]) -> tuple[float, float, float, int, int] | None:
    """Opinions of the last week against those before: probability under no change, share then and now, how many now and then."""
    now = ledger.feedback.good(names, since=ago(WEEK))
    then = ledger.feedback.good(names, since=ago(WEEK * (OPINION_WEEKS + 1)), before=ago(WEEK))
    found = share_shift(now, then)
    if found is None:
        return None
    return *found, sum(one[1] for one in now.values()), sum(one[1] for one in then.values())
