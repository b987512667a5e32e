"""The first passes: rows one by one, from their files through the stages that look at one row, into the spool and the table.

Twice through the disk: what a stage must know of all rows beforehand (how common a value is, how answers end) is counted on
the way in.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from tunesmith.core.errors import DataError
from tunesmith.core.progress import Advanced
from tunesmith.core.rows import Outcome, Row
from tunesmith.data.anonymise import anonymise
from tunesmith.data.config import Task
from tunesmith.data.fill import FillCount, fill
from tunesmith.data.filter.facts import FilterCount
from tunesmith.data.filter.stage import Rules, Suspicions, filter_rows, rules_of
from tunesmith.data.fold import Keys, keys_of, row_key
from tunesmith.data.formats import BadLine
from tunesmith.data.making import CHUNK, Making
from tunesmith.data.normalise import normalise
from tunesmith.data.personal import LOOKED, look
from tunesmith.data.read import Reading
from tunesmith.data.spool import Spool
from tunesmith.data.table import PARTS

SUSPECTED = 50_000
"""Rules that only count look at so many rows of the main file, the first ones."""
_NOTED = 0.01
"""A person is told of a rule that would drop more than this share."""

Stage = tuple[str, Callable[[list[Row]], Iterable[Outcome]]]
Taker = Callable[[list[Row], list[Keys]], None]
T = TypeVar("T")


def clean(making: Making, took: Taker) -> None:
    """Every file, read and cleaned.

    Args:
        making: gets the rows in its spool and table, and what became of the others in its account.
        took: told of the rows that go on, chunk by chunk, with their keys.

    Raises:
        RecipeError: a rule that can't be followed.
        DataError: a file is cut short, has too many bad lines, or no row of it is left.
    """
    rules_of(making.config.filter, making.task, None, making.config.labels or ())  # what is refused is refused before any work
    for name, reading in making.readings.items():
        before = len(making.table)
        _Part(making, name, reading).clean(took)
        making.notes.extend(reading.notes)
        if len(making.table) == before:
            raise DataError(f"No row of {reading.path} is left after cleaning ({making.account.why()}): look at its columns.")


class _Part:
    """One file on its way."""

    def __init__(self, making: Making, name: str, reading: Reading) -> None:
        self._making, self._name, self._reading = making, name, reading
        self._labels = tuple(making.config.labels or ())
        self._places = array("Q")
        self._seen = Spool(making.folder / f"{name}.spool")
        self._fill = FillCount(reading.mapping, making.config.fill)
        self._filter = FilterCount(making.config.filter, making.task, self._labels)

    def clean(self, took: Taker) -> None:
        """Both passes."""
        self._read()
        facts, config = self._fill.result(), self._making.config
        rules = rules_of(config.filter, self._making.task, self._filter.result(), self._labels)
        suspicions = Suspicions()
        stages = self._stages(lambda rows: fill(rows, self._reading.mapping, config.fill, facts))
        self._through(stages, rules, suspicions, took)
        self._seen.close()
        if self._name == "train":
            _tell(self._making, suspicions, min(SUSPECTED, len(self._places)))

    def _work(self, name: str) -> str:
        return name if self._name == "train" else f"{name} {self._name}"

    def _read(self) -> None:
        """Rows are read and normalised, and what later stages must know is counted."""
        making, work, done = self._making, self._work("read"), 0
        account, config = making.account, making.config
        with making.work(work):
            for chunk in chunks(self._reading, CHUNK):
                rows = [item for item in chunk if isinstance(item, Row)]
                account.bad(item for item in chunk if isinstance(item, BadLine))
                places = account.enter(rows, [row_key(row) for row in rows])
                left, rows = account.follow(
                    "normalise", places, rows, normalise(rows, config.normalise, labelled=making.task is Task.CLASSIFY)
                )
                for row in rows:
                    self._fill.add(row)
                    self._filter.add(row)
                self._seen.add(rows)
                self._places.extend(left)
                done += len(chunk)
                making.listen(Advanced(work, done))

    def _stages(self, filled: Callable[[list[Row]], Iterable[Outcome]]) -> list[Stage]:
        return [("fill", filled)]

    def _through(self, stages: list[Stage], rules: Rules, suspicions: Suspicions, took: Taker) -> None:
        """Rows go through the other stages, and are kept with their keys."""
        making, work, part, start = self._making, self._work("clean"), PARTS.index(self._name), 0
        account = making.account
        with making.work(work, len(self._places)):
            for rows in chunks(self._seen, CHUNK):
                places = self._places[start : start + len(rows)].tolist()
                for stage, outcomes in stages:
                    places, rows = account.follow(stage, places, rows, outcomes(rows))
                told = suspicions if start < SUSPECTED else None
                places, rows = account.follow("filter", places, rows, filter_rows(rows, rules, told))
                if making.anonymiser is not None:
                    places, rows = account.follow("anonymise", places, rows, anonymise(rows, making.anonymiser))
                elif start == 0 and part == 0:
                    look(making, rows[:LOOKED])
                keys = [keys_of(row) for row in rows]
                making.table.add(rows, keys, places, [account.keys[place] for place in places], part)
                making.spool.add(rows)
                took(rows, keys)
                start += CHUNK
                making.listen(Advanced(work, min(start, len(self._places))))


def _tell(making: Making, suspicions: Suspicions, looked: int) -> None:
    """Keep what rules that only count have found; a person is told of what is common."""
    making.found("suspicions", {"looked": looked, "rules": dict(suspicions.counts.most_common())})
    for rule, count in suspicions.counts.most_common():
        if count > _NOTED * looked:
            making.notes.extend(note for note in suspicions.notes() if note.startswith(f"data.filter.{rule} "))


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Runs of so many items, the last one shorter."""
    held = iter(items)
    while chunk := list(islice(held, size)):
        yield chunk
