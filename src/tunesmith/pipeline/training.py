"""The training stage: drives the loop, saves, goes back on divergence, and goes on where a killed round stopped."""

import json
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tunesmith.chat.render import Renderer
from tunesmith.core.errors import DataError, DivergedError, MachineError
from tunesmith.core.files import mend_folder, read_json, write_json, write_text
from tunesmith.core.progress import Advanced, Ended, Listener, Said, Started
from tunesmith.core.rows import Row
from tunesmith.core.seeds import derive_seed
from tunesmith.models.adapt import adapt, method_name, set_dropout
from tunesmith.models.forward import takes_tree
from tunesmith.models.load import Base, count_parameters
from tunesmith.pipeline.workspace import append_line
from tunesmith.recipe import Recipe
from tunesmith.train.batches import Example, Feed, example, text_examples
from tunesmith.train.checkpoint import load_checkpoint, load_weights, save_checkpoint
from tunesmith.train.loop import EvaluationReport, StepReport, train
from tunesmith.train.objectives import objective
from tunesmith.train.optimizers import build_optimizers, default_learning_rate
from tunesmith.train.schedule import schedule_of
from tunesmith.train.state import TrainState
from tunesmith.tree.plan import Sequence_

MOST_RESTARTS = 2
CHECKPOINTS = ("latest", "anchor", "best")


@dataclass(frozen=True, slots=True)
class Material:
    """What a run is trained on and checked against."""

    train: Sequence[Row]
    select: Sequence[Row]
    labels: tuple[str, ...] | None
    task: str


@dataclass(frozen=True, slots=True)
class Decisions:
    """What was decided by looking at model and machine: once, before step 1, and replayed when a round goes on."""

    method: str
    objective: str
    learning_rate: float
    precision: str
    threads: int
    share_prefixes: bool
    device: str


def device_here() -> torch.device:
    """The GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def cores_here() -> int:
    """CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def objective_name(recipe: Recipe, task: str) -> str:
    """The objective, resolved: raw text is learnt whole, a head learns classes, all else learns its answers."""
    if recipe.objective.name is not None:
        return recipe.objective.name
    if recipe.method.head == "class":
        return "class"
    return "text" if task == "text" else "sft"


def decide(recipe: Recipe, base: Base, task: str, listen: Listener) -> Decisions:
    """Settle what the recipe leaves open, and say what is not as asked."""
    parameters, _ = count_parameters(base.model)
    method = method_name(recipe.method, parameters)
    device = device_here()
    random_rows = recipe.train.dropout > 0 or (method == "lora" and recipe.method.dropout > 0)
    share = recipe.train.share_prefixes and not random_rows and takes_tree(base.model)
    if recipe.train.share_prefixes and not share:
        why = "dropout is above 0" if random_rows else f"{base.model.config.model_type} models don't take a tree mask"
        listen(Said(f"Prompts are not shared between rows: {why}; rows are padded instead."))
    rate = recipe.train.learning_rate or default_learning_rate(method, parameters, recipe.method.head)
    precision = recipe.train.precision or ("bf16" if device.type == "cuda" else "fp32")
    return Decisions(method, objective_name(recipe, task), rate, precision, recipe.train.threads or cores_here(), share, device.type)


def make_examples(rows: Sequence[Row], renderer: Renderer, recipe: Recipe, material: Material, objective_: str) -> list[Example]:
    """Rows as the loop takes them."""
    rendered = [renderer.row(row, whole=True) for row in rows]
    if objective_ == "text" or material.task == "text":
        return text_examples(rendered, max_tokens=renderer.max_tokens, weight_by=recipe.train.weight_by)
    if objective_ == "class":
        assert material.labels is not None
        place = {label: index for index, label in enumerate(material.labels)}
        heads = [(row, renderer.prompt(row.prompt)) for row in rows if row.answer in place]
        return [Example(row.id, Sequence_(prompt.ids, (0.0,) * len(prompt.ids)), place[row.answer]) for row, prompt in heads]
    return [example(item, weight_by=recipe.train.weight_by) for item in rendered]


