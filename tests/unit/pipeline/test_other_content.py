"""What a round learns from beside its data and its base is part of what the round is."""

import shutil
from pathlib import Path

import pytest

from tests.unit.evaluate.bias_sets import write_wino_folder
from tunesmith.core.errors import RecipeError
from tunesmith.core.progress import Event, Said
from tunesmith.core.rows import Message, Row
from tunesmith.embedded import base_path
from tunesmith.pipeline.datasets import general_rows, looked_at_content, other_content
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


def test_a_folder_that_only_looks_read_is_another_round_when_a_file_in_it_changes(tmp_path: Path) -> None:
    """Whatever its files are called: WinoBias has .txt.dev."""
    write_wino_folder(tmp_path / "wino")
    recipe = recipe_of(evaluate={"bias": {"winobias": str(tmp_path / "wino")}})
    first = looked_at_content(recipe)
    assert looked_at_content(recipe) == first
    file = sorted((tmp_path / "wino").iterdir())[0]
    file.write_text(file.read_text() + "\n")
    assert looked_at_content(recipe) != first


@pytest.mark.parametrize("inner", ["", "model"])
def test_a_classifier_of_other_weights_is_another_round(tmp_path: Path, inner: str) -> None:
    """Named by its own folder or by its round's; what is written beside the model, and its card, do not count."""
    model = tmp_path / "round" / inner
    model.mkdir(parents=True)
    (model / "tunesmith.json").write_text("{}")
    (model / "model.safetensors").write_bytes(b"weights")
    asked = {"prompts": None, "classifier": str(tmp_path / "round"), "toxic_labels": ["bad"]}
    recipe = recipe_of(evaluate={"safety": asked})
    first = looked_at_content(recipe)
    (model / "README.md").write_text("A card.")
    if inner:
        (tmp_path / "round" / "clock.json").write_text("{}")
    assert looked_at_content(recipe) == first
    (model / "model.safetensors").write_bytes(b"others")
    assert looked_at_content(recipe) != first


@pytest.mark.parametrize("name", ["nowhere.csv", "nowhere/*.csv"])
def test_a_file_that_is_not_there_is_told_and_not_taken_for_one(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecipeError, match="nowhere"):
        looked_at_content(recipe_of(evaluate={"bias": {"crows_pairs": str(tmp_path / name)}}))


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
