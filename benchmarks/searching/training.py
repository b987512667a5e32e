"""One real training with some settings, and what it is worth: a curve on `select`, and the kept checkpoint's value on fresh rows.

The pipeline's own training (`TrainingRun`), but that checkpoints are held in memory, and rows rendered and the base read once. Fresh rows are read once, after training; nothing
is chosen by them. Higher values are better: accuracy, or for written answers the log-probability per token of the reference.
"""

import contextlib
import copy
import math
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from searching.rows import Rows, rows_of
from searching.spaces import sections
from tunesmith.chat.labels import label_texts
from tunesmith.chat.render import Renderer
from tunesmith.core.errors import DivergedError
from tunesmith.core.progress import silent
from tunesmith.core.rows import Row
from tunesmith.data.config import Task
from tunesmith.evaluate.measures import resolve
from tunesmith.evaluate.systems import Answerer
from tunesmith.infer.choices import row_logps
from tunesmith.models.config import BaseConfig
from tunesmith.models.load import Base, load_base
from tunesmith.pipeline import training
from tunesmith.pipeline.material import Material, make_examples
from tunesmith.pipeline.training import TrainingRun
from tunesmith.recipe import Recipe
from tunesmith.score.measures import measure
from tunesmith.train.batches import Example
from tunesmith.train.choosing import answers
from tunesmith.train.loop import lay_out
from tunesmith.train.reading import read
from tunesmith.train.state import TrainState


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """One training, in figures."""

    steps: int
    """Optimiser steps made."""
    of_steps: int
    """Its whole length."""
    curve: list[tuple[int, float, float | None]]
    """(step, loss, deciding measure or None where the loss decides) of each evaluation on `select`."""
    kept: int
    """The step whose weights were kept."""
    value: float | None
    """On `select`, of the kept step; None where training diverged."""
    fresh: float | None
    fresh_error: float | None
    """Standard error of `fresh` over rows; over inputs where several rows share one."""
    fresh_loss: float | None
    seconds: float
    """Of processor time, training and looks on `select`."""
    diverged: bool = False


@cache
def _rows(name: str) -> Rows:
    return rows_of(name)


@cache
def _base() -> Base:
    return load_base(BaseConfig(), seed=0)


def _fresh_base() -> Base:
    """The embedded base as it was pretrained: training changes the one it is given."""
    return replace(_base(), model=copy.deepcopy(_base().model))


@cache
def _renderer(name: str) -> Renderer:
    base = _base()
    return Renderer(base.tokenizer, max_tokens=base.context, label_texts=label_texts(_rows(name).labels or (), words=True))


def train_point(name: str, common: Mapping[str, Any], settings: Mapping[str, Any], seed: int) -> Trained:
    """Train on a named data set; see `train_rows`."""
    return train_rows(_rows(name), _renderer(name), sections(common, settings), seed)


def train_rows(rows: Rows, renderer: Renderer, made: Mapping[str, Any], seed: int) -> Trained:
    """Train by the sections of a recipe and measure; a training that leaves the finite numbers is a finding, no error."""
    recipe = Recipe.model_validate({"seed": seed, "data": {"path": "grid", "task": rows.task}, **made})
    material = Material(rows.train, rows.select, rows.labels, rows.task)
    with tempfile.TemporaryDirectory() as folder, _checkpoints_in_memory():
        place = Path(folder) / "run"
        place.mkdir()
        began = time.process_time()
        run = TrainingRun(place, recipe, _fresh_base(), renderer, material, silent)
        try:
            run.run()
        except DivergedError:
            return _diverged(run, time.process_time() - began)
        seconds = time.process_time() - began
        return _measured(run, material, rows.fresh, renderer, seconds)


