"""Accepted opinions become rows that are read without naming a column; nothing else does."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tunesmith.core.files import write_jsonl
from tunesmith.core.rows import Message, Row
from tunesmith.data.config import Task
from tunesmith.data.read import read
from tunesmith.data.settings.read import ReadConfig
from tunesmith.feedback.rows import rows_of
from tunesmith.ledger.feedback import FeedbackRecord

Say = Callable[..., FeedbackRecord]
TURNS = (Message("system", "Be kind."), Message("user", "Hi"), Message("assistant", "Hello"), Message("user", "How are you?"))


@pytest.mark.parametrize("state", ["new", "rejected", "quarantined"])
def test_what_is_not_accepted_makes_no_row(say: Say, state: str) -> None:
    rows, left = rows_of([say("thumbs", "up", state=state), say("correction", "x", state=state)])
    assert not any(rows.values()) and left == {}


def test_what_can_make_no_row_is_counted_by_why(say: Say) -> None:
    said = [
        say("comment", "so so"), say("thumbs", "up", None), say("correction", "x", asked="text"), say("thumbs", "up", answer=None),
        say("preference", "Answer"), say("thumbs", "down", "twice"), say("thumbs", "down", "TWICE", key_id="b"),
    ]  # fmt: skip
    rows, left = rows_of([replace(record, state="accepted") for record in said])
    assert left == {
        "comments": 1, "prompt not kept": 1, "of a text that was continued": 1, "answer not kept": 1, "both answers are the same": 1, "said before": 1,
    }  # fmt: skip
    assert [len(held) for held in rows.values()] == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("kind", "values", "form", "task"),
    [
        ("correction", ["Well.", "Fine."], "corrections", None),
        ("label", ["good", "bad"], "labels", None),
        ("preference", ["Well.", "Fine."], "pairs", Task.PREFER),
        ("thumbs", ["up", "down"], "thumbs", Task.PREFER),
    ],
)
def test_rows_read_back_say_what_the_opinion_said(
    say: Say, tmp_path: Path, kind: str, values: list[str], form: str, task: Task | None
) -> None:
    said = [
        say(kind, value, answer=f"old {number}", state="accepted", prompt=None)
        for number, value in enumerate(values * 6)
    ]  # fmt: skip
    said = [
        replace(record, prompt=(*TURNS[:-1], Message("user", f"How are you, {number}?"))) for number, record in enumerate(said)
    ]  # fmt: skip
    rows, _ = rows_of(said)
    write_jsonl(tmp_path / "rows.jsonl", rows[form])
    reading = read(str(tmp_path / "rows.jsonl"), ReadConfig(), task)
    found = [row for row in reading if isinstance(row, Row)]
    assert len(found) == len(said) and reading.bad == 0
    for row, record in zip(found, said, strict=True):
        assert row.text() == record.prompt[-1].content if record.prompt else False
        if kind == "label":
            assert row.answer == record.value
        elif kind == "correction":
            assert row.prompt == record.prompt and row.answer == record.value
        elif kind == "preference":
            assert (row.prompt, row.answer, row.rejected) == (record.prompt, record.value, record.answer)
        else:
            assert (row.prompt, row.answer, row.wanted) == (record.prompt, record.answer, record.value == "up")
        assert row.fields["feedback"] == record.id and row.fields["given_by"] == "k"
