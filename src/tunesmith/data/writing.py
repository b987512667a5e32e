"""The last pass: rows from the spool to their sides, with their ids, corrected labels, the recipe's instruction, and what is made of them.

Rows that nothing more happens to are copied as they lie.
"""

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tunesmith.core.files import explained, whole_file
from tunesmith.core.progress import Advanced, Said
from tunesmith.core.rows import Dropped, Row
from tunesmith.core.seeds import derive_seed
from tunesmith.data import checks
from tunesmith.data.augment.amounts import LabelFacts
from tunesmith.data.augment.augment import Added, Around, augment
from tunesmith.data.balance import REWEIGHED, Balance, BalanceFacts, balance
from tunesmith.data.config import Task
from tunesmith.data.dataset import SIDES, Dataset, SideWriter, write_head
from tunesmith.data.dataset import Sides as DatasetSides
from tunesmith.data.instruct import instruct
from tunesmith.data.making import CHUNK, NOWHERE, Making
from tunesmith.data.review import Decisions, relabel
from tunesmith.data.waterfall import Ids

if TYPE_CHECKING:
    import numpy.typing as npt

    from tunesmith.data.making import Sides

    Rows = npt.NDArray[np.int64]

_TRAIN = SIDES.index("train")


@dataclass(frozen=True, slots=True)
class _Keys:
    """Whether a text key is among many; 8 bytes each."""

    sorted_K: "npt.NDArray[np.uint64]"

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, int):
            return False
        at = int(np.searchsorted(self.sorted_K, np.uint64(key)))
        return at < len(self.sorted_K) and int(self.sorted_K[at]) == key


