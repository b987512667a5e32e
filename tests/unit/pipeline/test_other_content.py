"""What a round learns from beside its data and its base is part of what the round is."""

import shutil
from pathlib import Path

from tunesmith.core.progress import Event, Said
from tunesmith.core.rows import Message, Row
from tunesmith.embedded import base_path
from tunesmith.pipeline.datasets import general_rows, other_content
from tunesmith.pipeline.workspace import Workspace
from tunesmith.recipe import Recipe


def recipe_of(**sections: object) -> Recipe:
    return Recipe.model_validate({"data": {"path": "unused"}} | sections)


def test_nothing_where_there_is_neither() -> None:
    assert other_content(recipe_of()) == []


def test_a_replayed_file_that_changes_is_another_round(tmp_path: Path) -> None:
    file = tmp_path / "general.jsonl"
    recipe = recipe_of(train={"regularise": {"replay": {"path": str(file)}}})
    file.write_text('{"prompt": "a", "completion": "b"}\n')
    first = other_content(recipe)
    file.write_text('{"prompt": "a", "completion": "c"}\n')
    assert other_content(recipe) != first


def test_a_teacher_that_changes_is_another_round(tmp_path: Path, tiny_base: Path) -> None:
    found = []
    for name, source in (("a", base_path()), ("b", tiny_base)):
        shutil.copytree(source, tmp_path / name / "teacher")
        found.append(other_content(recipe_of(objective={"name": "distill", "teacher": str(tmp_path / name / "teacher")})))
    assert found[0] != found[1]


def test_rows_held_out_are_not_replayed(tmp_path: Path) -> None:
    file = tmp_path / "general.jsonl"
    file.write_text("".join(f'{{"prompt": "Question {number}", "completion": "Answer {number}"}}\n' for number in range(40)))
    recipe = recipe_of(train={"regularise": {"replay": {"path": str(file)}}})
    held_out = [Row(id="t", prompt=(Message("user", "question  7"),), answer="x")]
    heard: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, Said):
            heard.append(event.text)

    rows, task = general_rows(recipe, Workspace(tmp_path / "w"), listen, held_out)
    assert task == "generate"
    assert len(rows) == 39
    assert all(row.text() != "Question 7" for row in rows)
    assert any("1 of 40 rows to replay" in text for text in heard)
