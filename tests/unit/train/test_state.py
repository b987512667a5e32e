"""Early stopping, divergence, and a state that is saved and taken up again."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tunesmith.core.errors import DivergedError, MachineError
from tunesmith.models.config import BaseConfig
from tunesmith.models.load import load_base
from tunesmith.train.batches import Example, Feed
from tunesmith.train.checkpoint import load_checkpoint, load_weights, read_progress, save_checkpoint
from tunesmith.train.config import ObjectiveConfig, TrainConfig
from tunesmith.train.loop import take_step, train, validation
from tunesmith.train.objectives import LossSum, objective
from tunesmith.train.optimizers import build_optimizers
from tunesmith.train.schedules import schedule_of
from tunesmith.train.state import TrainState
from tunesmith.tree.plan import answer_only

EXAMPLES = [Example(str(number), (answer_only([5, 6, 7, 40 + number, 2], 3),)) for number in range(6)]


def state_of(base: Path, **settings: Any) -> TrainState:
    config = TrainConfig.model_validate({"batch_rows": 2, "epochs": 2, "warmup": 0, "schedule": "constant"} | settings)
    model = load_base(BaseConfig(path=str(base))).model
    return TrainState(model, build_optimizers(model, config, 1e-2), schedule_of(config, 6), config, 1e-2, torch.device("cpu"), "fp32")


def feed_of(state: TrainState) -> Feed:
    return Feed(EXAMPLES, state.config, 0, layout="tree")


def test_patience_counts_evaluations_without_a_gain(tiny_base: Path) -> None:
    state = state_of(tiny_base, early_stopping={"patience": 2, "minimum_gain": 0.1})
    better = []
    for step, loss in enumerate([3.0, 2.0, 1.95, 1.8, 1.75, 1.79]):
        state.progress.step = step * 10
        better.append(state.observe(loss))
    assert better == [True, True, False, True, False, False]
    progress = state.progress
    assert (progress.best_loss, progress.best_step, progress.stale) == (1.8, 30, 2)
    assert progress.stopped == "validation loss had not fallen for 2 evaluations: stopped at step 50, keeping step 30"
    assert progress.validation[2] == (20, 1.95)


def test_without_patience_nothing_stops(tiny_base: Path) -> None:
    state = state_of(tiny_base, early_stopping={"patience": None})
    for _ in range(9):
        state.observe(1.0)
    assert state.progress.stopped is None
    assert state.progress.stale == 8


def test_a_step_that_is_not_finite_is_not_taken(tiny_base: Path) -> None:
    state = state_of(tiny_base)
    before = {name: p.detach().clone() for name, p in state.trainable().items()}
    usual = objective(ObjectiveConfig(), "sft")

    class Infinite:
        inputs = usual.inputs
        needs = usual.needs

        def __call__(self, x: Any) -> LossSum:
            found = usual(x)
            return LossSum(found.total * float("inf"), found.weight)

    with pytest.raises(DivergedError) as caught:
        take_step(state, feed_of(state).step(1), Infinite())
    assert caught.value.step == 1
    assert len(caught.value.row_ids) == 2
    assert state.step == 0
    assert all(torch.equal(p, before[name]) for name, p in state.trainable().items())
    assert all(p.grad is None for p in state.model.parameters())


def test_validation_leaves_mode_and_chance_alone(tiny_base: Path) -> None:
    state = state_of(tiny_base)
    state.model.train()
    chance = torch.get_rng_state()
    losses = [
        validation(state, examples, objective(ObjectiveConfig(), "sft"), layout=layout).loss
        for examples in (EXAMPLES, EXAMPLES[::-1])
        for layout in ("tree", "padded")
    ]
    assert losses == pytest.approx([losses[0]] * 4, rel=1e-5)
    assert state.model.training
    assert torch.equal(torch.get_rng_state(), chance)
    assert all(p.grad is None for p in state.model.parameters())


def test_a_validation_that_is_not_finite_is_a_divergence(tiny_base: Path) -> None:
    state = state_of(tiny_base)
    next(iter(state.trainable().values())).data.fill_(float("nan"))
    with pytest.raises(DivergedError, match="loss nan"):
        list(train(state, feed_of(state), EXAMPLES, objective(ObjectiveConfig(), "sft")))
    assert state.progress.validation == []


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_state_taken_up_again_goes_the_same_way(tiny_base: Path, tmp_path: Path, optimizer: str) -> None:
    whole, first, second = (state_of(tiny_base, optimizer=optimizer) for _ in range(3))
    list(train(whole, feed_of(whole), EXAMPLES, objective(ObjectiveConfig(), "sft")))
    for report in train(first, feed_of(first), EXAMPLES, objective(ObjectiveConfig(), "sft")):
        if report.step == 3:
            break
    save_checkpoint(first, tmp_path / "c")
    load_checkpoint(second, tmp_path / "c")
    assert second.progress == first.progress
    list(train(second, feed_of(second), EXAMPLES, objective(ObjectiveConfig(), "sft")))
    assert second.progress == whole.progress
    assert all(torch.equal(p, whole.trainable()[name]) for name, p in second.trainable().items())


def test_weights_alone_are_taken_from_a_checkpoint(tiny_base: Path, tmp_path: Path) -> None:
    trained, fresh = state_of(tiny_base), state_of(tiny_base)
    list(train(trained, feed_of(trained), [], objective(ObjectiveConfig(), "sft")))
    save_checkpoint(trained, tmp_path / "c")
    load_weights(fresh, tmp_path / "c")
    assert fresh.step == 0
    assert all(torch.equal(p, trained.trainable()[name]) for name, p in fresh.trainable().items())


@pytest.mark.parametrize("damage", ["missing", "cut", "emptied", "other model", "folder"])
@pytest.mark.parametrize("load", [load_checkpoint, load_weights])
def test_damaged_weights_are_named_with_what_to_do(tiny_base: Path, tmp_path: Path, damage: str, load: Any) -> None:
    state = state_of(tiny_base)
    save_checkpoint(state, tmp_path / "c")
    tensors = tmp_path / "c" / "state.safetensors"
    if damage in ("missing", "folder"):
        tensors.unlink()
    if damage == "folder":
        tensors.mkdir()
    elif damage in ("cut", "emptied"):
        tensors.write_bytes(tensors.read_bytes()[: 1000 if damage == "cut" else 0])
    elif damage == "other model":
        state.names = frozenset([*state.names, "more.weight"])
        state.model.add_module("more", nn.Linear(2, 2))
    with pytest.raises(MachineError, match=r"^\S+/c can't be read \([^\n]+\): do this\.$"):
        load(state, tmp_path / "c", "do this")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "EOF"),
        ('{"step": 1', "EOF"),
        ("[]", "object"),
        ("{}", "step is missing"),
        ({"step": "1"}, "step: .*integer"),
        ({"step": -1}, "step: .*greater"),
        ({"step": None}, "step: .*integer"),
        ({"restarts": [2]}, "restarts: .*integer"),
        ({"rate_factor": 0}, "rate_factor: .*greater"),
        ({"validation": 3}, "validation: .*array"),
        ({"validation": [[0]]}, "validation.0.1: "),
        ({"validation": [[0, "low"]]}, "validation.0.1: .*number"),
        ({"validation": [[1, 2.0]], "best_step": 0}, "best_step 0 was never evaluated"),
        ({"values": [[5, 0.5]]}, "step 5 has a value and no loss"),
        ({"halvings": 10**12}, "halvings: .*less"),
        ({"stopped": 1}, "stopped: .*string"),
        ({"surprise": 1}, "surprise is not known"),
    ],
    ids=str,
)
def test_progress_of_wrong_content_is_named_with_what_to_do(tiny_base: Path, tmp_path: Path, content: Any, why: str) -> None:
    state = state_of(tiny_base)
    save_checkpoint(state, tmp_path / "c")
    file = tmp_path / "c" / "progress.json"
    file.write_text(content if isinstance(content, str) else json.dumps(json.loads(file.read_text()) | content))
    for read in (lambda: read_progress(tmp_path / "c", "do this"), lambda: load_checkpoint(state, tmp_path / "c", "do this")):
        with pytest.raises(MachineError, match=rf"^\S+/c/progress.json can't be read \([^\n]*{why}[^\n]*\): do this\.$"):
            read()


def test_progress_from_before_there_were_halvings_is_read(tiny_base: Path, tmp_path: Path) -> None:
    state = state_of(tiny_base)
    state.observe(2.0)
    save_checkpoint(state, tmp_path / "c")
    file = tmp_path / "c" / "progress.json"
    values = json.loads(file.read_text())
    for name in ("values", "level", "halvings"):
        del values[name]
    file.write_text(json.dumps(values))
    assert read_progress(tmp_path / "c") == state.progress


def test_decay_is_kept_off_norms_and_embeddings(tiny_base: Path) -> None:
    state = state_of(tiny_base, weight_decay=0.5)
    names = {id(p): name for name, p in state.model.named_parameters()}
    (adamw,) = state.optimizers
    decayed, plain = (sorted(names[id(p)] for p in group["params"]) for group in adamw.param_groups)
    assert [group["weight_decay"] for group in adamw.param_groups] == [0.5, 0.0]
    assert all("proj" in name for name in decayed)
    assert all("norm" in name or "embed" in name for name in plain)
    assert len(decayed) + len(plain) == len(names)
