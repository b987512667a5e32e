"""The training stage: drives the loop, saves, goes back on divergence, and goes on where a killed round stopped."""

import contextlib
import json
import shutil
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import nn

from tunesmith.chat.render import Renderer
from tunesmith.core.errors import DataError, DivergedError, MachineError, RecipeError
from tunesmith.core.files import mend_folder, write_json, write_text
from tunesmith.core.progress import Advanced, Ended, Listener, Said, Started
from tunesmith.core.seeds import derive_seed
from tunesmith.models.dropout import set_dropout
from tunesmith.models.heads import Headed
from tunesmith.models.load import Base, count_parameters
from tunesmith.models.methods import adapt
from tunesmith.pipeline.counts import learning_at_least, refuse_useless_rank, refuse_what_cant_fit
from tunesmith.pipeline.decisions import Decisions, decide, device_here, not_reproducible, settled
from tunesmith.pipeline.extras import Outfit, compile_layers, pays_to_compile
from tunesmith.pipeline.material import Material, class_weights, make_examples, reference_examples, replay_examples
from tunesmith.pipeline.memory import memory_kills, memory_limit
from tunesmith.pipeline.of_many import OfMany, deaf
from tunesmith.pipeline.trackers import Trackers, flat_settings
from tunesmith.pipeline.workspace import append_line
from tunesmith.recipe import Recipe
from tunesmith.train.batches import Example, Feed
from tunesmith.train.checkpoint import load_checkpoint, load_weights, read_as, read_progress, readable, save_checkpoint
from tunesmith.train.finder import find_rate
from tunesmith.train.loop import MOST_HALVINGS, EvaluationReport, StepReport, evaluation_steps, next_step, train, validation
from tunesmith.train.machine import memory_now_mib, memory_peak_mib, peak_flops
from tunesmith.train.objectives import objective
from tunesmith.train.optimizers import build_optimizers
from tunesmith.train.regularisers.interpolation import interpolated
from tunesmith.train.schedules import schedule_of
from tunesmith.train.snapshots import keep_snapshot
from tunesmith.train.state import TrainState
from tunesmith.train.watch import Watch

