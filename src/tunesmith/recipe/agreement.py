"""What goes with what: tasks, objectives and heads. What a recipe leaves open is settled here, and what can't be is told.

A recipe that names no task is looked at twice: as it is written, and again once the rows say what they are.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tunesmith.core.errors import RecipeError
from tunesmith.data.config import Task

if TYPE_CHECKING:
    from tunesmith.recipe.model import Recipe

TASK_OF = {"class": Task.CLASSIFY, "multilabel": Task.MULTILABEL, "regression": Task.REGRESS, "tags": Task.TAG}
"""Head -> the task it serves. A head and the objective that trains it have one name."""
_DEFAULT_HEADS = {Task.MULTILABEL: "multilabel", Task.REGRESS: "regression", Task.TAG: "tags"}
"""Tasks that get a head where the recipe says nothing."""
_PAIRED = ("dpo", "ipo", "orpo", "simpo")
_JUDGING = (*_PAIRED, "kto", "unlikelihood")
"""Objectives that need answers people judged; the first four a better and a worse one to each prompt."""

Disagreement = tuple[str, str]
"""A setting, and a sentence about it."""


def head_of(recipe: "Recipe", task: Task) -> str:
    """The head, resolved: `method.head`; where it is null, the head of the task's objective, else the task's own, else `tokens`.

    The embedded base tells labels apart with a head: so small a model writes them worse (docs/decisions/0029).
    """
    named = recipe.method.head
    if named is not None:
        return named
    if recipe.objective.name is not None:
        return recipe.objective.name if recipe.objective.name in TASK_OF else "tokens"
    if task is Task.CLASSIFY and recipe.base.path == "embedded" and not _asks_for_text(recipe):
        return "class"
    return _DEFAULT_HEADS.get(task, "tokens")


def _asks_for_text(recipe: "Recipe") -> bool:
    """Whether something else in the recipe says that labels are to be written: a head would have none of it."""
    return recipe.train.regularise.kl > 0 or recipe.gates.forgetting is not None or recipe.gates.bias is not None


def objective_of(recipe: "Recipe", task: Task, *, judged: bool = False) -> str:
    """The objective, resolved: a head learns what it is for, raw text is learnt whole, preferences by DPO or KTO, all else answers.

    Args:
        recipe: the recipe.
        task: what its rows ask for.
        judged: of the task prefer, whether answers are judged one by one instead of in pairs.
    """
    if recipe.objective.name is not None:
        return recipe.objective.name
    head = head_of(recipe, task)
    if head in TASK_OF:
        return head
    if task is Task.PREFER:
        return "kto" if judged else "dpo"
    return "text" if task is Task.TEXT else "sft"


def disagreements(recipe: "Recipe", task: Task | None, *, judged: bool | None = None) -> Iterator[Disagreement]:
    """What no section can see alone.

    Args:
        recipe: the recipe.
        task: its own, or what its rows were taken for; None where neither is known yet.
        judged: of the task prefer, whether answers are judged one by one; None where that is not known yet.
    """
    objective, head = recipe.objective.name, recipe.method.head
    yield from _about_heads(objective, head, task)
    if objective in _JUDGING and task not in (None, Task.PREFER):
        yield (
            "objective.name",
            f"{objective} needs answers that people judged (data.task: prefer), not {task}: remove it, or change the task.",
        )
    elif objective in _PAIRED and judged:
        yield (
            "objective.name",
            f"{objective} compares two answers to one prompt, and these rows hold single ones: take kto or unlikelihood.",
        )
    yield from _about_the_engine(recipe, task)
    yield from _about_gates(recipe, task)
    yield from _about_written_answers(recipe, task)
    if recipe.data.rows_per_label is not None and task not in (None, Task.CLASSIFY):
        yield "data.rows_per_label", f"this needs labels, and data.task: {task} has none: use data.rows."


_WRITE_NO_TEXT = (Task.CLASSIFY, Task.MULTILABEL, Task.REGRESS, Task.TAG)


def _about_gates(recipe: "Recipe", task: Task | None) -> Iterator[Disagreement]:
    """Bounds on what is not measured."""
    if recipe.gates.calibration_error is not None and (
        not recipe.evaluate.calibrate.enabled or task not in (None, Task.CLASSIFY, Task.GENERATE)
    ):
        yield (
            "gates.calibration_error",
            "this bounds calibrated confidences: set evaluate.calibrate.enabled and data.task: classify or generate, or remove it.",
        )
    if recipe.gates.unwanted is not None and (recipe.evaluate.safety is None or recipe.evaluate.safety.prompts is None):
        yield "gates.unwanted", "this bounds unwanted answers to prompts of yours: set evaluate.safety.prompts, or remove the gate."
    elif recipe.gates.unwanted is not None and task in _WRITE_NO_TEXT:
        yield "gates.unwanted", f"data.task: {task} is answered without text, so nothing unwanted can be written: remove the gate."
    yield from _about_bias(recipe, task)
    if recipe.gates.forgetting is None:
        return
    asked = recipe.evaluate.forgetting
    if not asked.enabled or asked.general is None:
        yield "gates.forgetting", "this bounds the rise of perplexity on general text: set evaluate.forgetting.general, or remove the gate."
    if task is not None and head_of(recipe, task) != "tokens" and recipe.method.name != "features":
        yield "gates.forgetting", "a model that ends in a head writes no text, so its perplexity can't be measured: remove the gate."


def _about_written_answers(recipe: "Recipe", task: Task | None) -> Iterator[Disagreement]:
    """Settings of answers that nobody writes."""
    asked = recipe.evaluate
    headed = recipe.method.head in TASK_OF or recipe.objective.name in TASK_OF
    if task is not None:
        headed = headed or head_of(recipe, task) != "tokens"
    if asked.decoding != type(asked.decoding)() and (headed or task in (Task.CLASSIFY, Task.TAG, Task.PREFER, Task.TEXT)):
        by = "a head" if headed else "choosing among labels" if task is Task.CLASSIFY else "weighing texts"
        yield (
            "evaluate.decoding",
            f"this says how answers are written, and here they come from {by}: remove it, or set data.task: generate.",
        )
    styles = [name for name in asked.metrics if name == "style" or name.startswith("style_")]
    if styles and asked.style is None:
        yield "evaluate.metrics", f"{styles[0]} needs a style guide to hold answers against: set evaluate.style to its file."
    elif asked.style is not None and not styles:
        yield "evaluate.style", "no measure looks at it: add style, style_all or style_RULE to evaluate.metrics, or remove it."
    for name in ("judge", "code"):
        if getattr(asked, name) is not None and task not in (None, Task.GENERATE):
            yield f"evaluate.{name}", f"this is about answers in words of the model's own, not data.task: {task}: remove it."


def _about_bias(recipe: "Recipe", task: Task | None) -> Iterator[Disagreement]:
    """What can't be asked of these answers, or of a head."""
    asked, bound = recipe.evaluate.bias, recipe.gates.bias
    if bound is not None and (asked is None or not (asked.crows_pairs or asked.winobias)):
        yield (
            "gates.bias",
            "this bounds the share of stereotyping sentences: set evaluate.bias.crows_pairs or winobias, or remove the gate.",
        )
    if bound is not None and task is not None and head_of(recipe, task) != "tokens":
        yield "gates.bias", "a model that ends in a head writes no text, so it prefers no sentence: remove the gate."
    if asked is not None and asked.groups and task not in (None, Task.CLASSIFY):
        yield "evaluate.bias.groups", f"groups are compared where answers are one label, and data.task is {task}: remove it."


