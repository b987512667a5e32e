"""A run's state as a folder: safetensors and JSON, whole or absent. The folder's place is the caller's business."""

from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from tunesmith.core.errors import MachineError
from tunesmith.core.files import read_json, whole_folder, write_json
from tunesmith.train.state import TrainState


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


def load_checkpoint(state: TrainState, folder: Path) -> None:
    """Bring `state` to what `folder` holds. Raises MachineError where the folder is damaged or belongs to another model."""
    try:
        state.restore(load_file(folder / "state.safetensors"), read_json(folder / "progress.json"))
    except (SafetensorError, KeyError, RuntimeError, ValueError, TypeError, OSError) as error:
        raise MachineError(f"Checkpoint {folder} can't be read ({error}): remove it, and the round goes on from the one before.") from error


def load_weights(state: TrainState, folder: Path) -> None:
    """Take only the weights of a checkpoint, or the mean kept of them: the best one, after training."""
    state.settle(load_file(folder / "state.safetensors"))
