"""Rows held out by an earlier dataset are the same rows in a later one, byte for byte, and nothing that stands in them is trained on."""

import json
from pathlib import Path
from typing import Any

import pytest

import tunesmith
from tunesmith.core.errors import RecipeError
from tunesmith.core.rows import Message, Row
from tunesmith.data.config import Task
from tunesmith.data.dataset import read_dataset
from tunesmith.pipeline.held_out import plain_rows

SIDES = ("select", "calibrate", "test")


def recipe(data: dict[str, Any]) -> tunesmith.Recipe:
    return tunesmith.Recipe.model_validate({"data": data})


def written(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.mark.parametrize("instruction", [None, "Say which colour."])
@pytest.mark.parametrize("form", ["text", "messages"])
def test_test_rows_stay_whatever_the_stages_would_make_of_them(
    tmp_path: Path, colour_rows: list[dict[str, str]], instruction: str | None, form: str
) -> None:
    rows: list[dict[str, Any]] = [row | {"text": f"{row['text']}  \u00a0é\u0301"} for row in colour_rows]
    if form == "messages":
        turns = ({"role": "user", "content": "Hello"}, {"role": "assistant", "content": "What is it?"})
        rows = [
            {"messages": [*turns, {"role": "user", "content": row["text"]}, {"role": "assistant", "content": row["label"]}]} for row in rows
        ]
    data: dict[str, Any] = {"path": written(tmp_path / "rows.jsonl", rows), "task": "classify", "instruction": instruction}
    as_it_is = {"unicode_form": "none", "white_space": False}
    first = tunesmith.prepare(recipe(data | {"normalise": as_it_is}), workspace=tmp_path / "work")
    before = read_dataset(first.folder)
    new = [*rows, *[{"text": f"A new {c} thing called {n}", "label": c} for n in range(30) for c in ("red", "green", "blue")]]
    new = [row if form == "text" or "messages" in row else {"messages": as_turns(row)} for row in new]
    later = data | {"path": written(tmp_path / "new.jsonl", new), "held_out": str(first.folder)}
    after = read_dataset(tunesmith.prepare(recipe(later), workspace=tmp_path / "work").folder)
    for side in SIDES:
        assert after.side_hash(side) == before.side_hash(side) and list(after.sides[side]) == list(before.sides[side])
    held = {row.text() for side in SIDES for row in before.sides[side]}
    assert after.counts()["train"] > 60 and not held & {row.text() for row in after.sides["train"]}
    assert after.id != before.id and set(after.labels) == {"red", "green", "blue"}
    if instruction is not None:
        assert all(row.prompt[0] == Message("system", instruction) for row in after.sides["train"])


def as_turns(row: dict[str, str]) -> list[dict[str, str]]:
    return [{"role": "user", "content": row["text"]}, {"role": "assistant", "content": row["label"]}]


def test_what_can_not_be_meant_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="held_out supplies the rows"):
        recipe({"path": "x", "held_out": "y", "test_path": "z"})
    with pytest.raises(RecipeError, match="no dataset's folder"):
        tunesmith.prepare(recipe({"path": "sample", "held_out": str(tmp_path)}), workspace=tmp_path)


def test_one_row_of_several_turns_makes_all_of_them_conversations() -> None:
    one, two = (Message("user", "a"),), (Message("user", "a"), Message("assistant", "b"), Message("user", "c"))
    plain = plain_rows([Row(id="1", prompt=one, answer="x", fields={"by": 7})], Task.CLASSIFY, None, "by")
    assert plain == [{"by": 7, "text": "a", "label": "x"}]
    both = plain_rows([Row(id="1", prompt=one, answer="x"), Row(id="2", prompt=two, answer="y")], Task.CLASSIFY, None)
    assert [len(row["messages"]) for row in both] == [2, 4]


def test_no_label_is_lost_that_the_earlier_rows_had(tmp_path: Path, colour_rows: list[dict[str, str]]) -> None:
    data = {"path": written(tmp_path / "rows.jsonl", list(colour_rows)), "task": "classify"}
    first = tunesmith.prepare(recipe(data), workspace=tmp_path / "work")
    new = [{"text": f"A new {colour} thing called {number}", "label": colour} for number in range(30) for colour in ("red", "green")]
    later = data | {"path": written(tmp_path / "new.jsonl", new), "held_out": str(first.folder)}
    after = read_dataset(tunesmith.prepare(recipe(later), workspace=tmp_path / "work").folder)
    before = {row.id: row for row in read_dataset(first.folder).sides["train"]}
    taken = [row for row in after.sides["train"] if row.answer == "blue"]
    assert 0 < len(taken) <= 8 and all(before[row.id] == row for row in taken) and any("blue" in note for note in after.notes)
