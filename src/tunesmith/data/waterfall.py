"""The account of every row: how many each stage let through, changed and dropped, and what became of each.

Some 30 bytes a row read; what could not be read goes to a file at once. A few rows before and after each change are kept,
for people to look at.
"""

import json
import os
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.core.files import explained
from tunesmith.core.rows import Changed, Dropped, Outcome, Row
from tunesmith.data.formats import BadLine

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Places = npt.NDArray[np.int64]

_TOGETHER = 100_000
_SAMPLES = 3
"""So many rows are shown of each change and of each reason to drop."""


@dataclass(slots=True)
class StageCount:
    """What one stage did. `kept + dropped - added` is what came in; `changed` of the kept were rewritten."""

    stage: str
    kept: int = 0
    changed: int = 0
    added: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    """Why rows were dropped; sums to `dropped`."""
    changes: Counter[str] = field(default_factory=Counter)
    """Why rows were rewritten; sums to `changed`."""

    def to_json(self) -> dict[str, Any]:
        """One entry of the waterfall in dataset.json and report.json."""
        reasons, changes = dict(self.reasons.most_common()), dict(self.changes.most_common())
        told = {"stage": self.stage, "kept": self.kept, "changed": self.changed, "dropped": self.reasons.total()}
        return told | ({"added": self.added} if self.added else {}) | {"reasons": reasons, "changes": changes}


@dataclass(frozen=True, slots=True)
class Shown:
    """One row that a stage changed or dropped."""

    stage: str
    reason: str
    before: Row
    after: Row | None
    """None where it was dropped."""


@dataclass(slots=True)
class StageTrail:
    """What one stage did to a run of rows; rows by their position in it."""

    kept: int = 0
    dropped: list[tuple[int, str, Row]] = field(default_factory=list)
    changed: list[tuple[int, str]] = field(default_factory=list)
    shown: list[Shown] = field(default_factory=list)
    """The first few of each change."""


class Trail:
    """What stages did to one run of rows, to be told to an account later, or in another process."""

    def __init__(self, count: int) -> None:
        """Before the first stage; all `count` rows are there."""
        self.left: Sequence[int] = range(count)
        """Positions of the rows that are left."""
        self.stages: dict[str, StageTrail] = {}

    def follow(self, stage: str, rows: Sequence[Row], outcomes: Iterable[Outcome]) -> list[Row]:
        """Take a stage's outcomes over the rows that are left, and return those that go on."""
        told = self.stages[stage] = StageTrail()
        on: list[Row] = []
        left: list[int] = []
        seen: Counter[str] = Counter()
        for at, row, outcome in zip(self.left, rows, outcomes, strict=True):
            if outcome.__class__ is Dropped:
                told.dropped.append((at, outcome.reason, row))
                continue
            on.append(outcome.row)
            left.append(at)
            if outcome.__class__ is Changed:
                told.changed.append((at, outcome.reason))
                seen[outcome.reason] += 1
                if seen[outcome.reason] <= _SAMPLES:
                    told.shown.append(Shown(stage, outcome.reason, row, outcome.row))
        told.kept = len(on)
        self.left = left
        return on

    def rewritten(self) -> set[int]:
        """Positions of rows that a stage has changed."""
        return {at for told in self.stages.values() for at, _ in told.changed}


