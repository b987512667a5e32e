"""What rows must be to serve a round, and what a person should know of them."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from tunesmith.core.errors import DataError, RecipeError, did_you_mean
from tunesmith.core.rows import Row
from tunesmith.data.config import DataConfig, Task
from tunesmith.data.dedup import conflicting
from tunesmith.data.fold import fold
from tunesmith.data.quoting import shown_label
from tunesmith.data.read import Reading
from tunesmith.data.settings.dedup import DedupConfig
from tunesmith.data.split import SIDES, UNTIMED, rows_needed
from tunesmith.data.table import MARKED, UNWANTED, WANTED, Columns

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Mask = npt.NDArray[np.bool_]

_SHOWN = 5
_SUPPLIED = {"validation_path": {"select", "calibrate"}, "test_path": {"test"}}


def check_config(config: DataConfig, main: Reading) -> None:
    """RecipeError where the section asks for what these rows don't have."""
    if config.rows_per_label is not None and main.task is not Task.CLASSIFY:
        raise RecipeError(
            f"data.rows_per_label needs labels, and the task is {main.task.value}: use data.rows, or set data.task: classify."
        )
    for name, column in (("by", config.split.by), ("time", config.split.time)):
        if column is None or column in main.columns:
            continue
        if column in main.mapping.values():
            raise RecipeError(
                f"data.split.{name}: {column!r} is what rows are made of; rows of the same text are never divided anyway, so leave it out."
            )
        near = did_you_mean(column, sorted(main.columns)) or " There are no other columns."
        raise RecipeError(f"data.split.{name}: {config.path} has no column {column!r}.{near}")


def check_classes(columns: Columns, alive_N: "Mask", task: Task, some: Callable[[int], Row], why: str) -> None:
    """DataError where no row is left, or all ask for one thing. `some` gives a row by ordinal, `why` the reasons rows were dropped for."""
    living = alive_N.nonzero()[0]
    if not len(living):
        raise DataError(f"No row is left to train on ({why}).")
    if task in _ALIKE and (columns.answer[living] == columns.answer[living[0]]).all():
        alike, needed = _ALIKE[task]
        raise DataError(f"All {len(living):,} rows {alike.format(some(int(living[0])).answer[:80])}: {needed}.")


_ALIKE = {
    Task.CLASSIFY: ("carry one label, {!r}", "classification needs at least two; add rows of another, or set data.task: generate"),
    Task.MULTILABEL: ("carry the same labels, {!r}", "there is nothing to tell apart; add rows of others"),
    Task.REGRESS: ("hold one number, {}", "there is nothing to tell apart; add rows of others"),
}
"""What rows may not all have in common, and the next move."""


def check_marks(columns: Columns, alive_N: "Mask", task: Task) -> None:
    """DataError where no row has a span, or all judged answers were judged alike."""
    count = int(alive_N.sum())
    if task is Task.TAG and not (columns.has(MARKED) & alive_N).any():
        raise DataError(f"None of the {count:,} rows has a span: there is nothing to find; look at data.read.columns.")
    if task is not Task.PREFER:
        return
    for flag, kind, more in ((WANTED, "wanted", ", or set data.task: generate."), (UNWANTED, "unwanted", ".")):
        if columns.has(flag)[alive_N].all():
            raise DataError(f"All {count:,} answers are {kind}: learning what to give needs both kinds; add rows of the other{more}")


def labels_of(row: Row, task: Task) -> tuple[str, ...]:
    """The labels that a row carries, each once; none where the task has none."""
    if task is Task.TAG:
        return tuple(sorted({label for _, _, label in row.tags or ()}))
    return (row.answer,) if task is Task.CLASSIFY else row.labels or ()


