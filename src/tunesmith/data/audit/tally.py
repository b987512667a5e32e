"""Counts of rows by group, label, source and time, taken row by row; every figure of the audit comes from these.

Memory is bounded: 200 values a column, 500 labels, 200,000 cells of groups over time; what comes later is counted under
`(other)`, or, over time, left out and said so. Some 4 microseconds a row of 100 characters.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from tunesmith.core.rows import Row
from tunesmith.data.audit import seen
from tunesmith.data.audit.terms import Terms, terms_of
from tunesmith.data.config import Task
from tunesmith.data.settings.audit import AuditConfig

MOST_VALUES, MOST_LABELS, MOST_CELLS, MOST_PERIODS = 200, 500, 200_000, 600
OTHER = "(other)"


def _count(counts: Counter[int], places: list[int]) -> None:
    """One more of each: `Counter.update` costs a microsecond before it begins."""
    for place in places:
        counts[place] += 1


class Key(NamedTuple):
    """A group of rows."""

    kind: str
    """`terms`, `column`, `source` or `label`."""
    name: str
    """The list or the column; the file's name has none."""
    group: str


_LABELLED = (Task.CLASSIFY, Task.MULTILABEL, Task.TAG)
ALL = -1
"""The place of all rows, among sums."""


@dataclass(slots=True)
class Tally:
    """Grows row by row; groups are told by their place in `keys`."""

    config: AuditConfig
    task: Task
    timed: str | None
    terms: Terms = field(init=False)
    keys: list[Key] = field(init=False)
    kept_rows: int = 0
    kept: Counter[int] = field(default_factory=Counter)
    """Rows of each group on all sides; made rows are in none of these but the weighted."""
    train_rows: int = 0
    train: Counter[int] = field(default_factory=Counter)
    joint: Counter[tuple[int, int]] = field(default_factory=Counter)
    """Train rows of a group that carry a label."""
    extra: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))
    """What weights and made rows add to `train`, and under ALL to `train_rows`."""
    extra_joint: defaultdict[tuple[int, int], float] = field(default_factory=lambda: defaultdict(float))
    sums: dict[int, list[float]] = field(default_factory=dict)
    """Count, sum and sum of squares of the number of a group's train rows; ALL of all, `named(category)` of who names any group."""
    answers: Counter[int] = field(default_factory=Counter)
    """Train rows whose written answer names a group."""
    times: "Clock" = field(default_factory=lambda: Clock())
    dropped_rows: int = 0
    dropped: Counter[int] = field(default_factory=Counter)
    dropped_at: Counter[tuple[int, str]] = field(default_factory=Counter)
    """Dropped rows of a group, by stage; ALL of all."""
    capped: set[str] = field(default_factory=set)
    """Columns with more values than are counted, and `label`."""
    _categories: list[int] = field(init=False)
    _known: dict[tuple[str, str], dict[str, int]] = field(init=False)
    """The places met so far, for each column: what a row costs is mostly looking these up."""

    def __post_init__(self) -> None:
        self.terms = terms_of(self.config.terms, self.config.lists)
        self.keys = [Key("terms", category, group) for category, group in self.terms.names]
        first = {category: -2 - turn for turn, category in enumerate(dict.fromkeys(name for name, _ in self.terms.names))}
        self._categories = [first[name] for name, _ in self.terms.names]
        columns = [("column", column) for column in self.config.groups]
        self._known = {column: {} for column in [*columns, ("source", self.config.source or ""), ("label", "")]}

    def named(self, category: str) -> int:
        """The place, among sums, of the rows that name any group of a category."""
        return next(place for (name, _), place in zip(self.terms.names, self._categories, strict=True) if name == category)

    def place(self, kind: str, name: str, group: str) -> int:
        """The place of a group, which is entered where it is new and there is room."""
        known = self._known[kind, name]
        found = known.get(group)
        if found is not None:
            return found
        if len(known) >= (MOST_LABELS if kind == "label" else MOST_VALUES):
            self.capped.add(name or kind)
            if OTHER in known:
                return known[OTHER]
            group = OTHER
        known[group] = len(self.keys)
        self.keys.append(Key(kind, name, group))
        return known[group]

    def groups(self, row: Row) -> list[int]:
        """The groups a row is of: those it names, then columns, and the source last where it is known."""
        found = self.terms.groups(seen.shown(row))
        for column in self.config.groups:
            value = seen.stated(row, column)
            if value is not None:
                found.append(self.place("column", column, value))
        source = seen.came_from(row, self.config.source)
        if source is not None:
            found.append(self.place("source", self.config.source or "", source))
        return found

    def labels(self, row: Row) -> list[int]:
        """The places of its labels."""
        found = [self.place("label", "", label) for label in seen.asked(row, self.task)]
        return found if len(found) < 2 else list(dict.fromkeys(found))

    def add(self, rows: Iterable[Row], sides: Iterable[str]) -> None:
        """Rows that stand on a side. Rows that were made (`ID+WAY`, `ID~K`) count in the weighted figures alone."""
        for row, side in zip(rows, sides, strict=True):
            made = "+" in row.id or "~" in row.id
            train = side == "train"
            if made and not train:
                continue
            groups, labels = self.groups(row), self.labels(row)
            if not made:
                self.kept_rows += 1
                _count(self.kept, groups)
                _count(self.kept, labels)
            if not train:
                continue
            if made or row.weight != 1.0:
                self._weigh(groups, labels, row.weight if made else row.weight - 1.0)
            if not made:
                self._train(row, groups, labels)

    def _train(self, row: Row, groups: list[int], labels: list[int]) -> None:
        self.train_rows += 1
        _count(self.train, groups)
        _count(self.train, labels)
        joint = self.joint
        for group in groups:
            for label in labels:
                joint[group, label] += 1
        if self.task not in _LABELLED:
            self._answered(row, groups)
        if self.timed is not None:
            when = seen.period(row, self.timed)
            if when is not None:
                known = groups and self.keys[groups[-1]].kind == "source"
                self.times.add(when, groups[:-1] if known else groups, labels)

    def _answered(self, row: Row, groups: list[int]) -> None:
        """What is told of answers that are no labels."""
        value = seen.number(row, self.task)
        if value is not None:
            self._sum(groups, value)
        if row.prompt and self.task in seen.WRITTEN:
            _count(self.answers, self.terms.groups([row.answer]))

    def _weigh(self, groups: list[int], labels: list[int], weight: float) -> None:
        self.extra[ALL] += weight
        for place in (*groups, *labels):
            self.extra[place] += weight
        for group in groups:
            for label in labels:
                self.extra_joint[group, label] += weight

    def _sum(self, groups: list[int], value: float) -> None:
        named = {self._categories[group] for group in groups if group < len(self._categories)}
        for place in (ALL, *named, *groups):
            held = self.sums.setdefault(place, [0.0, 0.0, 0.0])
            held[0] += 1
            held[1] += value
            held[2] += value * value

    def drop(self, row: Row, stage: str) -> None:
        """A row that a stage dropped."""
        self.dropped_rows += 1
        places = [*self.groups(row), *self.labels(row)]
        _count(self.dropped, places)
        for place in (ALL, *places):
            self.dropped_at[place, stage] += 1

    def of(self, kind: str, name: str | None = None) -> list[int]:
        """The places of the groups of a kind, and of a name; `(other)` is none."""
        return [
            place for place, key in enumerate(self.keys) if key.kind == kind and (name is None or key.name == name) and key.group != OTHER
        ]

    def told_labels(self) -> list[int]:
        """The labels whose rates are compared; of two that exclude one another the rarer, as the other is its mirror image."""
        labels = [place for place in self.of("label") if self.train[place]]
        alone = self.task is Task.CLASSIFY or {self.keys[place].group for place in labels} <= {seen.WANTED, seen.UNWANTED}
        if len(labels) == 2 and alone:
            return [min(labels, key=lambda place: (self.train[place], self.keys[place].group))]
        return labels


