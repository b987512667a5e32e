"""How often a label is given in a group against the rest: one comparison, told the same way by every figure that needs it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tunesmith.data.audit.support import difference, exact_p, ratio, share_of
from tunesmith.data.audit.tally import ALL, Tally
from tunesmith.data.settings.audit import AuditConfig

MOST_TOLD = 20
"""Labels told of one group, those that differ most."""


def quoted(name: str) -> str:
    """A name out of the data, safe to show: control characters escaped, cut to 60."""
    return repr(name if len(name) <= 60 else name[:59] + "…")


@dataclass(frozen=True, slots=True)
class Compared:
    """The rate of a label in a group against the other train rows."""

    group: int
    label: int
    hits: int
    rows: int
    other_hits: int
    other_rows: int
    weighted: float | None
    """The difference with weights and made rows; None where there are none."""

    @property
    def rate(self) -> float:
        """In the group."""
        return self.hits / self.rows

    @property
    def other_rate(self) -> float:
        """In the rest."""
        return self.other_hits / self.other_rows

    @property
    def gap(self) -> tuple[float, float, float]:
        """The difference and its interval."""
        return difference(self.hits, self.rows, self.other_hits, self.other_rows)

    def matters(self, config: AuditConfig) -> bool:
        """Whether it is large enough to be told, and may be beyond chance: for the others no p-value is worked out."""
        _, low, high = self.gap
        if low <= 0 <= high:
            return False
        times = ratio(self.hits, self.rows, self.other_hits, self.other_rows)[0]
        return abs(self.rate - self.other_rate) >= config.difference or max(times, 1 / times) >= config.ratio

    def p(self) -> float:
        """Of no difference."""
        return exact_p(self.hits, self.rows, self.other_hits, self.other_rows)

    def told(self) -> dict[str, Any]:
        """As JSON."""
        gap, low, high = self.gap
        times, least, most = ratio(self.hits, self.rows, self.other_hits, self.other_rows)
        return {
            "with": share_of(self.hits, self.rows),
            "without": share_of(self.other_hits, self.other_rows),
            "difference": {"value": gap, "interval": [low, high]},
            "ratio": {"value": times, "interval": [least, most]},
            "weighted": self.weighted,
        }


def compare(tally: Tally, groups: list[int], labels: list[int], *, stated: bool) -> Iterator[Compared]:
    """Every group with every label, where both the group and the rest have a row.

    Args:
        tally: the counts.
        groups: all groups of one column or list.
        labels: which to compare.
        stated: whether every row that matters is in exactly one of `groups` (a column), or in any number of them (terms).
    """
    column = [place for place, key in enumerate(tally.keys) if stated and groups and key[:2] == tally.keys[groups[0]][:2]]
    whole = sum(tally.train[place] for place in column) if stated else tally.train_rows
    extra = sum(tally.extra[place] for place in column) if stated else tally.extra[ALL]
    for label in labels:
        good = sum(tally.joint[place, label] for place in column) if stated else tally.train[label]
        extra_good = sum(tally.extra_joint.get((place, label), 0.0) for place in column) if stated else tally.extra[label]
        for group in groups:
            rows, hits = tally.train[group], tally.joint[group, label]
            if 0 < rows < whole:
                weighted = None
                if tally.extra:
                    weighted = _gap(
                        hits + tally.extra_joint.get((group, label), 0.0), rows + tally.extra[group], good + extra_good, whole + extra
                    )
                yield Compared(group, label, hits, rows, good - hits, whole - rows, weighted)


def _gap(hits: float, rows: float, good: float, whole: float) -> float | None:
    """Difference of the rates in a group and in the rest of a whole."""
    return hits / rows - (good - hits) / (whole - rows) if rows > 0 and whole > rows else None


def judged(found: Compared, config: AuditConfig) -> bool:
    """Whether both sides of a comparison have rows enough to be tested."""
    return min(found.rows, found.other_rows) >= config.group_rows
