"""What the audit log tells: its own entries, and the steps of who is in service, in the order of their times."""

from dataclasses import dataclass
from typing import Any

from tunesmith.pipeline.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Trail:
    """Entries, oldest first, and whether they are as they were written."""

    entries: list[dict[str, Any]]
    """Each with `created`, `who`, `action`, `what`, and `told`: the last as a line."""
    broken: int | None
    """Number of the first entry that was changed afterwards."""
    digest: str | None
    """Of the last entry of the log; kept elsewhere it shows whether entries were taken off the end."""


def audit_trail(place: Workspace, limit: int) -> Trail:
    """The newest entries. MachineError where the ledger can't be read."""
    with place.ledger() as ledger:
        log, broken = ledger.audit.list(limit), ledger.audit.broken()
        steps = [step for line in ledger.steps.lines() for step in ledger.steps.history(line)]
    entries: list[dict[str, Any]] = [{"created": one.created, "who": one.who, "action": one.action, "what": one.what} for one in log]
    for step in steps:
        names = ("line", "model", "model_hash", "mode", "share", "why")
        what = {name: getattr(step, name) for name in names if getattr(step, name) is not None}
        entries.append({"created": step.created, "who": step.who, "action": f"service.{step.action}", "what": what})
    entries.sort(key=lambda one: str(one["created"]))
    told = [one | {"told": _told(one["what"])} for one in entries[-limit:]]
    return Trail(told, broken, log[-1].digest if log else None)


def _told(what: dict[str, Any]) -> str:
    """What an entry is about, as a line."""
    return ", ".join(f"{name} {_words(value)}" for name, value in what.items() if value not in (None, [], {}))[:300]


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={_words(one)}" for name, one in value.items())
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
