"""The recipe: every room's config gathered into one frozen value, with the checks that need to see several of them."""

from pathlib import Path, PurePath
from typing import Any, Self

from pydantic import Field, ModelWrapValidatorHandler, ValidationError, model_validator

from tunesmith.core.files import home_path
from tunesmith.core.hashing import digest
from tunesmith.data.config import DataConfig
from tunesmith.evaluate.config import EvaluateConfig, GatesConfig
from tunesmith.feedback.next_config import NextConfig
from tunesmith.models.config import BaseConfig, MethodConfig
from tunesmith.recipe.agreement import disagreements
from tunesmith.recipe.guide import read_guide
from tunesmith.recipe.problems import Problem, RefusedRecipe, explain
from tunesmith.recipe.search_config import SearchConfig
from tunesmith.recipe.search_space import space_problems
from tunesmith.section import Section
from tunesmith.train.config import ObjectiveConfig, TrainConfig

_DATA_PATHS = ("path", "validation_path", "test_path", "held_out")


class Recipe(Section):
    """A whole round, described: which rows, which base, what is minimised and how, what it is judged by.

    Raises:
        RecipeError: for any value that can't be, with every problem on a line of its own.
    """

    seed: int = Field(default=0, ge=0, lt=2**63)
    """Every random choice derives from it: the same recipe and seed give the same weights on CPU."""
    data: DataConfig
    """Where the rows come from and what is done to them before training."""
    base: BaseConfig = BaseConfig()
    """The pretrained model the round starts from."""
    objective: ObjectiveConfig = ObjectiveConfig()
    """What is minimised."""
    method: MethodConfig = MethodConfig()
    """What of the model may change, and how."""
    train: TrainConfig = TrainConfig()
    """How the weights are changed."""
    evaluate: EvaluateConfig = EvaluateConfig()
    """How the fine-tuned model is compared with what it must beat."""
    gates: GatesConfig = GatesConfig()
    """Bounds the model must keep; exit code 4 where it does not."""
    next: NextConfig = NextConfig()
    """How `tunesmith next` goes on from this round, once its model is the champion."""
    search: SearchConfig | None = None
    """A search over settings of this recipe, by `tunesmith search`; null: none."""

    @model_validator(mode="wrap")
    @classmethod
    def _refuse_in_words(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Pydantic's refusals leave as one RecipeError, in Python as in YAML."""
        try:
            recipe = handler(value)
        except ValidationError as error:
            raise RefusedRecipe(explain(error, cls, value)) from None
        problems = [_about(setting, sentence) for setting, sentence in disagreements(recipe, recipe.data.task)]
        if recipe.search is not None and not problems:
            problems = list(space_problems(recipe, recipe.search))
        if problems:
            raise RefusedRecipe(problems)
        return recipe

    def identity(self) -> str:
        """64 hex digits over the whole recipe, defaults included.

        Of a path only the last part counts: where files lie is not what a round is, and what they hold is hashed
        apart, by the pipeline.
        """
        # who watches a round is not what it is, nor what undoes it, nor what comes after it, nor how its settings were found
        apart: Any = {"train": {"track"}, "data": {"anonymise": {"map"}}, "next": True, "search": True}
        named = self.model_copy(update={"evaluate": self.evaluate.with_files(lambda path: PurePath(path).name)})
        canonical = named.model_dump(mode="json", exclude=apart)
        for section, name in (*(("data", name) for name in _DATA_PATHS), ("base", "path")):
            path = canonical[section][name]
            canonical[section][name] = PurePath(path).name if path is not None else None
        for holder, name in ((canonical["objective"], "teacher"), (canonical["train"]["regularise"]["replay"], "path")):
            holder[name] = PurePath(holder[name]).name if holder[name] is not None else None
        canonical["evaluate"]["against"] = [PurePath(name).name for name in canonical["evaluate"]["against"]]
        return digest(canonical)


def _about(setting: str, sentence: str) -> Problem:
    return Problem(tuple(setting.split(".")), f"{setting}: {sentence}")


def resolved(recipe: Recipe, folder: Path) -> Recipe:
    """The same recipe with its relative paths taken from `folder`, the recipe file's own.

    `sample` and `embedded` are names, not paths. `base.path` may be a hub id: it is taken for a folder only where it
    begins with `.` or `~`, or where such a folder is there.
    """
    data: dict[str, Any] = {
        name: _from(folder, path) for name in _DATA_PATHS if (path := getattr(recipe.data, name)) not in (None, "sample")
    }
    data |= _stages_resolved(recipe.data, folder)
    base, teacher, replay = recipe.base.path, recipe.objective.teacher, recipe.train.regularise.replay
    update: dict[str, Any] = {"data": recipe.data.model_copy(update=data)}
    if _is_local(base, folder):
        update["base"] = recipe.base.model_copy(update={"path": _from(folder, base)})
    if teacher is not None and _is_local(teacher, folder):
        update["objective"] = recipe.objective.model_copy(update={"teacher": _from(folder, teacher)})
    if replay.path is not None:
        found = replay.model_copy(update={"path": _from(folder, replay.path)})
        update["train"] = recipe.train.model_copy(update={"regularise": recipe.train.regularise.model_copy(update={"replay": found})})
    update["evaluate"] = _evaluate_resolved(recipe.evaluate, folder)
    return with_schema(recipe.model_copy(update=update), folder)


def _evaluate_resolved(config: EvaluateConfig, folder: Path) -> EvaluateConfig:
    """The section with its files counted from a folder."""
    against = [_from(folder, name) if _is_local(name, folder) else name for name in config.against]  # the others are ids of rounds
    return config.with_files(lambda path: _from(folder, path)).model_copy(update={"against": against})


def with_schema(recipe: Recipe, folder: Path) -> Recipe:
    """The same recipe with the schema that answers keep to, and the style guide, in place of their paths; RecipeError where they aren't there."""
    update: dict[str, Any] = {"decoding": recipe.evaluate.decoding.with_schema(folder)}
    if isinstance(recipe.evaluate.style, str):
        update["style"] = read_guide(folder / home_path(recipe.evaluate.style)).model_dump(mode="json", exclude_defaults=True)
    return recipe.model_copy(update={"evaluate": recipe.evaluate.model_copy(update=update)})


def _stages_resolved(data: DataConfig, folder: Path) -> dict[str, Any]:
    """The stages of `data` that name files of their own, with these taken from a folder."""
    found: dict[str, Any] = {}
    if data.relabel.review is not None:
        found["relabel"] = data.relabel.model_copy(update={"review": _from(folder, data.relabel.review)})
    if data.coverage.production is not None:
        found["coverage"] = data.coverage.model_copy(update={"production": _from(folder, data.coverage.production)})
    if data.contamination.paths:
        paths = tuple(_from(folder, path) for path in data.contamination.paths)
        found["contamination"] = data.contamination.model_copy(update={"paths": paths})
    if data.anonymise is not None:
        named = {
            name: folder / path.expanduser() for name in ("model", "map", "key") if (path := getattr(data.anonymise, name)) is not None
        }
        found["anonymise"] = data.anonymise.model_copy(update=named)
    return found


def _is_local(base: str, folder: Path) -> bool:
    return base.startswith((".", "~")) or (base != "embedded" and (folder / base).is_dir())


def _from(folder: Path, path: str) -> str:
    return path if "://" in path else str(folder / home_path(path))
