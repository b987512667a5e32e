"""Recipes as YAML: read with the line of every mistake, written so that they read back as the same recipe."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tunesmith.core.errors import RecipeError
from tunesmith.recipe.fields import Path as SettingPath
from tunesmith.recipe.fields import dotted, section_of, without_empty_sections
from tunesmith.recipe.fields import settings as all_settings
from tunesmith.recipe.layout import recipe_lines
from tunesmith.recipe.model import Recipe, resolved
from tunesmith.recipe.nodes import MAX_BYTES, Document, read_document
from tunesmith.recipe.problems import Problem, RefusedRecipe, numbers_written_as_booleans
from tunesmith.recipe.scalars import written

_START = "A recipe starts with: data: {path: your-rows.jsonl}."


def load_recipe(path: str | Path, *, settings: Sequence[str] = ()) -> Recipe:
    """Read a recipe file; its relative paths are taken from the folder it lies in, as `resolved` does.

    Args:
        path: the YAML file, UTF-8, at most 1 MiB.
        settings: changes to it, each as `train.epochs=1`, the value read as YAML.

    Raises:
        RecipeError: every mistake on a line of its own, as `recipe.yaml:12: train.learning_rte is not a setting. ...`.
    """
    path = Path(path)
    return resolved(parse_recipe(_read(path), str(path), settings=settings), path.parent)


def parse_recipe(text: str, origin: str = "recipe", *, settings: Sequence[str] = ()) -> Recipe:
    """Read a recipe from text, its paths left as written; `origin` names the text in errors. Raises RecipeError as `load_recipe` does."""
    document = read_document(text, origin)
    if document.value is None:
        raise RecipeError(f"{origin} is empty. {_START}")
    if not isinstance(document.value, dict):
        raise RecipeError(f"{origin} holds no settings, only {_kind(document.value)}. {_START}")
    changed = {_change(document.value, setting) for setting in settings}
    value = without_empty_sections(Recipe, document.value)
    try:
        recipe = Recipe.model_validate(value)
        problems: Sequence[Problem] = numbers_written_as_booleans(value, recipe)
    except RefusedRecipe as error:
        problems = error.problems
    complaints = [(line, f"{origin}:{line}: {sentence}") for line, sentence in document.problems]
    complaints += [_placed(problem, document, origin, changed) for problem in problems]
    if complaints:
        raise RecipeError("\n".join(sentence for _, sentence in sorted(complaints, key=lambda complaint: complaint[0])))
    return recipe


def dump_recipe(recipe: Recipe, comments: bool = True) -> str:
    """The whole recipe as YAML, defaults included, each setting under its one-line description unless `comments` is false.

    `parse_recipe(dump_recipe(recipe)) == recipe` for every recipe.
    """
    return "\n".join(recipe_lines(recipe, comments=comments)) + "\n"


def flat_settings(recipe: Recipe) -> dict[str, str]:
    """Every plain setting of a recipe by its dotted name, its value as YAML writes it."""
    flat: dict[str, str] = {}
    for path, field in all_settings(Recipe):
        if section_of(field) is None:
            value: Any = recipe
            for part in path:
                value = getattr(value, str(part), None)  # a section that is left out has no settings
            flat[dotted(path)] = written(value)
    return flat


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise RecipeError(f"{path} is not there: name a recipe file, or write one with: tunesmith init.") from None
    except IsADirectoryError:
        raise RecipeError(f"{path} is a folder: name the recipe file inside it.") from None
    except (OSError, ValueError) as error:
        raise RecipeError(f"{path} can't be read: {getattr(error, 'strerror', None) or error}.") from None
    if len(content) > MAX_BYTES:
        raise RecipeError(f"{path} is larger than 1 MiB, which no recipe is: is it the data file? Name that in data.path.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RecipeError(f"{path} is not UTF-8 text: is it the right file? Recipes are YAML, saved as UTF-8.") from None


def _kind(value: Any) -> str:
    return "a list" if isinstance(value, list) else "a single value"


def _change(value: dict[str, Any], setting: str) -> SettingPath:
    """Put one `name=value` into the values of a recipe; returns where."""
    name, equals, text = setting.partition("=")
    path = tuple(part.strip() for part in name.split("."))
    if not equals or not all(path):
        raise RecipeError(f"--set {setting}: write it as name=value, such as --set train.epochs=1.")
    changed = read_document(text, f"--set {name}").value
    here = value
    for part in path[:-1]:
        inner = here.get(part)
        here[part] = here = dict(inner) if isinstance(inner, dict) else {}
    here[path[-1]] = changed
    return path


def _placed(problem: Problem, document: Document, origin: str, changed: Iterable[SettingPath]) -> tuple[int, str]:
    """The line of a problem, or of the nearest thing around it that has one, and the sentence with it in front."""
    path = problem.path
    if any(problem.path[: len(change)] == change for change in changed):
        return 0, f"--set: {problem.sentence}"
    while path and path not in document.lines:
        path = path[:-1]
    line = document.lines.get(path, 0)
    return line, f"{origin}:{line}: {problem.sentence}" if line else f"{origin}: {problem.sentence}"