MOST_RESTARTS = 2
CHECKPOINTS = ("latest", "anchor", "best")
SNAPSHOTS = "snapshots"
DECIDED_LATER = frozenset({"compiled", "peak_flops", "reasons"})
"""What decisions.json did not hold from the first version on."""
_STEP = TypeAdapter(StepReport)
AMOUNTS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""How far from the base toward the tuned weights interpolation looks."""


class TrainingRun:
    """One run of the loop with its folder: `latest`, `anchor` (last evaluation) and `best` checkpoints, and a log of steps."""

    def __init__(
        self,
        folder: Path,
        recipe: Recipe,
        base: Base,
        renderer: Renderer,
        material: Material,
        listen: Listener,
        of_many: OfMany | None = None,
    ) -> None:
        recipe = settled(recipe, material.task)
        self.folder, self.recipe, self.listen, self.base, self.of_many = folder, recipe, listen, base, of_many
        self.heard = deaf if of_many is None else of_many.heard
        decisions_file = folder / "decisions.json"
        fresh = not decisions_file.exists()
        if fresh:
            self.decisions = decide(recipe, base, material.task, listen, judged=material.judged, rows=len(material.train))
            if of_many is not None and of_many.threads is not None and recipe.train.threads is None:
                self.decisions = replace(self.decisions, threads=min(self.decisions.threads, of_many.threads))
        else:
            self.decisions = read_as(decisions_file, Decisions, self._start_over(), later=DECIDED_LATER)
            not_reproducible(self.decisions, device_here())
        torch.set_num_threads(self.decisions.threads)
        self.device = torch.device(self.decisions.device)
        weights = class_weights(recipe.objective, self.decisions.objective, material)
        self.objective = objective(recipe.objective, self.decisions.objective, class_weights=weights)
        language_model: nn.Module = base.model
        language_model.to(self.device)
        made = self._examples(renderer, material)
        if not made[0]:
            raise DataError("There is nothing to train on: the train side holds no rows.")
        if "reference" in self.objective.needs:
            made = reference_examples(
                made, base.model, self.device, self.objective.inputs, derive_seed(recipe.seed, "contrast"), self.decisions.precision
            )
        self.train_examples, self.select_examples = made
        if material.replay and self.objective.inputs != "tokens":
            raise RecipeError(
                f"train.regularise.replay mixes in rows that are learnt token by token, and objective {self.decisions.objective} learns otherwise: "
                "remove replay, or pull toward the base's weights with train.regularise.l2_sp."
            )
        replayed = replay_examples(material, renderer, recipe, listen)
        seed = derive_seed(recipe.seed, "train")
        self.feed = Feed(self.train_examples, recipe.train, seed, self.decisions.layout, replayed)
        trunks = None if of_many is None else of_many.trunks
        self.outfit = Outfit(recipe, base, self.feed, self.select_examples, folder, self.decisions, self.objective, listen, trunks=trunks)
        self.state = self._fresh_state(material)
        if fresh:
            self._settle_by_measurement()
            self.decisions = replace(self.decisions, peak_flops=peak_flops(self.device, self.decisions.precision))
            write_json(decisions_file, asdict(self.decisions))
        if self.decisions.compiled:
            compile_layers(self.state.language_model)
        self.saved = time.monotonic()

    def _examples(self, renderer: Renderer, material: Material) -> list[list[Example]]:
        """The rows to train on and those validation looks at, as the loop takes them."""
        recipe, objective = self.recipe, self.decisions.objective

        def make() -> list[list[Example]]:
            return [make_examples(rows, renderer, recipe, material, objective) for rows in (material.train, material.select)]

        return make() if self.of_many is None else self.of_many.examples.of(recipe, objective, renderer, make)

    def _fresh_state(self, material: Material) -> TrainState:
        recipe, decisions = self.recipe, self.decisions
        parameters, _ = count_parameters(self.base.model)
        refuse_useless_rank(self.base.model, decisions.method, recipe.method)
        self._refuse_without_memory(learning_at_least(self.base.model, decisions.method, recipe.method))
        self.outfit.before_adapting()
        model = adapt(
            self.base.model,
            recipe.method,
            parameters=parameters,
            labels=material.outputs,
            seed=derive_seed(recipe.seed, "adapt"),
            new_ids=self.base.new_ids,
        )
        self._refuse_without_memory(count_parameters(model)[1])
        if isinstance(model, Headed) and model.kind == "regression":
            model.head.measure([item.target for item in self.train_examples])
        if not set_dropout(model, recipe.train.dropout) and recipe.train.dropout > 0:
            self.listen(Said(f"train.dropout {recipe.train.dropout} has no effect: this architecture has no dropout.", warning=True))
        if recipe.train.gradient_checkpointing:
            checkpointing: Any = self.base.model
            checkpointing.activation_checkpointing_enable({"use_reentrant": False})
            checkpointing.enable_input_require_grads()
        model.to(self.device)
        torch.manual_seed(derive_seed(recipe.seed, "dropout"))
        return TrainState(
            model,
            self._optimizers(model),
            schedule_of(recipe.train, self.feed.steps),
            recipe.train,
            decisions.learning_rate,
            self.device,
            decisions.precision,
            extras=self.outfit.extras(model),
        )

    def _refuse_without_memory(self, learning: int) -> None:
        """On CPU the kernel kills without a word: what can't fit is refused before the first step."""
        if self.device.type != "cpu":
            return
        copies = self.outfit.copies(learning)
        refuse_what_cant_fit(self.base.model, self.recipe, self.decisions.method, learning, copies, memory_limit())

    def _settle_by_measurement(self) -> None:
        """What only a few steps can tell: the rate, where it is to be found, and whether compiling pays. The state is left as new."""
        start = {name: tensor.clone() for name, tensor in self.state.tensors().items()}
        self.state.model.train()
        if self.recipe.train.learning_rate == "find":
            rate = self._found_rate(self.decisions.learning_rate)
            self.decisions = replace(self.decisions, learning_rate=rate)
            self.state.learning_rate = rate
            self.state.begin_again(start, self._optimizers(self.state.model))
        compiled, why = pays_to_compile(self.state, self.feed, self.objective, self.recipe.train.compile)
        self.decisions = replace(self.decisions, compiled=compiled, reasons=(*self.decisions.reasons, why))
        self.state.set_random_state(start)

    def _optimizers(self, model: nn.Module) -> list[Any]:
        names = self.state.names if hasattr(self, "state") else None  # those frozen for now learn later
        return build_optimizers(
            model, self.recipe.train, self.decisions.learning_rate, names=names, factors=self.outfit.rate_factors(model)
        )

    def _found_rate(self, usual: float) -> float:
        """The rate found by a sweep over the training rows; the usual one where the sweep says nothing.

        Layers that wait to be unfrozen wait on: the sweep is of what learns from the first step.
        """
        number = 0
        schedule, unfreezing = self.state.schedule, self.state.extras.unfreezing
        self.state.extras.unfreezing = None
        self.state.schedule = schedule_of(self.recipe.train.model_copy(update={"schedule": "constant", "warmup": 0.0}), self.feed.steps)

        def loss_at(rate: float) -> float:
            nonlocal number
            number += 1
            self.listen(Advanced("find rate", number))
            self.state.progress.rate_factor = rate / usual
            try:
                return next_step(self.state, self.feed, self.objective).loss
            except DivergedError:
                return float("inf")

        self.listen(Started("find rate", 80, "rates"))
        started = time.monotonic()
        curve = find_rate(loss_at, low=usual / 100, high=usual * 100)
        self.listen(Ended("find rate", time.monotonic() - started))
        self.state.schedule, self.state.extras.unfreezing = schedule, unfreezing
        found = curve.suggestion
        write_json(self.folder / "rates.json", asdict(curve) | {"suggestion": found})
        if found is None:
            self.listen(Said(f"The loss fell at no rate: keeping {usual:g}.", warning=True))
        else:
            self.listen(Said(f"Learning rate {found:g} found, where {usual:g} is usual."))
        return usual if found is None else found

    def run(self) -> nn.Module:
        """Train to the end; returns the model with its best weights.

        Raises:
            DivergedError: training left the finite numbers three times, each time at a lower rate.
            MachineError: a checkpoint or another file of the run is missing or damaged, or the kernel killed it at its smallest passes.
        """
        started = time.monotonic()
        self._continue()
        self._watch()
        self._track()
        self.listen(Started("train", self.feed.steps, "steps"))
        try:
            while True:
                try:
                    self._drive()
                    break
                except DivergedError as error:
                    self._go_back(error)
                    self._watch()
                    self.trackers.go_back(self.state.step, self.watch.history())
        finally:
            self.trackers.close()
        self.peak_mib = memory_peak_mib(self.device)
        self._refuse_without_best()
        if self.state.progress.validation:
            load_weights(self.state, self.folder / "best", self._start_over())
        else:
            self.state.settle()
        self.amount = self._interpolate() if self.recipe.train.regularise.interpolate else None
        self.outfit.clean()
        self.words = self.watch.ending(stopped=self.state.progress.stopped is not None, kept_step=self.state.progress.best_step)
        far = self.how_far()
        for sentence in (*self.words, *far):
            self.listen(Said(sentence))
        self.words += far if self.words else []  # where there are none, `stopped` is shown, which says it too
        self.listen(Ended("train", time.monotonic() - started))
        return self.state.model.eval()

    def _interpolate(self) -> float | None:
        """Weights between base and tuned, as far as the lowest loss on `select` says."""
        if not self.select_examples:
            return None
        tuned = {name: p.detach().clone() for name, p in self.state.trainable().items()}
        losses: dict[float, float] = {}
        self.state.extras.mean = None  # already settled
        for amount in AMOUNTS:
            self.state.set_weights(interpolated(tuned, self.outfit.start, amount))
            losses[amount] = validation(self.state, self.select_examples, self.objective, layout=self.feed.layout).loss
        best = min(AMOUNTS, key=lambda amount: (losses[amount], -amount))
        self.state.set_weights(interpolated(tuned, self.outfit.start, best))
        return best

    def how_far(self) -> list[str]:
        """What interpolation kept, in a sentence where it was asked for."""
        if not self.recipe.train.regularise.interpolate:
            return []
        if self.amount is None:
            return ["Kept the tuned weights as they are, as there are no select rows to interpolate by."]
        headed = " under the tuned head" if isinstance(self.state.model, Headed) else ""
        base = f", which is the base itself{headed}" if self.amount == 0 else ""
        return [f"Kept weights {self.amount:.0%} of the way from the base to the tuned ones{base}: lowest loss on the select rows."]

    def _valued(self, value: float | None) -> dict[str, float]:
        """A value of the deciding measure under the name that trackers show it by."""
        measure = self.state.extras.measure
        return {} if measure is None or value is None else {f"validation_{measure.name}": value}

    def _drive(self) -> None:
        measure = self.state.extras.measure
        for report in train(self.state, self.feed, self.select_examples, self.objective):
            if isinstance(report, EvaluationReport):
                if report.best:  # before the anchor: a run killed between the two evaluates again, and saves both
                    save_checkpoint(self.state, self.folder / "best")
                self.heard(self, report)
                explain = self.recipe.evaluate.explain
                if explain.enabled and explain.influence:
                    keep_snapshot(self.state, self.folder / SNAPSHOTS, explain.snapshots)
                save_checkpoint(self.state, self.folder / "anchor")
                begins = self.watch.heard_evaluation(
                    report.step,
                    report.loss,
                    report.seconds,
                    stopped=self.state.progress.stopped is not None,
                    kept_step=self.state.progress.best_step,
                )
                if begins:
                    self.listen(Said(begins, warning=True))
                self.trackers.log(report.step, {"validation_loss": report.loss} | self._valued(report.value))
                shown = "" if report.value is None or measure is None else f", {measure.title} {measure.shown(report.value)}"
                self.listen(
                    Advanced(
                        "train",
                        report.step,
                        f"validation loss {report.loss:.3f}{shown}",
                        self.watch.seconds_left(),
                        {"valid_loss": report.loss},
                    )
                )
            else:
                self._log(report)
                self.watch.heard_step(asdict(report))
                self.trackers.log(report.step, self.watch.values(memory_mib=memory_now_mib(self.device)))
                self.listen(Advanced("train", report.step, self.watch.note(), self.watch.seconds_left(), {"train_loss": report.loss}))
                if time.monotonic() - self.saved >= self.recipe.train.checkpoint_minutes * 60:
                    save_checkpoint(self.state, self.folder / "latest")
                    self.saved = time.monotonic()

    def _watch(self) -> None:
        """Begin to watch, or again from the log of what was kept: where a run goes on, or went back."""
        self.watch = Watch(
            self.feed.steps,
            evaluation_steps(self.feed) if self.select_examples else frozenset(),
            steps=list(read_steps(self.folder)),
            validation=[(step, loss) for step, loss in self.state.progress.validation],
        )

    def _track(self) -> None:
        """Show the trackers what they lack of the run so far."""
        self.trackers = Trackers.open(
            self.recipe.train.track, self.folder, self.folder.parent.name, flat_settings(self.recipe), listen=self.listen
        )
        if self.state.progress.restarts:  # killed, perhaps, before they were told that it went back
            self.trackers.go_back(self.state.step, self.watch.history())
        for step, values in self.watch.history():
            self.trackers.log(step, values)

    def _log(self, report: StepReport) -> None:
        append_line(self.folder / "steps.jsonl", asdict(report))

    def _continue(self) -> None:
        """Take up the furthest checkpoint, if any, and forget logged steps beyond it."""
        for name in CHECKPOINTS:
            mend_folder(self.folder / name)
        found = [folder for name in ("anchor", "latest") if (folder := self.folder / name).is_dir()]  # of equals, the evaluated one
        if found:
            load_checkpoint(self.state, max(found, key=_position))
            self._refuse_without_best()
            self.listen(Said(f"Continuing at step {self.state.step} of {self.feed.steps}."))
            self._halve_after_a_kill()
        if self.folder / "anchor" not in found:
            save_checkpoint(self.state, self.folder / "anchor")
        self._note_kills()
        self._trim_log()

    def _refuse_without_best(self) -> None:
        """The first evaluation makes a best checkpoint, and it stays: once there was one, no other weights stand in for it."""
        best, progress = self.folder / "best", self.state.progress
        if progress.validation and not best.is_dir():
            raise MachineError(
                f"{best} is missing, which held the weights of step {progress.best_step}, the best so far: {self._start_over()}."
            )

    def _start_over(self) -> str:
        """The next move where what is lost can't be made again."""
        return f"remove {self.folder} and run the same command again, which trains from the start, or make a new round with --again"

    def _note_kills(self) -> None:
        write_json(self.folder / "memory_kills.json", memory_kills())

    def _halve_after_a_kill(self) -> None:
        """Where the kernel has killed for want of memory since this run began, go on in passes of half as many tokens; recorded.

        The update stays the same, to rounding. Any other kill changes nothing, and the run goes on bit for bit.

        Raises:
            MachineError: it has been halved as often as may be. The kill counts as told: run again, the round tries once more.
        """
        file = self.folder / "memory_kills.json"
        move = f"remove that file, and the round goes on in passes of at most {self._pass_tokens()} tokens"
        before = read_as(file, dict[str, int], move) if file.exists() else {}
        if not any(count > before.get(name, count) for name, count in memory_kills().items()):
            return
        progress = self.state.progress
        if progress.halvings >= MOST_HALVINGS:
            self._note_kills()
            raise MachineError(
                f"The kernel killed this round for want of memory even in passes of {self._pass_tokens()} tokens: "
                "set train.gradient_checkpointing: true, a smaller train.max_tokens, or method.name: lora; "
                "or free memory, and run the same command again."
            )
        progress.halvings += 1
        save_checkpoint(self.state, self.folder / "latest")  # now further than an anchor of the same step: it knows of the kill
        self.listen(
            Said(
                f"The kernel killed this round for want of memory: going on in passes of at most {self._pass_tokens()} tokens.",
                warning=True,
            )
        )

    def _pass_tokens(self) -> int:
        return max(1, self.recipe.train.token_budget >> self.state.progress.halvings)

    def _trim_log(self) -> None:
        steps = [item for item in read_steps(self.folder) if item["step"] <= self.state.step]
        write_text(self.folder / "steps.jsonl", "".join(json.dumps(item) + "\n" for item in steps))

    def _go_back(self, error: DivergedError) -> None:
        """Return to the last evaluation with half the rate, at most twice."""
        restarts = self.state.progress.restarts
        if restarts >= MOST_RESTARTS or error.before_any_update:
            raise error
        halvings = self.state.progress.halvings
        load_checkpoint(self.state, self.folder / "anchor")
        self.state.progress.halvings = max(halvings, self.state.progress.halvings)  # what didn't fit then will not fit now
        self.state.progress.restarts = restarts + 1
        self.state.progress.rate_factor = 0.5 ** (restarts + 1)
        save_checkpoint(self.state, self.folder / "anchor")
        save_checkpoint(self.state, self.folder / "latest")
        self._trim_log()
        self.listen(Said(f"{error} Going back to step {self.state.step} with half the rate.", warning=True))