class Account:
    """Follows every row through the stages, by its place among the rows read. Stages are told in the order they first ran."""

    def __init__(self, folder: Path) -> None:
        """An empty account that keeps its quarantine in a folder."""
        self._stages: dict[str, StageCount] = {}
        self._files: dict[str, int] = {}
        self._file, self._line, self.keys = array("I"), array("Q"), array("Q")
        self._end, self._changes = array("H"), array("H")
        self._ends: dict[tuple[str, str], int] = {("", ""): 0}
        self._paths: dict[tuple[tuple[str, str], ...], int] = {(): 0}
        self._path_of: list[tuple[tuple[str, str], ...]] = [()]
        self._shown: dict[tuple[str, str], list[Shown]] = {}
        self.quarantine = Quarantine(folder / "quarantine.jsonl")
        self.on_dropped: Callable[[Row, str], None] | None = None
        """Told of rows that a stage drops, and of the stage."""

    def enter(self, rows: Sequence[Row], keys: Sequence[int]) -> range:
        """Rows were read; returns their places."""
        return self.enter_sources([row.source for row in rows], keys)

    def enter_sources(self, sources: list[str], keys: Sequence[int]) -> range:
        """The same of rows of which only the places they were read from are here."""
        count, first = self._stage("read"), len(self.keys)
        self._enter_sources(sources)
        self.keys.extend(keys)
        for column in (self._end, self._changes):
            column.extend([0] * len(sources))
        count.kept += len(sources)
        return range(first, len(self.keys))

    def _enter_sources(self, sources: list[str]) -> None:
        """Files and lines of `name:number`. Rows that come together are mostly of one file."""
        name = sources[0].rpartition(":")[0] if sources else ""
        start = len(name) + 1
        if all(source.startswith(f"{name}:") and source[start:].isdecimal() for source in sources):
            if sources:
                self._file.extend([self._files.setdefault(name, len(self._files))] * len(sources))
            self._line.extend([int(source[start:]) for source in sources])
            return
        for source in sources:
            name, _, number = source.rpartition(":")
            self._file.append(self._files.setdefault(name, len(self._files)))
            self._line.append(int(number))

    def bad(self, lines: Iterable[BadLine]) -> None:
        """Lines could not be read."""
        for line in lines:
            self.quarantine.add(line)
            self._stage("read").reasons[line.reason] += 1

    def follow(self, stage: str, places: Sequence[int], rows: Sequence[Row], outcomes: Iterable[Outcome]) -> tuple[list[int], list[Row]]:
        """Take a stage's outcomes over `rows`, count them, and return those that go on, with their places."""
        trail = Trail(len(rows))
        on = trail.follow(stage, rows, outcomes)
        return self.retrace(trail, places), on

    def retrace(self, trail: Trail, places: Sequence[int]) -> list[int]:
        """Count what stages did to the rows at `places`; returns the places of those that go on."""
        for stage, told in trail.stages.items():
            count = self._stage(stage)
            count.kept += told.kept
            count.changed += len(told.changed)
            for at, reason, row in told.dropped:
                self._end[places[at]] = self._ends.setdefault((stage, reason), len(self._ends))
                count.reasons[reason] += 1
                self.show(stage, reason, row)
            for at, reason in told.changed:
                count.changes[reason] += 1
                self._change(places[at], stage, reason)
            for shown in told.shown:
                self._show(stage, shown.reason, shown.before, shown.after)
        return [places[at] for at in trail.left]

    def decide(self, stage: str, places: "Places", decision: "npt.NDArray[np.uint8]", reasons: Sequence[str]) -> None:
        """Take a stage's codes over rows at `places`: 0 keeps, k drops for `reasons[k - 1]`."""
        import numpy as np

        count = self._stage(stage)
        count.kept += int((decision == 0).sum())
        ends = np.frombuffer(self._end, dtype=np.uint16)
        for code, reason in enumerate(reasons, 1):
            hit = places[decision == code]
            if len(hit):
                ends[hit] = self._ends.setdefault((stage, reason), len(self._ends))
                count.reasons[reason] += len(hit)

    def show(self, stage: str, reason: str, row: Row) -> None:
        """A row that was dropped, to be looked at."""
        self._show(stage, reason, row, None)
        if self.on_dropped is not None:
            self.on_dropped(row, stage)

    def changed(self, stage: str, place: int, reason: str, before: Row, after: Row) -> None:
        """A row that a stage let through was rewritten after all."""
        count = self._stage(stage)
        count.changed += 1
        count.changes[reason] += 1
        self._change(place, stage, reason)
        self._show(stage, reason, before, after)

    def drop(self, stage: str, place: int | None, reason: str, row: Row) -> None:
        """A row goes no further after all; a made row has no place."""
        if place is not None:
            self._end[place] = self._ends.setdefault((stage, reason), len(self._ends))
        self._stage(stage).reasons[reason] += 1
        self.show(stage, reason, row)

    def rewrote(self, stage: str, kept: int, changed: int, reason: str) -> None:
        """So many rows went through a stage that rewrites all alike; none of them is followed."""
        count = self._stage(stage)
        count.kept += kept
        count.changed += changed
        if changed:
            count.changes[reason] += changed

    def added(self, stage: str, count: int) -> None:
        """So many rows were made by a stage."""
        self._stage(stage).added += count
        self._stage(stage).kept += count

    def untouched(self, stage: str, count: int) -> None:
        """So many rows go on that a stage left alone: they are counted as having come through it."""
        self._stage(stage).kept += count

    def why(self) -> str:
        """The commonest reasons rows were dropped for so far, as a phrase."""
        reasons = sum((count.reasons for count in self._stages.values()), Counter())
        return "; ".join(f"{reason}: {count:,} rows" for reason, count in reasons.most_common(3)) or "none was read"

    def stages(self) -> list[dict[str, Any]]:
        """The waterfall: one entry a stage."""
        return [count.to_json() for count in self._stages.values()]

    def shown(self) -> list[Shown]:
        """The rows kept to be looked at, by stage."""
        return [each for stage in self._stages for (of, _), held in self._shown.items() if of == stage for each in held]

    def ids(self) -> "Ids":
        """The id of every row read."""
        import numpy as np

        return Ids.of(np.frombuffer(self.keys, dtype=np.uint64))

    def fates(self, side_of: "npt.NDArray[np.int8]", sides: Sequence[str], ids: "Ids") -> Iterator[dict[str, Any]]:
        """What became of every line read, one entry each: its side, or the stage that dropped it and why. No text of any row."""
        names, ends = list(self._files), list(self._ends)
        for place, side in enumerate(side_of.tolist()):
            stage, reason = ends[self._end[place]]
            yield {
                "id": ids[place],
                "source": f"{names[self._file[place]]}:{self._line[place]}",
                "fate": sides[side] if side >= 0 else "dropped",
                "stage": stage,
                "reason": reason,
                "changes": [{"stage": at, "reason": why} for at, why in self._path_of[self._changes[place]]],
            }
        yield from self._quarantined()

    def fate_lines(self, side_of: "npt.NDArray[np.int8]", sides: Sequence[str], ids: "Ids") -> Iterator[str]:
        """The same as lines of JSON; what many rows share is written once."""
        names, ends = [_json(name)[1:-1] for name in self._files], list(self._ends)
        tails: dict[tuple[int, int, int], str] = {}
        for start in range(0, len(side_of), _TOGETHER):
            some = slice(start, start + _TOGETHER)
            kinds = zip(side_of[some].tolist(), self._end[some], self._changes[some], strict=True)
            for row_id, file, line, kind in zip(ids.some(some), self._file[some], self._line[some], kinds, strict=True):
                if kind not in tails:
                    stage, reason = ends[kind[1]]
                    changes = [{"stage": at, "reason": why} for at, why in self._path_of[kind[2]]]
                    fate = sides[kind[0]] if kind[0] >= 0 else "dropped"
                    tails[kind] = '", ' + _json({"fate": fate, "stage": stage, "reason": reason, "changes": changes})[1:] + "\n"
                yield f'{{"id": "{row_id}", "source": "{names[file]}:{line}{tails[kind]}'
        yield from (_json(fate) + "\n" for fate in self._quarantined())

    def _quarantined(self) -> Iterator[dict[str, Any]]:
        for line in self.quarantine:
            source = f"{line.file}:{line.number}"
            yield {"id": None, "source": source, "fate": "quarantined", "stage": "read", "reason": line.reason, "changes": []}

    def _stage(self, stage: str) -> StageCount:
        return self._stages.setdefault(stage, StageCount(stage))

    def _change(self, place: int, stage: str, reason: str) -> None:
        path = (*self._path_of[self._changes[place]], (stage, reason))
        if path not in self._paths:
            self._paths[path] = len(self._path_of)
            self._path_of.append(path)
        self._changes[place] = self._paths[path]

    def _show(self, stage: str, reason: str, before: Row, after: Row | None) -> None:
        held = self._shown.setdefault((stage, reason), [])
        if len(held) < _SAMPLES:
            held.append(Shown(stage, reason, before, after))


