"""Trials by the pipeline's own training: what a round of the same settings would train, measured on `select`, its test rows sealed.

Rows and base are prepared once, tokenised rows are made once in a process and the frozen layers' states once for all. A trial trains in
a folder of its own and goes on there after a kill. Its output is what the round's stage would have made, to the byte, so `hand_over`
puts the best into the workspace's cache, and the round that follows does not train again. In the same way a trial takes up what an
earlier round, or another trial with the same inputs, has trained to its end, at no steps.

No other training is shared: under the usual schedules the rate hangs on the length of the run, so a longer one is not the shorter one
gone on; where it would be (`constant`), each trial would have to keep its last checkpoint, three times the model.

Costs on disk: the models of the best `keep` trials, checkpoints (three models) of those under way and of those that the end of a budget
cut, which a search with more to spend goes on with, and the frozen layers' states.
"""

import shutil
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DivergedError, RecipeError
from tunesmith.core.files import make_folder, mend_folder, only_one, read_json, whole_folder, write_json
from tunesmith.core.hashing import digest
from tunesmith.core.progress import Ended, Event, Listener, Said, silent
from tunesmith.core.rows import Row
from tunesmith.evaluate.ready import load_ready
from tunesmith.models.load import base_hash
from tunesmith.pipeline.bench import Bench, bench_of
from tunesmith.pipeline.decisions import decide
from tunesmith.pipeline.held import hold
from tunesmith.pipeline.of_many import OfMany
from tunesmith.pipeline.one_training import STAGE, TRAIN_VERSION, asked_of, making_of
from tunesmith.pipeline.training import TrainingRun, forget_checkpoints, read_steps
from tunesmith.pipeline.workspace import Stages, Workspace
from tunesmith.recipe import Recipe
from tunesmith.recipe.machine import cores_here
from tunesmith.recipe.search_space import with_settings
from tunesmith.search.applied import RATE
from tunesmith.search.hearing import EndedEarly, Hearing, Sealed, Trial
from tunesmith.search.measuring import Compared, answered, answered_now, compared_by, sample_of
from tunesmith.search.outcome import measured_from, measured_json
from tunesmith.search.trial import BUDGET, Answer, Measured, Point, Report, Settings

ENDED = "trial.json"
KEEP = 3
LOCK_SECONDS = 60


