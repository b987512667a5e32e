"""By what the trials of a search are compared: the measure that decides the round, on the `select` rows.

A head's validation has it at no cost. Labels as text, spans and judged pairs are answered, on at most `SAMPLE` rows and only where a
step becomes the one to keep. Answers in words of the model's own would have to be written for each evaluation: there the validation
loss stands in, unless the recipe names its measures. Losses are compared only where all trials have the same one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from tunesmith.core.errors import DataError, RecipeError
from tunesmith.core.rows import Row
from tunesmith.core.seeds import derive_seed
from tunesmith.data.config import Task
from tunesmith.recipe import Recipe
from tunesmith.score.measures import Measure, measure

if TYPE_CHECKING:
    from torch import nn

    from tunesmith.pipeline.bench import Bench
    from tunesmith.train.state import TrainState

SAMPLE = 500
"""Most rows of `select` that are answered to measure a step."""
LOSS = "loss"
"""What trials are compared by where it is no measure."""
OTHER_LOSSES = ("objective", "base", "data", "train.weight_by", "train.max_tokens")
"""Settings, or whole sections, under which a validation loss means something else."""


@dataclass(frozen=True, slots=True)
class Compared:
    """What is compared; a trial's value is the higher the better."""

    measure: Measure | None
    """None: the validation loss, of which less is better."""
    sentence: str

    @property
    def name(self) -> str:
        """Of the measure, or `loss`."""
        return LOSS if self.measure is None else self.measure.name

    def signed(self, value: float) -> float:
        """A value as trials report it."""
        return value if self.measure is not None and self.measure.higher_is_better else -value

    def plain(self, value: float) -> float:
        """The reverse of `signed`."""
        return self.signed(value)

    def shown(self, value: float) -> str:
        """A trial's value for people."""
        return f"{self.plain(value):.4g}" if self.measure is None else self.measure.shown(self.plain(value))


def compared_by(recipe: Recipe, task: Task, deciding: str, space: Iterable[str]) -> Compared:
    """What trials of a recipe are compared by.

    Args:
        recipe: the recipe.
        task: of its rows.
        deciding: the measure that decides the round.
        space: dotted paths of the settings that are searched.

    Raises:
        RecipeError: the validation loss would be compared where trials have different ones.
    """
    if task is not Task.TEXT and deciding != "perplexity" and (task is not Task.GENERATE or recipe.evaluate.metrics):
        found = measure(deciding)
        return Compared(found, f"Trials are compared by {found.title} on the select rows.")
    move = "take it out of search.space" + (
        "" if task is Task.TEXT else ", or name a measure in evaluate.metrics, which answers are then written for"
    )
    for path in space:
        if any(path == one or path.startswith(f"{one}.") for one in OTHER_LOSSES):
            raise RecipeError(
                f"search.space: trials would be compared by their validation losses, and {path} changes what a loss means: {move}."
            )
    why = (
        ""
        if task is Task.TEXT
        else ", as answers would have to be written for anything else: name a measure in evaluate.metrics to ask for that"
    )
    return Compared(None, f"Trials are compared by the validation loss on the select rows{why}.")


def sample_of(rows: Sequence[Row], seed: int) -> list[Row]:
    """At most `SAMPLE` of the rows, the same for every trial of a search."""
    if len(rows) <= SAMPLE:
        return list(rows)
    chosen = sorted(Random(derive_seed(seed, "search sample")).sample(range(len(rows)), SAMPLE))
    return [rows[index] for index in chosen]


def answered(model: "nn.Module", bench: "Bench", rows: Sequence[Row], by: Measure) -> float:
    """The measure over a model's answers to some rows."""
    from tunesmith.evaluate.systems import own_prompt
    from tunesmith.pipeline.evaluation import Sides, answerer

    sides = Sides(bench.sides["train"], bench.sides["select"], (), bench.labels, str(bench.dataset.task))
    value = by.of(answerer(model, bench.renderer, sides, bench.recipe).answer(rows, own_prompt))
    if value is None:
        raise DataError(
            f"{by.title} can't be told of the select rows, so no trial can be chosen by it: put another measure first in evaluate.metrics."
        )
    return value


def answered_now(state: "TrainState", bench: "Bench", rows: Sequence[Row], by: Measure) -> float:
    """The measure over answers of a model in training, as it would be kept; the training goes on as if nobody had asked."""
    random = state.random_state()
    try:
        with state.judged():
            return answered(state.model, bench, rows, by)
    finally:
        state.set_random_state(random)
