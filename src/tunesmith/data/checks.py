"""What rows must be to serve a round, and what a person should know of them."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from tunesmith.core.errors import DataError, RecipeError, did_you_mean
from tunesmith.core.rows import Row
from tunesmith.data.config import DataConfig, DedupConfig, Task
from tunesmith.data.dedup import conflicting
from tunesmith.data.fold import fold, text_key
from tunesmith.data.leak import group_of
from tunesmith.data.read import ReadResult
from tunesmith.data.split import rows_needed
from tunesmith.data.waterfall import Account

_SHOWN = 5
_SUPPLIED = {"validation_path": {"select", "calibrate"}, "test_path": {"test"}}


def check_config(config: DataConfig, main: ReadResult) -> None:
    """RecipeError where the section asks for what these rows don't have."""
    if config.rows_per_label is not None and main.task is not Task.CLASSIFY:
        raise RecipeError(
            f"data.rows_per_label needs labels, and the task is {main.task.value}: use data.rows, or set data.task: classify."
        )
    by = config.split.by
    if by is None or any(by in row.fields for row in main.rows):
        return
    if by in main.mapping.values():
        raise RecipeError(
            f"data.split.by: {by!r} is what rows are made of; rows of the same text are never divided anyway, so leave it out."
        )
    columns = sorted({column for row in main.rows[:1000] for column in row.fields})
    near = did_you_mean(by, columns) or " There are no other columns."
    raise RecipeError(f"data.split.by: {config.path} has no column {by!r}.{near}")


def check_classes(rows: Sequence[Row], task: Task, account: Account) -> None:
    """DataError where no row is left, or all carry one label."""
    if not rows:
        raise DataError(f"No row is left to train on ({account.why()}).")
    if task not in _ALIKE:
        return
    answers = {str(row.target() or row.answer) for row in rows}
    if len(answers) < 2:
        alike, needed = _ALIKE[task]
        raise DataError(f"All {len(rows):,} rows {alike.format(rows[0].answer[:80])}: {needed}.")


_ALIKE = {
    Task.CLASSIFY: ("carry one label, {!r}", "classification needs at least two; add rows of another, or set data.task: generate"),
    Task.MULTILABEL: ("carry the same labels, {!r}", "there is nothing to tell apart; add rows of others"),
    Task.REGRESS: ("hold one number, {}", "there is nothing to tell apart; add rows of others"),
}
"""What rows may not all have in common, and the next move."""


def check_marks(rows: Sequence[Row], task: Task) -> None:
    """DataError where no row has a span, or all judged answers were judged alike."""
    if task is Task.TAG and not any(row.tags for row in rows):
        raise DataError(f"None of the {len(rows):,} rows has a span: there is nothing to find; look at data.read.columns.")
    if task is Task.PREFER and len({row.wanted for row in rows}) == 1 and rows[0].wanted is not None:
        kind = "wanted" if rows[0].wanted else "unwanted"
        raise DataError(
            f"All {len(rows):,} answers are {kind}: learning what to give needs both kinds; add rows of the other"
            + (", or set data.task: generate." if rows[0].wanted else ".")
        )


def labels_of(row: Row, task: Task) -> tuple[str, ...]:
    """The labels that a row carries, each once; none where the task has none."""
    if task is Task.TAG:
        return tuple(sorted({label for _, _, label in row.tags or ()}))
    return (row.answer,) if task is Task.CLASSIFY else row.labels or ()


def check_sides(sides: Mapping[str, Sequence[Row]], shares: Mapping[str, float], config: DataConfig, task: Task) -> None:
    """DataError where a side got no row, with how many it would take."""
    empty = [side for side, rows in sides.items() if not rows]
    if not empty:
        return
    given = {"validation_path": config.validation_path, "test_path": config.test_path}
    for name, sides_of in _SUPPLIED.items():
        if given[name] is not None and sides_of & set(empty):
            raise DataError(f"data.{name} holds too few rows to fill {' and '.join(empty)}: supply at least two of different texts.")
    rows = [row for side in shares for row in sides[side]]
    unit = "texts" if config.split.by is None else f"values of {config.split.by!r}"
    count = len({group_of(row, config.split.by) or text_key(row) for row in rows})
    labels = f" of {len({row.answer for row in rows}):,} labels" if task is Task.CLASSIFY else ""
    more = ", and at least two of each label" if task is Task.CLASSIFY else ""
    raise DataError(
        f"{config.path}: {count:,} different {unit}{labels} are too few to divide: none is left for {' and '.join(empty)}. "
        f"About {rows_needed(shares):,} are needed for these shares{more}; add rows, or raise data.split.validation and data.split.test."
    )


def contradiction_notes(rows: Sequence[Row], config: DedupConfig, task: Task) -> list[str]:
    """How many prompts have more than one answer."""
    against = conflicting(rows)
    if not against:
        return []
    held = sum(text_key(row) in against for row in rows)
    if task is Task.CLASSIFY:
        done = "dropped" if config.conflicts == "drop" else "kept; data.dedup.conflicts: drop drops them"
        return [f"{len(against):,} texts carry more than one label ({held:,} rows, {done})."]
    done = "dropped" if config.conflicts == "drop" else "kept"
    return [f"{len(against):,} prompts have more than one answer ({held:,} rows, {done})."]


def side_notes(sides: Mapping[str, Sequence[Row]], task: Task) -> list[str]:
    """Labels that can't be learnt or can't be measured, and labels that are spelt in more than one way."""
    notes = []
    train, unseen = (Counter(label for row in sides[side] for label in labels_of(row, task)) for side in ("train", "test"))
    judged = Counter(label for side in ("select", "calibrate", "test") for row in sides[side] for label in labels_of(row, task))
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
            notes.append(f"Labels that differ only in case or spaces are taken as different: {', '.join(map(repr, sorted(ways)))}.")
    return notes


def _named(labels: Mapping[str, int] | Sequence[str]) -> str:
    shown = ", ".join(repr(label[:40]) for label in sorted(labels)[:_SHOWN])
    return f"{len(labels):,} {'label has' if len(labels) == 1 else 'labels have'} ({shown}{', ...' if len(labels) > _SHOWN else ''})"