@dataclass(kw_only=True)
class PipelineTrainer:
    """Trains a recipe with some settings changed. One made in another process reads from disk what the first one prepared."""

    recipe: Recipe
    workspace: Workspace
    folder: Path
    """Of the search; trials lie in `trials`, one folder each."""
    keep: int = KEEP
    """Models of so many trials are kept, the best so far."""
    workers: int = 1
    """Processes that train at once; the cores are divided among them."""
    listen: Listener = silent

    @cached_property
    def home(self) -> Bench:
        """The recipe's own bench, its test rows sealed."""
        recipe = self.recipe.model_copy(update={"search": None})
        bench = bench_of(recipe, self.workspace, silent, base_hash(recipe.base))
        sealed = replace(bench, dataset=replace(bench.dataset, sides=Sealed(bench.sides)))
        if recipe.train.regularise.replay.path is not None:
            sealed.replay = bench.replay  # without rows that are held out, those of test too, as a round has it
        return sealed

    @cached_property
    def compared(self) -> Compared:
        """What trials are compared by."""
        space = self.recipe.search.space if self.recipe.search is not None else ()
        return compared_by(self.recipe, self.home.dataset.task, self.home.metrics[0], space)

    @cached_property
    def sample(self) -> list[Row]:
        """The `select` rows that are answered."""
        return sample_of(self.home.sides["select"], self.recipe.seed)

    @cached_property
    def of_many(self) -> OfMany:
        """What the trials share."""
        threads = max(1, cores_here() // self.workers) if self.workers > 1 else None
        return OfMany(trunks=self.trials / "trunks", threads=threads)

    @property
    def trials(self) -> Path:
        """Where the trials lie."""
        return self.folder / "trials"

    def train(self, number: int, settings: Settings, seed: int, report: Report) -> Measured:
        """One trial; see `Trainer`. Settings that no model can be trained by are told of as a training that came to nothing."""
        try:
            trial = self._trial(number, settings, seed)
        except RecipeError as error:
            return Measured(value=None, steps=0, seconds=0.0, diverged=f"Refused: {error}")
        ended = trial.place / ENDED
        if ended.exists():
            return measured_from(read_json(ended)["measured"])
        measured = self._taken_up(trial)
        if measured is None:
            asked = _Asked(report)
            measured = self._trained(trial, asked)
            if measured.pruned and asked.answer == BUDGET:
                return measured  # not ended: it is gone on with when there is more to spend
        else:
            for point in measured.curve:
                report(point)  # what it is answered saves nothing
        told = {"number": number, "settings": dict(settings), "seed": seed, "key": trial.key, "measured": measured_json(measured)}
        write_json(make_folder(trial.place) / ENDED, told)
        forget_checkpoints(trial.working)
        self._keep_the_best()
        return measured

    def hand_over(self, settings: Settings) -> Path | None:
        """Put the training of these settings under the recipe's own seed where a round of them looks for it; None where no trial has it."""
        trial = self._trial(-1, settings, self.recipe.seed)
        asked, also = asked_of(trial.inputs, trial.bench.recipe)
        found = next((place / "made" for place, told in self._ended() if told["key"] == trial.key and (place / "made").is_dir()), None)
        with self.workspace.ledger() as ledger:
            stages = Stages(self.workspace, ledger, None, silent)
            earlier = stages.found(STAGE, TRAIN_VERSION, asked, also)
            if earlier is not None or found is None:
                return earlier
            return stages.folder(STAGE, TRAIN_VERSION, asked, lambda out: _link(found, out), also)

    def model_of(self, settings: Settings) -> Path:
        """Output of the training of these settings under the recipe's own seed, for good: a trial's, an earlier round's, or made now."""
        return self.hand_over(settings) or self._made_now(settings)

    def _value_at_start(self, run: TrainingRun, trial: Trial) -> float:
        """The value before any step, measured once for all trials that start from the same weights."""
        assert self.compared.measure is not None
        like = {"method": trial.inputs["recipe"]["method"], "objective": trial.inputs["recipe"]["objective"]["name"], "seed": trial.seed}
        file = self.trials / f"start-{digest(like)[:16]}.json"
        if not file.exists():
            value = self.compared.signed(answered_now(run.state, trial.bench, self.sample, self.compared.measure))
            write_json(file, {"value": value})
        return float(read_json(file)["value"])

    def key_of(self, settings: Settings) -> str:
        """Equal for settings that are trained alike under the recipe's own seed."""
        return self._trial(-1, settings, self.recipe.seed).key

    def value_of(self, settings: Settings, made: Path) -> float | None:
        """What the training of these settings under the recipe's own seed came to; `made`: its output."""
        trial = self._trial(-1, settings, self.recipe.seed)
        ended = [measured_from(told["measured"]) for _, told in self._ended() if told["key"] == trial.key]
        whole = next((measured for measured in ended if not measured.pruned), None)
        return self._told_by(trial, made).value if whole is None else whole.value

    def as_written(self, settings: Settings) -> Settings:
        """The same without the learning rate, where the recipe leaves it open and the machine would decide on just this one beside the others."""
        if RATE not in settings or self.recipe.train.learning_rate is not None:
            return settings
        others = {path: value for path, value in settings.items() if path != RATE}
        return others if settings[RATE] == self._decided_rate(others) else settings

    def _decided_rate(self, settings: Settings) -> float:
        """The rate that a training of these settings takes where none is given."""
        bench = self.home.with_recipe(with_settings(self.recipe, settings))
        rows, task = len(bench.sides["train"]), str(bench.dataset.task.value)
        return decide(bench.recipe, bench.base, task, silent, judged=bench.judged_alone, rows=rows).learning_rate

    def clear(self) -> None:
        """Remove what only further trials would have a use for."""
        shutil.rmtree(self.trials / "trunks", ignore_errors=True)

    def _trial(self, number: int, settings: Settings, seed: int) -> Trial:
        recipe = with_settings(self.recipe, self.as_written(settings)).model_copy(update={"seed": seed})
        place = self.trials / f"{max(number, 0):04d}-{digest([dict(settings), seed])[:8]}"
        return Trial(number, settings, seed, place, self.home.with_recipe(recipe))

    def _trained(self, trial: Trial, report: "_Asked") -> Measured:
        """Train it, or go on; what the search raises when it is told an evaluation passes through."""
        hold(make_folder(trial.place), "training", trial.key, (trial.working.name, trial.made.name))
        make_folder(trial.working)
        hearing = Hearing(trial, self.compared, self.sample, lambda run: self._value_at_start(run, trial), report)
        try:
            hearing.go_back()
            mend_folder(trial.made)
            if not trial.made.is_dir():
                many = replace(self.of_many, heard=hearing)
                with whole_folder(trial.made) as out:
                    making_of(trial.bench, _by_number(self.listen, trial.number), many).into(out, trial.working)
        except EndedEarly:
            return self._measured(trial, hearing, pruned=True)
        except DivergedError as error:
            return self._measured(trial, hearing, value=None, diverged=str(error))
        except RecipeError as error:
            if error is report.raised:
                raise
            return self._measured(trial, hearing, value=None, diverged=f"Refused: {error}")  # beside these rows and this base they can't be
        return self._measured(trial, hearing, value=self._of_model(trial, trial.made, hearing.points[-1].value))

    def _measured(self, trial: Trial, hearing: Hearing, *, pruned: bool = False, **told: Any) -> Measured:
        """How it ended; the value is the last one heard where none is given."""
        points = tuple(hearing.points)
        steps = max([line["step"] for line in read_steps(trial.working)], default=0)
        told = {"value": points[-1].value if points else None} | told
        return Measured(steps=steps, seconds=hearing.seconds, pruned=pruned, curve=points, **told)

    def _of_model(self, trial: Trial, made: Path, heard: float) -> float:
        """The value of what was kept: as heard in training, but where the weights were changed after it."""
        if self.compared.measure is None or not trial.bench.recipe.train.regularise.interpolate:
            return heard
        return self._answered(trial, made)

    def _answered(self, trial: Trial, made: Path) -> float:
        assert self.compared.measure is not None
        return self.compared.signed(answered(load_ready(made / "model").model, trial.bench, self.sample, self.compared.measure))

    def _taken_up(self, trial: Trial) -> Measured | None:
        """The measure of the same training, done before: by another trial or by a round. None where there is none."""
        for _, told in self._ended():
            earlier = measured_from(told["measured"])
            if told["key"] == trial.key and not earlier.pruned:
                return replace(earlier, steps=0, seconds=0.0)
        asked, also = asked_of(trial.inputs, trial.bench.recipe)
        with self.workspace.ledger() as ledger:
            found = Stages(self.workspace, ledger, None, silent).found(STAGE, TRAIN_VERSION, asked, also)
        return None if found is None else self._told_by(trial, found)

    def _told_by(self, trial: Trial, made: Path) -> Measured:
        """The measure of an earlier round's training."""
        began = time.process_time()
        training = read_json(made / "training.json")
        deciding = "loss" if self.compared.measure is None else "value"
        told = {int(one["step"]): one[deciding] for one in training["validation"] if one[deciding] is not None}
        values = {step: self.compared.signed(value) for step, value in told.items()}
        curve = tuple(
            Point(step, step / max(values), max(value for earlier, value in values.items() if earlier <= step)) for step in values if step
        )
        kept = values.get(training["chosen_step"])
        value = self._answered(trial, made) if kept is None else self._of_model(trial, made, kept)
        return Measured(value=value, steps=0, seconds=time.process_time() - began, curve=curve)

    def _made_now(self, settings: Settings) -> Path:
        """A training that no trial asked for, as a stage of its own."""
        self.listen(
            Said("The recipe as it was is trained too, to be compared with: in no budget, and beside the steps that the search counts.")
        )
        trial = self._trial(-1, settings, self.recipe.seed)
        asked, also = asked_of(trial.inputs, trial.bench.recipe)
        working = self.trials / "apart" / "training"
        with self.workspace.ledger() as ledger:
            stages = Stages(self.workspace, ledger, None, self.listen)
            making = making_of(trial.bench, self.listen, self.of_many)
            out = stages.folder(STAGE, TRAIN_VERSION, asked, lambda out: making.into(out, working), also)
        shutil.rmtree(working.parent, ignore_errors=True)
        return out

    def _ended(self) -> list[tuple[Path, dict[str, Any]]]:
        """Every trial that ended, with what it told, in order of number."""
        return [(file.parent, read_json(file)) for file in sorted(self.trials.glob(f"*/{ENDED}"))]

    def _keep_the_best(self) -> None:
        """Remove the models of all trials but the best and that of the recipe as it is; those under other seeds no round will take up."""
        as_it_is = self._trial(-1, {}, self.recipe.seed).key
        with only_one(self.trials / ".lock", "The search's models", wait_seconds=LOCK_SECONDS):
            made = [(told, place / "made") for place, told in self._ended() if (place / "made").is_dir()]
            own = [(told, folder) for told, folder in made if told["seed"] == self.recipe.seed and told["measured"]["value"] is not None]
            own.sort(key=lambda one: -one[0]["measured"]["value"])
            kept = {folder for place, (told, folder) in enumerate(own) if place < self.keep or told["key"] == as_it_is}
            for _, folder in made:
                if folder not in kept:
                    shutil.rmtree(folder, ignore_errors=True)


@dataclass
class _Asked:
    """A search's report, what it answered last, and what it raised: that is the search's refusal, and none of the trial's settings."""

    report: Report
    answer: Answer = False
    raised: RecipeError | None = None

    def __call__(self, point: Point) -> Answer:
        try:
            self.answer = self.report(point)
        except RecipeError as error:
            self.raised = error
            raise
        return self.answer


def _link(source: Path, target: Path) -> None:
    """The files of a folder in another one, without a second copy on disk where the file system allows."""

    def place(src: str, dst: str) -> str:
        try:
            Path(dst).hardlink_to(src)
            return dst
        except OSError:
            return shutil.copy2(src, dst)

    shutil.copytree(source, target, dirs_exist_ok=True, copy_function=place)


def _by_number(listen: Listener, number: int) -> Listener:
    """Tells of a trial's work under its number; of what it says, only warnings."""

    def told(event: Event) -> None:
        if not isinstance(event, Said):
            if not isinstance(event, Ended) or not event.reused:
                listen(replace(event, work=f"trial {number}: {event.work}"))
        elif event.warning:
            listen(replace(event, text=f"Trial {number}: {event.text}"))

    return told
