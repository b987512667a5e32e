"""What a search found as a recipe file that a person goes on with.

The file is the user's own recipe, what they left out still left out, with the found values marked by where they come from.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tunesmith.core.errors import TunesmithError
from tunesmith.recipe import Recipe, dump_recipe, parse_recipe
from tunesmith.recipe.scalars import written
from tunesmith.recipe.search_space import with_settings
from tunesmith.search.trial import Settings

RATE = "train.learning_rate"
"""The setting that the machine decides where a recipe leaves it open."""
SECTION = "search"
"""Of the recipe: what is searched, which a recipe that was found lacks."""


def setting_of(recipe: Recipe, path: str) -> Any:
    """The value of a setting, as JSON has it; None where its section is left out."""
    value: Any = recipe.model_dump(mode="json", by_alias=True)
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def written_best(recipe: Recipe, settings: Settings, heading: str, decided: Settings | None = None) -> str:
    """The recipe with these settings as YAML, each marked with what the recipe had before.

    Args:
        recipe: the recipe that was searched from.
        settings: what was found.
        heading: lines on where it comes from, put on top as comments.
        decided: what a round takes where the recipe leaves a setting open.
    """
    found = with_settings(recipe, settings)
    marks = {path: _mark(setting_of(recipe, path), value, (decided or {}).get(path)) for path, value in settings.items()}
    top = "".join(f"# {line}\n" for line in heading.splitlines())
    short = top + "\n".join(_lines(_as_written(recipe, settings), "", marks)) + "\n"
    try:
        same = parse_recipe(short) == found
    except TunesmithError:  # a value that has no short form
        same = False
    return short if same else top + dump_recipe(found)


def _mark(before: Any, value: Any, decided: Any) -> str:
    """A comment on what a setting was before; none where it stayed."""
    if value == before:
        return ""
    if before is None and decided is not None:
        return "  # as decided before the search" if value == decided else f"  # found by the search; before: decided, {written(decided)}"
    return f"  # found by the search; before: {written(before)}"


def _as_written(recipe: Recipe, settings: Settings) -> dict[str, Any]:
    """What the recipe says, without what it leaves to defaults, and the settings."""
    value: dict[str, Any] = recipe.model_dump(mode="json", exclude_unset=True, by_alias=True, exclude={SECTION})
    for path, chosen in settings.items():
        here = value
        *above, last = path.split(".")
        for part in above:
            inner = here.get(part)
            here[part] = here = dict(inner) if isinstance(inner, dict) else {}
        here[last] = chosen
    return value


def _lines(section: Mapping[str, Any], above: str, marks: Mapping[str, str]) -> Iterator[str]:
    """A setting a line; a section that holds settings as an indented block."""
    indent = "  " * (above.count(".") + bool(above))
    for name, value in section.items():
        path = f"{above}.{name}" if above else name
        if value in ([], {}) and path not in marks:
            continue
        within = isinstance(value, Mapping) and value and path not in marks and all(part.isidentifier() for part in value)
        if within:
            yield f"{indent}{name}:"
            yield from _lines(value, path, marks)
        else:
            yield f"{indent}{name}: {written(value)}{marks.get(path, '')}"
