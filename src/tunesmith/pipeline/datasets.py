"""Datasets on disk: prepared once for the same files, config and seed, named by their content."""

import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

from tunesmith.core.errors import BusyError, MachineError, TunesmithError
from tunesmith.core.files import explained, home_path, make_folder, only_one, read_json, write_json
from tunesmith.core.hashing import digest, digest_file, digest_folder
from tunesmith.core.progress import Ended, Listener, Said
from tunesmith.core.rows import Row
from tunesmith.data.config import DataConfig, Task
from tunesmith.data.dataset import Dataset, Prepared, read_dataset
from tunesmith.data.prepare import prepare
from tunesmith.data.review import write_review
from tunesmith.data.settings.read import ReadConfig
from tunesmith.data.source import files_of
from tunesmith.embedded import sample_path
from tunesmith.ledger.ledger import Ledger
from tunesmith.ledger.records import DatasetRecord
from tunesmith.pipeline.data_report import whole_report
from tunesmith.pipeline.handed import handed_to
from tunesmith.pipeline.held_out import beside, exactly, held_out_content
from tunesmith.pipeline.workspace import Workspace
from tunesmith.recipe import Recipe

VERSION = 3
REVIEW = "review.csv"
"""Name of the list of suspected labels beside a dataset."""
_YOUNG_SECONDS = 60
"""A folder may be this old and not yet locked by the process that made it."""


def data_content(config: DataConfig) -> dict[str, str]:
    """Content hash of each file the recipe names; a missing one is left to the reader, which says it best."""
    named = {"path": config.path, "validation_path": config.validation_path, "test_path": config.test_path}
    named |= {"review": config.relabel.review, "production": config.coverage.production} | {
        f"contamination {path}": path for path in config.contamination.paths
    }
    held_out = {} if config.held_out is None else {"held_out": held_out_content(config.held_out)}
    return {name: _content(path, config.read) for name, path in named.items() if path is not None} | held_out


def _content(path: str, config: ReadConfig | None = None) -> str:
    """Hash over the files that a path, a glob or a folder stands for, in order, by name and bytes."""
    if path == "sample":
        return digest_file(sample_path())
    try:
        files = files_of(path, config)
    except TunesmithError:
        return "missing"
    return digest([[file.name, digest_file(file)] for file in files])


def prepared_dataset(recipe: Recipe, workspace: Workspace, listen: Listener) -> tuple[Dataset, Path]:
    """The dataset of a recipe and its folder: read back where the same files were prepared the same way before, else made now.

    The folder is named by content and by what was prepared: other files with the same good rows have accounts of their own.
    """
    config = recipe.data
    key = digest([VERSION, config.model_dump(mode="json"), data_content(config), recipe.seed])
    pointer = workspace.cache / f"dataset-{key[:16]}.json"
    if pointer.exists():
        _remove_passed(workspace.cache / "passing")
        folder = workspace.datasets / read_json(pointer)["dataset"]
        if folder.is_dir():
            listen(Ended("prepare", 0.0, reused=True))
            return read_dataset(folder), folder
    with passing_folder(workspace) as scratch:
        former = None if config.held_out is None else read_dataset(home_path(config.held_out))
        asked = config if former is None else beside(config, former, scratch)
        prepared = prepare(asked, recipe.seed, listen, scratch=scratch, handed=handed_to(recipe, workspace))
        if former is not None:
            prepared = exactly(prepared, former)
        folder = workspace.datasets / f"{prepared.dataset.id[:16]}-{key[:8]}"
        prepared.write(folder)
        _write_report(prepared, recipe, folder)
    write_json(pointer, {"dataset": folder.name})
    return read_dataset(folder), folder


def _write_report(prepared: Prepared, recipe: Recipe, folder: Path) -> None:
    """The data report beside the dataset, and the list of suspected labels for a person to fill in."""
    from tunesmith.report.data_card import write_data_card

    report = whole_report(prepared.dataset, recipe, prepared.looks)
    if prepared.suspects:
        write_review(folder / REVIEW, prepared.suspects)
        report["findings"].get("labels", {})["review"] = REVIEW
    write_data_card(report, folder)


def _remove_passed(place: Path) -> None:
    """Remove what killed commands left."""
    with suppress(OSError):  # there is none, or another command removes the same
        for old in [folder for folder in place.iterdir() if time.time() - folder.stat().st_mtime > _YOUNG_SECONDS]:
            with suppress(BusyError, MachineError), only_one(old / "lock", "The folder"):
                shutil.rmtree(old, ignore_errors=True)


@contextmanager
def passing_folder(workspace: Workspace) -> Iterator[Path]:
    """A folder for raw rows that pass through the disk, which its owner alone may read; gone afterwards.

    What a killed run left is removed by the next that prepares, or takes prepared rows up: the kernel frees a dead process's lock.
    """
    place = make_folder(workspace.cache / "passing")
    _remove_passed(place)
    with explained(place):
        folder = Path(mkdtemp(dir=place))
    try:
        with only_one(folder / "lock", "The folder"):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # another process has a folder there
            place.rmdir()


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


def looked_at_content(recipe: Recipe) -> list[str]:
    """Content hashes of files that only looks at the finished model read: where they change there is a new round, and no new training."""
    return [f"looked at {_file_content(path)}" for path in recipe.evaluate.files]


def _file_content(path: str) -> str:
    """Hash of a file, of all files of a folder, or of the model in one: its own or a round's.

    Raises:
        RecipeError: nothing is there.
        MachineError: it may not be read.
    """
    place = home_path(path)
    try:
        model = next((inner for inner in (place, place / "model") if (inner / "tunesmith.json").is_file()), None)
        if model is not None:
            from tunesmith.models.package import model_digest

            return model_digest(model)
        if place.is_dir():
            return digest_folder(place)
        return digest([[file.name, digest_file(file)] for file in files_of(path)])
    except OSError as error:
        raise MachineError(f"{path} can't be read: {error.strerror or error}.") from error


def groups_of(dataset: Dataset, side: str, by: str | None) -> dict[str, str] | None:
    """Row id -> group, where rows of one group are not independent of one another.

    Groups are the values of the column `by`. Where none is named and answers are written or weighed, they are the prompts that stand
    in several rows: each row is a reference of one input, and a model answers all of them alike. None where there are none of either.
    """
    rows = dataset.sides[side]
    if by is not None:
        return {row.id: str(row.fields[by]) for row in rows if row.fields.get(by) is not None}
    if dataset.task not in (Task.GENERATE, Task.PREFER):
        return None
    times = Counter(row.prompt for row in rows)
    found = {row.id: "\n".join(turn.content for turn in row.prompt) for row in rows if times[row.prompt] > 1}
    return found or None


def record_dataset(ledger: Ledger, dataset: Dataset) -> None:
    """Tell the ledger of a dataset."""
    counts = dataset.counts()
    ledger.record_dataset(DatasetRecord(id=dataset.id, path=str(dataset.path), task=str(dataset.task), counts=counts))