class TrainingRun:
    """One run of the loop with its folder: `latest`, `anchor` (last evaluation) and `best` checkpoints, and a log of steps."""

    def __init__(self, folder: Path, recipe: Recipe, base: Base, renderer: Renderer, material: Material, listen: Listener) -> None:
        self.folder, self.recipe, self.listen, self.base = folder, recipe, listen, base
        decisions_file = folder / "decisions.json"
        if decisions_file.exists():
            self.decisions = Decisions(**read_json(decisions_file))
        else:
            self.decisions = decide(recipe, base, material.task, listen)
            write_json(decisions_file, asdict(self.decisions))
        torch.set_num_threads(self.decisions.threads)
        self.device = torch.device(self.decisions.device)
        self.objective = objective(self.decisions.objective)
        self.train_examples = make_examples(material.train, renderer, recipe, material, self.decisions.objective)
        self.select_examples = make_examples(material.select, renderer, recipe, material, self.decisions.objective)
        if not self.train_examples:
            raise DataError("There is nothing to train on: the train side holds no rows.")
        self.feed = Feed(self.train_examples, recipe.train, derive_seed(recipe.seed, "train"), self.decisions.share_prefixes)
        self.state = self._fresh_state(material)
        self.saved = time.monotonic()

    def _fresh_state(self, material: Material) -> TrainState:
        recipe, decisions = self.recipe, self.decisions
        labels = len(material.labels) if material.labels else None
        parameters, _ = count_parameters(self.base.model)
        model = adapt(self.base.model, recipe.method, parameters=parameters, labels=labels, seed=derive_seed(recipe.seed, "adapt"))
        if not set_dropout(model, recipe.train.dropout) and recipe.train.dropout > 0:
            self.listen(Said(f"train.dropout {recipe.train.dropout} has no effect: this architecture has no dropout.", warning=True))
        if recipe.train.gradient_checkpointing:
            checkpointing: Any = self.base.model
            checkpointing.gradient_checkpointing_enable({"use_reentrant": False})
            checkpointing.enable_input_require_grads()
        model.to(self.device)
        torch.manual_seed(derive_seed(recipe.seed, "dropout"))
        return TrainState(
            model,
            build_optimizers(model, recipe.train, decisions.learning_rate),
            schedule_of(recipe.train, self.feed.steps),
            recipe.train,
            decisions.learning_rate,
            self.device,
            decisions.precision,
        )

    def run(self) -> nn.Module:
        """Train to the end; returns the model with its best weights.

        Raises:
            DivergedError: training left the finite numbers three times, each time at a lower rate.
        """
        started = time.monotonic()
        self._continue()
        self.listen(Started("train", self.feed.steps, "steps"))
        while True:
            try:
                self._drive()
                break
            except DivergedError as error:
                self._go_back(error)
        if (self.folder / "best").exists():
            load_weights(self.state, self.folder / "best")
        stopped = self.state.progress.stopped
        if stopped:
            self.listen(Said(stopped[0].upper() + stopped[1:] + "."))
        self.listen(Ended("train", time.monotonic() - started))
        return self.state.model.eval()

    def _drive(self) -> None:
        for report in train(self.state, self.feed, self.select_examples, self.objective):
            if isinstance(report, EvaluationReport):
                if report.best:  # before the anchor: a run killed between the two evaluates again, and saves both
                    save_checkpoint(self.state, self.folder / "best")
                save_checkpoint(self.state, self.folder / "anchor")
                self.listen(Advanced("train", report.step, f"validation loss {report.loss:.3f}"))
            else:
                self._log(report)
                self.listen(Advanced("train", report.step, f"loss {report.loss:.3f}"))
                if time.monotonic() - self.saved >= self.recipe.train.checkpoint_minutes * 60:
                    save_checkpoint(self.state, self.folder / "latest")
                    self.saved = time.monotonic()

    def _log(self, report: StepReport) -> None:
        append_line(self.folder / "steps.jsonl", asdict(report))

    def _continue(self) -> None:
        """Take up the furthest checkpoint, if any, and forget logged steps beyond it."""
        for name in CHECKPOINTS:
            mend_folder(self.folder / name)
        found = [folder for name in ("anchor", "latest") if (folder := self.folder / name).is_dir()]  # of equals, the evaluated one
        if found:
            furthest = max(found, key=lambda folder: _position(folder))
            load_checkpoint(self.state, furthest)
            self.listen(Said(f"Continuing at step {self.state.step} of {self.feed.steps}."))
        else:
            save_checkpoint(self.state, self.folder / "anchor")
        self._trim_log()

    def _trim_log(self) -> None:
        steps = [item for item in read_steps(self.folder) if item["step"] <= self.state.step]
        write_text(self.folder / "steps.jsonl", "".join(json.dumps(item) + "\n" for item in steps))

    def _go_back(self, error: DivergedError) -> None:
        """Return to the last evaluation with half the rate, at most twice."""
        restarts = self.state.progress.restarts
        if restarts >= MOST_RESTARTS:
            raise error
        load_checkpoint(self.state, self.folder / "anchor")
        self.state.progress.restarts = restarts + 1
        self.state.progress.rate_factor = 0.5 ** (restarts + 1)
        save_checkpoint(self.state, self.folder / "anchor")
        save_checkpoint(self.state, self.folder / "latest")
        self._trim_log()
        self.listen(Said(f"{error} Going back to step {self.state.step} with half the rate.", warning=True))


