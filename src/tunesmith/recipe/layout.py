"""How a recipe is laid out as YAML: a section an indent, a setting a line, its description above it, and what is off commented out."""

from collections.abc import Callable, Iterator
from textwrap import wrap

from tunesmith.recipe.fields import Path
from tunesmith.recipe.model import Recipe
from tunesmith.recipe.scalars import written
from tunesmith.section import Section, descriptions

_WIDTH = 100


def _everything(path: Path) -> bool:
    return True


def recipe_lines(recipe: Recipe, *, comments: bool = True, active: Callable[[Path], bool] = _everything) -> list[str]:
    """Every setting of a recipe, one a line; those that are not `active` stand as `#name: value`, ready to be uncommented."""
    return list(_section_lines(recipe, (), comments, active))


def _section_lines(section: Section, above: Path, comments: bool, active: Callable[[Path], bool]) -> Iterator[str]:
    indent = "  " * len(above)
    told = descriptions(type(section)) if comments else {}
    for name in type(section).model_fields:
        path, value = (*above, name), getattr(section, name)
        if isinstance(value, Section) and not above and comments and path != ("seed",):
            yield ""
        if name in told:
            for line in wrap(told[name], _WIDTH - len(indent) - 2, break_long_words=False, break_on_hyphens=False):
                yield f"{indent}# {line}"
        if isinstance(value, Section):
            yield f"{indent}{name}:"
            yield from _section_lines(value, path, comments, active)
        else:
            yield f"{indent}{'' if active(path) else '#'}{name}: {written(value)}"