_NOTHING_OF_THE_BASE = ("features", "prompt", "prefix")
"""Methods that change no tensor the base has."""


def _about_the_engine(recipe: "Recipe", task: Task | None) -> Iterator[Disagreement]:
    """Settings that would do nothing, or fail late."""
    settings, name = recipe.train.regularise, recipe.method.name
    head = (
        head_of(recipe, task) if task is not None else recipe.method.head or ("tokens" if recipe.objective.name not in TASK_OF else "class")
    )
    if settings.kl > 0 and head != "tokens":
        yield (
            "train.regularise.kl",
            "this compares next-token predictions with the base's, and a head makes none: take l2_sp, or remove it.",
        )
    for setting in ("l2_sp", "interpolate"):
        if getattr(settings, setting) and name in _NOTHING_OF_THE_BASE:
            yield (
                f"train.regularise.{setting}",
                f"method.name: {name} changes no tensor that the base has, so there is nothing to hold to it: remove it.",
            )
    if name == "prefix" and recipe.train.gradient_checkpointing:
        yield (
            "train.gradient_checkpointing",
            "method.name: prefix hands the model a past, which recomputed layers lose: take prompt, or remove it.",
        )


def _about_heads(objective: str | None, head: str | None, task: Task | None) -> Iterator[Disagreement]:
    if objective in TASK_OF and head is not None and head != objective:
        kind = "a classification head" if objective == "class" else f"a head of its own, not {head}"
        yield "objective.name", f"{objective} needs {kind}: set method.head: {objective}, or remove objective.name."
    elif objective in TASK_OF and head is None and task not in (None, TASK_OF[objective]):
        yield "objective.name", f"{objective} needs data.task: {TASK_OF[objective]}, not {task}: remove it, or change the task."
    if head in TASK_OF and objective not in (None, *TASK_OF):
        yield "method.head", f"{head} is trained by objective.name: {head}, not {objective}: remove one of the two."
    if head in TASK_OF and task not in (None, TASK_OF[head]):
        yield "method.head", f"{head} needs data.task: {TASK_OF[head]}, not {task}: set method.head: tokens, or change the task."
    tokens = head == "tokens" or (head is None and objective is not None and objective not in TASK_OF)
    if task is Task.TAG and tokens:
        yield "method.head", "data.task: tag is answered by a head for tokens, not by text: set method.head: tags."


def check_agreement(recipe: "Recipe", task: Task, *, judged: bool) -> None:
    """RecipeError where the recipe doesn't go with what its rows were taken for."""
    found = list(disagreements(recipe, task, judged=judged))
    if recipe.method.name == "features" and head_of(recipe, task) == "tokens":
        found.append(("method.name", f"features trains nothing but a head, and data.task: {task} has none by itself: set method.head."))
    for setting, sentence in found:
        taken = f" {recipe.data.path} was taken for rows to {task.value}; set data.task to say otherwise."
        guessed = "" if recipe.data.task is not None else taken
        raise RecipeError(f"{setting}: {sentence}{guessed}")
