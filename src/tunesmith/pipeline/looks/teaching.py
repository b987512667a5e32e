"""Which training rows taught some answers: TracIn over a run's snapshots and the weights that were kept.

A round trained with `evaluate.explain` keeps snapshots of what learns. Those before the step whose weights were kept are taken up
into a model adapted as for training; the kept weights are the last checkpoint, and the only one where there are no snapshots.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from tunesmith.core.errors import MachineError
from tunesmith.core.files import read_json, write_json
from tunesmith.core.hashing import digest
from tunesmith.core.rows import Row
from tunesmith.core.seeds import derive_seed
from tunesmith.data.config import Task
from tunesmith.evaluate.influence import HEADS, influences
from tunesmith.models.heads import Headed
from tunesmith.models.load import count_parameters, load_base
from tunesmith.models.methods import adapt
from tunesmith.pipeline.decisions import settled
from tunesmith.pipeline.looks.look import Looking
from tunesmith.pipeline.material import Material, make_examples
from tunesmith.recipe import objective_of
from tunesmith.score.prediction import Prediction
from tunesmith.train.batches import Example
from tunesmith.train.snapshots import load_snapshot, rates_between, snapshots
from tunesmith.tree.plan import Floats, Sequence_, answer_only

TOLD = frozenset({"sft", "distill", *HEADS})
"""Objectives that learn each row by the answer it holds."""


@dataclass(frozen=True, slots=True)
class Taught:
    """What training rows did to some answers, over all checkpoints."""

    names: tuple[str, ...]
    """R training rows."""
    on_RQ: Floats
    """Above 0: the row pushed toward the answer."""
    self_R: Floats
    """What each row did to its own answer: great for those that go against what the others teach."""
    checkpoints: tuple[int, ...]
    sentence: str

    def pushed(self, place: int, most: int) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
        """The rows that pushed most toward an answer, and most against it, as shares of the strongest push."""
        line = self.on_RQ[:, place] if self.names else np.zeros(0)
        strongest = float(np.abs(line).max(initial=0.0))
        if strongest == 0:
            return [], []
        order = np.argsort(-line, kind="stable")
        toward = [(self.names[r], float(line[r] / strongest)) for r in order[:most] if line[r] > 0]
        against = [(self.names[r], float(line[r] / strongest)) for r in order[::-1][:most] if line[r] < 0]
        return toward, against

    def hardest(self, most: int) -> list[tuple[str, float]]:
        """The rows that did most to their own answers, the first of them 1."""
        strongest = float(self.self_R.max(initial=0.0))
        order = np.argsort(-self.self_R, kind="stable")[:most]
        return [(self.names[r], float(self.self_R[r] / strongest)) for r in order] if strongest > 0 else []


Answered = tuple[Row, Prediction, int]
"""A row, the answer it got, and the tokens that were left free for it."""


def taught(given: Looking, trained: Sequence[Row], answered: Sequence[Answered], folder: Path) -> Taught | None:
    """Who taught these answers; None with nothing to go by: rows that are not learnt by one answer each."""
    recipe = settled(given.recipe, given.sides.task)
    objective = objective_of(recipe, Task(given.sides.task), judged=given.sides.judged)
    if objective not in TOLD:
        return None
    material = Material(trained, (), given.sides.labels, given.sides.task)
    rows = make_examples(trained, given.tuned.renderer, recipe, material, objective)
    asked = [_asked(given, *one) for one in answered]
    key = digest([[row.row_id for row in rows], [[row.id, one.answer] for row, one, _ in answered], recipe.evaluate.explain.answer_tokens])
    training = read_json(given.folder / "training.json")
    chosen = int(training["chosen_step"])
    before = [step for step in snapshots(given.folder / "snapshots") if step < chosen]
    steps = [(int(step["step"]), float(step["learning_rate"])) for step in training["steps"]]
    checkpoints = [*before, chosen]
    weights = rates_between(steps, checkpoints)
    if sum(weights) <= 0:  # the base itself was kept, and no step counts
        checkpoints, weights = [chosen], [1.0]
    on_RQ, self_R = np.zeros((len(rows), len(asked))), np.zeros(len(rows))
    models = _Models(given, recipe, material)
    for step, weight in zip(checkpoints, weights, strict=True):
        found = _at(models, step, chosen, rows, asked, folder / f"influence-{key[:16]}-{step}.json")
        on_RQ, self_R = on_RQ + weight * found[:, :-1], self_R + weight * found[:, -1]
    return Taught(tuple(row.row_id for row in rows), on_RQ, self_R, tuple(checkpoints), _sentence(checkpoints, given))


def _sentence(checkpoints: Sequence[int], given: Looking) -> str:
    frozen = given.recipe.method.name not in (None, "full", "features") and not isinstance(given.tuned.model, Headed)
    at = f"{len(checkpoints)} checkpoints (steps {', '.join(map(str, checkpoints))})" if len(checkpoints) > 1 else "the kept weights alone"
    layer = "the head" if isinstance(given.tuned.model, Headed) else "the output layer"
    aside = f"; this method leaves {layer} as it is, so it stands in for what was trained" if frozen else ""
    return f"What rows taught is told by their gradients at {layer} over {at}{aside}."


class _Models:
    """The model at a step: the kept one, or one made as for training and brought to a snapshot."""

    def __init__(self, given: Looking, recipe: Any, material: Material) -> None:
        self.given, self.recipe, self.material = given, recipe, material
        self._made: nn.Module | None = None

    def at(self, step: int, chosen: int) -> nn.Module:
        device = self.given.device
        if step == chosen:
            return self.given.tuned.model.to(device).eval()
        if self._made is None:
            base = load_base(self.recipe.base, seed=self.recipe.seed)
            parameters, _ = count_parameters(base.model)
            seed = derive_seed(self.recipe.seed, "adapt")
            self._made = adapt(
                base.model, self.recipe.method, parameters=parameters, labels=self.material.outputs, seed=seed, new_ids=base.new_ids
            )
        load_snapshot(self._made, self.given.folder / "snapshots", step)
        return self._made.to(device).eval()


def _at(models: _Models, step: int, chosen: int, rows: Sequence[Example], asked: Sequence[Example], file: Path) -> Floats:
    """Gradient products at a checkpoint, [R, Q + 1]: with what was asked, and last of each row with itself. Kept in a file."""
    if file.exists():
        found = _read(file)
        if found.shape == (len(rows), len(asked) + 1) and np.isfinite(found).all():
            return found
    on_RQ, self_R = influences(models.at(step, chosen), rows, asked, models.given.device)
    found = np.concatenate([on_RQ.numpy(), self_R.numpy()[:, None]], axis=1)
    write_json(file, {"rows": [" ".join(map(repr, line)) for line in found.tolist()]})
    return found


def _read(file: Path) -> Floats:
    """What such a file holds; of no shape that is asked for where it is damaged."""
    try:
        return np.array([[float(number) for number in line.split()] for line in read_json(file)["rows"]])
    except (MachineError, ValueError, TypeError, LookupError, AttributeError):
        return np.zeros(0)


def _asked(given: Looking, row: Row, answered: Prediction, room: int) -> Example:
    """What was answered, as if it were to be learnt."""
    renderer, model, labels = given.tuned.renderer, given.tuned.model, given.sides.labels or ()
    prompt = renderer.prompt(row.prompt, room=room).ids
    if not isinstance(model, Headed):
        answer = renderer.answer(answered.answer)[: given.recipe.evaluate.explain.answer_tokens]
        return Example(row.id, (answer_only((*prompt, *answer), len(prompt)),))
    bare = Sequence_(prompt, (0.0,) * len(prompt))
    if model.kind == "class":
        return Example(row.id, (bare,), labels.index(answered.answer))
    if model.kind == "multilabel":
        given_labels = answered.found if isinstance(answered.found, tuple) else ()
        return Example(row.id, (bare,), tuple(float(label in given_labels) for label in labels))
    found, true = (side if isinstance(side, int | float) else 0.0 for side in (answered.found, answered.truth))
    return Example(row.id, (bare,), 2 * found - true)  # as far beyond what was told as that is from the truth
