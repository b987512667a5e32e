"""How many rows are made from each: as many as each way says, or as many as its label lacks.

Which rows of a label give one more than the others is a matter of their ids and the seed, not of their order.
"""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field

from tunesmith.core.rows import Row
from tunesmith.core.seeds import fraction

_STREAM = "augment per_class"


@dataclass(frozen=True, slots=True)
class Quota:
    """What the rows of one label give: `each`, and one more those whose fraction is under `below`."""

    each: int
    below: float


@dataclass(slots=True)
class LabelFacts:
    """Collected over the train rows before they are augmented with `per_class`; 8 bytes a row."""

    seed: int
    _fractions: "dict[str, array[float]]" = field(default_factory=dict)

    def add(self, row: Row) -> None:
        """One more row."""
        if not made_already(row):
            self._fractions.setdefault(row.answer, array("d")).append(place_of(self.seed, row))

    def result(self, per_class: int) -> dict[str, Quota]:
        """Label -> quota, of the labels that lack rows."""
        return {label: _quota(per_class, found) for label, found in self._fractions.items() if len(found) < per_class}


def place_of(seed: int, row: Row) -> float:
    """The row's place in [0, 1) among those of its label."""
    return fraction(seed, f"{_STREAM}/{row.id}")


def made_already(row: Row) -> bool:
    """Whether a row was made by augmentation, in this round or an earlier one."""
    return "augmented" in row.fields


def _quota(per_class: int, fractions: "array[float]") -> Quota:
    each, more = divmod(per_class - len(fractions), len(fractions))
    return Quota(each, sorted(fractions)[more])


def wanted_of(row: Row, quotas: Mapping[str, Quota], seed: int, most: int) -> int:
    """How many rows are to be made from this one."""
    quota = quotas.get(row.answer)
    return 0 if quota is None else min(most, quota.each + (place_of(seed, row) < quota.below))