@contextlib.contextmanager
def _checkpoints_in_memory() -> Iterator[None]:
    """Hundreds of short trainings would write a hundred gigabytes; what is restored is the same."""
    held: dict[str, tuple[dict[str, torch.Tensor], Any]] = {}

    def save(state: TrainState, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        held[folder.name] = {name: one.detach().clone() for name, one in state.tensors().items()}, copy.deepcopy(state.progress)

    def load(state: TrainState, folder: Path, move: str | None = None) -> None:
        tensors, progress = held[folder.name]
        state.restore(tensors, copy.deepcopy(progress))

    def load_best(state: TrainState, folder: Path, move: str | None = None) -> None:
        state.settle(held[folder.name][0])

    with patch.multiple(training, save_checkpoint=save, load_checkpoint=load, load_weights=load_best, make_examples=_examples):
        yield


_MADE: dict[tuple[int, str], list[Example]] = {}


def _examples(rows: Sequence[Row], renderer: Renderer, recipe: Recipe, material: Material, objective: str) -> list[Example]:
    """Rendered once for all trainings on the same rows, which live as long as the process does."""
    key = (id(rows), objective)
    if key not in _MADE:
        _MADE[key] = make_examples(rows, renderer, recipe, material, objective)
    return _MADE[key]


def _diverged(run: TrainingRun, seconds: float) -> Trained:
    progress = run.state.progress
    return Trained(
        steps=progress.step,
        of_steps=run.feed.steps,
        curve=_curve(run),
        kept=0,
        value=None,
        fresh=None,
        fresh_error=None,
        fresh_loss=None,
        seconds=round(seconds, 2),
        diverged=True,
    )


def _curve(run: TrainingRun) -> list[tuple[int, float, float | None]]:
    values = dict(run.state.progress.values)
    return [(step, round(loss, 5), values.get(step)) for step, loss in run.state.progress.validation]


def _measured(run: TrainingRun, material: Material, fresh: Sequence[Row], renderer: Renderer, seconds: float) -> Trained:
    curve, kept = _curve(run), run.state.progress.best_step
    at_kept = next(point for point in curve if point[0] == kept)
    run.state.trunk = None  # it holds the states of train and select rows alone
    as_text = run.decisions.objective == "sft" and material.task == "classify"
    look = _fresh_texts if as_text else _fresh_loss if run.decisions.objective == "sft" else _fresh_answers
    value, error, loss = look(run, material, fresh, renderer)
    return Trained(
        steps=run.state.progress.step,
        of_steps=run.feed.steps,
        curve=curve,
        kept=kept,
        value=at_kept[2] if at_kept[2] is not None else -at_kept[1],
        fresh=round(value, 5),
        fresh_error=round(error, 5),
        fresh_loss=None if loss is None else round(loss, 5),
        seconds=round(seconds, 2),
    )


def _fresh_answers(run: TrainingRun, material: Material, fresh: Sequence[Row], renderer: Renderer) -> tuple[float, float, float]:
    """The deciding measure of a head's answers, its binomial standard error, and the loss."""
    state, objective = run.state, run.objective
    examples = sorted(_examples(fresh, renderer, run.recipe, material, run.decisions.objective), key=lambda one: one.sequence.ids)
    told, total = [], 0.0
    with state.judged():
        for start in range(0, len(examples), 64):
            for batch in lay_out(examples[start : start + 64], state.config, layout=run.feed.layout):
                inputs = read(state, batch, objective).inputs
                told += answers(inputs, batch.row_ids)
                total += objective(inputs).total.item()
    value = measure(resolve(Task.CLASSIFY)[0]).of(told)
    assert value is not None, "labels have their measure"
    return value, math.sqrt(value * (1 - value) / len(told)), total / len(told)


def _fresh_texts(run: TrainingRun, material: Material, fresh: Sequence[Row], renderer: Renderer) -> tuple[float, float, None]:
    """The same of labels that are written as text, chosen among as in evaluation."""
    made = Answerer(model=run.state.model.eval(), renderer=renderer, device=run.device, labels=material.labels, precision="fp32")
    told = made.answer(fresh)
    value = measure(resolve(Task.CLASSIFY)[0]).of(told)
    assert value is not None, "labels have their measure"
    return value, math.sqrt(value * (1 - value) / len(told)), None


def _fresh_loss(run: TrainingRun, material: Material, fresh: Sequence[Row], renderer: Renderer) -> tuple[float, float, float]:
    """Log-probability per answer token, and its linearised standard error over inputs (Cochran, 1977, 6.13: a ratio of sums)."""
    examples = _examples(fresh, renderer, run.recipe, material, "sft")
    with run.state.judged(), torch.autocast("cpu", torch.bfloat16, enabled=run.decisions.precision == "bf16"):
        sums_R, counts_R = row_logps(run.state.model, [one.sequence for one in examples], device=run.device)
    value = float(sums_R.sum() / counts_R.sum())
    apart: dict[str, float] = {}
    for row, residual in zip(fresh, sums_R - value * counts_R, strict=True):
        apart[row.text()] = apart.get(row.text(), 0.0) + float(residual)
    groups = len(apart)
    error = math.sqrt(groups / (groups - 1) * float(np.square(list(apart.values())).sum())) / float(counts_R.sum())
    return value, error, -value
