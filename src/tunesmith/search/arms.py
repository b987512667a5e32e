"""One arm of a probe: a base and a way to tune it, trained on a sample step by step, and judged on rows of `select`.

The loop is that of a round (`pipeline.training`), driven from here, so that it can be left between any two steps. What is judged is
the deciding measure of the task, by what answers in a round; written answers are not written but weighed: the likelihood of the
references a character, which is comparable between tokenizers, where a loss a token is not.
"""

import gc
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tunesmith.chat.labels import label_texts
from tunesmith.chat.render import Renderer
from tunesmith.core.files import make_folder, mend_folder
from tunesmith.core.progress import silent
from tunesmith.core.rows import Row
from tunesmith.data.config import Task
from tunesmith.evaluate.likelihood import Likelihood
from tunesmith.models.load import load_base
from tunesmith.pipeline.evaluation import answerer
from tunesmith.pipeline.material import Material
from tunesmith.pipeline.sides import Sides
from tunesmith.pipeline.training import TrainingRun
from tunesmith.recipe.model import Recipe
from tunesmith.score.prediction import Prediction
from tunesmith.train.checkpoint import load_checkpoint, save_checkpoint
from tunesmith.train.loop import StepReport, train

WEIGHED = (Task.GENERATE, Task.TEXT)
"""Tasks whose answers are weighed instead of written."""
_LATEST = "latest"
_LARGE = 2**28


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What every arm is trained and judged on; no row of it is a test row."""

    train: tuple[Row, ...]
    select: tuple[Row, ...]
    labels: tuple[str, ...] | None
    """The label set of classify, multilabel and tag: all of training's, not the sample's alone."""
    task: Task


@dataclass(frozen=True, slots=True)
class Arm:
    """A recipe to be tried, and its folder."""

    key: str
    name: str
    recipe: Recipe
    folder: Path
    weights: int = 0
    """Bytes of its base, as far as known."""

    def own_length(self, rows: int) -> int:
        """Steps that the recipe itself would take over so many rows."""
        steps = max(1, round(-(-rows // self.recipe.train.batch_rows) * self.recipe.train.epochs))
        return min(steps, self.recipe.train.max_steps or steps)

    @contextmanager
    def opened(self, sample: Sample, total: int) -> Iterator["Open"]:
        """The arm loaded, at its last checkpoint where there is one; what it held is freed afterwards.

        Args:
            sample: the rows.
            total: steps that its schedule is laid out for.
        """
        if self.weights >= _LARGE:
            gc.collect()  # the arm before it hangs in cycles: two large bases at once may be one too many
        settings = self.recipe.train
        rate = None if settings.learning_rate == "find" else settings.learning_rate
        shorter = settings.model_copy(update={"max_steps": total, "compile": "off", "track": [], "learning_rate": rate})
        recipe = self.recipe.model_copy(update={"train": shorter})
        base = load_base(recipe.base, seed=recipe.seed)
        texts = label_texts(sample.labels or (), words=recipe.data.label_words)
        most = min(recipe.train.max_tokens or base.context, base.context)
        renderer = Renderer(base.tokenizer, max_tokens=most, label_texts=texts, new_tokens=recipe.base.new_tokens)
        material = Material(sample.train, sample.select, sample.labels, sample.task.value)
        run = TrainingRun(make_folder(self.folder), recipe, base, renderer, material, silent)
        try:
            mend_folder(self.folder / _LATEST)
            if (self.folder / _LATEST).is_dir():
                load_checkpoint(run.state, self.folder / _LATEST)
            yield Open(run, renderer, sample)
        finally:
            run.outfit.clean()

    def forget(self) -> None:
        """Remove what it keeps on disk."""
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Open:
    """An arm in memory."""

    run: TrainingRun
    renderer: Renderer
    sample: Sample

    @property
    def step(self) -> int:
        """Steps taken."""
        return self.run.state.step

    def train_to(self, step: int, go_on: Callable[[], bool]) -> Iterator[StepReport]:
        """Take steps until there are so many, or until nothing may go on; asked before each.

        Raises:
            DivergedError: a step would leave the finite numbers.
        """
        reports = train(self.run.state, self.run.feed, (), self.run.objective)
        while self.step < min(step, self.run.feed.steps) and go_on():
            report = next(reports)
            assert isinstance(report, StepReport), "without select examples nothing is evaluated"
            yield report

    def save(self) -> None:
        """Keep its state, so that it can go on from here."""
        save_checkpoint(self.run.state, self.run.folder / _LATEST)

    def answers(self) -> list[Prediction]:
        """What it says to the select rows now."""
        state, sample = self.run.state, self.sample
        rows = list(sample.select)
        with state.judged():
            if sample.task in WEIGHED:
                likelihood = Likelihood(state.model, self.renderer, state.device, state.precision)
                logps_R, _ = likelihood.rows(rows)
                return [_weighed(row, float(logp)) for row, logp in zip(rows, logps_R, strict=True)]
            sides = Sides(sample.train, rows, (), sample.labels, sample.task.value)
            return answerer(state.model, self.renderer, sides, self.run.recipe).answer(rows, listen=silent)


def _weighed(row: Row, logp: float) -> Prediction:
    """A reference's log-probability, over its characters instead of its tokens."""
    return Prediction(row_id=row.id, reference=row.answer, answer="", reference_logprob=logp, reference_tokens=max(1, len(row.answer)))


def pace_of(
    arm: Arm, sample: Sample, steps: int, go_on: Callable[[], bool], clock: Callable[[], float] = time.monotonic
) -> tuple[float, float, float] | None:
    """Seconds to load the arm, for a step, and to judge it: a few steps that are thrown away. None where nothing may go on meanwhile."""
    began = clock()
    with arm.opened(sample, max(steps, arm.own_length(len(sample.train)))) as held:
        loaded = clock()
        taken = list(held.train_to(steps, go_on))
        stepped = clock()
        if not taken or not go_on():
            return None
        held.answers()
        judged = clock()
    return loaded - began, (stepped - loaded) / len(taken), judged - stepped


def without_times(predictions: Sequence[Prediction]) -> list[Prediction]:
    """The same predictions with no time in them: what is kept of a probe is what was answered."""
    return [replace(one, seconds=0.0) for one in predictions]