class Writing:
    """Writes the sides of a dataset."""

    def __init__(self, making: Making, sides_N: "Sides", fixes: Decisions) -> None:
        """Before anything is written; `fixes` are labels to correct, by row id."""
        self._making, self._sides_N, self._fixes = making, sides_N, fixes
        self._ids: Ids = making.account.ids()
        self._rows = np.flatnonzero(sides_N >= 0)
        self._labels: dict[str, Counter[str]] = {side: Counter() for side in SIDES}
        self._refused: Counter[str] = Counter()
        self._made: Counter[str] = Counter()

    def written(self) -> Dataset:
        """The dataset, in the folder `out`.

        Raises:
            MachineError: the disk is full.
        """
        making, out = self._making, self._making.folder / "out"
        with explained(out):
            out.mkdir()
        writers = [SideWriter(out, side) for side in SIDES]
        config = making.config
        copied = not (self._fixes or config.augment.ways.named() or config.balance.method != "off" or config.instruction is not None)
        with making.work("write", len(self._rows)):
            for start in range(0, len(self._rows), CHUNK):
                some = self._rows[start : start + CHUNK]
                self._copy(some, writers) if copied else self._write(some, writers)
                making.listen(Advanced("write", start + len(some)))
        if copied:
            self._labels = {side: self._counted(self._sides_N == place) for place, side in enumerate(SIDES)}
        self._tell()
        hashes = {side: writer.close() for side, writer in zip(SIDES, writers, strict=True)}
        self._write_fates(out)
        return self._headed(out, hashes, {side: writer.count for side, writer in zip(SIDES, writers, strict=True)})

    def _copy(self, some: "Rows", writers: list[SideWriter]) -> None:
        ids, lines, sides = (
            self._ids.some(self._making.columns.read[some].astype(np.int64)),
            list(self._making.spool.lines(some)),
            self._sides_N[some],
        )
        for side, writer in enumerate(writers):
            of_side = np.flatnonzero(sides == side).tolist()
            writer.add_lines([lines[at] for at in of_side], [ids[at] for at in of_side])

    def _write(self, some: "Rows", writers: list[SideWriter]) -> None:
        making = self._making
        places, sides = making.columns.read[some].tolist(), self._sides_N[some].tolist()
        rows = [replace(row, id=self._ids[place]) for row, place in zip(making.spool.rows(some), places, strict=True)]
        if self._fixes:
            rows = self._corrected(places, rows)
        rows, sides = self._balanced(some, *self._multiplied(rows, sides))
        if making.config.instruction is not None:
            rows = self._instructed(rows)
        for row, side in zip(rows, sides, strict=True):
            writers[side].add(row)
            self._labels[SIDES[side]].update(checks.labels_of(row, making.task))

    def _corrected(self, places: list[int], rows: list[Row]) -> list[Row]:
        """Labels written as a person, or the recipe, decided; counted as changes of the stage that found them."""
        corrected = []
        for place, row, outcome in zip(places, rows, relabel(rows, self._fixes), strict=True):
            if outcome.row is not row:
                self._making.account.changed("relabel", place, "label corrected", row, outcome.row)
            corrected.append(outcome.row)
        return corrected

    def _multiplied(self, rows: list[Row], sides: list[int]) -> tuple[list[Row], list[int]]:
        """Training rows with those made of them behind."""
        making = self._making
        if not making.config.augment.ways.named():
            return rows, sides
        made: dict[str, list[Row]] = {}
        train = [row for row, side in zip(rows, sides, strict=True) if side == _TRAIN]
        for found in augment(train, making.config.augment, self._around):
            if isinstance(found, Added):
                made.setdefault(str(found.row.fields["parent"]), []).append(found.row)
                self._made[str(found.row.fields["augmented"])] += 1
            else:
                self._refused[found.reason] += 1
        all_rows, all_sides = [], []
        for row, side in zip(rows, sides, strict=True):
            more = made.get(row.id, []) if side == _TRAIN else []
            all_rows += [row, *more]
            all_sides += [side] * (1 + len(more))
        making.account.untouched("augment", len(rows))
        making.account.added("augment", len(all_rows) - len(rows))
        return all_rows, all_sides

    def _balanced(self, some: "Rows", rows: list[Row], sides: list[int]) -> tuple[list[Row], list[int]]:
        """Training rows weighed, thinned or repeated as the recipe asks."""
        making, config = self._making, self._making.config.balance
        if config.method == "off":
            return rows, sides
        places = making.columns.read[some].tolist()
        place_of = {self._ids[place]: (at, place) for at, place in zip(some.tolist(), places, strict=True)}
        train = [row for row, side in zip(rows, sides, strict=True) if side == _TRAIN]
        kept: dict[str, list[Row]] = {row.id: [] for row in train}
        last = ""
        for outcome in balance(train, config, self._balance, derive_seed(making.seed, "balance")):
            last = last if isinstance(outcome, Added) else outcome.row.id
            if not isinstance(outcome, Dropped):
                kept[last].append(outcome.row)
                continue
            at, place = place_of.get(last, (None, None))  # a made row has neither
            making.account.drop("balance", place, outcome.reason, outcome.row)
            if at is not None:
                self._sides_N[at] = NOWHERE
        changed = sum(bool(kept[row.id]) and kept[row.id][0] is not row for row in train)
        left = [(one, side) for row, side in zip(rows, sides, strict=True) for one in (kept[row.id] if side == _TRAIN else [row])]
        copies = sum(max(0, len(held) - 1) for held in kept.values())
        making.account.rewrote("balance", len(left) - copies, changed, REWEIGHED)
        making.account.added("balance", copies)
        return [row for row, _ in left], [side for _, side in left]

    @cached_property
    def _balance(self) -> Balance:
        """What the counts over all training rows come to."""
        making = self._making
        facts = BalanceFacts(making.config.balance, making.task, derive_seed(making.seed, "balance"))
        train = np.flatnonzero(self._sides_N == _TRAIN)
        for row, place in zip(making.spool.rows(train), making.columns.read[train].tolist(), strict=True):
            facts.add(replace(row, id=self._ids[place]))
        return facts.result()

    @cached_property
    def _around(self) -> Around:
        """What augmentation must know of the other rows."""
        making, text = self._making, self._making.columns.text
        train_N = self._sides_N == _TRAIN
        return Around(
            seed=derive_seed(making.seed, "augment"),
            task=making.task,
            held=_Keys(np.unique(text[(self._sides_N >= 0) & ~train_N])),
            taken=_Keys(np.unique(text[train_N])),
            quotas=self._quotas(np.flatnonzero(train_N)),
            engine=making.handed.engine,
        )

    def _quotas(self, train: "Rows") -> Any:
        making, wanted = self._making, self._making.config.augment.per_class
        if wanted is None:
            return None
        facts = LabelFacts(derive_seed(making.seed, "augment"))
        for row, place in zip(making.spool.rows(train), making.columns.read[train].tolist(), strict=True):
            facts.add(replace(row, id=self._ids[place]))
        return facts.result(wanted)

    def _instructed(self, rows: list[Row]) -> list[Row]:
        outcomes = list(instruct(rows, self._making.config.instruction or ""))
        changed = sum(outcome.row is not row for row, outcome in zip(rows, outcomes, strict=True))
        self._making.account.rewrote("instruct", len(rows), changed, "instruction added")
        return [outcome.row for outcome in outcomes]

    def _counted(self, among_N: "npt.NDArray[np.bool_]") -> Counter[str]:
        """How many of these rows carry each label; nothing where the task has no labels."""
        making = self._making
        if making.task is Task.CLASSIFY:
            counts = np.bincount(making.columns.stratum[among_N], minlength=1).tolist()
            return Counter({label: counts[code] for label, code in making.table.strata() if code < len(counts) and counts[code]})
        if making.task not in (Task.MULTILABEL, Task.TAG):
            return Counter()
        return Counter(label for row in making.spool.rows(np.flatnonzero(among_N)) for label in checks.labels_of(row, making.task))

    def _tell(self) -> None:
        making = self._making
        making.notes += checks.side_notes(self._labels)
        making.found("classes", {side: dict(counts.most_common()) for side, counts in self._labels.items() if counts})
        if self._made or self._refused:
            making.found("augment", {"made": dict(self._made.most_common()), "refused": dict(self._refused.most_common())})
        for note in making.notes:
            making.listen(Said(note, warning=True))

    def _write_fates(self, out: Path) -> None:
        """outcomes.jsonl and quarantine.jsonl."""
        account = self._making.account
        of_read = np.full(len(self._ids.keys_N), NOWHERE, np.int8)
        of_read[self._making.columns.read.astype(np.int64)] = self._sides_N
        with whole_file(out / "outcomes.jsonl") as temporary, temporary.open("w", encoding="utf-8") as file:
            file.writelines(account.fate_lines(of_read, SIDES, self._ids))
        account.quarantine.flush()
        (out / "quarantine.jsonl").hardlink_to(account.quarantine.path)

    def _headed(self, out: Path, hashes: dict[str, str], counts: dict[str, int]) -> Dataset:
        """The dataset of the files that were written, with its head."""
        making, main = self._making, self._making.readings["train"]
        dataset = Dataset(
            task=making.task,
            format=main.form.name,
            mapping=main.mapping,
            labels=dict(sorted(sum(self._labels.values(), Counter()).items())),
            sides=DatasetSides(out, counts, making.held),
            waterfall=making.account.stages(),
            notes=tuple(making.notes),
            path=making.config.path,
            findings=making.findings,
            hashes=hashes,
        )
        write_head(out, dataset)
        return dataset
