"""The account of every row: how many each stage let through, changed and dropped, and what became of each."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunesmith.core.progress import Advanced, Ended, Listener, Started
from tunesmith.core.rows import Changed, Dropped, Outcome, Row
from tunesmith.data.formats import BadLine

_TOLD_EVERY = 500


@dataclass(slots=True)
class StageCount:
    """What one stage did. `kept + dropped` is what came in; `changed` of the kept were rewritten."""

    stage: str
    kept: int = 0
    changed: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    """Why rows were dropped; sums to `dropped`."""
    changes: Counter[str] = field(default_factory=Counter)
    """Why rows were rewritten; sums to `changed`."""

    def to_json(self) -> dict[str, Any]:
        """One entry of the waterfall in dataset.json and report.json."""
        reasons, changes = dict(self.reasons.most_common()), dict(self.changes.most_common())
        dropped = self.reasons.total()
        return {"stage": self.stage, "kept": self.kept, "changed": self.changed, "dropped": dropped, "reasons": reasons, "changes": changes}


@dataclass(slots=True)
class Account:
    """Follows every row through the stages. Stages are told in the order they first ran."""

    listen: Listener
    _stages: dict[str, StageCount] = field(default_factory=dict)
    _places: dict[str, str] = field(default_factory=dict)
    _ends: dict[str, tuple[str, str]] = field(default_factory=dict)
    _changes: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    _bad: list[BadLine] = field(default_factory=list)

    def read(self, rows: Iterable[Row], bad: Iterable[BadLine]) -> None:
        """Rows and bad lines of one file enter."""
        count = self._stages.setdefault("read", StageCount("read"))
        for row in rows:
            self._places[row.id] = row.source
            count.kept += 1
        for line in bad:
            self._bad.append(line)
            count.reasons[line.reason] += 1

    def follow(self, stage: str, rows: Sequence[Row], outcomes: Iterable[Outcome], part: str = "") -> list[Row]:
        """Take a stage's outcomes over `rows`, count them, and return the rows that go on. `part` tells files apart in progress."""
        count = self._stages.setdefault(stage, StageCount(stage))
        work, started = f"{stage} {part}".strip(), time.monotonic()
        self.listen(Started(work, len(rows)))
        on: list[Row] = []
        for done, outcome in enumerate(outcomes, 1):
            if isinstance(outcome, Dropped):
                self._ends[outcome.row.id] = (outcome.stage, outcome.reason)
                count.reasons[outcome.reason] += 1
            else:
                on.append(outcome.row)
                count.kept += 1
            if isinstance(outcome, Changed):
                count.changed += 1
                count.changes[outcome.reason] += 1
                self._changes.setdefault(outcome.row.id, []).append({"stage": outcome.stage, "reason": outcome.reason})
            if done % _TOLD_EVERY == 0:
                self.listen(Advanced(work, done))
        self.listen(Ended(work, time.monotonic() - started))
        return on

    def untouched(self, stage: str, rows: Sequence[Row]) -> list[Row]:
        """Rows that a stage leaves alone: they go on, and are counted as having come through it."""
        self._stages.setdefault(stage, StageCount(stage)).kept += len(rows)
        return list(rows)

    def why(self) -> str:
        """The commonest reasons rows were dropped for so far, as a phrase."""
        reasons = sum((count.reasons for count in self._stages.values()), Counter())
        return "; ".join(f"{reason}: {count:,} rows" for reason, count in reasons.most_common(3)) or "none was read"

    def stages(self) -> list[dict[str, Any]]:
        """The waterfall: one entry a stage."""
        return [count.to_json() for count in self._stages.values()]

    def fates(self, sides: Mapping[str, Iterable[Row]]) -> list[dict[str, Any]]:
        """What became of every line read, one entry each: its side, or the stage that dropped it and why. No text of any row."""
        side_of = {row.id: side for side, rows in sides.items() for row in rows}
        told = []
        for row_id, place in self._places.items():
            stage, reason = self._ends.get(row_id, ("", ""))
            told.append(_fate(row_id, place, side_of.get(row_id, "dropped"), stage, reason, self._changes.get(row_id, [])))
        return told + [_fate(None, f"{line.file}:{line.number}", "quarantined", "read", line.reason, []) for line in self._bad]

    @property
    def bad(self) -> tuple[BadLine, ...]:
        """The lines that could not be read."""
        return tuple(self._bad)


def _fate(row_id: str | None, source: str, fate: str, stage: str, reason: str, changes: list[dict[str, str]]) -> dict[str, Any]:
    return {"id": row_id, "source": source, "fate": fate, "stage": stage, "reason": reason, "changes": changes}
