"""The audit of a dataset: rows are counted as they stream by, and the figures are made of the counts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunesmith.core.rows import Row
from tunesmith.core.seeds import derive_seed
from tunesmith.data.audit.answers import answers_by_group
from tunesmith.data.audit.finding import findings_of
from tunesmith.data.audit.groups import column_groups, term_groups
from tunesmith.data.audit.labels import label_skew
from tunesmith.data.audit.losses import losses
from tunesmith.data.audit.mitigation import MITIGATIONS
from tunesmith.data.audit.reference import representation
from tunesmith.data.audit.sources import source_skew
from tunesmith.data.audit.tally import Tally
from tunesmith.data.audit.times import history, time_skew
from tunesmith.data.config import Task
from tunesmith.data.decision import mixed
from tunesmith.data.settings.audit import AuditConfig

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def sampled(keys_N: "npt.NDArray[np.uint64]", count: int, seed: int) -> "npt.NDArray[np.int64]":
    """Which rows to look at, where they are more than `count`: those whose seeded hash is least, in order. Legend: N rows.

    Args:
        keys_N: hashes of the rows' content (`Columns.key`); of equal ones the first are taken.
        count: how many.
        seed: the recipe's.
    """
    import numpy as np

    if len(keys_N) <= count:
        return np.arange(len(keys_N))
    order = np.argsort(mixed(keys_N, derive_seed(seed, "audit")), kind="stable")
    return np.sort(order[:count])


@dataclass(frozen=True, slots=True)
class AuditFindings:
    """What the audit found; the keys of `told` are those of `tunesmith.data.audit`."""

    told: dict[str, Any]

    @property
    def findings(self) -> list[dict[str, Any]]:
        """What is large enough to matter and beyond chance."""
        found: list[dict[str, Any]] = self.told["findings"]
        return found

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return self.told


class Audit:
    """Hand it rows as they are written, and rows as they are dropped; then ask for the `result`."""

    def __init__(self, config: AuditConfig, task: Task, *, seed: int = 0, timed: str | None = None) -> None:
        """An audit of nothing yet. `timed` is the column of `data.split.time`, used where the config names none."""
        self._config, self._seed = config, seed
        self._tally = Tally(config, task, config.time or timed)

    def add(self, rows: Iterable[Row], sides: Iterable[str]) -> None:
        """Rows with the names of their sides; of more rows than `config.rows`, those that `sampled` chose."""
        self._tally.add(rows, sides)

    def dropped(self, row: Row, stage: str) -> None:
        """A row that a stage dropped. Leave out stages that drop by lot (`sample`): they select nothing."""
        self._tally.drop(row, stage)

    def result(self, *, total: int | None = None, labels: Mapping[str, Mapping[str, int]] | None = None) -> AuditFindings:
        """Make the figures.

        Args:
            total: how many rows the sides hold, where only a sample was added.
            labels: side -> label -> rows, over all rows; where absent, label skew is told of the train rows that were added.
        """
        tally, config = self._tally, self._config
        scale = max(1.0, (total or 0) / tally.kept_rows) if tally.kept_rows else 1.0
        own = {tally.keys[place].group: tally.train[place] for place in tally.of("label")}
        by_label = tally.task in (Task.CLASSIFY, Task.MULTILABEL, Task.TAG)
        figures = {
            "labels": label_skew(labels if labels is not None else {"train": own} if by_label and own else {}, config),
            "terms": term_groups(tally),
            "columns": column_groups(tally),
            "answers": answers_by_group(tally),
            "reference": representation(tally, self._seed),
            "sources": source_skew(tally),
            "times": time_skew(tally),
            "history": history(tally),
            "losses": losses(tally, scale),
        }
        tested = sum(figure.tested for figure in figures.values())
        told: dict[str, Any] = {
            "rows": {"looked_at": tally.kept_rows, "total": round(tally.kept_rows * scale), "train": tally.train_rows},
            "level": config.level,
            "correction": "holm",
            "tested": tested,
            "findings": findings_of(figures.values(), config.level),
        }
        told |= {name: figure.told for name, figure in figures.items()}
        return AuditFindings(told | {"mitigations": MITIGATIONS})


def audit(rows: Sequence[Row], config: AuditConfig, task: Task, *, seed: int = 0, timed: str | None = None) -> AuditFindings:
    """The audit of train rows that are at hand."""
    one = Audit(config, task, seed=seed, timed=timed)
    one.add(rows, ["train"] * len(rows))
    return one.result()
