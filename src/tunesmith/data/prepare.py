"""From the recipe's `data` section to a dataset: the stages in order, every row accounted for. Reads files, writes none."""

from collections import Counter
from dataclasses import dataclass, replace
from itertools import chain

from tunesmith.core.errors import DataError, RecipeError, did_you_mean
from tunesmith.core.progress import Ended, Listener, Said, Started, silent
from tunesmith.core.rows import Row
from tunesmith.core.seeds import derive_seed
from tunesmith.data.config import DataConfig, ReadConfig, Task
from tunesmith.data.dataset import SIDES, Dataset, Prepared
from tunesmith.data.dedup import conflicting, dedup
from tunesmith.data.fill import fill
from tunesmith.data.instruct import instruct
from tunesmith.data.leak import group_of, leak
from tunesmith.data.normalise import normalise
from tunesmith.data.read import ReadResult, read
from tunesmith.data.sample import at_most, at_most_per_label
from tunesmith.data.split import assign, rows_needed, shares_of, split
from tunesmith.data.waterfall import Account

Parts = dict[str, list[Row]]
"""The rows of each file supplied: `train`, and `validation` and `test` where they were given."""


@dataclass(frozen=True, slots=True)
class _Job:
    """What every step needs to know."""

    config: DataConfig
    seed: int
    account: Account
    main: ReadResult

    @property
    def task(self) -> Task:
        """The recipe's, or guessed."""
        return self.main.task

    @property
    def classify(self) -> bool:
        """Whether answers are labels."""
        return self.task is Task.CLASSIFY


def prepare(config: DataConfig, seed: int, listen: Listener = silent) -> Prepared:
    """Read, clean, check, divide and sample the rows that a recipe names.

    Args:
        config: the recipe's `data` section.
        seed: the recipe's seed; split and samples each derive their own from it.
        listen: told of each stage, and of what was guessed.

    Raises:
        RecipeError: a path, a column or a task that isn't there.
        DataError: the rows can't serve: unreadable, all of one class, too few for four sides.
        MachineError: a file may not be read.
    """
    listen(Started("read"))
    results = _read_all(config)
    account = Account(listen)
    for result in results.values():
        account.read(result.rows, result.bad)
    main = results["train"]
    shown = ", ".join(f"{role}: {column}" for role, column in main.mapping.items())
    listen(Ended("read", 0.0))
    listen(Said(f"{config.path}: {len(main.rows):,} rows of the form {main.format} ({shown}), task {main.task.value}"))
    job = _Job(config, derive_seed(seed, "data"), account, main)
    parts = _clean(job, results)
    notes = [note for result in results.values() for note in result.notes] + _conflict_notes(job, parts["train"])
    sides = _sample(job, _divide(job, parts))
    _check_sides(job, sides, parts)
    if config.instruction:
        sides = {side: account.follow("instruct", len(rows), instruct(rows, config.instruction)) for side, rows in sides.items()}
    notes += _label_notes(job, sides)
    for note in notes:
        listen(Said(note, warning=True))
    dataset = Dataset(
        task=job.task,
        format=main.format,
        mapping=main.mapping,
        labels=dict(sorted(Counter(row.answer for row in chain(*sides.values())).items())) if job.classify else {},
        sides=sides,
        waterfall=account.stages(),
        notes=tuple(notes),
        path=config.path,
    )
    return Prepared(dataset, account.fates(sides), account.bad)


def _read_all(config: DataConfig) -> dict[str, ReadResult]:
    """Each file read; those supplied apart in the form of the first, where they have its columns."""
    main = read(config.path, config.read, config.task)
    results = {"train": main}
    seen: Counter[str] = Counter()
    alike = config.read.model_copy(update={"columns": main.mapping})
    for name, path in (("test", config.test_path), ("validation", config.validation_path)):
        if path is not None:
            results[name] = _read_alike(path, alike, config.read, main.task, seen)
    if seen:
        results["train"] = replace(main, rows=[_renumbered(row, seen) for row in main.rows])
    return results


def _read_alike(path: str, alike: ReadConfig, plain: ReadConfig, task: Task, seen: Counter[str]) -> ReadResult:
    try:
        return read(path, alike, task, seen=seen)
    except RecipeError:
        return read(path, plain, task, seen=seen)


def _renumbered(row: Row, seen: Counter[str]) -> Row:
    """The row with its turn counted after those of equal content in the files supplied apart."""
    key, _, turn = row.id.partition("-")
    return replace(row, id=f"{key}-{int(turn or 1) + seen[key]}") if seen[key] else row


def _clean(job: _Job, results: dict[str, ReadResult]) -> Parts:
    """Normalise and fill every part, and drop from each what stands in one that judges it."""
    config, account = job.config, job.account
    parts: Parts = {}
    for name, result in results.items():
        rows = account.follow("normalise", len(result.rows), normalise(result.rows, config.normalise))
        parts[name] = account.follow("fill", len(rows), fill(rows, result.mapping))
        if not parts[name]:
            raise DataError(f"No row of {_path_of(config, name)} is left after the stages normalise and fill: {_why(account)}.")
    by = config.split.by
    if by is not None:
        _check_by(by, job.main)
    if len(parts) > 1:
        judges = {name: parts[name] for name in ("test", "validation") if name in parts}
        parts["train"] = account.follow("leak", len(parts["train"]), leak(parts["train"], judges, by))
        if "validation" in parts:
            tests = {"test": parts["test"]} if "test" in parts else {}
            parts["validation"] = account.follow("leak", len(parts["validation"]), leak(parts["validation"], tests, by))
        if "test" in parts:
            parts["test"] = account.follow("leak", len(parts["test"]), leak(parts["test"], {}, by))
    return parts


def _divide(job: _Job, parts: Parts) -> Parts:
    """Rows on their sides. Sides are settled before repeats are dropped, so that a contradiction found later moves nothing."""
    config, account, by = job.config, job.account, job.config.split.by
    shares = shares_of(
        None if "validation" in parts else config.split.validation,
        None if "test" in parts else config.split.test,
    )
    side_of = _assigned(job, parts["train"], shares)
    rows = account.follow("dedup", len(parts["train"]), dedup(parts["train"], config.dedup))
    for name in ("validation", "test"):
        # What was supplied for judging is scored as it is, repeats included.
        account.follow("dedup", len(parts.get(name, ())), map(_kept, parts.get(name, ())))
    _check_classes(job, rows)
    rows = account.follow("split", len(rows), split(rows, side_of))
    sides: Parts = {side: [] for side in SIDES}
    for row in rows:
        sides[side_of[row.id] or "train"].append(row)
    if "validation" in parts:
        halves = _assigned(job, parts["validation"], {"select": 0.5, "calibrate": 0.5})
        for row in account.follow("split", len(parts["validation"]), split(parts["validation"], halves)):
            sides[halves[row.id] or "select"].append(row)
    if "test" in parts:
        sides["test"] = account.follow("split", len(parts["test"]), map(_kept, parts["test"]))
    _check_filled(job, sides, shares, by)
    return sides