def _position(folder: Path) -> tuple[int, int, int]:
    """Restarts, then step, then halvings: a run that went back is further than the one it left, and one that was killed is too."""
    progress = read_progress(folder)
    return progress.restarts, progress.step, progress.halvings


def forget_checkpoints(folder: Path) -> None:
    """Remove a finished run's checkpoints; its decisions and its log of steps stay."""
    for name in (*CHECKPOINTS, SNAPSHOTS):
        shutil.rmtree(folder / name, ignore_errors=True)


def read_steps(folder: Path) -> list[dict[str, Any]]:
    """The logged steps of a run; a torn last line is left out.

    Raises:
        MachineError: a whole line is no step.
    """
    path = folder / "steps.jsonl"
    if not path.exists():
        return []
    move = "remove that file, and the round goes on; its report will lack the steps before"
    with readable(path, move):
        *whole, torn = path.read_bytes().split(b"\n")
    steps: list[dict[str, Any]] = []
    for number, line in enumerate(whole, 1):
        with readable(f"{path}, line {number},", move):
            steps.append(_step(line))
    with contextlib.suppress(ValueError):
        steps += [_step(torn)] if torn else []
    return steps


def _step(line: bytes) -> dict[str, Any]:
    """A line of the log; ValueError where it is no step's."""
    _STEP.validate_json(line, strict=True)
    step: dict[str, Any] = json.loads(line)
    return step


