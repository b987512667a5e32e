"""Rows held out of training by an earlier dataset, taken over exactly: the same test set for a model and for those that come after it.

They are shown to the stages as files beside the new rows, so that what stands in them is dropped from training, and then put in place byte
for byte, whatever the stages would have made of them. So their hash stays, and openings of the test set are counted on.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError, RecipeError
from tunesmith.core.files import home_path, write_jsonl
from tunesmith.core.hashing import digest_file
from tunesmith.core.rows import Message, Row
from tunesmith.data.checks import labels_of
from tunesmith.data.config import DataConfig, Task
from tunesmith.data.dataset import Dataset, Prepared, Sides, SideWriter, write_head
from tunesmith.data.split import SIDES

_OF_EACH_LOST = 8
HELD_OUT = tuple(side for side in SIDES if side != "train")


def held_out_content(folder: str) -> str:
    """Hash of what a dataset's folder holds. RecipeError where it is none."""
    head = home_path(folder) / "dataset.json"
    if not head.is_file():
        raise RecipeError(f"data.held_out is {folder}, which is no dataset's folder: name one that `tunesmith prepare` or a round made.")
    return digest_file(head)


def beside(config: DataConfig, former: Dataset, folder: Path) -> DataConfig:
    """The config with the former dataset's held-out rows as files supplied apart, written into `folder`.

    Raises:
        DataError: rows of a task that can't be written as a file.
    """
    task, by = former.task, config.split.by
    validation = plain_rows([*former.sides["select"], *former.sides["calibrate"]], task, config.instruction, by)
    test = plain_rows(former.sides["test"], task, config.instruction, by)
    paths = {"validation_path": folder / "validation.jsonl", "test_path": folder / "test.jsonl"}
    for path, rows in zip(paths.values(), (validation, test), strict=True):
        write_jsonl(path, rows)
    return config.model_copy(update={name: str(path) for name, path in paths.items()} | {"held_out": None, "task": former.task})


def exactly(prepared: Prepared, former: Dataset) -> Prepared:
    """The prepared rows with the former dataset's held-out sides in place of what became of them.

    Raises:
        DataError: nothing is left to train on.
    """
    made, folder = prepared.dataset, prepared.folder
    if not made.counts()["train"]:
        raise DataError("No row is left to train on beside those held out: give rows that differ from them.")
    for side in HELD_OUT:
        _copy(former.sides[side], folder, side)
    hashes = dict(made.hashes) | {side: former.side_hash(side) for side in HELD_OUT}
    counts = made.counts() | {side: former.counts()[side] for side in HELD_OUT}
    notes = made.notes
    if made.task is Task.CLASSIFY and (lost := _lost(made, former)):
        hashes["train"] = _copy([*made.sides["train"], *lost], folder, "train")
        counts["train"] += len(lost)
        missed = ", ".join(sorted({row.answer for row in lost}))
        notes = (*notes, f"No row of {missed} is among the new ones: {len(lost)} training rows of the earlier dataset stand in for them.")
    sides = Sides(folder, counts, prepared.scratch)
    labels = (
        Counter(label for side in SIDES for row in sides.each(side) for label in labels_of(row, made.task)) if made.labels else Counter()
    )
    dataset = replace(made, sides=sides, hashes=hashes, labels=dict(sorted(labels.items())), notes=notes, id="")
    write_head(folder, dataset)
    return replace(prepared, dataset=dataset)


def _lost(made: Dataset, former: Dataset) -> list[Row]:
    """Training rows of labels that the former dataset taught and the new one would not: a model must not forget that they exist."""
    known = {row.answer for row in made.sides["train"]}
    taken: Counter[str] = Counter()
    found = []
    for row in former.sides["train"]:
        if row.answer not in known and taken[row.answer] < _OF_EACH_LOST:
            taken[row.answer] += 1
            found.append(row)
    return found


def _copy(rows: Iterable[Row], folder: Path, side: str) -> str:
    """Write the rows of a side; returns their hash."""
    rows = list(rows)  # they may be read from the file that is written
    (folder / f"{side}.jsonl").unlink(missing_ok=True)  # it may be a hard link
    writer = SideWriter(folder, side)
    for row in rows:
        writer.add(row)
    return writer.close()


def plain_rows(rows: Sequence[Row], task: Task, instruction: str | None, by: str | None = None) -> list[dict[str, Any]]:
    """Rows as JSON values that are read back as the same rows: text and label where all are so, else messages.

    Args:
        rows: of one dataset.
        task: classify or generate.
        instruction: the recipe's, which every row gets again where it is read.
        by: the column that groups rows, which goes along.

    Raises:
        DataError: another task.
    """
    if task not in (Task.CLASSIFY, Task.GENERATE):
        raise DataError(f"Rows of the task {task} can't be taken over from a dataset: only those of classify and generate can.")
    turns = [_own_turns(row.prompt, instruction) for row in rows]
    groups = [{} if by is None else {by: row.fields.get(by)} for row in rows]
    if task is Task.CLASSIFY and all(is_plain(one) for one in turns):
        return [group | {"text": one[0].content, "label": row.answer} for one, row, group in zip(turns, rows, groups, strict=True)]
    return [group | {"messages": in_messages(one, row.answer)} for one, row, group in zip(turns, rows, groups, strict=True)]


def is_plain(turns: Sequence[Message]) -> bool:
    """Whether there is nothing but one message of the user."""
    return len(turns) == 1 and turns[0].role == "user"


def in_messages(turns: Iterable[Message], answer: str) -> list[dict[str, str]]:
    """A conversation with its answer, as JSON."""
    return [*({"role": turn.role, "content": turn.content} for turn in turns), {"role": "assistant", "content": answer}]


def _own_turns(turns: tuple[Message, ...], instruction: str | None) -> tuple[Message, ...]:
    """Without the recipe's instruction, which would be put before them once more."""
    return turns[1:] if instruction is not None and turns[:1] == (Message("system", instruction),) else turns