@dataclass(frozen=True, slots=True)
class Ids:
    """Ids of rows by place: 16 hex digits of the content, and `-K` for the K-th row of equal content."""

    keys_N: "npt.NDArray[np.uint64]"
    turns_N: "npt.NDArray[np.uint32]"

    @classmethod
    def of(cls, keys_N: "npt.NDArray[np.uint64]") -> "Ids":
        """Count the turns of equal keys, in order."""
        import numpy as np

        order = np.argsort(keys_N, kind="stable")
        held = keys_N[order]
        starts = np.concatenate(([True], held[1:] != held[:-1])) if len(held) else np.zeros(0, bool)
        turns = np.empty(len(keys_N), np.uint32)
        turns[order] = np.arange(len(held)) - np.flatnonzero(starts)[np.cumsum(starts) - 1] + 1 if len(held) else 0
        return cls(keys_N, turns)

    def some(self, places: "slice | Places") -> list[str]:
        """The ids of the rows at some places."""
        told = zip(self.keys_N[places].tolist(), self.turns_N[places].tolist(), strict=True)
        return [f"{key:016x}" if turn == 1 else f"{key:016x}-{turn}" for key, turn in told]

    def __getitem__(self, place: int) -> str:
        """The id of the row at a place."""
        key, turn = int(self.keys_N[place]), int(self.turns_N[place])
        return f"{key:016x}" if turn == 1 else f"{key:016x}-{turn}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


class Quarantine:
    """What could not be read, in a file that its owner alone may read."""

    def __init__(self, path: Path) -> None:
        """An empty one."""
        self.path = path
        with explained(path):
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace")
        self._count = 0

    def __len__(self) -> int:
        """How many lines."""
        return self._count

    def __iter__(self) -> Iterator[BadLine]:
        """The lines, as they were set aside."""
        self.flush()
        with self.path.open(encoding="utf-8") as file:
            for text in file:
                held: Mapping[str, Any] = json.loads(text)
                yield BadLine(held["line"], held["reason"], held["raw"], held["file"])

    def add(self, line: BadLine) -> None:
        """One line more."""
        entry = {"file": line.file, "line": line.number, "reason": line.reason, "raw": line.raw}
        with explained(self.path):
            self._file.write(json.dumps(entry, ensure_ascii=False) + "\n")
        self._count += 1

    def flush(self) -> None:
        """Put on disk what was added."""
        if not self._file.closed:
            with explained(self.path):
                self._file.flush()

    def close(self) -> None:
        """No line comes any more; they can still be read."""
        with explained(self.path):
            self._file.close()
