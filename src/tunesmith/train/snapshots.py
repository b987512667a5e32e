"""Snapshots of what learns, taken at evaluations, so that it can be told afterwards which rows taught what.

Which evaluations: every first, second, fourth, ... so that at most so many are kept, evenly spread, however long the run turns out
to be. That is told by an evaluation's number alone, so that a run that is killed or goes back keeps the same ones. Each is as
large as what learns. Saving draws no random number and changes nothing of the run.
"""

import itertools
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tunesmith.core.errors import MachineError
from tunesmith.core.files import mend_folder, whole_folder
from tunesmith.models.heads import Headed
from tunesmith.train.checkpoint import readable
from tunesmith.train.state import TrainState

FILE = "weights.safetensors"


def spacing(number: int, most: int) -> int:
    """At evaluation `number` (the first after training began is 1): how far apart those are that are kept, so that they are at most `most`."""
    apart = 1
    while number // apart > most:
        apart *= 2
    return apart


def keep_snapshot(state: TrainState, folder: Path, most: int) -> None:
    """Take a snapshot after an evaluation if it is one to keep, and drop those that no longer are."""
    evaluated = state.progress.validation
    steps = [step for step, _ in evaluated if step > 0]
    if not steps:
        return
    apart = spacing(len(steps), most)
    kept = steps[apart - 1 :: apart]
    for old in snapshots(folder):
        if old not in kept:
            shutil.rmtree(folder / _name(old), ignore_errors=True)
    if state.step in kept:
        with whole_folder(folder / _name(state.step)) as temporary:
            save_file(_tensors(state.model, state.trainable()), temporary / FILE)


def _tensors(model: nn.Module, learning: dict[str, nn.Parameter]) -> dict[str, Tensor]:
    """What learns, and what a head has beside."""
    buffers = {f"head.{name}": held for name, held in model.head.named_buffers()} if isinstance(model, Headed) else {}
    return {name: held.detach().contiguous().clone() for name, held in (buffers | learning).items()}


def snapshots(folder: Path) -> list[int]:
    """The steps of which a snapshot is kept, in order."""
    if not folder.is_dir():
        return []
    for path in [path for path in folder.iterdir() if path.name.startswith(".step-")]:
        mend_folder(folder / path.name.split(".")[1])
    names = [path.name for path in folder.iterdir() if path.name.startswith("step-")]
    return sorted(int(name.removeprefix("step-")) for name in names if name.removeprefix("step-").isdigit())


def _name(step: int) -> str:
    return f"step-{step:08d}"


@torch.no_grad()
def load_snapshot(model: nn.Module, folder: Path, step: int) -> None:
    """Bring what learns of a model, adapted as in training, to a snapshot. MachineError where it is damaged or of another model."""
    file = folder / _name(step) / FILE
    with readable(file, f"remove {folder}, and the influence of rows is told by the final weights alone"):
        held = load_file(file)
    own = dict(model.named_parameters()) | dict(model.named_buffers())
    if not held or any(name not in own or own[name].shape != tensor.shape for name, tensor in held.items()):
        raise MachineError(f"{file} belongs to another model: remove {folder}, and influence is told by the final weights alone.")
    for name, tensor in held.items():
        own[name].copy_(tensor)


def rates_between(steps: Sequence[tuple[int, float]], until: Sequence[int]) -> list[float]:
    """For each checkpoint, the sum of the rates of the steps since the one before: what TracIn weighs it by where rates change.

    Args:
        steps: (step, rate) of every step taken.
        until: the checkpoints' steps, rising.
    """
    bounds = [0, *until]
    return [sum(rate for step, rate in steps if low < step <= high) for low, high in itertools.pairwise(bounds)]