def check_sides(sides_N: "npt.NDArray[np.int8]", columns: Columns, shares: Mapping[str, float], config: DataConfig, task: Task) -> None:
    """DataError where a side got no row, with how many it would take. Legend: N rows."""
    import numpy as np

    empty = [side for place, side in enumerate(SIDES) if not (sides_N == place).any()]
    if not empty:
        return
    given = {"validation_path": config.validation_path, "test_path": config.test_path}
    for name, sides_of in _SUPPLIED.items():
        if given[name] is not None and sides_of & set(empty):
            raise DataError(f"data.{name} holds too few rows to fill {' and '.join(empty)}: supply at least two of different texts.")
    if config.split.time is not None:
        _check_times(sides_N, columns, config, empty)
    divided = np.isin(sides_N, [SIDES.index(side) for side in shares])
    unit = "texts" if config.split.by is None else f"values of {config.split.by!r}"
    count = len(np.unique(np.where(columns.group != 0, columns.group, columns.text)[divided]))
    labels = f" of {len(np.unique(columns.answer[divided])):,} labels" if task is Task.CLASSIFY else ""
    more = ", and at least two of each label" if task is Task.CLASSIFY else ""
    raise DataError(
        f"{config.path}: {count:,} different {unit}{labels} are too few to divide: none is left for {' and '.join(empty)}. "
        f"About {rows_needed(shares):,} are needed for these shares{more}; add rows, or raise data.split.validation and data.split.test."
    )


def _check_times(sides_N: "npt.NDArray[np.int8]", columns: Columns, config: DataConfig, empty: Sequence[str]) -> None:
    """DataError where it is the times that leave a side without rows: they can't be read, or are too few to divide at."""
    import numpy as np

    unread = int((sides_N == UNTIMED).sum())
    times = len(np.unique(columns.time[np.isfinite(columns.time)]))
    if unread:
        raise DataError(
            f"{config.path}: data.split.time is {config.split.time!r}, and {unread:,} of {len(sides_N):,} rows hold no time there that can be read "
            f"(2026-11-21, 2026-11-21T08:30:00Z, seconds since 1970): none is left for {' and '.join(empty)}. Write the times so, or name another column."
        )
    if times < 2 * len(SIDES):
        raise DataError(
            f"{config.path}: data.split.time is {config.split.time!r}, and its rows hold only {times:,} different times: "
            f"none is left for {' and '.join(empty)}. Name a finer column, or leave data.split.time out."
        )


def contradiction_notes(columns: Columns, alive_N: "Mask", config: DedupConfig, task: Task) -> list[str]:
    """How many prompts have more than one answer."""
    import numpy as np

    against_N = conflicting(columns, alive_N)
    held = int(against_N.sum())
    if not held:
        return []
    prompts = len(np.unique(columns.text[against_N]))
    done = {"drop": "dropped", "majority": "the commonest answer kept"}.get(config.conflicts, "kept")
    if task is Task.CLASSIFY:
        done = done if done != "kept" else "kept; data.dedup.conflicts: drop drops them"
        return [f"{prompts:,} texts carry more than one label ({held:,} rows, {done})."]
    return [f"{prompts:,} prompts have more than one answer ({held:,} rows, {done})."]


def side_notes(labels: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Labels that can't be learnt or can't be measured, and labels that are spelt in more than one way; `labels` counts them by side."""
    notes = []
    train, unseen = Counter(labels["train"]), Counter(labels["test"])
    judged = sum((Counter(labels[side]) for side in ("select", "calibrate", "test")), Counter())
    unknown = {label: count for label, count in judged.items() if label not in train}
    if unknown:
        rows = sum(unknown.values())
        notes.append(f"{_named(unknown)} no row in train but {rows:,} in validation or test: these can't be learnt, and count as they are.")
    untested = [label for label in train if label not in unseen]
    if untested:
        notes.append(f"{_named(untested)} no row in test, so the figures say nothing of them.")
    spellings: dict[str, set[str]] = defaultdict(set)
    for label in (*train, *judged):
        spellings[fold(label)].add(label)
    for ways in spellings.values():
        if len(ways) > 1:
            notes.append(
                f"Labels that differ only in case or spaces are taken as different: {', '.join(repr(shown_label(way)) for way in sorted(ways))}."
            )
    return notes


def _named(labels: Mapping[str, int] | Sequence[str]) -> str:
    shown = ", ".join(f"'{shown_label(label, 40)}'" for label in sorted(labels)[:_SHOWN])
    return f"{len(labels):,} {'label has' if len(labels) == 1 else 'labels have'} ({shown}{', ...' if len(labels) > _SHOWN else ''})"