@dataclass(slots=True)
class Clock:
    """Counts over time: by month, or by wider periods where there are more than 600."""

    shift: int = 0
    """Periods are of two to this power months."""
    rows: Counter[int] = field(default_factory=Counter)
    labels: Counter[tuple[int, int]] = field(default_factory=Counter)
    """(period, label)."""
    groups: Counter[tuple[int, int]] = field(default_factory=Counter)
    """(period, group)."""
    joint: Counter[tuple[int, int, int]] = field(default_factory=Counter)
    """(period, group, label), of at most 200,000 cells."""
    full: bool = False
    """Whether there were more cells."""

    def add(self, when: int, groups: list[int], labels: list[int]) -> None:
        """One row."""
        when >>= self.shift
        self.rows[when] += 1
        for label in labels:
            self.labels[when, label] += 1
        for group in groups:
            self.groups[when, group] += 1
            for label in labels:
                self._cell((when, group, label))
        if len(self.rows) > MOST_PERIODS:
            self._widen()

    def _cell(self, cell: tuple[int, int, int]) -> None:
        if cell in self.joint or len(self.joint) < MOST_CELLS:
            self.joint[cell] += 1
        else:
            self.full = True

    def _widen(self) -> None:
        """Every two periods become one."""
        self.shift += 1
        rows, labels, groups, joint = self.rows, self.labels, self.groups, self.joint
        self.rows, self.labels, self.groups, self.joint = Counter(), Counter(), Counter(), Counter()
        for period, count in rows.items():
            self.rows[period >> 1] += count
        for (period, label), count in labels.items():
            self.labels[period >> 1, label] += count
        for (period, group), count in groups.items():
            self.groups[period >> 1, group] += count
        for (period, group, label), count in joint.items():
            self.joint[period >> 1, group, label] += count
