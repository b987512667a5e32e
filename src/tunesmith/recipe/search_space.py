"""Whether a search space fits its recipe: each choice, and both ends of a range, put into the recipe must make a valid one.

Costs one validation of the recipe a value (about a millisecond); where several settings are no numbers, a value is tried beside
each of their combinations, 32 at most.
"""

from collections.abc import Iterator, Mapping
from itertools import islice, product
from typing import TYPE_CHECKING, Any

from tunesmith.recipe.fields import field_at, section_of
from tunesmith.recipe.problems import Problem, RefusedRecipe
from tunesmith.recipe.scalars import shown
from tunesmith.recipe.search_config import RangeConfig, SearchConfig, is_active

if TYPE_CHECKING:
    from tunesmith.recipe.model import Recipe

EPOCHS = "train.epochs"
_MOST_COMBINATIONS = 32
_ONE_DATASET = "all trials are measured on the same rows of one prepared dataset"
_ONE_MEASURE = "it says how models are judged, not what they are"
_SAME_WEIGHTS = "it changes how training is done, not what comes of it"
_NOT_SEARCHED = {
    "seed": "the finalists are trained again under other seeds (search.seeds)",
    "search": "a search is not searched",
    "data": _ONE_DATASET,
    "base": "bases are compared by tunesmith advise",
    "evaluate": _ONE_MEASURE,
    "gates": _ONE_MEASURE,
    "next": "it says what comes after the round",
    "train.track": _SAME_WEIGHTS,
    "train.threads": _SAME_WEIGHTS,
    "train.compile": _SAME_WEIGHTS,
    "train.accumulate": _SAME_WEIGHTS,
    "train.token_budget": _SAME_WEIGHTS,
    "train.share_prefixes": _SAME_WEIGHTS,
    "train.checkpoint_minutes": _SAME_WEIGHTS,
    "train.trunk_cache_mib": _SAME_WEIGHTS,
    "train.gradient_checkpointing": _SAME_WEIGHTS,
    "train.truncate_share": "it says when to refuse, not how to train",
    "train.evaluations_per_epoch": "trials must be measured equally often to be compared",
}
"""Setting or section -> why it can't be searched."""


def with_settings(recipe: "Recipe", settings: Mapping[str, Any]) -> "Recipe":
    """The recipe with settings put in and without its search.

    Args:
        recipe: stays as it is.
        settings: dotted name -> value.

    Raises:
        RefusedRecipe: no such recipe can be.
    """
    value = recipe.model_dump(by_alias=True, exclude={"search"})
    for name, setting in settings.items():
        here = value
        *above, last = name.split(".")
        for part in above:
            inner = here.get(part)
            here[part] = here = dict(inner) if isinstance(inner, dict) else {}
        here[last] = setting
    return type(recipe).model_validate(value)


def corners(config: SearchConfig) -> Iterator[dict[str, Any]]:
    """Settings that show whether a space fits: each value of each setting, beside each combination of those that are no numbers.

    The others keep the recipe's own values. For checks that need to know the rows too.
    """
    ranges = dict(config.ranges())
    for chosen in _combinations(ranges):
        yield from ({name: value} | chosen for name in ranges for value in _beside(name, ranges, chosen))


def space_problems(recipe: "Recipe", config: SearchConfig) -> Iterator[Problem]:
    """What is wrong with the space of a recipe, one problem a setting."""
    ranges = dict(config.ranges())
    if {EPOCHS, "train.max_steps"} <= ranges.keys():
        yield Problem(
            ("search", "space", EPOCHS),
            f"search.space: {EPOCHS} and train.max_steps both say how long to train, so that different values make the same training: search one.",
        )
    for name in ranges:
        sentence = _unsearchable(recipe, name) or _misfit(recipe, name, ranges)
        if sentence is not None:
            yield Problem(("search", "space", name), f"search.space: {sentence}")


def _unsearchable(recipe: "Recipe", name: str) -> str | None:
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        reason = _NOT_SEARCHED.get(".".join(parts[:count]))
        if reason is not None:
            return f"{name} can't be searched: {reason}. Remove it."
    if name == EPOCHS and recipe.train.max_steps is not None:
        return (
            f"{name} can't be searched beside train.max_steps: {recipe.train.max_steps}, which ends trainings of different epochs at the same "
            "step: search train.max_steps, or remove it."
        )
    field = field_at(type(recipe), tuple(parts))
    inner = section_of(field) if field is not None else None
    if inner is not None:
        return f"{name} is a section: name one of its settings, such as {name}.{next(iter(inner.model_fields))}."
    return None


def _misfit(recipe: "Recipe", name: str, ranges: Mapping[str, RangeConfig]) -> str | None:
    """The recipe's own sentence about the first value it refuses; where it is right beside other choices, how to say so."""
    others = {other: found for other, found in ranges.items() if other != name and _unsearchable(recipe, other) is None}
    refused: tuple[str, dict[str, Any]] | None = None
    fits_somewhere = False
    for chosen in _combinations(others | {name: ranges[name]}):
        beside = {other: value for other, value in chosen.items() if other != name}
        sentence = _first_refusal(recipe, name, _beside(name, ranges, chosen), beside)
        refused = refused or ((sentence, beside) if sentence is not None else None)
        fits_somewhere = fits_somewhere or sentence is None
    if refused is None:
        return None
    sentence, beside = refused
    if not fits_somewhere or not beside:
        return sentence
    where = ", ".join(f"{other}: {shown(value)}" for other, value in beside.items())
    return f"{name} beside {where}: {sentence} With when: {{...}} it is searched beside some values only."


def _first_refusal(recipe: "Recipe", name: str, values: list[Any], beside: Mapping[str, Any]) -> str | None:
    """A sentence that is about this setting, or that its value brings about; None where all values fit, or what is beside them is at fault."""
    for value in values:
        try:
            with_settings(recipe, {**beside, name: value})
        except RefusedRecipe as error:
            return error.problems[0].sentence if not beside or _fits(recipe, beside) else None
    return None


def _fits(recipe: "Recipe", settings: Mapping[str, Any]) -> bool:
    try:
        with_settings(recipe, settings)
    except RefusedRecipe:
        return False
    return True


def _combinations(ranges: Mapping[str, RangeConfig]) -> Iterator[dict[str, Any]]:
    """Choices of the settings that are no numbers or that others hang on, 32 combinations at most."""
    named = {other for found in ranges.values() for other in found.when or ()}
    deciding = [name for name, found in ranges.items() if name in named or not _numeric(found)]
    for values in islice(product(*(ranges[name].ends() for name in deciding)), _MOST_COMBINATIONS):
        chosen = dict(zip(deciding, values, strict=True))
        yield {name: value for name, value in chosen.items() if is_active(ranges[name], chosen)}


def _beside(name: str, ranges: Mapping[str, RangeConfig], chosen: Mapping[str, Any]) -> list[Any]:
    """The values of a setting that are to be tried beside what was chosen."""
    if name in chosen:
        return [chosen[name]]
    return ranges[name].ends() if is_active(ranges[name], chosen) else []


def _numeric(found: RangeConfig) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in found.ends())
