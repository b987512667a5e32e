"""Opinions from files: what is there is read, what is wrong is told by line, what is personal is gone."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tunesmith.core.errors import DataError, RecipeError
from tunesmith.core.files import make_folder, write_json
from tunesmith.feedback.reading import Unread, read_opinions
from tunesmith.ledger.feedback import FeedbackRecord
from tunesmith.ledger.ledger import Ledger
from tunesmith.ledger.steps import StepRecord
from tunesmith.pipeline.feedback import import_feedback
from tunesmith.pipeline.label_sets import LabelSets
from tunesmith.pipeline.workspace import Workspace


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


def test_labels_are_held_to_those_of_the_model_that_is_named(tmp_path: Path) -> None:
    """A line's champion knows red and blue, a writer takes anything, of a model that is not here nothing is known."""
    place = Workspace(tmp_path / "work")
    for name, bundle in (("colours", {"task": "classify", "labels": ["red", "blue"]}), ("writer", {"task": "generate", "labels": None})):
        write_json(make_folder(tmp_path / name) / "tunesmith.json", bundle)
    rows = [
        {"model": "shop", "label": "red"},
        {"model": "shop", "label": "rde"},
        {"model": "colours", "label": "green"},
        {"model": "writer", "label": "green"},
        {"model": "writer", "correction": "anything"},
        {"model": "gone", "label": "green"},
        {"label": "green"},
        {"model": "shop", "correction": "red"},
        {"model": "shop", "thumbs": "up"},
        {"model": "shop", "label": "blue", "preferred": "red"},
        {"model": str(tmp_path / "colours"), "label": "green"},
    ]
    lines = [json.dumps({"prompt": f"q{place}", "answer": "red"} | row) for place, row in enumerate(rows)]
    (tmp_path / "said.jsonl").write_text("\n".join(lines) + "\n")
    with place.ledger() as ledger:
        for line, name in (("shop", "colours"), ("poems", "writer")):
            ledger.steps.take(StepRecord(line=line, action="promote", model=str(tmp_path / name), who="ann", why="first"))
        made = import_feedback(ledger, str(tmp_path / "said.jsonl"), place=place)
        assert made.why == (
            "line 2: the model knows no label 'rde' (the nearest: red)",
            "line 3: the model knows no label 'green' (it knows red, blue)",
            "line 8: its model answers with labels: the right one stands in the column label, not in correction",
            "line 10: its model answers with labels: the right one stands in the column label, not in preferred",
        )
        assert made.read == 7
    with Workspace(tmp_path / "other").ledger() as ledger:  # where there is one line alone, what names no model is about it
        ledger.steps.take(StepRecord(action="promote", model=str(tmp_path / "colours"), who="ann", why="first"))
        (tmp_path / "nameless.jsonl").write_text('{"prompt": "q", "answer": "red", "label": "green"}\n{"prompt": "q", "label": "blue"}\n')
        made = import_feedback(ledger, str(tmp_path / "nameless.jsonl"), place=Workspace(tmp_path / "other"))
        assert (made.read, made.unread) == (1, 1) and made.why[0].startswith("line 1: ")
        sets = LabelSets(Workspace(tmp_path / "other"), ledger)
        about = FeedbackRecord(tenant="t", key_id="k", completion_id="c", kind="label", value="x", model="champion", asked="label")
        assert sets.of(about) == ("red", "blue") and sets.of(replace(about, asked="text")) is None


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
