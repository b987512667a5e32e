"""The advised recipe as a file: what differs from the defaults stands as settings, all else commented out, why at its top."""

import os
from collections.abc import Iterable
from pathlib import Path
from textwrap import wrap

from tunesmith.core.errors import RecipeError
from tunesmith.recipe.fields import Path as SettingPath
from tunesmith.recipe.fields import dotted
from tunesmith.recipe.layout import recipe_lines
from tunesmith.recipe.model import Recipe
from tunesmith.recipe.yaml import dump_recipe, flat_settings, parse_recipe

_ALWAYS = frozenset({"seed", "data.path", "data.split.validation", "data.split.test", "base.path", "train.epochs", "train.batch_rows"})
"""What people change first, shown at its default too."""
_WIDTH = 100


def recipe_text(recipe: Recipe, why: Iterable[str] = ()) -> str:
    """The recipe as YAML that reads back as itself, under the reasons for it."""
    lines = [f"# {line}" for sentence in why for line in wrap(sentence, _WIDTH - 2, break_long_words=False, break_on_hyphens=False)]
    head = "\n".join(["# A tunesmith recipe, written by `tunesmith advise`.", *(["#", *lines] if lines else []), ""])
    plain = flat_settings(Recipe.model_validate({"data": {"path": recipe.data.path}}))
    own = flat_settings(recipe)
    active = {name for name, value in own.items() if value != plain.get(name)} | _ALWAYS

    def is_active(path: SettingPath) -> bool:
        return dotted(path) in active

    text = head + "\n" + "\n".join(recipe_lines(recipe, active=is_active)) + "\n"
    try:
        same = parse_recipe(text) == recipe
    except RecipeError:
        same = False
    return text if same else head + "\n" + dump_recipe(recipe)  # a section that is there and all at its defaults would be lost


def seen_from(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with its relative paths of rows and base counted from the folder of its file, as recipes count them."""
    data = recipe.data.model_copy(update={"path": _from(folder, recipe.data.path, "sample")})
    path = recipe.base.path
    base = recipe.base.model_copy(update={"path": _from(folder, path, "embedded") if Path(path).is_dir() else path})
    return recipe.model_copy(update={"data": data, "base": base})


def _from(folder: Path, path: str, name: str) -> str:
    if path == name or "://" in path or path.startswith("~") or Path(path).is_absolute():
        return path
    return os.path.relpath(path, folder)
