"""What a recipe asks of written answers, refused before any training where it can't be done: a schema that nothing can keep to, a
judge's key that is not set, code that nothing here can hold. Costs a look at the vocabulary where answers keep to something."""

from torch import nn

from tunesmith.chat.render import Renderer
from tunesmith.core.errors import RecipeError
from tunesmith.data.config import Task
from tunesmith.evaluate.code_runs import refuse_without_sandbox
from tunesmith.evaluate.passing import files_of, runs_of
from tunesmith.pipeline.evaluation import Sides, wanted_of
from tunesmith.pipeline.handed import engine_of
from tunesmith.recipe import Recipe
from tunesmith.score.measures import measure


def refuse_what_cant_be_written(model: nn.Module, renderer: Renderer, sides: Sides, recipe: Recipe, metric: str) -> None:
    """Raise what would stop the round after it has trained.

    Args:
        model: the base.
        renderer: the round's.
        sides: for the task, and the lengths of training answers.
        recipe: the recipe.
        metric: the measure that decides.

    Raises:
        RecipeError: answers can't be written or calibrated as asked, or the judge's key is not in the environment.
        MachineError: code can't be run in a sandbox here.
        DataError: a test row lacks a column that is to lie beside its answer.
    """
    wanted_of(model, renderer, sides, recipe)
    if recipe.evaluate.judge is not None:
        engine_of(recipe.evaluate.judge.engine, None)
    if recipe.evaluate.code is not None:
        refuse_without_sandbox(runs_of(recipe.evaluate.code))
        for row in sides.test:
            files_of(row, recipe.evaluate.code)
    if recipe.gates.calibration_error is not None and sides.task == Task.GENERATE and measure(metric).right is None:
        raise RecipeError(
            f"gates.calibration_error: by {measure(metric).title}, which decides, no answer is right or wrong, so confidences can't be held "
            "against anything: put exact_match or numeric_match first in evaluate.metrics, or remove the gate."
        )
