"""A dataset: rows on their sides, immutable, named by content; and its folder.

dataset.json        what it is, with a hash of every other file
train.jsonl select.jsonl calibrate.jsonl test.jsonl
outcomes.jsonl      one line for every line read: its id, its side or why it was dropped; no text
quarantine.jsonl    what could not be read, raw; mode 0600

A side's rows are read when they are first asked for.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

from tunesmith.core.errors import DataError
from tunesmith.core.files import explained, read_json, whole_folder, write_json
from tunesmith.core.hashing import digest, digest_file
from tunesmith.core.rows import Row
from tunesmith.data.config import Task
from tunesmith.data.lines import identity_of, line_of, row_of, with_id
from tunesmith.data.review import Suspect
from tunesmith.data.split import SIDES
from tunesmith.data.waterfall import Quarantine

__all__ = ["SIDES", "Dataset", "Prepared", "SideWriter", "Sides", "read_dataset"]

_SCHEMA = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Prepared rows and the account of how they came about."""

    task: Task
    format: str
    """The form of the rows read: text/label, messages, ..."""
    mapping: dict[str, str]
    """Role -> column."""
    labels: dict[str, int]
    """Label -> rows that carry it on all sides together, in order of name; empty unless the task is classify, multilabel or tag."""
    sides: Mapping[str, Sequence[Row]]
    """train, select, calibrate and test."""
    waterfall: list[dict[str, Any]]
    """One entry a stage: stage, kept, changed, dropped, reasons, changes; kept + dropped is what came in."""
    notes: tuple[str, ...]
    """What a person should know, a sentence each."""
    path: str
    """Where the rows were read from, as the recipe says."""
    findings: dict[str, Any] = field(default_factory=dict)
    """What the stages measured, by name: what the data report shows beside the waterfall."""
    hashes: Mapping[str, str] = field(default_factory=dict)
    """Side -> 64 hex digits over its rows; computed where absent."""
    id: str = field(default="")
    """64 hex digits over task, sides and rows; computed where absent."""

    def __post_init__(self) -> None:
        if not self.hashes:
            object.__setattr__(self, "hashes", {side: _hash_of(self.sides[side]) for side in SIDES})
        if not self.id:
            object.__setattr__(self, "id", _id_of(self.task, self.hashes))

    def side_hash(self, side: str) -> str:
        """64 hex digits over the rows of one side; of `test`, what openings are counted by."""
        return self.hashes[side]

    def counts(self) -> dict[str, int]:
        """Rows of each side."""
        if isinstance(self.sides, Sides):
            return dict(self.sides.counts)
        return {side: len(self.sides[side]) for side in SIDES}


