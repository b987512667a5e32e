"""What a round works with, loaded as needed, and what can be refused of it before any training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from tunesmith.chat.labels import label_texts
from tunesmith.chat.render import Renderer
from tunesmith.core.errors import RecipeError
from tunesmith.core.progress import Listener, silent
from tunesmith.core.rows import Row
from tunesmith.data.checks import labels_of
from tunesmith.data.config import Task
from tunesmith.data.dataset import Dataset
from tunesmith.evaluate.attribution import require_captum
from tunesmith.evaluate.measures import resolve
from tunesmith.models.load import Base, load_base
from tunesmith.pipeline.calibrating import unmeasurable
from tunesmith.pipeline.counts import refuse_what_cant_be_adapted
from tunesmith.pipeline.datasets import general_rows, prepared_dataset
from tunesmith.pipeline.decisions import settled
from tunesmith.pipeline.evaluation import Sides
from tunesmith.pipeline.looks.bias import refuse_unreadable_bias
from tunesmith.pipeline.looks.forgetting import general_of
from tunesmith.pipeline.looks.memorisation import planted
from tunesmith.pipeline.looks.safety import refuse_unreadable
from tunesmith.pipeline.material import Material, class_weights
from tunesmith.pipeline.preflight import CheckReport, preflight
from tunesmith.pipeline.rivals import Rival, refuse_others, rivals_of, what_it_has_seen
from tunesmith.pipeline.trackers import refuse_without_library
from tunesmith.pipeline.twins import trainings, trainings_told
from tunesmith.pipeline.workspace import Workspace
from tunesmith.pipeline.writing import refuse_what_cant_be_written
from tunesmith.recipe import Recipe, check_agreement, objective_of


@dataclass
class Bench:
    """What a round works with: its recipe, its rows, its base, a renderer. Loaded as needed."""

    recipe: Recipe
    workspace: Workspace
    dataset: Dataset
    base_hash: str
    listen: Listener = silent

    @cached_property
    def replay(self) -> tuple[list[Row], str]:
        """General rows to mix in while training, none of them held out, and their task."""
        held_out = [row for name, side in self.sides.items() if name != "train" for row in side]
        return general_rows(self.recipe, self.workspace, self.listen, held_out)

    def fresh_base(self) -> Base:
        """The base as it was pretrained; training changes the one it is given."""
        return load_base(self.recipe.base, seed=self.recipe.seed)

    def with_recipe(self, recipe: Recipe) -> "Bench":
        """Another recipe over the same rows and the same base, which is not loaded again."""
        made = replace(self, recipe=recipe)
        made.base = self.base
        if recipe.train.regularise.replay == self.recipe.train.regularise.replay:
            made.replay = self.replay
        return made

    @cached_property
    def base(self) -> Base:
        """The base, loaded once, for its tokenizer and shape; never trained."""
        return self.fresh_base()

    @cached_property
    def renderer(self) -> Renderer:
        """The one renderer of the round."""
        texts = label_texts(self.labels or (), words=self.recipe.data.label_words)
        method, context = self.recipe.method, self.base.context
        room = context - (method.virtual_tokens if method.name in ("prompt", "prefix") else 0)  # those take positions too
        if room < context // 4:
            raise RecipeError(
                f"method.virtual_tokens is {method.virtual_tokens}, and the base was made for {context} tokens in all: "
                f"set it to {context * 3 // 4} or less, so that rows have room."
            )
        asked = self.recipe.train.max_tokens
        most = room if asked is None else asked if asked > context else min(asked, room)
        return Renderer(self.base.tokenizer, max_tokens=most, label_texts=texts, new_tokens=self.recipe.base.new_tokens)

    @property
    def sides(self) -> Mapping[str, Sequence[Row]]:
        """The rows of each side."""
        return self.dataset.sides

    @cached_property
    def labels(self) -> tuple[str, ...] | None:
        """The label set of classify, multilabel and tag, in a fixed order: what training saw."""
        if self.dataset.task not in (Task.CLASSIFY, Task.MULTILABEL, Task.TAG):
            return None
        return tuple(sorted({label for row in self.sides["train"] for label in labels_of(row, self.dataset.task)}))

    @property
    def judged_alone(self) -> bool:
        """Of the task prefer: whether answers are judged one by one instead of in pairs."""
        return any(row.wanted is not None for row in self.sides["train"][:1])

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Names of the measures, the deciding one first."""
        answers = [row.answer for row in self.sides["train"]]
        return resolve(self.dataset.task, self.recipe.evaluate.metrics, answers=answers, judged=self.judged_alone)

    @cached_property
    def rivals(self) -> list[Rival]:
        """Other models that must be beaten."""
        return rivals_of(self.recipe, self.workspace)

    @property
    def judged(self) -> Sides:
        """What evaluation may see."""
        return Sides(self.sides["train"], self.sides["select"], self.sides["test"], self.labels, str(self.dataset.task))

    @property
    def material(self) -> Material:
        """What training and its validation take."""
        replay, replay_task = self.replay
        task = str(self.dataset.task.value)
        return Material(self.sides["train"], self.sides["select"], self.labels, task, replay=replay, replay_task=replay_task)

    def check(self) -> CheckReport:
        """Preflight over all rows. Raises what the run would raise later, where it can be known before: see `refuse_early`."""
        check_agreement(self.recipe, self.dataset.task, judged=self.judged_alone)
        self.refuse_early()
        measure = self.metrics[0]
        found = preflight(
            self.sides,
            self.renderer,
            self.recipe,
            self.dataset.task,
            self.labels,
            self.base.context,
            self.base.vocabulary,
            replay=self.replay[0],
        )
        if (why := unmeasurable(self.recipe, len(self.sides["calibrate"]))) is not None:
            found.problems.append(why)
        found.facts["decided_by"] = measure
        found.facts["trainings"] = trainings(self.recipe)
        told = trainings_told(self.recipe)
        found.notes.extend([*self.dataset.notes, *([told] if told else [])])
        warned, noted = what_it_has_seen(self.rivals, self.dataset, self.workspace)
        found.warnings.extend(warned)
        found.notes.extend(noted)
        return found

    def refuse_early(self) -> None:
        """Raise what keeps the run from training that does not hang on its rows: libraries, class weights, a method that doesn't fit."""
        recipe, task, given = self.recipe, self.dataset.task, self.material
        refuse_without_library(recipe.train.track)
        refuse_unreadable(recipe, self.workspace)
        if recipe.evaluate.explain.enabled:
            require_captum()
        class_weights(recipe.objective, objective_of(recipe, task, judged=given.judged), given)
        refuse_what_cant_be_adapted(self.base, settled(recipe, str(task.value)).method, given.outputs)
        planted(recipe, task, self.sides["train"], self.labels)
        refuse_what_cant_be_written(self.base.model, self.renderer, self.judged, recipe, self.metrics[0])
        general_of(recipe, [*given.train, *given.replay])
        if recipe.evaluate.bias is not None:
            refuse_unreadable_bias(recipe.evaluate.bias, seed=recipe.seed, test=self.sides["test"], labels=self.labels or ())
        refuse_others(self.rivals, task, self.labels, self.metrics[0], self.base.tokenizer.get_vocab)


def bench_of(recipe: Recipe, workspace: Workspace, listen: Listener, base_hash: str) -> Bench:
    """Prepare the data, or take what was prepared before."""
    dataset, _ = prepared_dataset(recipe, workspace, listen)
    return Bench(recipe, workspace, dataset, base_hash, listen)
