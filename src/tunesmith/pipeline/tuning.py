"""What the gateway needs for fine-tuning as an API: files, jobs and the shelf of models, over one workspace."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.core.errors import MachineError
from tunesmith.pipeline.jobs import FOLDER, JobPlace
from tunesmith.pipeline.worker import FILES
from tunesmith.pipeline.workspace import Workspace
from tunesmith.serve.config import ServeConfig
from tunesmith.serve.file_store import FileStore
from tunesmith.serve.shelf import Shelf
from tunesmith.serve.tuning import Tuning

if TYPE_CHECKING:
    from tunesmith.ledger.jobs import JobRecord
    from tunesmith.ledger.ledger import Ledger
    from tunesmith.serve.answers import Backend

ROOM = 1.2
"""Memory a model is given room for, as a multiple of its files: weights are held as they lie there, and work takes some more."""
_MEMORY = Path("/proc/meminfo")


def tuning_of(place: Workspace, ledger: "Ledger", config: ServeConfig, bases: Sequence[str]) -> Tuning:
    """All of it, what kills left cleared away. MachineError where the workspace can't be written."""
    root = place.root.absolute()

    def load(job: "JobRecord") -> "Backend":
        from tunesmith.models.package import load_model
        from tunesmith.serve.local import LocalModel

        folder = JobPlace(root, job).model
        refuse_without_room(folder, available_bytes())
        return LocalModel(job.fine_tuned_model or "", *load_model(folder), config)

    store = FileStore(root / FILES, ledger.files, config)
    store.sweep()
    return Tuning(store, ledger.jobs, bases, Shelf(ledger.jobs, load, config.shelf_models), root / FOLDER)


def refuse_without_room(folder: Path, available: int | None) -> None:
    """MachineError where a model's files are larger than what is free; the kernel would kill the server without a word."""
    needed = ROOM * sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    if available is not None and needed > available:
        raise MachineError(
            f"The model needs about {needed / 2**20:,.0f} MiB, and {available / 2**20:,.0f} MiB are free: stop something first."
        )


def available_bytes() -> int | None:
    """Memory that can be had without swapping; None where the system does not tell."""
    try:
        lines = _MEMORY.read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return None
