"""Reading: every form, every format, and every way a file can be wrong."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tunesmith.core.errors import DataError, RecipeError
from tunesmith.core.rows import Message
from tunesmith.data.config import Task


@pytest.mark.parametrize(
    ("row", "form", "prompt", "answer"),
    [
        ({"text": "hi", "label": "greet"}, "text/label", "hi", "greet"),
        ({"message": "hi", "intent": "greet"}, "text/label", "hi", "greet"),
        ({"sentence": "hi", "category": 3}, "text/label", "hi", "3"),
        ({"Query": "hi", "Class": 2.0}, "text/label", "hi", "2"),
        ({"prompt": "hi", "completion": "ho"}, "prompt/completion", "hi", "ho"),
        ({"question": "hi", "answer": "ho"}, "prompt/completion", "hi", "ho"),
        ({"instruction": "Say", "input": "hi", "output": "ho"}, "instruction/input/output", "Say\n\nhi", "ho"),
        ({"instruction": "Say", "input": "", "output": "ho"}, "instruction/input/output", "Say", "ho"),
        ({"instruction": "Say", "context": "hi", "response": "ho", "category": "x"}, "instruction/input/output", "Say\n\nhi", "ho"),
        ({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]}, "messages", "hi", "ho"),
        ({"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "ho"}]}, "messages", "hi", "ho"),
        ({"prompt": "hi", "chosen": "ho", "rejected": "hm"}, "prompt/chosen/rejected", "hi", "ho"),
        ({"message": "hi", "intent": "greet", "reply": "ho"}, "text/label", "hi", "greet"),
    ],
)
def test_forms(files: ModuleType, tmp_path: Path, row: dict[str, Any], form: str, prompt: str, answer: str) -> None:
    result = files.reading(files.jsonl(tmp_path / "rows.jsonl", [row]))
    assert (result.format, result.rows[0].text(), result.rows[0].answer) == (form, prompt, answer)
    assert set(result.mapping.values()) <= set(row)


def test_raw_text_has_no_prompt(files: ModuleType, tmp_path: Path) -> None:
    result = files.reading(files.jsonl(tmp_path / "rows.jsonl", [{"text": "a story", "title": "T"}]))
    assert (result.task, result.rows[0].prompt, result.rows[0].answer) == (Task.TEXT, (), "a story")
    assert result.rows[0].fields == {"title": "T"}


def test_chat_keeps_the_turns_before_the_last_answer(files: ModuleType, tmp_path: Path) -> None:
    turns = [("system", "S"), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"), ("user", "thanks")]
    chat = {"messages": [{"role": role, "content": content} for role, content in turns]}
    result = files.reading(files.jsonl(tmp_path / "rows.jsonl", [chat]))
    assert result.rows[0].prompt == tuple(Message(role, content) for role, content in turns[:4])
    assert result.rows[0].answer == "d"
    assert any("go on after" in note for note in result.notes)


def test_chat_parts_and_tool_calls(files: ModuleType, tmp_path: Path) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "price", "arguments": '{"of": "tea"}'}}
    parts = [{"type": "text", "text": "how "}, {"type": "text", "text": "much"}]
    rows = [{"messages": [{"role": "user", "content": parts}, {"role": "assistant", "tool_calls": [call]}]}]
    row = files.reading(files.jsonl(tmp_path / "rows.jsonl", rows)).rows[0]
    assert row.text() == "how much"
    assert json.loads(row.answer) == {"name": "price", "arguments": {"of": "tea"}}


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        ([{"role": "user", "content": "hi"}], "no assistant message"),
        ([{"role": "alien", "content": "hi"}], "unknown role"),
        ([{"content": "hi"}], "without a role"),
        (["hi"], "not an object"),
        ([{"role": "user", "content": [{"type": "image_url"}]}, {"role": "assistant", "content": "x"}], "no text"),
        ([{"role": "user", "content": {"a": 1}}, {"role": "assistant", "content": "x"}], "not a text"),
    ],
)
def test_bad_chats(files: ModuleType, tmp_path: Path, turns: list[Any], reason: str) -> None:
    good = {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]}
    result = files.reading(files.jsonl(tmp_path / "rows.jsonl", [good, {"messages": turns}]), bad_lines=0.5)
    assert len(result.rows) == 1
    assert result.bad[0].number == 2
    assert reason in result.bad[0].reason


def test_preference_forms(files: ModuleType, tmp_path: Path) -> None:
    user, good, bad = ({"role": role, "content": content} for role, content in (("user", "q"), ("assistant", "g"), ("assistant", "b")))
    rows = [
        {"chosen": [user, good], "rejected": [user, bad]},
        {"prompt": [user], "chosen": [good], "rejected": [bad]},
        {"chosen": "\n\nHuman: q\n\nAssistant: g", "rejected": "\n\nHuman: q\n\nAssistant: b"},
        {
            "conversations": [{"from": "human", "value": "q"}],
            "chosen": {"from": "gpt", "value": "g"},
            "rejected": {"from": "gpt", "value": "b"},
        },
    ]
    for number, row in enumerate(rows):
        result = files.reading(files.jsonl(tmp_path / f"{number}.jsonl", [row]))
        assert result.task is Task.PREFER
        assert (result.rows[0].prompt, result.rows[0].answer, result.rows[0].rejected) == ((Message("user", "q"),), "g", "b")


@pytest.mark.parametrize(
    "columns",
    [
        ("text", "label", "prompt", "completion"),
        ("message", "sentence", "label"),
        ("sentence", "intent", "category"),
        ("question", "answer", "topic"),
    ],
)
def test_two_mappings_are_an_error_that_names_the_columns(files: ModuleType, tmp_path: Path, columns: tuple[str, ...]) -> None:
    path = files.jsonl(tmp_path / "rows.jsonl", [dict.fromkeys(columns, "x")])
    with pytest.raises(DataError, match=r"data\.read\.columns") as caught:
        files.reading(path)
    assert all(column in str(caught.value) for column in columns)


def test_columns_decide(files: ModuleType, tmp_path: Path) -> None:
    path = files.jsonl(tmp_path / "rows.jsonl", [{"sentence": "hi", "intent": "greet", "category": "x"}])
    assert files.reading(path, columns={"label": "category"}).rows[0].answer == "x"
    assert files.reading(path, columns={"text": "category", "label": "sentence"}).rows[0].text() == "x"
    with pytest.raises(RecipeError, match="Did you mean 'intent'"):
        files.reading(path, columns={"label": "intnt"})
    with pytest.raises(RecipeError, match="Did you mean 'label'"):
        files.reading(path, columns={"labl": "intent"})


def test_the_task_decides(files: ModuleType, tmp_path: Path) -> None:
    path = files.jsonl(tmp_path / "rows.jsonl", [{"message": "hi", "intent": "greet", "answer": "ho"}])
    assert files.reading(path, Task.CLASSIFY).rows[0].answer == "greet"
    assert files.reading(path, Task.GENERATE).rows[0].answer == "ho"
    with pytest.raises(RecipeError, match="chosen and rejected"):
        files.reading(path, Task.PREFER)


def test_tasks_are_guessed(files: ModuleType, tmp_path: Path) -> None:
    few = [{"prompt": f"p{number}", "completion": ("good", "bad")[number % 2]} for number in range(40)]
    many = [{"prompt": f"p{number}", "completion": f"c{number}"} for number in range(40)]
    scores = [{"text": f"p{number}", "label": f"c{number}"} for number in range(40)]
    assert files.reading(files.jsonl(tmp_path / "few.jsonl", few)).task is Task.CLASSIFY
    assert files.reading(files.jsonl(tmp_path / "many.jsonl", many)).task is Task.GENERATE
    result = files.reading(files.jsonl(tmp_path / "scores.jsonl", scores))
    assert result.task is Task.GENERATE
    assert any("data.task: classify" in note for note in result.notes)


def test_a_label_of_another_name_in_a_file_of_two_columns(files: ModuleType, tmp_path: Path) -> None:
    rows = [{"text": f"t{number}", "is_spam": number % 2 == 0} for number in range(10)]
    result = files.reading(files.jsonl(tmp_path / "rows.jsonl", rows))
    assert result.mapping == {"text": "text", "label": "is_spam"}
    assert {row.answer for row in result.rows} == {"true", "false"}


def test_every_format_gives_the_same_rows(files: ModuleType, tmp_path: Path) -> None:
    rows = files.labelled()
    rows[3]["text"] = 'two\nlines, "quoted"'
    json_path = tmp_path / "rows.json"
    json_path.write_text(json.dumps(rows, indent=1))
    bom = tmp_path / "bom.csv"
    bom.write_bytes(b"\xef\xbb\xbf" + files.csv_file(tmp_path / "plain.csv", rows).read_bytes())
    paths = [
        files.jsonl(tmp_path / "rows.jsonl", rows),
        json_path,
        files.csv_file(tmp_path / "rows.csv", rows),
        files.csv_file(tmp_path / "rows.tsv", rows, "\t"),
        files.csv_file(tmp_path / "semicolon.csv", rows, ";"),
        bom,
        files.parquet_file(tmp_path / "rows.parquet", rows),
        files.arrow_folder(tmp_path / "arrow", rows),
        files.gz_file(tmp_path / "rows.jsonl"),
        files.gz_file(tmp_path / "rows.csv"),
        files.gz_file(tmp_path / "rows.parquet"),
        files.gz_file(json_path),
    ]
    results = [files.reading(path) for path in paths]
    expected = [(row.id, row.prompt, row.answer) for row in results[0].rows]
    assert len(expected) == 40
    for path, result in zip(paths, results, strict=True):
        assert [(row.id, row.prompt, row.answer) for row in result.rows] == expected, path
        assert result.mapping == {"text": "text", "label": "label"}
        assert str(result.rows[7].fields["customer"]) == "1"


def test_sources_tell_the_line(files: ModuleType, tmp_path: Path) -> None:
    rows = [{"text": "one\nbreak", "label": "a"}, {"text": "two", "label": "b"}]
    assert [row.source for row in files.reading(files.csv_file(tmp_path / "r.csv", rows)).rows] == ["r.csv:2", "r.csv:4"]
    (tmp_path / "r.json").write_text(json.dumps(rows, indent=1))
    assert [row.source for row in files.reading(tmp_path / "r.json").rows] == ["r.json:2", "r.json:6"]


def test_a_class_label_column_gives_names(files: ModuleType, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    features = {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}, "text": {"dtype": "string", "_type": "Value"}}
    table = pa.table({"text": ["a", "b"], "label": [1, 0]}).replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )
    pq.write_table(table, tmp_path / "rows.parquet")
    assert [row.answer for row in files.reading(tmp_path / "rows.parquet").rows] == ["pos", "neg"]


def test_values_json_cannot_hold_become_ones_it_can(files: ModuleType, tmp_path: Path) -> None:
    from datetime import datetime

    row = {"text": "a", "label": "b", "when": datetime(2026, 1, 2), "score": float("nan"), "raw": b"\x00\x01", "nested": {"deep": [1]}}
    fields = files.reading(files.parquet_file(tmp_path / "rows.parquet", [row])).rows[0].fields
    assert json.loads(json.dumps(dict(fields), allow_nan=False)) == {
        "when": "2026-01-02T00:00:00",
        "score": None,
        "raw": "<2 bytes>",
        "nested": {"deep": [1]},
    }


def test_text_files(files: ModuleType, tmp_path: Path) -> None:
    blocks, lines = tmp_path / "blocks.txt", tmp_path / "lines.txt"
    blocks.write_text("\n\none\nstill one\n\n\ntwo\n")
    lines.write_text("one\ntwo\n\n")
    assert [row.answer for row in files.reading(blocks).rows] == ["one\nstill one", "two"]
    assert [row.answer for row in files.reading(lines).rows] == ["one", "two"]
    with pytest.raises(RecipeError, match=r"data\.task: text"):
        files.reading(lines, Task.CLASSIFY)


def test_json_under_the_wrong_suffix(files: ModuleType, tmp_path: Path) -> None:
    rows = files.labelled(6)
    (tmp_path / "array.jsonl").write_text(json.dumps(rows))
    files.jsonl(tmp_path / "lines.json", rows)
    files.jsonl(tmp_path / "single.json", rows[:1])
    assert len(files.reading(tmp_path / "array.jsonl").rows) == 6
    assert len(files.reading(tmp_path / "lines.json").rows) == 6
    assert len(files.reading(tmp_path / "single.json").rows) == 1


def test_ids_are_of_the_content_and_the_turn(files: ModuleType, tmp_path: Path) -> None:
    a, b = {"text": "a", "label": "x"}, {"text": "b", "label": "x"}
    first = files.reading(files.jsonl(tmp_path / "one.jsonl", [a, b, a, a])).rows
    second = files.reading(files.jsonl(tmp_path / "two.jsonl", [b, a | {"other": 1}, a])).rows
    assert len(first[0].id) == 16
    assert [row.id.removeprefix(first[0].id) for row in first if row.text() == "a"] == ["", "-2", "-3"]
    assert {row.id for row in second} == {first[0].id, first[1].id, first[2].id}


def test_missing_values_are_rows_not_bad_lines(files: ModuleType, tmp_path: Path) -> None:
    rows = [*files.labelled(4), {"text": None, "label": "yes"}, {"text": "x"}, {"text": "", "label": "no"}]
    result = files.reading(files.jsonl(tmp_path / "rows.jsonl", rows))
    assert (len(result.rows), result.bad) == (7, [])