_HEADS = {
    "class": " with a classification head",
    "multilabel": " with a multi-label head",
    "regression": " with a regression head",
    "tags": " with a tagging head",
}


def _as_clause(sentence: str) -> str:
    """A sentence to go on with, without its reason."""
    return (sentence[0].lower() + sentence[1:]).rstrip(".").partition(": ")[0]


def training_report(run: TrainingRun) -> dict[str, Any]:
    """The `training` piece of report.json."""
    progress = run.state.progress
    steps, values = read_steps(run.folder), dict(progress.values)
    parameters, trainable = count_parameters(run.state.model)
    chosen = progress.best_step if progress.validation else progress.step
    last = f"all {run.feed.steps} steps taken, keeping step {chosen}"
    return {
        "method": run.decisions.method + _HEADS.get(run.recipe.method.head or "tokens", ""),
        "objective": run.decisions.objective,
        "base": run.recipe.base.path + (" (random weights)" if run.recipe.base.random_weights else ""),
        "parameters": parameters,
        "trainable": trainable,
        "learning_rate": run.decisions.learning_rate,
        "precision": run.decisions.precision,
        "threads": run.decisions.threads,
        "share_prefixes": run.decisions.layout == "tree",
        "steps": [
            {
                "step": item["step"],
                "loss": item["loss"],
                "learning_rate": item["learning_rate"],
                "grad_norm": item["grad_norm"],
                "tokens": item["computed_tokens"],
                "seconds": item["seconds"],
            }
            for item in steps
        ],
        "validation": [{"step": step, "loss": loss, "value": values.get(step)} for step, loss in progress.validation],
        "chosen_by": run.state.extras.measure.name if run.state.extras.measure is not None else "loss",
        "chosen_step": chosen,
        "stopped": "; ".join([progress.stopped or last, *(_as_clause(sentence) for sentence in run.how_far())]),
        "interpolated": run.amount,
        "tokens_in_rows": sum(item["rows_tokens"] for item in steps),
        "tokens_computed": sum(item["computed_tokens"] for item in steps),
        "restarts": progress.restarts,
        **run.watch.figures(peak_flops=run.decisions.peak_flops, peak_mib=run.peak_mib),
        "words": run.words,
    }
