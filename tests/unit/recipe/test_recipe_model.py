"""The recipe as a value: what it refuses, what it is called, where its paths lead."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from tunesmith.core.errors import RecipeError
from tunesmith.recipe import Recipe, resolved

ROWS = {"path": "rows.jsonl"}


def test_two_paths_make_a_recipe() -> None:
    recipe = Recipe.model_validate({"data": ROWS, "base": {"path": "models/small"}})
    assert (recipe.seed, recipe.data.path, recipe.base.path) == (0, "rows.jsonl", "models/small")


def test_nothing_can_be_changed() -> None:
    recipe = Recipe.model_validate({"data": ROWS})
    with pytest.raises(ValidationError, match="frozen"):
        recipe.seed = 1  # type: ignore[misc]


def test_python_is_refused_in_the_words_of_yaml() -> None:
    with pytest.raises(RecipeError) as refused:
        Recipe.model_validate({"data": {"path": "x", "tsak": "classify"}, "train": {"epochs": 0}})
    assert str(refused.value).splitlines() == [
        "data.tsak is not a setting. Did you mean 'task'?",
        "train.epochs is 0; it must be greater than 0. Leave it out for the default, 3.0.",
    ]


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        ({"objective": {"name": "class"}, "method": {"head": "tokens"}}, "objective.name: class needs a classification head"),
        ({"objective": {"name": "sft"}, "method": {"head": "class"}}, "method.head: class is trained by objective.name: class, not sft"),
        ({"data": ROWS | {"task": "generate"}, "method": {"head": "class"}}, "method.head: class needs data.task: classify, not generate"),
        ({"data": ROWS | {"task": "text", "rows_per_label": 5}}, "data.rows_per_label: this needs labels, and data.task: text has none"),
    ],
)
def test_sections_that_disagree(sections: dict[str, object], sentence: str) -> None:
    with pytest.raises(RecipeError) as refused:
        Recipe.model_validate({"data": ROWS} | sections)
    assert sentence in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_a_classification_head_with_its_objective() -> None:
    assert Recipe.model_validate({"data": ROWS, "objective": {"name": "class"}, "method": {"head": "class"}}).method.head == "class"


def test_identity_is_of_what_is_done_not_of_how_it_is_written() -> None:
    plain = Recipe.model_validate({"data": ROWS})
    written_out = Recipe.model_validate({"data": ROWS, "seed": 0, "train": {"epochs": 3}})
    assert plain.identity() == written_out.identity()
    assert len(plain.identity()) == 64
    assert Recipe.model_validate({"data": {"path": "/elsewhere/rows.jsonl"}}).identity() == plain.identity()


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"train": {"epochs": 2}},
        {"data": {"path": "others.jsonl"}},
        {"data": ROWS | {"test_path": "t.jsonl"}},
        {"gates": {"gain": 0.1}},
    ],
)
def test_another_round_has_another_identity(change: dict[str, object]) -> None:
    assert Recipe.model_validate({"data": ROWS} | change).identity() != Recipe.model_validate({"data": ROWS}).identity()


def test_paths_are_taken_from_the_folder(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    recipe = Recipe.model_validate({"data": {"path": "rows.jsonl", "test_path": "/abs/test.jsonl"}, "base": {"path": "small"}})
    there = resolved(recipe, tmp_path)
    assert there.data.path == str(tmp_path / "rows.jsonl")
    assert there.data.test_path == "/abs/test.jsonl"
    assert there.data.validation_path is None
    assert there.base.path == str(tmp_path / "small")
    assert recipe.data.path == "rows.jsonl"


def test_names_are_no_paths(tmp_path: Path) -> None:
    for base in ("embedded", "Qwen/Qwen3-0.6B"):
        recipe = Recipe.model_validate({"data": {"path": "sample"}, "base": {"path": base}})
        assert resolved(recipe, tmp_path) == recipe


def test_a_recipe_of_the_current_folder_stays_as_written() -> None:
    recipe = Recipe.model_validate({"data": ROWS})
    assert resolved(recipe, Path()) == recipe
