"""Our side: exactly the loop a user gets (`tunesmith.train`), with what the training stage of a round puts around it.

A recipe is made for each case; decisions, layout, references and caches are those of `tunesmith.pipeline`. Each run
starts from freshly loaded weights and a new optimiser, in a new folder, and keeps nothing of the run before, caches
included.
"""

import itertools
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from training.cases import SEED
from training.machine import count_flops, matmul_gflops
from training.model import write_classifier, write_model
from training.rows import make_rows, sequences
from training.worker import Memory, serve
from tunesmith.core.progress import silent
from tunesmith.models.load import Base, count_parameters, load_base
from tunesmith.models.methods import adapt
from tunesmith.pipeline.decisions import Decisions, decide
from tunesmith.pipeline.extras import Outfit, compile_layers
from tunesmith.pipeline.material import reference_examples
from tunesmith.recipe import Recipe
from tunesmith.train.batches import Example, Feed
from tunesmith.train.loop import StepReport, train
from tunesmith.train.objectives import Objective, objective
from tunesmith.train.optimizers import build_optimizers
from tunesmith.train.reading import read, weight_of
from tunesmith.train.schedules import schedule_of
from tunesmith.train.state import TrainState
from tunesmith.tree.plan import Sequence_, shared_length

METHODS: dict[str, dict[str, Any]] = {
    "full": {"name": "full"},
    "lora": {"name": "lora", "rank": 16},
    "top2": {"name": "layers", "top_layers": 2},
    "head": {"name": "features", "head": "class", "pool": "last"},  # the last token is what the peer's head looks at
}
TASKS = {"sft": "generate", "dpo": "prefer", "head": "classify"}


@dataclass(frozen=True, slots=True)
class Job:
    """What one case asks of us."""

    name: str
    kind: str
    method: str
    batch_rows: int
    epochs: int
    learning_rate: float
    rows: list[dict[str, Any]]
    labels: int | None
    folder: Path
    device: str
    compiled: bool

    @property
    def recipe(self) -> Recipe:
        """The case as a recipe: every setting that both sides must share; the rest at its default."""
        return Recipe.model_validate(
            {
                "seed": SEED,
                "data": {"path": "rows.jsonl"},
                "base": {"path": str(self.folder / "model")},
                "method": METHODS[self.method],
                "train": {
                    "epochs": self.epochs,
                    "batch_rows": self.batch_rows,
                    "learning_rate": self.learning_rate,
                    "schedule": "constant",
                    "warmup": 0.0,
                    "betas": (0.9, 0.95),
                    "weight_decay": 0.0,
                    "max_grad_norm": 1.0,
                    "threads": int(os.environ.get("OMP_NUM_THREADS", "2")),
                },
            }
        )

    def examples(self) -> list[Example]:
        """The rows as the loop takes them."""
        return [_EXAMPLES[self.kind](row) for row in self.rows]


def _answered(row: dict[str, Any]) -> Example:
    weights = [0.0] * len(row["ids"])
    for start, end in row["spans"]:
        weights[start:end] = [1.0] * (end - start)
    return Example(row["id"], (Sequence_(tuple(row["ids"]), tuple(weights)),))


def _pair(row: dict[str, Any]) -> Example:
    before = (0.0,) * len(row["prompt"])
    sides = (Sequence_((*row["prompt"], *row[side]), before + (1.0,) * len(row[side])) for side in ("chosen", "rejected"))
    return Example(row["id"], tuple(sides))


def _labelled(row: dict[str, Any]) -> Example:
    return Example(row["id"], (Sequence_(tuple(row["ids"]), (0.0,) * len(row["ids"])),), row["label"])


_EXAMPLES = {"sft": _answered, "dpo": _pair, "head": _labelled}


@dataclass(slots=True)
class Loaded:
    """A run with its weights loaded, before anything of it is computed."""

    job: Job
    recipe: Recipe
    base: Base
    decisions: Decisions
    model: nn.Module
    aim: Objective
    examples: list[Example]
    folder: Path

    @property
    def feed(self) -> Feed:
        """The steps."""
        return Feed(self.examples, self.recipe.train, SEED, self.decisions.layout)

    def begin(self) -> TrainState:
        """The state before the first step. What the reference says and what a cache of frozen layers holds is computed here."""
        device = torch.device(self.job.device)
        if "reference" in self.aim.needs:
            self.examples = reference_examples([self.examples], self.base.model, device, self.aim.inputs, SEED)[0]
        outfit = Outfit(self.recipe, self.base, self.feed, [], self.folder, self.decisions, self.aim, silent)
        rate = self.decisions.learning_rate
        return TrainState(
            self.model,
            build_optimizers(self.model, self.recipe.train, rate),
            schedule_of(self.recipe.train, self.feed.steps),
            self.recipe.train,
            rate,
            device,
            self.decisions.precision,
            extras=outfit.extras(self.model),
        )