def _position(folder: Path) -> tuple[int, int]:
    """Restarts, then step: a run that went back is further than the one it left."""
    values = read_json(folder / "progress.json")
    return int(values["restarts"]), int(values["step"])


def forget_checkpoints(folder: Path) -> None:
    """Remove a finished run's checkpoints; its decisions and its log of steps stay."""
    for name in CHECKPOINTS:
        shutil.rmtree(folder / name, ignore_errors=True)


def read_steps(folder: Path) -> list[dict[str, Any]]:
    """The logged steps of a run; a torn last line is left out."""
    path = folder / "steps.jsonl"
    if not path.exists():
        return []
    steps: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            steps.append(json.loads(line))
        except ValueError:
            break
    return steps


def training_report(run: TrainingRun) -> dict[str, Any]:
    """The `training` piece of report.json."""
    progress = run.state.progress
    steps = read_steps(run.folder)
    parameters, trainable = count_parameters(run.state.model)
    last = f"all {run.feed.steps} steps taken, keeping step {progress.best_step}"
    return {
        "method": run.decisions.method + (" with a classification head" if run.recipe.method.head == "class" else ""),
        "objective": run.decisions.objective,
        "base": run.recipe.base.path + (" (random weights)" if run.recipe.base.random_weights else ""),
        "parameters": parameters,
        "trainable": trainable,
        "learning_rate": run.decisions.learning_rate,
        "precision": run.decisions.precision,
        "threads": run.decisions.threads,
        "share_prefixes": run.decisions.share_prefixes,
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
        "validation": [{"step": step, "loss": loss} for step, loss in progress.validation],
        "chosen_step": progress.best_step if progress.validation else progress.step,
        "stopped": progress.stopped or last,
        "tokens_in_rows": sum(item["rows_tokens"] for item in steps),
        "tokens_computed": sum(item["computed_tokens"] for item in steps),
        "restarts": progress.restarts,
    }


def refuse_without_memory(base: Base) -> None:
    """MachineError where weights, gradients and moments alone pass the memory this process may use."""
    parameters, _ = count_parameters(base.model)
    limit = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if parameters * 16 > limit:
        raise MachineError(
            f"Full fine-tuning of {parameters / 1e9:.1f} billion parameters needs {parameters * 16 / 2**30:.0f} GiB before activations, "
            f"and this machine has {limit / 2**30:.0f} GiB: set method.name: lora, or take a smaller base."
        )
