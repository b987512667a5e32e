"""The first passes: rows one by one, from their files through the stages that look at one row, into the spool and the table.

Twice through the disk: what a stage must know of all rows beforehand (how common a value is, how answers end) is counted on
the way in. The second time many rows are shared out among processes (`working`); what they did is put together here, in order.
"""

from array import array
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from tunesmith.core.errors import DataError
from tunesmith.core.progress import Advanced
from tunesmith.data.anonymise import anonymise
from tunesmith.data.config import Task
from tunesmith.data.fill import FillCount, FillFacts, fill
from tunesmith.data.filter.facts import FilterCount
from tunesmith.data.filter.stage import Rules, Suspicions, filter_rows, rules_of
from tunesmith.data.fold import keys_of, row_key
from tunesmith.data.lines import line_of, row_of
from tunesmith.data.making import Making
from tunesmith.data.normalise import normalise
from tunesmith.data.personal import look
from tunesmith.data.read import Block, Reading, Told
from tunesmith.data.spool import Spool
from tunesmith.data.table import PARTS, Keyed, keyed
from tunesmith.data.waterfall import Trail
from tunesmith.data.working import cores, each

SUSPECTED = 50_000
"""Rules that only count look at so many rows of the main file, the first ones."""
_NOTED = 0.01
"""A person is told of a rule that would drop more than this share."""

SHARED = 50_000
"""From so many rows on the work is shared out."""
PIECE = 5000
"""Rows that a process takes at a time."""

Taker = Callable[[list[str]], None]


def clean(making: Making, took: Taker) -> None:
    """Every file, read and cleaned.

    Args:
        making: gets the rows in its spool and table, and what became of the others in its account.
        took: told what the rows that go on show, folded, run by run.

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
    if making.anonymiser is None:
        look(making)


@dataclass(frozen=True, slots=True)
class _Read:
    """What the first pass made of a block of a file."""

    told: Told
    keys: "array[int]"
    """Hash of each row's content."""
    sources: list[str]
    trail: Trail
    lines: bytes
    lengths: "array[int]"
    fill: FillCount
    filter: FilterCount


@dataclass(frozen=True, slots=True)
class _Cleaned:
    """What the second pass made of a piece of the spool."""

    trail: Trail
    keyed: Keyed
    lines: bytes
    lengths: "array[int]"
    shown: list[str]
    suspected: Counter[str]


class _Part:
    """One file on its way."""

    def __init__(self, making: Making, name: str, reading: Reading) -> None:
        self._making, self._name, self._reading = making, name, reading
        self._labels = tuple(making.config.labels or ())
        self._places = array("Q")
        self._seen = Spool(making.folder / f"{name}.spool")
        self._fill = FillCount(reading.mapping, making.config.fill)
        self._filter = FilterCount(making.config.filter, making.task, self._labels, making.config.fill)

    def clean(self, took: Taker) -> None:
        """Both passes."""
        with self._making.work(self._work("read")):
            self._read()
        facts, config = self._fill.result(), self._making.config
        rules = rules_of(config.filter, self._making.task, self._filter.result(), self._labels)
        with self._making.work(self._work("clean"), len(self._places)):
            suspicions = self._clean(facts, rules, took)
        self._seen.close()
        if self._name == "train":
            _tell(self._making, suspicions, min(SUSPECTED, len(self._places)))

    def _work(self, name: str) -> str:
        return name if self._name == "train" else f"{name} {self._name}"

    def _read(self) -> None:
        """Rows are read and normalised, and what later stages must know is counted."""
        account, reading, blocks = self._making.account, self._reading, self._reading.blocks()
        done = 0
        for read in each(self._read_block, blocks, cores() if reading.large else 1):
            reading.take(read.told)
            account.bad(read.told.bad)
            places = account.enter_sources(read.sources, read.keys)
            self._places.extend(account.retrace(read.trail, places))
            self._seen.add_block(read.lines, read.lengths)
            self._fill.merge(read.fill)
            self._filter.merge(read.filter)
            done += len(read.sources) + len(read.told.bad)
            self._making.listen(Advanced(self._work("read"), done))
        reading.check()

    def _read_block(self, block: Block) -> _Read:
        making, config = self._making, self._making.config
        rows, told = self._reading.rows_of(block)
        secret = making.anonymiser.secret if making.anonymiser is not None else b""
        keys, sources, trail = array("Q", (row_key(row, secret) for row in rows)), [row.source for row in rows], Trail(len(rows))
        rows = trail.follow("normalise", rows, normalise(rows, config.normalise, labelled=making.task is Task.CLASSIFY))
        fills, filters = FillCount(self._reading.mapping, config.fill), FilterCount(config.filter, making.task, self._labels, config.fill)
        for row in rows:
            fills.add(row)
            filters.add(row)
        return _Read(told, keys, sources, trail, *_laid(list(map(line_of, rows))), fills, filters)

    def _clean(self, facts: FillFacts, rules: Rules, took: Taker) -> Suspicions:
        """Rows go through the other stages, and are kept with their keys."""
        making, part, count, suspicions, end = self._making, PARTS.index(self._name), len(self._places), Suspicions(), 0
        account, anonymiser = making.account, making.anonymiser
        self._seen.flush()
        alone = count < SHARED or anonymiser is not None  # it counts what it replaces, and may hold a model
        pieces = (range(start, min(start + PIECE, count)) for start in range(0, count, PIECE))
        for done in each(lambda piece: self._clean_piece(piece, facts, rules), pieces, 1 if alone else cores()):
            first, end = end, min(end + PIECE, count)
            left = account.retrace(done.trail, self._places[first:end])
            making.table.extend(done.keyed, left, [account.keys[place] for place in left], part)
            making.spool.add_block(done.lines, done.lengths)
            took(done.shown)
            suspicions.counts.update(done.suspected)
            making.listen(Advanced(self._work("clean"), end))
        return suspicions

    def _clean_piece(self, piece: range, facts: FillFacts, rules: Rules) -> _Cleaned:
        trail, anonymiser = Trail(len(piece)), self._making.anonymiser
        suspicions = Suspicions()
        lines = list(self._seen.lines(piece))
        rows = list(map(row_of, lines))
        rows = trail.follow("fill", rows, fill(rows, self._reading.mapping, self._making.config.fill, facts))
        rows = trail.follow("filter", rows, filter_rows(rows, rules, suspicions if piece.start < SUSPECTED else None))
        if anonymiser is not None:
            rows = trail.follow("anonymise", rows, anonymise(rows, anonymiser))
        keys = [keys_of(row) for row in rows]
        rewritten = trail.rewritten()
        lines = [line_of(row) if at in rewritten else lines[at] for at, row in zip(trail.left, rows, strict=True)]
        return _Cleaned(trail, keyed(rows, keys, self._making.table), *_laid(lines), [key.shown for key in keys], suspicions.counts)


def _laid(lines: list[bytes]) -> tuple[bytes, "array[int]"]:
    """Lines end to end, and the length of each."""
    return b"".join(lines), array("Q", map(len, lines))


def _tell(making: Making, suspicions: Suspicions, looked: int) -> None:
    """Keep what rules that only count have found; a person is told of what is common."""
    making.found("suspicions", {"looked": looked, "rules": dict(suspicions.counts.most_common())})
    for rule, count in suspicions.counts.most_common():
        if count > _NOTED * looked:
            making.notes.extend(note for note in suspicions.notes() if note.startswith(f"data.filter.{rule} "))
