"""A found recipe reads back as the recipe that was found, keeps what the user left out left out, and says what was found."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.recipe import Recipe, parse_recipe
from tunesmith.recipe.search_space import with_settings
from tunesmith.search.applied import setting_of, written_best

RATES = st.floats(1e-6, 1.0).map(lambda rate: float(f"{rate:.3g}"))


def recipe_of(**sections: Any) -> Recipe:
    space = {"train.learning_rate": [0.001, 0.01], "train.epochs": [1, 2]}
    return Recipe.model_validate({"data": {"path": "rows.jsonl"}, "search": {"space": space}} | sections)


@given(
    rate=RATES,
    rank=st.integers(1, 64),
    targets=st.just("all-linear") | st.lists(st.sampled_from(["q_proj", "v_proj", "o_proj"]), min_size=1, unique=True),
    patience=st.none() | st.integers(1, 9),
)
def test_the_file_reads_back_as_the_recipe_that_was_found(rate: float, rank: int, targets: Any, patience: int | None) -> None:
    recipe = recipe_of(method={"name": "lora", "rank": 4}, train={"epochs": 3})
    settings = {"train.learning_rate": rate, "method.rank": rank, "method.targets": targets, "train.early_stopping.patience": patience}
    text = written_best(recipe, settings, "Found by a search.\nRun it.")
    assert parse_recipe(text) == with_settings(recipe, settings)
    assert text.startswith("# Found by a search.\n# Run it.\ndata:\n") and "\nsearch:" not in text
    assert f"  rank: {rank}{'' if rank == 4 else '  # found by the search; before: 4'}\n" in text
    assert "  epochs: 3.0\n" in text and "evaluate" not in text, "what was left out stays so"


@pytest.mark.parametrize(
    ("found", "mark"), [(0.005, "as decided before the search"), (0.01, "found by the search; before: decided, 0.005")]
)
def test_what_stayed_is_not_marked_as_found_and_what_was_decided_is_told(found: float, mark: str) -> None:
    settings = {"train.learning_rate": found, "train.batch_rows": 16, "method.dropout": 0.1}
    text = written_best(recipe_of(method={"rank": 4}), settings, "x", {"train.learning_rate": 0.005})
    assert f"  learning_rate: {found}  # {mark}\n" in text
    assert "  batch_rows: 16\n" in text
    assert "  dropout: 0.1  # found by the search; before: 0.0\n" in text


def test_a_section_that_the_recipe_leaves_out_is_made_where_it_is_found() -> None:
    settings = {"train.early_stopping.patience": 4, "method.unfreeze.every_epochs": 1.5}
    recipe = recipe_of(method={"name": "full"})
    assert parse_recipe(written_best(recipe, settings, "x")) == with_settings(recipe, settings)


def test_a_setting_of_a_section_that_is_left_out_has_no_value() -> None:
    recipe = recipe_of()
    assert setting_of(recipe, "method.unfreeze.every_steps") is None
    assert setting_of(recipe, "method.rank") == 16


@pytest.mark.parametrize("word", ["no", "1e5", "a: b", "#", "{x}", "'", '"', "\n"])
def test_words_that_yaml_would_read_as_something_else_stay_words(word: str) -> None:
    recipe = recipe_of(data={"path": "rows.jsonl", "instruction": word})
    text = written_best(recipe, {"train.epochs": 2.0}, "x")
    assert parse_recipe(text) == with_settings(recipe, {"train.epochs": 2.0})
