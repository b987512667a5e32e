"""Where on the test rows the tuned model is worse than elsewhere. Costs no pass: its answers are there."""

from tunesmith.data.config import Task
from tunesmith.evaluate.slices import judge_slices
from tunesmith.pipeline.looks.look import Found, Looking
from tunesmith.score.measures import measure


def look_at_slices(given: Looking) -> Found | None:
    """Parts of the test rows against the rest; nothing where there are no answers to tell it by."""
    recipe, sides = given.recipe, given.sides
    if not recipe.evaluate.slices or sides.task in (Task.TEXT, Task.PREFER):
        return None
    decisive, groups = measure(given.metric), given.groups("test")
    found = judge_slices(decisive, sides.test, given.answers, resamples=recipe.evaluate.resamples, seed=recipe.seed, groups=groups)
    return None if found is None else Found(piece=found.to_json(), alarm=found.sentence if found.worse else None)
