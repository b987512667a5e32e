"""The account of every row: how many each stage let through, changed and dropped, and what became of each."""

from collections import Counter
from collections.abc import Iterable, Mapping
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

    def follow(self, stage: str, rows: int, outcomes: Iterable[Outcome]) -> list[Row]:
        """Take a stage's outcomes, count them, and return the rows that go on."""
        count = self._stages.setdefault(stage, StageCount(stage))
        self.listen(Started(stage, rows))
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
                self.listen(Advanced(stage, done))
        self.listen(Ended(stage, 0.0))
        return on

    def stages(self) -> list[dict[str, Any]]:
        """The waterfall: one entry a stage."""
        return [count.to_json() for count in self._stages.values()]

    def fates(self, sides: Mapping[str, Iterable[Row]]) -> list[dict[str, Any]]:
        """What became of every line read, one entry each: its side, or the stage that dropped it and why. No text of any row."""
        side_of = {row.id: side for side, rows in sides.items() for row in rows}
        told = []
        for row_id, place in self._places.items():
            stage, reason = self._ends.get(row_id, ("", ""))
            fate = side_of.get(row_id, "dropped")
            told.append({"id": row_id, "source": place, "fate": fate, "stage": stage, "reason": reason, "changes": self._changes.get(row_id, [])})
        for line in self._bad:
            told.append({"id": None, "source": f"{line.file}:{line.number}", "fate": "quarantined", "stage": "read", "reason": line.reason, "changes": []})
        return told

    @property
    def bad(self) -> tuple[BadLine, ...]:
        """The lines that could not be read."""
        return tuple(self._bad)
