"""Labels and groups in other proportions for training: weights, fewer rows of the common, or copies of the rare.

`reweigh` multiplies a row's weight by P(group) P(label) / P(group, label), all by weight (Kamiran and Calders, 2012, "Data
preprocessing techniques for classification without discrimination"): every label is then equally frequent in every group. A label
that a group never has can't be weighed into it; `Balance.missing` names these. `downsample` and `upsample` work on cells: the
label, within the group where one is named. What becomes of a row depends on the seed, its id, and the counts.

One earlier pass over the train rows counts, at 8 bytes a row. Leaves to others: what is made anew (`augment`).
"""

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from tunesmith.core.errors import DataError, RecipeError
from tunesmith.core.rows import Changed, Dropped, Kept, Outcome, Row
from tunesmith.core.seeds import derive_seed
from tunesmith.data.audit import seen
from tunesmith.data.audit.terms import Terms, terms_of
from tunesmith.data.augment.augment import Added
from tunesmith.data.config import Task
from tunesmith.data.settings.balance import BalanceConfig

REWEIGHED = "weighed by group and label"
COMMON = "its label is common, and a sample is kept"
MOST_CELLS = 10_000
_UNSTATED = "(not stated)"
_SUPPORTED = (Task.CLASSIFY, Task.MULTILABEL)

Cell = tuple[str, str]
"""Group and label; the group is empty where none is named."""


def _cell_of(row: Row, config: BalanceConfig, terms: Terms | None) -> Cell:
    """The cell a row is of. Several labels are one, and so are several groups a text names."""
    label = _label_of(row)
    if config.group is not None:
        return seen.stated(row, config.group) or _UNSTATED, label
    if terms is not None:
        return " and ".join(terms.names[place][1] for place in terms.groups(seen.shown(row))) or "(none named)", label
    return "", label


def _label_of(row: Row) -> str:
    """What is balanced: the label, all labels as one, or whether a judged answer is wanted; pairs of answers have none."""
    if row.labels is not None:
        return " ; ".join(row.labels)
    if row.wanted is not None:
        return str(row.wanted)
    return "" if row.rejected is not None else row.answer


def _place(row: Row, seed: int) -> int:
    """A 63-bit number of the row and the seed: the least are taken first."""
    return derive_seed(seed, "balance", row.id)


@dataclass(frozen=True, slots=True)
class Balance:
    """What the counts come to."""

    factors: dict[Cell, float] = field(default_factory=dict)
    """`reweigh`: what the weight of a row is multiplied by."""
    whole: dict[Cell, int] = field(default_factory=dict)
    """How many times every row of a cell is kept: 0 or more; above 1, as copies."""
    bound: dict[Cell, int] = field(default_factory=dict)
    """Rows whose place is under this are kept once more."""
    missing: tuple[Cell, ...] = ()
    """`reweigh`: labels that a group never has, and can't be given."""


