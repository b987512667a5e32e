"""Tasks, objectives and heads: what goes together is settled, what does not is said once."""

from itertools import product
from typing import Any

import pytest

from tunesmith.core.errors import RecipeError
from tunesmith.data.config import Task
from tunesmith.recipe import Recipe, check_agreement, head_of, objective_of

ROWS = {"path": "rows.jsonl"}


def recipe(task: str | None = None, **sections: Any) -> Recipe:
    return Recipe.model_validate({"data": ROWS | ({"task": task} if task else {})} | sections)


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        (
            {"objective": {"name": "tags"}, "method": {"head": "class"}},
            "objective.name: tags needs a head of its own, not class: set method.head: tags",
        ),
        (
            {"objective": {"name": "dpo"}, "method": {"head": "regression"}},
            "method.head: regression is trained by objective.name: regression, not dpo",
        ),
        ({"task": "tag", "method": {"head": "multilabel"}}, "method.head: multilabel needs data.task: multilabel, not tag"),
        (
            {"task": "tag", "objective": {"name": "sft"}},
            "method.head: data.task: tag is answered by a head for tokens, not by text: set method.head: tags",
        ),
        (
            {"task": "generate", "objective": {"name": "dpo"}},
            "objective.name: dpo needs answers that people judged (data.task: prefer), not generate",
        ),
        ({"task": "classify", "objective": {"name": "unlikelihood"}}, "objective.name: unlikelihood needs answers that people judged"),
        ({"task": "regress", "objective": {"name": "kto"}}, "objective.name: kto needs answers that people judged"),
    ],
)
def test_what_does_not_go_together(sections: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RecipeError) as refused:
        recipe(sections.pop("task", None), **sections)
    assert sentence in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("task", "sections"),
    [
        ("multilabel", {"objective": {"name": "multilabel"}, "method": {"head": "multilabel"}}),
        ("regress", {"method": {"head": "regression"}}),
        ("tag", {"method": {"head": "tags"}}),
        ("regress", {"objective": {"name": "sft"}, "method": {"head": "tokens"}}),
        ("prefer", {"objective": {"name": "simpo"}}),
        ("prefer", {"objective": {"name": "sft"}}),
        ("generate", {"objective": {"name": "distill"}}),
        (None, {"objective": {"name": "dpo"}}),
    ],
)
def test_what_goes_together(task: str | None, sections: dict[str, Any]) -> None:
    assert recipe(task, **sections).seed == 0


@pytest.mark.parametrize(
    ("task", "judged", "sections", "objective"),
    [
        ("classify", False, {}, "class"),
        ("classify", False, {"base": {"path": "acme/large"}}, "sft"),
        ("classify", False, {"base": {"path": "acme/large"}, "method": {"head": "class"}}, "class"),
        ("regress", False, {"method": {"head": "regression"}}, "regression"),
        ("tag", False, {"method": {"head": "tags"}}, "tags"),
        ("multilabel", False, {"method": {"head": "tokens"}}, "sft"),
        ("prefer", False, {}, "dpo"),
        ("prefer", True, {}, "kto"),
        ("prefer", False, {"objective": {"name": "orpo"}}, "orpo"),
        ("text", False, {}, "text"),
    ],
)
def test_objectives_by_default(task: str, judged: bool, sections: dict[str, Any], objective: str) -> None:
    assert objective_of(recipe(task, **sections), Task(task), judged=judged) == objective


@pytest.mark.parametrize(
    ("task", "head"),
    [
        ("multilabel", "multilabel"),
        ("regress", "regression"),
        ("tag", "tags"),
        ("classify", "class"),
        ("generate", "tokens"),
        ("prefer", "tokens"),
    ],
)
def test_heads_by_default(task: str, head: str) -> None:
    made = recipe(None if task == "tag" else task)
    open_ended = made.model_copy(update={"method": made.method.model_copy(update={"head": None})})
    assert head_of(open_ended, Task(task)) == head
    written = made.model_copy(update={"method": made.method.model_copy(update={"head": "tokens"})})
    assert head_of(written, Task(task)) == "tokens"


def test_labels_are_written_by_other_bases_and_where_the_recipe_asks_for_text() -> None:
    assert head_of(recipe("classify", base={"path": "acme/large"}), Task.CLASSIFY) == "tokens"
    for asked in (
        {"objective": {"name": "sft"}},
        {"train": {"regularise": {"kl": 0.1}}},
        {"gates": {"forgetting": 0.05}, "evaluate": {"forgetting": {"general": "builtin"}}},
    ):
        assert head_of(recipe("classify", **asked), Task.CLASSIFY) == "tokens", asked


def test_what_rows_turn_out_to_be_is_held_against_the_recipe() -> None:
    with pytest.raises(RecipeError, match=r"rows.jsonl was taken for rows to generate; set data.task to say otherwise.$"):
        check_agreement(recipe(objective={"name": "dpo"}), Task.GENERATE, judged=False)
    with pytest.raises(RecipeError, match="dpo compares two answers to one prompt, and these rows hold single ones: take kto"):
        check_agreement(recipe("prefer", objective={"name": "dpo"}), Task.PREFER, judged=True)
    check_agreement(recipe("prefer", objective={"name": "kto"}), Task.PREFER, judged=True)
    check_agreement(recipe("prefer", objective={"name": "kto"}), Task.PREFER, judged=False)


def test_every_task_has_an_objective_that_is_not_refused() -> None:
    for task, judged in product(Task, (False, True)):
        head = {"tag": "tags"}.get(task.value, "tokens")
        made = recipe(task.value, method={"head": head})
        named = recipe(
            task.value, method={"head": head}, objective={"name": objective_of(made, task, judged=judged and task is Task.PREFER)}
        )
        check_agreement(named, task, judged=judged and task is Task.PREFER)


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        ({"method": {"head": "class"}, "train": {"regularise": {"kl": 1.0}}}, "a head makes none"),
        ({"objective": {"name": "regression"}, "train": {"regularise": {"kl": 1.0}}}, "a head makes none"),
        ({"method": {"name": "prompt"}, "train": {"regularise": {"l2_sp": 1.0}}}, "prompt changes no tensor that the base has"),
        ({"method": {"name": "features", "head": "class"}, "train": {"regularise": {"interpolate": True}}}, "features changes no tensor"),
        ({"method": {"name": "prefix"}, "train": {"gradient_checkpointing": True}}, "recomputed layers lose"),
    ],
)
def test_what_would_do_nothing_is_refused(sections: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        recipe(**sections)
