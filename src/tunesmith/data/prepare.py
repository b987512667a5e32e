"""From the recipe's `data` section to a dataset: the stages in order, every row accounted for. Reads files, writes none."""

import time
from collections import Counter
from dataclasses import dataclass, replace

from tunesmith.core.errors import DataError, RecipeError
from tunesmith.core.progress import Ended, Listener, Said, Started, silent
from tunesmith.core.rows import Row
from tunesmith.core.seeds import derive_seed
from tunesmith.data import checks
from tunesmith.data.config import DataConfig, ReadConfig, Task
from tunesmith.data.dataset import SIDES, Dataset, Prepared
from tunesmith.data.dedup import dedup
from tunesmith.data.fill import fill
from tunesmith.data.forms import printable
from tunesmith.data.instruct import instruct
from tunesmith.data.leak import leak
from tunesmith.data.normalise import normalise
from tunesmith.data.read import ReadResult, read
from tunesmith.data.sample import at_most
from tunesmith.data.split import assign, shares_of, split
from tunesmith.data.waterfall import Account

Parts = dict[str, list[Row]]
"""Rows by the file they came from: `train`, and `validation` and `test` where these were supplied."""
_HALVES = {"select": 0.5, "calibrate": 0.5}


@dataclass(frozen=True, slots=True)
class _Job:
    """What every step needs to know."""

    config: DataConfig
    seed: int
    account: Account
    task: Task
    judged: bool
    """Whether single answers are marked as wanted or not, instead of pairs."""

    @property
    def classify(self) -> bool:
        """Whether answers are labels."""
        return self.task is Task.CLASSIFY

    @property
    def stratified(self) -> bool:
        """Whether rows are of kinds that every side should hold its share of."""
        return self.task in (Task.CLASSIFY, Task.MULTILABEL, Task.REGRESS) or (self.task is Task.PREFER and self.judged)

    def assigned(self, rows: list[Row], shares: dict[str, float]) -> dict[str, str | None]:
        """Row id -> side."""
        seed, by = derive_seed(self.seed, "split"), self.config.split.by
        sides = assign(rows, shares, seed, by=by, stratified=self.stratified)
        return {row.id: side for row, side in zip(rows, sides, strict=True)}


def prepare(config: DataConfig, seed: int, listen: Listener = silent) -> Prepared:
    """Read, clean, check, divide and sample the rows that a recipe names.

    Args:
        config: the recipe's `data` section.
        seed: the recipe's seed; split and samples each derive their own from it.
        listen: told of each stage, of what was guessed, and of what a person should know.

    Raises:
        RecipeError: a path, a column or a task that isn't there.
        DataError: the rows can't serve: unreadable, all of one class, too few for every side.
        MachineError: a file may not be read.
    """
    results = _read_all(config, listen)
    main, account = results["train"], Account(listen)
    for result in results.values():
        account.read(result.rows, result.bad)
    shown = ", ".join(f"{role}: {printable(column)}" for role, column in main.mapping.items())
    listen(Said(f"{config.path}: {len(main.rows):,} rows of the form {main.format} ({shown}), task {main.task.value}"))
    job = _Job(config, seed, account, main.task, any(row.wanted is not None for row in main.rows[:1]))
    checks.check_config(config, main)
    parts = _unleaked(job, _clean(job, results))
    contradictions = checks.contradiction_notes(parts["train"], config.dedup, main.task)
    sides = _instructed(job, _sampled(job, _divided(job, parts)))
    notes = [note for result in results.values() for note in result.notes] + contradictions
    notes += checks.side_notes(sides, main.task)
    for note in notes:
        listen(Said(note, warning=True))
    labels = Counter(label for rows in sides.values() for row in rows for label in checks.labels_of(row, main.task))
    dataset = Dataset(
        task=main.task,
        format=main.format,
        mapping=main.mapping,
        labels=dict(sorted(labels.items())),
        sides=sides,
        waterfall=account.stages(),
        notes=tuple(notes),
        path=config.path,
    )
    return Prepared(dataset, account.fates(sides), account.bad)


def _read_all(config: DataConfig, listen: Listener) -> dict[str, ReadResult]:
    """Each file read; those supplied apart like the first, where they have its columns."""
    started = time.monotonic()
    listen(Started("read", unit="files"))
    main = read(config.path, config.read, config.task)
    alike = config.read.model_copy(update={"columns": main.mapping, "label_separator": main.separator or config.read.label_separator})
    results = {"train": main}
    seen: Counter[str] = Counter()
    for name, path in (("validation", config.validation_path), ("test", config.test_path)):
        if path is not None:
            results[name] = _read_alike(path, alike, config.read, main.task, seen)
    if len(results) > 1:
        results["train"] = replace(main, rows=[_renumbered(row, seen) for row in main.rows])
    listen(Ended("read", time.monotonic() - started))
    return results