class BalanceFacts:
    """Counts the cells: `add` each train row, then ask for the `result`."""

    def __init__(self, config: BalanceConfig, task: Task, seed: int) -> None:
        """Nothing counted yet.

        Raises:
            RecipeError: the task has no labels to balance by.
        """
        judged = task is Task.PREFER
        if config.method != "off" and task not in _SUPPORTED and not judged and config.group is None and config.terms is None:
            raise RecipeError(f"data.balance {config.method} goes by labels, and data.task {task} has none: name a group, or leave it out.")
        if config.method == "reweigh" and task not in _SUPPORTED and not judged:
            raise RecipeError(f"data.balance reweigh goes by labels, and data.task {task} has none: use downsample or upsample by a group.")
        self._config, self._seed, self._labelled = config, seed, task in _SUPPORTED or judged
        self._terms = terms_for(config)
        self._weights: defaultdict[Cell, float] = defaultdict(float)
        self._places: defaultdict[Cell, array[int]] = defaultdict(lambda: array("Q"))

    def add(self, row: Row) -> None:
        """One train row more. DataError where the group has so many values that it is none."""
        if self._config.method == "off":
            return
        group, label = _cell_of(row, self._config, self._terms)
        cell = (group, label if self._labelled else "")
        self._weights[cell] += row.weight
        if self._config.method != "reweigh":
            self._places[cell].append(_place(row, self._seed))
        if len(self._weights) > MOST_CELLS:
            raise DataError(
                f"data.balance found over {MOST_CELLS:,} pairs of group and label: name a column with fewer values by data.balance.group."
            )

    def result(self) -> Balance:
        """What to do, by the rows so far."""
        if self._config.method == "off" or not self._weights:
            return Balance()
        return self._weighed() if self._config.method == "reweigh" else self._counted()

    def _weighed(self) -> Balance:
        groups: defaultdict[str, float] = defaultdict(float)
        labels: defaultdict[str, float] = defaultdict(float)
        for (group, label), weight in self._weights.items():
            groups[group] += weight
            labels[label] += weight
        whole = sum(self._weights.values())
        factors = {cell: groups[cell[0]] * labels[cell[1]] / (whole * weight) for cell, weight in self._weights.items()}
        missing = tuple((group, label) for group in sorted(groups) for label in sorted(labels) if (group, label) not in self._weights)
        return Balance(factors=factors, missing=missing)

    def _counted(self) -> Balance:
        config, counts = self._config, {cell: len(places) for cell, places in self._places.items()}
        if config.method == "downsample":
            enough = [count for count in counts.values() if count >= config.least_rows]
            most = int(config.ratio * min(enough)) if enough else max(counts.values())
            wanted = {cell: min(count, most) for cell, count in counts.items()}
        else:
            least = max(counts.values()) / config.ratio
            wanted = {cell: max(count, min(round(least), count * (1 + config.most_copies))) for cell, count in counts.items()}
        bounds = {cell: self._bound(cell, wanted[cell] % count) for cell, count in counts.items()}
        return Balance(whole={cell: wanted[cell] // count for cell, count in counts.items()}, bound=bounds)

    def _bound(self, cell: Cell, count: int) -> int:
        """The place under which `count` rows of a cell lie."""
        import numpy as np

        places = np.frombuffer(self._places[cell], np.uint64)
        return int(np.partition(places, count)[count])


def terms_for(config: BalanceConfig) -> Terms | None:
    """The list of terms a config names."""
    return None if config.terms is None else terms_of([config.terms], {})


def balance(rows: Iterable[Row], config: BalanceConfig, facts: Balance, seed: int) -> Iterator[Outcome | Added]:
    """Yield one outcome for each train row, and after it its copies: `ID~K`, with the field `copy_of`.

    Args:
        rows: of the train side, the ones the facts were counted over; a row of an unknown cell is kept as it is.
        config: the section.
        facts: `BalanceFacts.result`.
        seed: the same as that of the facts.
    """
    terms = terms_for(config)
    for row in rows:
        cell = _cell_of(row, config, terms)
        if config.method == "reweigh":
            factor = facts.factors.get(cell, 1.0)
            yield Kept(row) if factor == 1.0 else Changed(replace(row, weight=row.weight * factor), "balance", REWEIGHED)
            continue
        times = _times(row, _known(cell, facts), facts, seed)
        if times == 0:
            yield Dropped(row, "balance", COMMON)
            continue
        yield Kept(row)
        for number in range(1, times):
            yield Added(replace(row, id=f"{row.id}~{number}", fields={**row.fields, "copy_of": row.id}))


def _known(cell: Cell, facts: Balance) -> Cell:
    """The cell as it was counted: without a label where the task has none."""
    return cell if cell in facts.whole else (cell[0], "")


def _times(row: Row, cell: Cell, facts: Balance, seed: int) -> int:
    """How many times a row is kept."""
    if cell not in facts.whole:
        return 1
    return facts.whole[cell] + (_place(row, seed) < facts.bound[cell])