@contextmanager
def loaded(job: Job) -> Iterator[Loaded]:
    """Fresh weights in a folder of their own, which is removed with all that was cached in it."""
    recipe = job.recipe
    base = load_base(recipe.base)
    decisions = decide(recipe, base, TASKS[job.kind], silent)
    torch.set_num_threads(decisions.threads)
    if decisions.device != job.device:
        raise RuntimeError(f"the benchmark was asked to run on {job.device}, and here is {decisions.device}")
    parameters, _ = count_parameters(base.model)
    model = adapt(base.model, recipe.method, parameters=parameters, labels=job.labels, seed=SEED)
    if job.kind == "head":
        _as_the_peers(model, job)
    model.to(job.device)
    with tempfile.TemporaryDirectory() as folder:
        yield Loaded(
            job, recipe, base, decisions, model, objective(recipe.objective, decisions.objective), job.examples(), Path(folder) / "run"
        )


def _as_the_peers(model: Any, job: Job) -> None:
    """The head's first values are the peer's; its bias, which the peer's has not, stays at 0."""
    write_classifier(job.folder, job.labels or 0)
    weights = load_file(job.folder / f"classifier-{job.labels}" / "model.safetensors")
    model.head.linear.weight.data.copy_(weights["score.weight"])
    model.head.linear.bias.requires_grad_(False)


def compile_and_warm(state: TrainState, feed: Feed, aim: Objective) -> None:
    """Compiled layers, as `train.compile: on` gives them, with a few passes to compile for; no weight changes."""
    compile_layers(state.language_model)
    for number in range(1, 1 + min(3, feed.steps)):
        for batch in feed.step(number):
            loss: Any = aim(read(state, batch, aim).inputs).total / weight_of(batch, aim)
            loss.backward()
        state.forget_gradients()


class Side:
    """The commands of our side."""

    def __init__(self) -> None:
        self.job: Job | None = None

    def model(self, folder: str, device: str) -> dict[str, Any]:
        """Write the model both sides load; measure the machine."""
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
        return write_model(Path(folder), device) | {"gflops": matmul_gflops(device)}

    def rows(self, name: str, count: int) -> dict[str, Any]:
        """Make the rows both sides train on."""
        return make_rows(name, count)

    def prepare(self, case: dict[str, Any], material: dict[str, Any], folder: str, **where: Any) -> dict[str, Any]:
        """Take a case up; say which rows make up which step, what is trainable, and how much of the rows is shared."""
        wanted = {key: case[key] for key in ("name", "kind", "method", "batch_rows", "epochs", "learning_rate")}
        self.job = Job(**wanted, rows=material["rows"], labels=material.get("labels"), folder=Path(folder), **where)
        with loaded(self.job) as run:
            feed = run.feed
            order = [[item.row_id for item in feed.rows(number)] for number in range(1, feed.steps + 1)]
            trainable = [name for name, p in run.model.named_parameters() if p.requires_grad]
            layout = run.decisions.layout
        return {"order": order, "trainable": trainable, "layout": layout, **_shares(self.job.rows, order)}

    def warm(self, steps: int) -> dict[str, Any]:
        """A few steps that are thrown away, for the losses that the peer's must be."""
        return {"losses": self._run(steps)["losses"]}

    def run(self) -> dict[str, Any]:
        """One timed run from fresh weights."""
        return self._run(None)

    def count(self) -> dict[str, Any]:
        """Floating-point operations of one run, counted as they are dispatched and not timed, and the machine's rate now."""
        assert self.job is not None
        with loaded(self.job) as run:
            flops = count_flops(lambda: list(train(run.begin(), run.feed, [], run.aim)))
        return {"flops": flops, "gflops": matmul_gflops(self.job.device)}

    def _run(self, most: int | None) -> dict[str, Any]:
        assert self.job is not None
        with loaded(self.job) as run:
            state = None
            if self.job.compiled:
                state = run.begin()
                compile_and_warm(state, run.feed, run.aim)
            memory = Memory(self.job.device)
            started = time.perf_counter()
            state = state or run.begin()
            reports = [one for one in itertools.islice(train(state, run.feed, [], run.aim), most) if isinstance(one, StepReport)]
            if self.job.device == "cuda":
                torch.cuda.synchronize()
            seconds = time.perf_counter() - started
            return {
                "seconds": seconds,
                "losses": [one.loss for one in reports],
                "computed_tokens": sum(one.computed_tokens for one in reports),
                "supervised_tokens": sum(one.supervised_tokens for one in reports),
            } | memory.read()


def _shares(rows: list[dict[str, Any]], order: list[list[str]]) -> dict[str, int]:
    """Tokens of the rows one by one, and of the prefix trees of their steps: what sharing within a step can save at most."""
    by_id = {row["id"]: sequences(row) for row in rows}
    apart = together = 0
    for step in order:
        laid = sorted(ids for row_id in step for ids in by_id[row_id])
        apart += sum(len(ids) for ids in laid)
        together += len(laid[0]) + sum(len(ids) - shared_length(before, ids) for before, ids in itertools.pairwise(laid))
    return {"rows_tokens": apart, "tree_tokens": together}


if __name__ == "__main__":
    side = Side()
    serve({name: getattr(side, name) for name in ("model", "rows", "prepare", "warm", "run", "count")})