def _read_alike(path: str, alike: ReadConfig, own: ReadConfig, task: Task, seen: Counter[str]) -> ReadResult:
    try:
        return read(path, alike, task, seen=seen)
    except RecipeError:  # its columns have other names: let it be recognised by itself
        return read(path, own, task, seen=seen)


def _renumbered(row: Row, seen: Counter[str]) -> Row:
    """The row with its turn counted after those of equal content in the files supplied apart."""
    key, _, turn = row.id.partition("-")
    return replace(row, id=f"{key}-{int(turn or 1) + seen[key]}") if seen[key] else row


def _clean(job: _Job, results: dict[str, ReadResult]) -> Parts:
    """Every part normalised, and without rows that lack a value."""
    parts: Parts = {}
    for name, result in results.items():
        part = "" if name == "train" else name
        rows = job.account.follow("normalise", result.rows, normalise(result.rows, job.config.normalise), part)
        parts[name] = job.account.follow("fill", rows, fill(rows, result.mapping), part)
        if not parts[name]:
            raise DataError(f"No row of {result.source} is left after cleaning ({job.account.why()}): look at its columns.")
    return parts


def _unleaked(job: _Job, parts: Parts) -> Parts:
    """From each part, what stands in one that judges it is dropped: train by validation and test, validation by test."""
    if len(parts) == 1:
        return parts
    account, by = job.account, job.config.split.by
    tests = {"test": parts["test"]} if "test" in parts else {}
    judges = tests | ({"validation": parts["validation"]} if "validation" in parts else {})
    kept = {"train": account.follow("leak", parts["train"], leak(parts["train"], judges, by))}
    if "validation" in parts:
        kept["validation"] = account.follow("leak", parts["validation"], leak(parts["validation"], tests, by), "validation")
    if "test" in parts:
        kept["test"] = account.untouched("leak", parts["test"])
    for name, rows in kept.items():
        if not rows:
            raise DataError(f"Every row of {name} also stands in {' or '.join(judges)}: supply rows that differ.")
    return kept


def _divided(job: _Job, parts: Parts) -> Parts:
    """Rows on their sides. These are settled before repeats go, so that a contradiction that comes later moves no row.

    Rows supplied for validation and test keep their repeats: they are scored as they were given.
    """
    account, train = job.account, parts["train"]
    shares = shares_of(
        None if "validation" in parts else job.config.split.validation,
        None if "test" in parts else job.config.split.test,
    )
    side_of = job.assigned(train, shares)
    train = account.follow("dedup", train, dedup(train, job.config.dedup))
    for name in ("validation", "test"):
        account.untouched("dedup", parts.get(name, []))
    checks.check_classes(train, job.task, account)
    checks.check_marks(train, job.task)
    train = account.follow("split", train, split(train, side_of))
    sides: Parts = {side: [row for row in train if side_of[row.id] == side] for side in SIDES}
    if "validation" in parts:
        side_of = job.assigned(parts["validation"], _HALVES)
        rows = account.follow("split", parts["validation"], split(parts["validation"], side_of), "validation")
        sides |= {side: [row for row in rows if side_of[row.id] == side] for side in _HALVES}
    if "test" in parts:
        sides["test"] = account.untouched("split", parts["test"])
    checks.check_sides(sides, shares, job.config, job.task)
    return sides


def _sampled(job: _Job, sides: Parts) -> Parts:
    """Fewer rows to train on and to score, where the recipe asks for fewer."""
    config, account, seed = job.config, job.account, derive_seed(job.seed, "sample")
    if config.rows is None and config.rows_per_label is None and config.test_rows is None:
        return sides
    train, test = sides["train"], sides["test"]
    outcomes = at_most(train, count=config.rows, per_label=config.rows_per_label, seed=seed, stratified=job.classify)
    kept = sides | {"train": account.follow("sample", train, outcomes)}
    kept["test"] = account.follow("sample", test, at_most(test, count=config.test_rows, seed=seed, stratified=job.classify), "test")
    for side in ("select", "calibrate"):
        account.untouched("sample", sides[side])
    return kept


def _instructed(job: _Job, sides: Parts) -> Parts:
    """The recipe's system message before every row that has none."""
    text = job.config.instruction
    if text is None:
        return sides
    return {side: job.account.follow("instruct", rows, instruct(rows, text), side) for side, rows in sides.items()}
