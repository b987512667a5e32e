"""A run's state as a folder: safetensors and JSON, whole or absent. The folder's place is the caller's business.

What is read back may have been damaged meanwhile: one sentence says which file, why, and what to do.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from tunesmith.core.errors import MachineError
from tunesmith.core.files import whole_folder, write_json
from tunesmith.train.state import Progress, TrainState

Held = TypeVar("Held")

LATER = frozenset({"values", "level", "halvings"})
"""What progress.json did not hold from the first version on."""


def save_checkpoint(state: TrainState, folder: Path) -> None:
    """Write the state to `folder`, replacing what was there only once all of it is on disk."""
    with whole_folder(folder) as temporary:
        tensors = {name: tensor.contiguous().clone() for name, tensor in state.tensors().items()}
        try:
            save_file(tensors, temporary / "state.safetensors")
        except SafetensorError as error:
            needed = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
            raise MachineError(
                f"A checkpoint of {needed / 2**20:.0f} MiB could not be written to {folder}: {error}. The one before it is whole; free some space and run again."
            ) from error
        write_json(temporary / "progress.json", asdict(state.progress))


def load_checkpoint(state: TrainState, folder: Path, move: str | None = None) -> None:
    """Bring `state` to what `folder` holds; `move` as of `read_progress`.

    Raises:
        MachineError: the folder is damaged or belongs to another model. `state` is then of no more use.
    """
    progress = read_progress(folder, move)
    with readable(folder, move or _go_without(folder)):
        state.restore(load_file(folder / "state.safetensors"), progress)


def load_weights(state: TrainState, folder: Path, move: str | None = None) -> None:
    """Take only the weights of a checkpoint, or the mean kept of them: the best one, after training. Raises as `load_checkpoint`."""
    with readable(folder, move or _go_without(folder)):
        state.settle(load_file(folder / "state.safetensors"))


def read_progress(folder: Path, move: str | None = None) -> Progress:
    """How far a checkpoint is.

    Args:
        folder: the checkpoint's.
        move: what to do where it is damaged, as the end of a sentence; None: that a run goes on without this checkpoint.

    Raises:
        MachineError: it can't be read, or is no run's progress.
    """
    file, move = folder / "progress.json", move or _go_without(folder)
    progress = read_as(file, Progress, move, later=LATER)
    evaluated, valued = dict(progress.validation), dict(progress.values)
    with readable(file, move):
        if evaluated and progress.best_step not in evaluated:
            raise ValueError(f"best_step {progress.best_step} was never evaluated")
        if without := valued.keys() - evaluated.keys():
            raise ValueError(f"step {min(without)} has a value and no loss")
    return progress


def _go_without(folder: Path) -> str:
    return (
        f"remove {folder}, and nothing beside it, and run the same command again: "
        "the round goes on from the checkpoint before it, or from its start"
    )


@contextmanager
def readable(what: Path | str, move: str) -> Iterator[None]:
    """Turn what reading a damaged file raises into a MachineError that says which, why, and the next move."""
    try:
        yield
    except (SafetensorError, LookupError, RuntimeError, ValueError, TypeError, OSError) as error:
        raise MachineError(f"{what} can't be read ({_reason(error)}): {move}.") from error


def _reason(error: Exception) -> str:
    """In one line, and without the path that the sentence names anyway."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return ": ".join(filter(None, [".".join(str(part) for part in first["loc"]), first["msg"]]))
    if isinstance(error, KeyError):
        return f"it holds no {error}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split())


def read_as(file: Path, kind: type[Held], move: str, *, later: frozenset[str] = frozenset()) -> Held:
    """A JSON file as a value of that type, with nothing converted, lacking or left over.

    Args:
        file: where it lies.
        kind: any type pydantic knows.
        move: what to do where it is damaged, as the end of a sentence.
        later: fields of a dataclass that may be missing, with a default.

    Raises:
        MachineError: it is missing, no JSON, or of another content.
    """
    with readable(file, move):
        text = file.read_bytes()
        found = TypeAdapter(kind).validate_json(text, strict=True)
        if is_dataclass(kind):
            _same_fields([item.name for item in fields(kind)], json.loads(text), later)
    return found


def _same_fields(names: list[str], values: dict[str, Any], later: frozenset[str]) -> None:
    missing = [name for name in names if name not in values and name not in later]
    if missing:
        raise ValueError(f"{missing[0]} is missing")
    unknown = values.keys() - set(names)
    if unknown:
        raise ValueError(f"{min(unknown)} is not known")
