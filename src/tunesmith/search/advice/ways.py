"""Ways to tune a base for a task: a method and a head, as recipe sections. Pure: what a way is worth is told elsewhere."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tunesmith.core.errors import RecipeError
from tunesmith.data.config import Task
from tunesmith.recipe.agreement import check_agreement
from tunesmith.recipe.model import Recipe
from tunesmith.search.advice.bases import Candidate
from tunesmith.search.advice.known import TINY

_HEADS = {Task.CLASSIFY: "class", Task.MULTILABEL: "multilabel", Task.REGRESS: "regression", Task.TAG: "tags"}
_LEARNS = {"full": "all weights learn", "lora": "low-rank adapters learn", "features": "the base stays frozen"}


@dataclass(frozen=True, slots=True)
class Way:
    """What of the base may change, and what answers."""

    method: str
    """full, lora or features."""
    head: str
    """tokens, or the head of the task."""
    dtype: str
    """What the weights are held in."""

    @property
    def name(self) -> str:
        """In a few words."""
        return f"{'answers as text' if self.head == 'tokens' else 'a head'}, {_LEARNS[self.method]}"

    @property
    def weight_bytes(self) -> int:
        """Of one weight."""
        return 2 if self.dtype == "bfloat16" else 4


def ways_of(task: Task, base: Candidate) -> Iterator[Way]:
    """The ways worth ranking: a head where the task has one, then text; all weights of small bases, adapters on large ones.

    A large base is held as it is stored where adapters or a head learn beside it; what learns itself is held in float32.
    """
    small = base.parameters < TINY
    beside = "bfloat16" if base.narrow and not small else "float32"
    head = _HEADS.get(task)
    usual = Way("full", "tokens", "float32") if small else Way("lora", "tokens", beside)
    if head is not None:
        yield Way(usual.method, head, usual.dtype)
        yield Way("features", head, beside)
    if task is Task.CLASSIFY:
        yield usual
    elif head is None:
        yield Way("full", "tokens", "float32")
        yield Way("lora", "tokens", beside)


def recipe_of(recipe: Recipe, task: Task, base: Candidate, way: Way, *, judged: bool) -> Recipe:
    """The recipe with another base and another way; its settings of the method stay where the method does.

    Args:
        recipe: what is advised on.
        task: what its rows were taken for.
        base: to start from.
        way: to tune it.
        judged: of the task prefer, whether answers are judged one by one.

    Raises:
        RecipeError: the way does not go with what the recipe sets.
    """
    told: dict[str, Any] = recipe.model_dump(mode="json")
    kept = told["method"] if recipe.method.name == way.method else {}
    told["method"] = kept | {"name": way.method, "head": way.head}
    same = recipe.base.path == base.path
    told["base"] = (told["base"] if same else {}) | {"path": base.path, "dtype": way.dtype}
    made = Recipe.model_validate(told)
    check_agreement(made, task, judged=judged)
    return made


def possible(recipe: Recipe, task: Task, base: Candidate, *, judged: bool) -> Iterator[tuple[Way, Recipe]]:
    """The ways that go with what the recipe sets, each with its recipe."""
    for way in ways_of(task, base):
        try:
            yield way, recipe_of(recipe, task, base, way, judged=judged)
        except RecipeError:
            continue
