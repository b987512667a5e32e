"""Datasets on disk: prepared once for the same files, config and seed, named by their content."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tunesmith.core.files import home_path, read_json, write_json
from tunesmith.core.hashing import digest, digest_file, digest_folder
from tunesmith.core.progress import Ended, Listener, Said
from tunesmith.core.rows import Row
from tunesmith.data.config import DataConfig
from tunesmith.data.dataset import Dataset, read_dataset
from tunesmith.data.prepare import prepare
from tunesmith.embedded import sample_path
from tunesmith.ledger.ledger import Ledger
from tunesmith.ledger.records import DatasetRecord
from tunesmith.pipeline.workspace import Workspace
from tunesmith.recipe import Recipe

VERSION = 1


def data_content(config: DataConfig) -> dict[str, str]:
    """Content hash of each file the recipe names; a missing one is left to the reader, which says it best."""
    named = {"path": config.path, "validation_path": config.validation_path, "test_path": config.test_path}
    return {name: _content(path) for name, path in named.items() if path is not None}


def _content(path: str) -> str:
    place = sample_path() if path == "sample" else home_path(path)
    if place.is_dir():
        return digest_folder(place)
    return digest_file(place) if place.is_file() else "missing"


def prepared_dataset(recipe: Recipe, workspace: Workspace, listen: Listener) -> tuple[Dataset, Path]:
    """The dataset of a recipe and its folder: read back where the same files were prepared the same way before, else made now.

    The folder is named by content and by what was prepared: other files with the same good rows have accounts of their own.
    """
    config = recipe.data
    key = digest([VERSION, config.model_dump(mode="json"), data_content(config), recipe.seed])
    pointer = workspace.cache / f"dataset-{key[:16]}.json"
    if pointer.exists():
        folder = workspace.datasets / read_json(pointer)["dataset"]
        if folder.is_dir():
            listen(Ended("prepare", 0.0, reused=True))
            return read_dataset(folder), folder
    prepared = prepare(config, recipe.seed, listen)
    folder = workspace.datasets / f"{prepared.dataset.id[:16]}-{key[:8]}"
    prepared.write(folder)
    write_json(pointer, {"dataset": folder.name})
    return prepared.dataset, folder


def general_rows(recipe: Recipe, workspace: Workspace, listen: Listener, held_out: Iterable[Row]) -> tuple[list[Row], str]:
    """The rows that `train.regularise.replay` mixes in, from all of its file, and their task; none whose text is held out.

    Raises:
        DataError: the file can't be read.
    """
    path = recipe.train.regularise.replay.path
    if path is None:
        return [], "text"
    general = recipe.model_copy(update={"data": DataConfig(path=path)})
    dataset, _ = prepared_dataset(general, workspace, listen)
    rows = [row for side in dataset.sides.values() for row in side]
    unseen = {" ".join(row.text().casefold().split()) for row in held_out}
    kept = [row for row in rows if " ".join(row.text().casefold().split()) not in unseen]
    if len(kept) < len(rows):
        listen(
            Said(
                f"{len(rows) - len(kept)} of {len(rows)} rows to replay stand among the rows held out of training: left out.", warning=True
            )
        )
    return kept, str(dataset.task.value)


def other_content(recipe: Recipe) -> list[str]:
    """Content hashes of what a round learns from beside its data and base: the replayed file, the teacher. Empty where there is neither."""
    replay, teacher = recipe.train.regularise.replay.path, recipe.objective.teacher
    found = [] if replay is None else [f"replay {_content(replay)}"]
    if teacher is not None:
        from tunesmith.models.load import base_hash

        found.append(f"teacher {base_hash(recipe.base.model_copy(update={'path': teacher, 'random_weights': False, 'new_tokens': []}))}")
    return found


def data_report(dataset: Dataset) -> dict[str, Any]:
    """The `data` piece of report.json, as far as the dataset knows it."""
    return {
        "path": dataset.path,
        "format": dataset.format,
        "task": dataset.task.value,
        "mapping": dataset.mapping,
        "waterfall": dataset.waterfall,
        "sides": dataset.counts(),
        "labels": dataset.labels,
        "notes": list(dataset.notes),
    }


def groups_of(dataset: Dataset, side: str, by: str | None) -> dict[str, str] | None:
    """Row id -> group, where rows of one group are not independent of one another."""
    if by is None:
        return None
    return {row.id: str(row.fields[by]) for row in dataset.sides[side] if row.fields.get(by) is not None}


def record_dataset(ledger: Ledger, dataset: Dataset) -> None:
    """Tell the ledger of a dataset."""
    counts = {side: len(rows) for side, rows in dataset.sides.items()}
    ledger.record_dataset(DatasetRecord(id=dataset.id, path=str(dataset.path), task=str(dataset.task), counts=counts))
