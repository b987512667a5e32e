"""Which model a name means: a folder, a round by its id or `round:ID`, or whoever is in service, `champion` or `champion:LINE`.

One answer for the command line and for recipes (`base.path`, `evaluate.against`). A folder of that name goes first.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.core.errors import MachineError, RecipeError
from tunesmith.core.files import home_path
from tunesmith.ledger.steps import LINE
from tunesmith.pipeline.workspace import Workspace

if TYPE_CHECKING:
    from tunesmith.ledger.ledger import Ledger
    from tunesmith.recipe import Recipe

CHAMPION = "champion"
_ROUND = "round:"


@dataclass(frozen=True, slots=True)
class Named:
    """A model's folder and the name it is served under."""

    name: str
    folder: Path
    round_id: str | None = None
    """Of the round that a round's name was given for."""


def line_of(model: str) -> str | None:
    """The line of service that a name asks for the champion of; None where it asks for none."""
    if model == CHAMPION:
        return LINE
    return model.removeprefix(f"{CHAMPION}:") if model.startswith(f"{CHAMPION}:") and len(model) > len(CHAMPION) + 1 else None


def named_model(model: str, place: Workspace) -> Named:
    """The folder that MODEL means.

    Raises:
        RecipeError: neither a round of the workspace nor a folder with a model, or a line without a champion.
        MachineError: a round that has no model yet, or a champion whose folder is gone.
    """
    folder = _own_folder(home_path(model))
    if folder is not None:
        return Named(_called(folder), folder)
    if not place.root.is_dir():
        raise RecipeError(f"'{model}' is no folder with a model, and there is no workspace at {place.root}: name one with --workspace.")
    with place.ledger() as ledger:
        return known_model(model, place, ledger)


def known_model(model: str, place: Workspace, ledger: "Ledger") -> Named:
    """The same of a name that the ledger knows: a round, a champion, or what a step was taken with."""
    line = line_of(model)
    if line is not None:
        champion = ledger.steps.standing(line).champion
        if champion is None:
            raise RecipeError(f"'{line}' has no champion: promote a model first, with `tunesmith promote MODEL`.")
        model = champion.model
    folder = _own_folder(Path(model)) if Path(model).is_absolute() else None
    if folder is not None:
        return Named(_called(folder), folder)
    if Path(model).is_absolute():
        raise MachineError(
            f"{model} holds no model that tunesmith made: put it back, name another, or roll back with `tunesmith rollback` if it was in service."
        )
    record = ledger.round(model.removeprefix(_ROUND))
    found = place.rounds / record.id / "model"
    if record.status != "done" or not (found / "tunesmith.json").is_file():
        raise MachineError(_no_model(record.id, record.status, found))
    return Named(record.id, found, record.id)


def with_champions(recipe: "Recipe", place: Workspace) -> "Recipe":
    """The recipe with every champion and every `round:ID` it names in place of its name, so that what a round did stays readable from it.

    Raises:
        RecipeError, MachineError: see `named_model`.
    """
    base, against = recipe.base, recipe.evaluate.against
    if _is_name(base.path):
        from tunesmith.pipeline.starting import starting_point

        recipe = recipe.model_copy(update={"base": starting_point(named_model(base.path, place).folder, base, place)})
    if any(_is_name(name) for name in against):
        named = [_pinned(named_model(name, place)) if _is_name(name) else name for name in against]
        recipe = recipe.model_copy(update={"evaluate": recipe.evaluate.model_copy(update={"against": named})})
    return recipe


def _is_name(model: str) -> bool:
    return (line_of(model) is not None or model.startswith(_ROUND)) and not home_path(model).is_dir()


def _pinned(found: Named) -> str:
    return found.round_id or str(found.folder.resolve())


def _own_folder(path: Path) -> Path | None:
    """The folder of the model at a path: itself, or `model` inside; None where there is none."""
    if (path / "tunesmith.json").is_file():
        return path
    return path / "model" if path.is_dir() and (path / "model" / "tunesmith.json").is_file() else None


def _called(folder: Path) -> str:
    return folder_name(folder.resolve())


def folder_name(whole: Path) -> str:
    """The name that the model in a folder is served under, whether the folder is still there or not."""
    return whole.parent.name if whole.name == "model" else whole.name


def _no_model(round_id: str, status: str, folder: Path) -> str:
    if status != "done":
        return f"Round {round_id} is {status} and has no model to serve: finish it with `tunesmith run`."
    return (
        f"The model of round {round_id} is gone from {folder}: put it back, run its recipe again with --again, "
        "or, where it is in service, go back to the one before it with `tunesmith rollback`."
    )
