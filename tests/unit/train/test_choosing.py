"""Which step is kept: the deciding measure says, where a head's validation has it; the loss between equals."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tunesmith.models.config import BaseConfig, MethodConfig
from tunesmith.models.load import load_base
from tunesmith.models.methods import adapt
from tunesmith.score.measures import measure
from tunesmith.train.batches import Example, Feed
from tunesmith.train.checkpoint import load_checkpoint, save_checkpoint
from tunesmith.train.choosing import answers
from tunesmith.train.config import ObjectiveConfig, TrainConfig
from tunesmith.train.loop import EvaluationReport, train, validation
from tunesmith.train.objectives import objective
from tunesmith.train.objectives.inputs import LabelInputs, MultiLabelInputs, TagInputs, ValueInputs
from tunesmith.train.optimizers import build_optimizers
from tunesmith.train.schedules import schedule_of
from tunesmith.train.state import Extras, TrainState
from tunesmith.tree.plan import Sequence_

ROWS = [Example(str(row), (Sequence_((5, 6, 20 + row), (0.0,) * 3),), row % 3) for row in range(12)]
ONES = torch.ones(3)


def state_of(base: Path, decides: str | None, **settings: Any) -> TrainState:
    config = TrainConfig.model_validate({"batch_rows": 4, "epochs": 4, "evaluations_per_epoch": 3} | settings)
    torch.manual_seed(0)
    model = adapt(load_base(BaseConfig(path=str(base))).model, MethodConfig(name="full", head="class"), parameters=1, labels=3, seed=0)
    extras = Extras(measure=measure(decides) if decides else None)
    return TrainState(
        model, build_optimizers(model, config, 3e-2), schedule_of(config, 12), config, 3e-2, torch.device("cpu"), "fp32", extras=extras
    )


def observed(state: TrainState, *seen: tuple[float, float]) -> list[bool]:
    better = []
    for step, (loss, value) in enumerate(seen):
        state.progress.step = step
        better.append(state.observe(loss, value))
    return better


def test_the_value_decides_and_the_loss_between_equals(tiny_base: Path) -> None:
    state = state_of(tiny_base, "accuracy")
    assert observed(state, (3.0, 0.1), (1.0, 0.5), (1.5, 0.7), (1.4, 0.7), (1.4, 0.7), (0.9, 0.6)) == [True, True, True, True, False, False]
    assert (state.progress.best_step, state.progress.best_loss) == (3, 0.9)


def test_of_errors_the_least_is_kept(tiny_base: Path) -> None:
    state = state_of(tiny_base, "mae")
    assert observed(state, (3.0, 9.0), (2.0, 4.0), (1.0, 5.0)) == [True, True, False]


def test_patience_runs_on_only_where_neither_gets_better(tiny_base: Path) -> None:
    """Loss falls, then accuracy rises while it rises, then nothing: two evaluations later it stops, and says both."""
    state = state_of(tiny_base, "accuracy", early_stopping={"patience": 2})
    observed(state, (4.0, 0.1), (3.0, 0.1), (2.0, 0.1), (2.5, 0.4), (2.6, 0.5), (2.7, 0.5))
    assert state.progress.stopped is None
    state.progress.step = 6
    assert not state.observe(2.8, 0.4)
    assert state.progress.stopped == (
        "validation loss had not fallen, nor accuracy improved, for 2 evaluations: stopped at step 6, keeping step 4"
    )


def test_without_a_measure_the_loss_decides(tiny_base: Path) -> None:
    state = state_of(tiny_base, None)
    assert [state.observe(loss) for loss in (3.0, 2.0, 2.5)] == [True, True, False]
    assert state.progress.values == []


def test_validation_counts_the_very_outputs_that_its_loss_is_of(tiny_base: Path) -> None:
    """Planted: the rows' labels are what the model says, but for 3 of 12; accuracy is 9 of 12, whatever the order and layout."""
    state = state_of(tiny_base, "accuracy")
    kind = objective(ObjectiveConfig(), "class")
    said = [int(validation_logits(state, row).argmax()) for row in ROWS]
    planted = [
        Example(row.row_id, row.sequences, (label + (place < 3)) % 3) for place, (row, label) in enumerate(zip(ROWS, said, strict=True))
    ]
    for rows in (planted, planted[::-1]):
        for layout in ("tree", "padded"):
            assert validation(state, rows, kind, layout=layout).value == 9 / 12
    assert validation(state, [], kind, layout="tree").value is None


def validation_logits(state: TrainState, row: Example) -> torch.Tensor:
    model: Any = state.model
    with torch.no_grad():
        hidden = model.trunk.model(input_ids=torch.tensor([row.sequence.ids])).last_hidden_state
        found: torch.Tensor = model.head(hidden, torch.tensor([len(row.sequence.ids)]))[0]
    return found


def test_the_step_kept_is_the_one_reported_best(tiny_base: Path) -> None:
    state = state_of(tiny_base, "accuracy")
    feed = Feed(ROWS, state.config, 0, layout="tree")
    reports = [one for one in train(state, feed, ROWS, objective(ObjectiveConfig(), "class")) if isinstance(one, EvaluationReport)]
    values = {one.step: one.value for one in reports}
    assert state.progress.values == list(values.items())
    assert all(isinstance(value, float) for value in values.values())
    best = max(values.values(), key=lambda value: value or 0)
    assert values[state.progress.best_step] == best
    assert [one.step for one in reports if one.best][-1] == state.progress.best_step


def test_what_was_seen_comes_back_with_a_checkpoint(tiny_base: Path, tmp_path: Path) -> None:
    one, other = state_of(tiny_base, "accuracy"), state_of(tiny_base, "accuracy")
    observed(one, (3.0, 0.1), (1.0, 0.5), (1.5, 0.7))
    save_checkpoint(one, tmp_path / "c")
    load_checkpoint(other, tmp_path / "c")
    assert other.progress == one.progress
    one.progress.step = other.progress.step = 3
    assert [state.observe(1.4, 0.7) for state in (one, other)] == [True, True]
    assert other.progress == one.progress


def test_answers_as_evaluation_takes_them() -> None:
    labels = answers(LabelInputs(torch.tensor([[0.0, 2.0], [3.0, 1.0], [0.0, 1.0]]), torch.tensor([1, 1, 0]), ONES), ["a", "b", "c"])
    assert [(one.row_id, one.reference, one.answer) for one in labels] == [("a", "1", "1"), ("b", "1", "0"), ("c", "0", "1")]
    sets = answers(MultiLabelInputs(torch.tensor([[0.0, -0.1], [-3.0, 1.0]]), torch.tensor([[1.0, 0.0], [1.0, 1.0]]), ONES[:2]), ["a", "b"])
    assert [(one.truth, one.found) for one in sets] == [(("0",), ("0",)), (("0", "1"), ("1",))]
    assert measure("labels_micro_f1").of(sets) == pytest.approx(2 * 2 / (3 + 2))
    values = answers(ValueInputs(torch.tensor([1.5, 3.0]), torch.tensor([1.0, 5.0]), ONES[:2]), ["a", "b"])
    assert measure("mae").of(values) == 1.25
    assert answers(TagInputs(torch.zeros(1, 2), torch.tensor([0]), ONES[:1]), ["a"]) == []
