"""The recipes a person starts from: the commented one that `init` writes, and the one that `demo` runs."""

from pathlib import Path
from typing import Any

from tunesmith.recipe.fields import Path as SettingPath
from tunesmith.recipe.layout import recipe_lines
from tunesmith.recipe.model import Recipe
from tunesmith.recipe.yaml import load_recipe

_HEAD = """\
# A tunesmith recipe: everything a round needs, in one file.
#
#   tunesmith check recipe.yaml    shows three rows as the model will see them, refuses what can't work
#   tunesmith run recipe.yaml      trains, and says whether it was worth it
#
# A line that begins with # and a name is a setting at its default: remove the # to change it.
# Relative paths are taken from this file's folder.
"""

_ACTIVE = frozenset({"seed", "data.path", "data.split.validation", "data.split.test", "base.path", "train.epochs", "train.batch_rows"})
"""What stands uncommented: what people change first."""


def starter_recipe(data_path: str, base_path: str = "embedded", task: str | None = None, columns: dict[str, str] | None = None) -> str:
    """A commented recipe for a data file and a base: the settings people change first, the rest commented out at their defaults.

    Args:
        data_path: a file, a folder or `sample`, as `data.path` takes it, relative to where the recipe will lie.
        base_path: `embedded`, a folder or a hub id.
        task: as `data.task`; guessed from the rows where None.
        columns: which column is what, as `data.read.columns`; guessed where None.

    Raises:
        RecipeError: where one of these can't stand in a recipe.
    """
    told: dict[str, Any] = {"path": data_path}
    told |= {"task": task} if task is not None else {}
    told |= {"read": {"columns": columns}} if columns else {}
    recipe = Recipe.model_validate({"data": told, "base": {"path": base_path}})
    active = _ACTIVE | ({"data.task"} if task is not None else set()) | ({"data.read.columns"} if columns else set())

    def is_active(path: SettingPath) -> bool:
        return ".".join(str(part) for part in path) in active

    return _HEAD + "\n" + "\n".join(recipe_lines(recipe, active=is_active)) + "\n"


def demo_recipe() -> Recipe:
    """The recipe of `tunesmith demo`: the embedded sample, the embedded base."""
    return load_recipe(Path(__file__).with_name("demo.yaml"))
