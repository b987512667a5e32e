"""By what trials are compared: the deciding measure where answers are known without being written, else the loss, and only one loss."""

from typing import Any

import pytest

from tunesmith.core.errors import RecipeError
from tunesmith.core.rows import Message, Row
from tunesmith.data.config import Task
from tunesmith.recipe import Recipe
from tunesmith.search.measuring import SAMPLE, compared_by, sample_of


def recipe_of(**evaluate: Any) -> Recipe:
    return Recipe.model_validate({"data": {"path": "rows.jsonl"}, "evaluate": evaluate})


@pytest.mark.parametrize(
    ("task", "metrics", "deciding", "name", "signed"),
    [
        (Task.CLASSIFY, [], "accuracy", "accuracy", 0.5),
        (Task.REGRESS, [], "mae", "mae", -0.5),
        (Task.TAG, [], "span_f1", "span_f1", 0.5),
        (Task.PREFER, [], "preference_accuracy", "preference_accuracy", 0.5),
        (Task.GENERATE, [], "rougeL", "loss", -0.5),
        (Task.GENERATE, ["bleu"], "bleu", "bleu", 0.5),
        (Task.GENERATE, ["perplexity"], "perplexity", "loss", -0.5),
        (Task.TEXT, [], "perplexity", "loss", -0.5),
    ],
)
def test_each_task_is_compared_by_what_decides_it(task: Task, metrics: list[str], deciding: str, name: str, signed: float) -> None:
    found = compared_by(recipe_of(metrics=metrics), task, deciding, ["train.learning_rate"])
    assert (found.name, found.signed(0.5), found.plain(found.signed(0.5))) == (name, signed, 0.5)
    assert ("written" in found.sentence) is (task is Task.GENERATE and name == "loss"), "the reason is said"


@pytest.mark.parametrize("path", ["objective.label_smoothing", "train.weight_by", "train.max_tokens"])
def test_different_losses_are_not_compared(path: str) -> None:
    with pytest.raises(RecipeError, match=f"{path} changes what a loss means"):
        compared_by(recipe_of(), Task.GENERATE, "rougeL", ["train.learning_rate", path])
    assert compared_by(recipe_of(), Task.CLASSIFY, "accuracy", [path]).name == "accuracy"
    assert compared_by(recipe_of(metrics=["rougeL"]), Task.GENERATE, "rougeL", [path]).name == "rougeL"


def test_a_sample_is_the_same_for_all_trials_and_holds_all_rows_where_they_are_few() -> None:
    rows = [Row(id=str(number), prompt=(Message("user", "x"),), answer="y") for number in range(SAMPLE + 100)]
    few = rows[:SAMPLE]
    assert sample_of(few, 0) == few
    drawn = sample_of(rows, 7)
    assert drawn == sample_of(rows, 7) != sample_of(rows, 8)
    assert len({row.id for row in drawn}) == SAMPLE and drawn == sorted(drawn, key=lambda row: int(row.id))
