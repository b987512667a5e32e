"""Accepted opinions as rows that a recipe reads without naming columns. Nothing that is not accepted becomes a row.

Corrections become `{"messages": [..., the corrected answer]}` for supervised fine-tuning; labels `{"text", "label"}`; preferences
`{"prompt": [...], "chosen", "rejected"}` and thumbs `{"messages": [..., the answer], "wanted": true or false}` (KTO), which need
`data.task: prefer`.
"""

from collections.abc import Callable, Iterable
from typing import Any

from tunesmith.data.fold import fold
from tunesmith.feedback.votes import prompt_key
from tunesmith.ledger.feedback import FeedbackRecord
from tunesmith.ledger.requests import told

Made = dict[str, Any]


def rows_of(records: Iterable[FeedbackRecord]) -> tuple[dict[str, list[Made]], dict[str, int]]:
    """Rows by form, and how many accepted opinions made none, by why.

    Equal rows are made once. Each carries `source: feedback`, its opinion's id and its key, to trace and to group by.
    """
    rows: dict[str, list[Made]] = {form: [] for form in FORMS}
    left: dict[str, int] = {}
    seen: set[tuple[str, str | None, str, str]] = set()
    for record in records:
        if record.state != "accepted":
            continue
        why = _unusable(record)
        form = _FORM_OF.get(record.kind, "")
        same = (form, prompt_key(record), fold(record.answer or "") if form in ("thumbs", "pairs") else "", fold(record.value))
        if why is None and same in seen:
            why = "said before"
        if why is not None:
            left[why] = left.get(why, 0) + 1
            continue
        seen.add(same)
        rows[form].append(FORMS[form](record) | {"source": "feedback", "feedback": record.id, "given_by": _giver(record)})
    return rows, left


def _giver(record: FeedbackRecord) -> str:
    """Its key; with the hash of its user, where the key names them."""
    return record.key_id if record.asker is None else f"{record.key_id} {record.asker}"


def _unusable(record: FeedbackRecord) -> str | None:
    """Why an accepted opinion makes no row; None where it does."""
    if record.kind == "comment":
        return "comments"
    if not record.prompt:
        return "prompt not kept"
    if record.asked == "text":
        return "of a text that was continued"
    if record.kind in ("thumbs", "preference") and not record.answer:
        return "answer not kept"
    if record.kind == "label" and not any(turn.role == "user" for turn in record.prompt):
        return "no user message"
    if record.kind == "preference" and fold(record.value) == fold(record.answer or ""):
        return "both answers are the same"
    return None


def _said(record: FeedbackRecord, answer: str) -> list[dict[str, str]]:
    return [*(told(record.prompt) or []), {"role": "assistant", "content": answer}]


def _correction(record: FeedbackRecord) -> Made:
    return {"messages": _said(record, record.value)}


def _label(record: FeedbackRecord) -> Made:
    return {"text": next(turn.content for turn in reversed(record.prompt or ()) if turn.role == "user"), "label": record.value}


def _pair(record: FeedbackRecord) -> Made:
    return {"prompt": told(record.prompt), "chosen": record.value, "rejected": record.answer}


def _thumbs(record: FeedbackRecord) -> Made:
    return {"messages": _said(record, record.answer or ""), "wanted": record.value == "up"}


FORMS: dict[str, Callable[[FeedbackRecord], Made]] = {"corrections": _correction, "labels": _label, "pairs": _pair, "thumbs": _thumbs}
_FORM_OF = {"correction": "corrections", "label": "labels", "preference": "pairs", "thumbs": "thumbs"}
