"""A dataset: rows on their sides, immutable, named by content; and its folder.

dataset.json        what it is, with a hash of every other file
train.jsonl select.jsonl calibrate.jsonl test.jsonl
outcomes.jsonl      one line for every line read: its id, its side or why it was dropped; no text
quarantine.jsonl    what could not be read, raw; mode 0600
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError
from tunesmith.core.files import read_json, read_jsonl, whole_folder, write_json, write_jsonl
from tunesmith.core.hashing import digest, digest_file
from tunesmith.core.rows import Message, Row
from tunesmith.data.config import Task
from tunesmith.data.formats import BadLine

SIDES = ("train", "select", "calibrate", "test")
_SCHEMA = 1


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
    sides: dict[str, list[Row]]
    """train, select, calibrate and test."""
    waterfall: list[dict[str, Any]]
    """One entry a stage: stage, kept, changed, dropped, reasons, changes; kept + dropped is what came in."""
    notes: tuple[str, ...]
    """What a person should know, a sentence each."""
    path: str
    """Where the rows were read from, as the recipe says."""
    id: str = field(default="")
    """64 hex digits over task, sides and rows; computed where absent."""

    def __post_init__(self) -> None:
        if not self.id:
            object.__setattr__(self, "id", digest([self.task.value, {side: self.side_hash(side) for side in SIDES}]))

    def side_hash(self, side: str) -> str:
        """64 hex digits over the rows of one side; of `test`, what openings are counted by."""
        return digest([_content(row) for row in self.sides[side]])

    def counts(self) -> dict[str, int]:
        """Rows of each side."""
        return {side: len(self.sides[side]) for side in SIDES}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A dataset, with what became of every line read."""

    dataset: Dataset
    outcomes: Sequence[Mapping[str, Any]]
    """One entry for every line read: id, source, fate, stage, reason, changes."""
    quarantine: Sequence[BadLine]

    def write(self, folder: Path) -> None:
        """Write all of it, whole or not at all."""
        write_dataset(self.dataset, folder, self.outcomes, self.quarantine)


def write_dataset(dataset: Dataset, folder: Path, outcomes: Iterable[Mapping[str, Any]] = (), quarantine: Iterable[BadLine] = ()) -> None:
    """Write a dataset's folder, whole or not at all; an earlier one at the same place is replaced."""
    with whole_folder(folder) as inside:
        for side in SIDES:
            write_jsonl(inside / f"{side}.jsonl", (_to_json(row) for row in dataset.sides[side]))
        write_jsonl(inside / "outcomes.jsonl", outcomes)
        _write_private(inside / "quarantine.jsonl", quarantine)
        files = sorted(file.name for file in inside.iterdir() if file.suffix == ".jsonl")
        head = {
            "schema": _SCHEMA,
            "id": dataset.id,
            "task": dataset.task.value,
            "format": dataset.format,
            "mapping": dataset.mapping,
            "labels": dataset.labels,
            "sides": dataset.counts(),
            "waterfall": dataset.waterfall,
            "notes": list(dataset.notes),
            "path": dataset.path,
            "files": {name: digest_file(inside / name) for name in files},
        }
        write_json(inside / "dataset.json", head)


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
        sides = {side: [_from_json(value) for value in read_jsonl(folder / f"{side}.jsonl")] for side in SIDES}
        dataset = Dataset(
            task=Task(head["task"]),
            format=head["format"],
            mapping=head["mapping"],
            labels=head["labels"],
            sides=sides,
            waterfall=head["waterfall"],
            notes=tuple(head["notes"]),
            path=head["path"],
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(folder, f"dataset.json lacks {error}") from error
    if dataset.id != head["id"]:
        raise _damaged(folder, "its rows don't give the id it states")
    return dataset


def _damaged(folder: Path, why: str) -> DataError:
    return DataError(f"The dataset in {folder} is damaged: {why}; delete that folder and prepare the rows again.")


def _write_private(path: Path, lines: Iterable[BadLine]) -> None:
    """Raw lines, readable by their owner alone from the first byte on."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
        for line in lines:
            entry = {"file": line.file, "line": line.number, "reason": line.reason, "raw": line.raw}
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")


def _content(row: Row) -> list[Any]:
    """What of a row counts for the dataset's identity: not where it was read from."""
    words = [row.id, [[turn.role, turn.content] for turn in row.prompt], row.answer, row.rejected, dict(row.fields)]
    beside = _beside(row)
    return [*words, beside] if beside else words


def _beside(row: Row) -> dict[str, Any]:
    """What a row holds beside its words; empty for a plain row, whose file and hash are as they were before there was any."""
    return row.target() | ({"weight": row.weight} if row.weight != 1.0 else {})


def _to_json(row: Row) -> dict[str, Any]:
    return {
        "id": row.id,
        "prompt": [{"role": turn.role, "content": turn.content} for turn in row.prompt],
        "answer": row.answer,
        "rejected": row.rejected,
        "source": row.source,
        "fields": dict(row.fields),
        **_beside(row),
    }


def _from_json(value: Mapping[str, Any]) -> Row:
    prompt = tuple(Message(turn["role"], turn["content"]) for turn in value["prompt"])
    return Row(
        id=value["id"],
        prompt=prompt,
        answer=value["answer"],
        rejected=value["rejected"],
        source=value["source"],
        fields=value["fields"],
        labels=None if "labels" not in value else tuple(value["labels"]),
        value=value.get("value"),
        tags=None if "tags" not in value else tuple((start, end, label) for start, end, label in value["tags"]),
        wanted=value.get("wanted"),
        weight=value.get("weight", 1.0),
    )