class Sides(Mapping[str, Sequence[Row]]):
    """The sides of a dataset's folder, each read when it is first asked for and kept."""

    def __init__(self, folder: Path, counts: Mapping[str, int], keep: object = None) -> None:
        """The sides of a folder whose hashes were checked; `keep` is what must live as long as they."""
        self._folder, self.counts, self._keep = folder, dict(counts), keep
        self._held: dict[str, list[Row]] = {}

    def __getitem__(self, side: str) -> list[Row]:
        """The rows of a side; DataError where its file is no longer what was written."""
        if side not in self.counts:
            raise KeyError(side)
        if side not in self._held:
            rows = list(self.each(side))
            if len(rows) != self.counts[side]:
                raise _damaged(self._folder, f"{side}.jsonl is not what was written")
            self._held[side] = rows
        return self._held[side]

    def each(self, side: str) -> Iterator[Row]:
        """The rows of a side one by one, kept nowhere."""
        try:
            with (self._folder / f"{side}.jsonl").open("rb") as file:
                for line in file:
                    yield row_of(line)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _damaged(self._folder, f"{side}.jsonl can't be read") from error

    def __iter__(self) -> Iterator[str]:
        """The names of the sides."""
        return iter(self.counts)

    def __len__(self) -> int:
        """How many sides."""
        return len(self.counts)

    def __eq__(self, other: object) -> bool:
        """Whether the rows of all sides are equal."""
        return isinstance(other, Mapping) and set(self) == set(other) and all(self[side] == other[side] for side in self)

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A dataset in a folder that passes, with what became of every line read, until it is written somewhere to stay."""

    dataset: Dataset
    quarantine: Quarantine
    scratch: TemporaryDirectory[str]
    """Gone when the value is."""
    suspects: tuple[Suspect, ...] = ()
    """Labels that look wrong, the likeliest error first."""
    looks: Mapping[str, Any] = field(default_factory=dict)
    """A few rows for people to look at (`tunesmith.data.showing`); they stand in no file of the dataset."""

    @property
    def folder(self) -> Path:
        """Where its files lie until then."""
        return Path(self.scratch.name) / "out"

    @property
    def outcomes(self) -> list[dict[str, Any]]:
        """One entry for every line read: id, source, fate, stage, reason, changes."""
        with (self.folder / "outcomes.jsonl").open(encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def write(self, folder: Path) -> None:
        """Write all of it, whole or not at all; an earlier one at the same place is replaced."""
        with whole_folder(folder) as inside:
            for file in sorted(self.folder.iterdir()):
                _link_or_copy(file, inside / file.name)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
        target.chmod(source.stat().st_mode)


class SideWriter:
    """Writes the rows of one side as they come, and hashes what counts for its identity."""

    def __init__(self, folder: Path, side: str) -> None:
        """An empty file in a folder."""
        self._path = folder / f"{side}.jsonl"
        with explained(self._path):
            self._file: BinaryIO = self._path.open("wb", buffering=2**20)
        self._hash = hashlib.sha256()
        self.count = 0

    def add(self, row: Row) -> None:
        """One row more."""
        self.add_line(line_of(row), row.id)

    def add_line(self, line: bytes, row_id: str) -> None:
        """The same of a row that is a line already."""
        self.add_lines([line], [row_id])

    def add_lines(self, lines: Sequence[bytes], ids: Sequence[str]) -> None:
        """The same of many, in order."""
        self._hash.update(b"".join(map(_hashed, lines, ids)))
        with explained(self._path):
            self._file.writelines(map(with_id, lines, ids))
        self.count += len(lines)

    def close(self) -> str:
        """No more rows; returns the hash of the side."""
        with explained(self._path):
            self._file.close()
        return self._hash.hexdigest()


def write_head(folder: Path, dataset: Dataset) -> None:
    """Write dataset.json over the files that lie in a folder."""
    files = sorted(file.name for file in folder.iterdir() if file.suffix == ".jsonl")
    head = {
        "schema": _SCHEMA,
        "id": dataset.id,
        "task": dataset.task.value,
        "format": dataset.format,
        "mapping": dataset.mapping,
        "labels": dataset.labels,
        "sides": dataset.counts(),
        "hashes": dict(dataset.hashes),
        "waterfall": dataset.waterfall,
        "notes": list(dataset.notes),
        "path": dataset.path,
        "findings": dataset.findings,
        "files": {name: digest_file(folder / name) for name in files},
    }
    write_json(folder / "dataset.json", head)


def read_dataset(folder: Path) -> Dataset:
    """Read a dataset's folder back, checking every hash; a deleted quarantine is no damage.

    Raises:
        DataError: a file is missing or isn't what was written.
        MachineError: dataset.json can't be read.
    """
    head = read_json(folder / "dataset.json")
    try:
        for name, expected in head["files"].items():
            file = folder / name
            if not file.is_file() and name == "quarantine.jsonl":
                continue
            if not file.is_file() or digest_file(file) != expected:
                raise _damaged(folder, f"{name} is not what was written")
        dataset = Dataset(
            task=Task(head["task"]),
            format=head["format"],
            mapping=head["mapping"],
            labels=head["labels"],
            sides=Sides(folder, head["sides"]),
            waterfall=head["waterfall"],
            notes=tuple(head["notes"]),
            path=head["path"],
            findings=head["findings"],
            hashes=head["hashes"],
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(folder, f"dataset.json lacks {error}") from error
    if dataset.id != head["id"]:
        raise _damaged(folder, "its rows don't give the id it states")
    return dataset


def _damaged(folder: Path, why: str) -> DataError:
    return DataError(f"The dataset in {folder} is damaged: {why}; delete that folder and prepare the rows again.")


def _id_of(task: Task, hashes: Mapping[str, str]) -> str:
    return digest([task.value, dict(hashes)])


def _hash_of(rows: Iterable[Row]) -> str:
    whole = hashlib.sha256()
    for row in rows:
        whole.update(_hashed(line_of(row), row.id))
    return whole.hexdigest()


def _hashed(line: bytes, row_id: str) -> bytes:
    return row_id.encode() + b"\n" + identity_of(line) + b"\n"
