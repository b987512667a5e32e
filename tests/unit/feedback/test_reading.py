"""Opinions from files: what is there is read, what is wrong is told by line, what is personal is gone."""

from pathlib import Path

import pytest

from tunesmith.core.errors import DataError, RecipeError
from tunesmith.feedback.reading import Unread, read_opinions
from tunesmith.ledger.feedback import FeedbackRecord
from tunesmith.ledger.ledger import Ledger
from tunesmith.pipeline.feedback import import_feedback


def test_every_kind_is_read_and_bad_records_are_told_by_line(tmp_path: Path) -> None:
    lines = [
        '{"prompt": "Mail ann@example.com now", "answer": "ok", "thumbs": "up", "comment": "fine", "user": "u1", "confidence": 0.5}',
        '{"prompt": [{"role": "user", "content": "hi"}], "answer": "ho", "correction": "hey \\u0000"}',
        '{"prompt": "q", "answer": "a", "preferred": "b"}',
        '{"prompt": "q", "answer": "blue", "label": "red"}',
        '{"prompt": "q", "answer": "a", "thumbs": false}',
        '{"prompt": "q", "answer": "a", "thumbs": "sideways"}',
        '{"answer": "a", "thumbs": "up"}',
        '{"prompt": "q", "answer": "a"}',
        '{"prompt": [{"role": "assistant", "content": "x"}], "thumbs": "up"}',
        '{"prompt": "q", "answer": ["a"], "thumbs": "up"}',
        '{"prompt": "q", "answer": "a", "comment": " "}',
        '{"prompt": "q", "answer": "a", "correction": "' + "x" * 70_000 + '"}',
        "{",
    ]
    (tmp_path / "said.jsonl").write_text("\n".join(lines) + "\n")
    found = list(read_opinions(str(tmp_path / "said.jsonl"), "t"))
    said = [one for one in found if isinstance(one, FeedbackRecord)]
    assert [(one.kind, one.value) for one in said] == [
        ("thumbs", "up"), ("comment", "fine"), ("correction", "hey \ufffd"), ("preference", "b"), ("label", "red"), ("thumbs", "down"),
    ]  # fmt: skip
    assert said[0].prompt is not None and said[0].prompt[0].content == "Mail [EMAIL] now"
    assert said[0].key_id == "import:u1" and said[0].confidence == 0.5 and said[1].completion_id == said[0].completion_id
    assert [one.number for one in found if isinstance(one, Unread)] == [6, 7, 8, 9, 10, 11, 12, 13]


def test_a_csv_twice_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "said.csv").write_text("Prompt,Answer,Thumbs,User\nq1,a1,up,x\nq2,a2,down,x\nq3,a3,,x\nq1,a1,up,y\n")
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        first = import_feedback(ledger, str(tmp_path / "said.csv"))
        again = import_feedback(ledger, str(tmp_path / "said.csv"))
        assert (first.read, first.new, first.unread) == (3, 3, 1) and (again.read, again.new) == (3, 0)
        assert {record.state for record in ledger.feedback.list()} == {"new"}


def test_a_file_without_opinions_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("prompt,answer\nq,a\n")
    (tmp_path / "bad.csv").write_text("prompt,answer,thumbs\nq,a,perhaps\n")
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        with pytest.raises(DataError, match="has no opinions: it needs prompt, answer"):
            import_feedback(ledger, str(tmp_path / "rows.csv"))
        with pytest.raises(DataError, match="line 2: thumbs is neither"):
            import_feedback(ledger, str(tmp_path / "bad.csv"))
        with pytest.raises(RecipeError):
            import_feedback(ledger, str(tmp_path / "none.csv"))


def test_users_that_are_addresses_stay_apart_and_are_not_written_down(tmp_path: Path) -> None:
    (tmp_path / "said.csv").write_text(
        "prompt,answer,thumbs,user\nq,a,up,ann@example.com\nq,a,up,bob@example.com\nq,b,up,ann@example.com\n"
    )
    keys = [one.key_id for one in read_opinions(str(tmp_path / "said.csv"), "t") if isinstance(one, FeedbackRecord)]
    assert keys[0] == keys[2] != keys[1] and not any("example" in key or "[" in key for key in keys)
