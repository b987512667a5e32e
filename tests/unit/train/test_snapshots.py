"""Snapshots: few, spread, the same after a kill or a return, and weighed by the rates of the steps they stand for."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tunesmith.core.errors import MachineError
from tunesmith.train.snapshots import keep_snapshot, load_snapshot, rates_between, snapshots, spacing


def state(model: nn.Module, evaluated: list[int]) -> Any:
    progress = SimpleNamespace(validation=[(step, 1.0) for step in evaluated])
    return SimpleNamespace(model=model, step=evaluated[-1], progress=progress, trainable=lambda: dict(model.named_parameters()))


@given(st.integers(1, 500), st.integers(1, 50))
def test_at_most_so_many_are_kept_and_never_less_than_half_of_them(number: int, most: int) -> None:
    kept = range(spacing(number, most), number + 1, spacing(number, most))
    assert len(kept) <= most
    assert len(kept) >= min(number, (most + 1) // 2)


@pytest.mark.parametrize("killed", [False, True])
def test_the_same_are_kept_whether_or_not_the_run_was_killed_or_went_back(killed: bool, tmp_path: Path) -> None:
    model = nn.Linear(2, 1)
    for step in range(0, 36, 4):
        with torch.no_grad():
            model.weight.fill_(step)
        keep_snapshot(state(model, list(range(0, step + 4, 4))), tmp_path, 3)
        if killed and step == 20:
            with torch.no_grad():  # it had gone on to step 24, and comes back from step 20 with other weights
                model.weight.fill_(-1)
            keep_snapshot(state(model, list(range(0, 28, 4))), tmp_path, 3)
    assert snapshots(tmp_path) == [16, 32]
    load_snapshot(model, tmp_path, 16)
    assert model.weight.tolist() == [[16.0, 16.0]]


def test_nothing_is_kept_before_the_first_step(tmp_path: Path) -> None:
    keep_snapshot(state(nn.Linear(2, 1), [0]), tmp_path / "none", 3)
    assert snapshots(tmp_path / "none") == []


def test_a_damaged_snapshot_or_one_of_another_model_is_said(tmp_path: Path) -> None:
    keep_snapshot(state(nn.Linear(2, 1), [0, 4]), tmp_path, 3)
    with pytest.raises(MachineError, match="another model"):
        load_snapshot(nn.Linear(3, 1), tmp_path, 4)
    (tmp_path / "step-00000004" / "weights.safetensors").write_bytes(b"torn")
    with pytest.raises(MachineError, match="final weights alone"):
        load_snapshot(nn.Linear(2, 1), tmp_path, 4)


def test_every_step_up_to_the_last_checkpoint_counts_once() -> None:
    steps = [(step, 0.1 * step) for step in range(1, 11)]
    assert rates_between(steps, [3, 8]) == pytest.approx([0.6, 3.0])
    assert rates_between(steps, [10]) == pytest.approx([5.5])
