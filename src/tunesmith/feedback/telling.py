"""Opinions as JSON: for whoever gave them, and for the operator."""

from typing import Any

from tunesmith.ledger.feedback import FeedbackRecord
from tunesmith.ledger.requests import told


def shown(record: FeedbackRecord) -> dict[str, Any]:
    """An opinion for whoever gave it; not who else says what, nor why it is set aside."""
    value: Any = record.value
    if record.kind == "preference" and record.other is not None:
        completion, _, choice = record.other.rpartition(" ")
        value = {"completion_id": completion, "choice": int(choice)}
    elif record.kind == "preference":
        value = {"text": record.value}
    name = "preferred" if record.kind == "preference" else record.kind
    return {
        "id": record.id,
        "object": "feedback",
        "created": record.created,
        "completion_id": record.completion_id,
        "choice": record.choice,
        "kind": record.kind,
        name: value,
        "state": "received" if record.state in ("new", "quarantined") else record.state,
    }


def opened(record: FeedbackRecord) -> dict[str, Any]:
    """An opinion with all that is known of it, for the operator."""
    names = ("tenant", "key_id", "model", "answer", "confidence", "flagged", "state", "reviewer", "reason", "other")
    return shown(record) | {"prompt": told(record.prompt)} | {name: getattr(record, name) for name in names}
