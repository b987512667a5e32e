"""Datasets on disk: prepared once for the same files, config and seed, named by their content."""

from pathlib import Path

from tunesmith.core.files import read_json, write_json
from tunesmith.core.hashing import digest, digest_file, digest_folder
from tunesmith.core.progress import Ended, Listener
from tunesmith.data.config import DataConfig
from tunesmith.data.dataset import Dataset, read_dataset
from tunesmith.data.prepare import prepare
from tunesmith.embedded import sample_path
from tunesmith.pipeline.workspace import Workspace
from tunesmith.recipe import Recipe

VERSION = 1


def data_content(config: DataConfig) -> dict[str, str]:
    """Content hash of each file the recipe names; a missing one is left to the reader, which says it best."""
    named = {"path": config.path, "validation_path": config.validation_path, "test_path": config.test_path}
    return {name: _content(path) for name, path in named.items() if path is not None}


def _content(path: str) -> str:
    place = sample_path() if path == "sample" else Path(path).expanduser()
    if place.is_dir():
        return digest_folder(place)
    return digest_file(place) if place.is_file() else "missing"


def prepared_dataset(recipe: Recipe, workspace: Workspace, listen: Listener) -> Dataset:
    """The dataset of a recipe: read back where the same files were prepared the same way before, else made now."""
    config = recipe.data
    key = digest([VERSION, config.model_dump(mode="json", exclude={"instruction"}), data_content(config), recipe.seed])
    pointer = workspace.cache / f"dataset-{key[:16]}.json"
    if pointer.exists():
        folder = workspace.datasets / read_json(pointer)["dataset"]
        if folder.is_dir():
            listen(Ended("prepare", 0.0, reused=True))
            return read_dataset(folder)
    dataset = prepare(config, recipe.seed, listen).write(workspace.datasets)
    write_json(pointer, {"dataset": dataset.path.name})
    return dataset


def test_hash(dataset: Dataset) -> str:
    """What a test set is, for counting its openings: its rows, whatever they are trained with."""
    return digest([[row.id, row.answer] for row in dataset.sides["test"]])
