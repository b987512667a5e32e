"""What the passes over a dataset being made share: where rows lie, what is known of them, what is told."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tunesmith.core.progress import Ended, Listener, Said, Started
from tunesmith.data.config import DataConfig, Task
from tunesmith.data.read import Reading
from tunesmith.data.spool import Spool
from tunesmith.data.table import Columns, Table
from tunesmith.data.waterfall import Account

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tunesmith.data.anonymise import Anonymiser, Recogniser
    from tunesmith.engines.asking import Engine

    Mask = npt.NDArray[np.bool_]
    Sides = npt.NDArray[np.int8]
    Features = Callable[[list[str]], npt.NDArray[np.float32]]

CHUNK = 2000
"""Rows that go through the stages together."""
NOWHERE = -1


@dataclass(frozen=True, slots=True)
class Handed:
    """What stages are handed from upstairs, where the recipe asks for it; None where there is none."""

    features: "Features | None" = None
    """Texts -> one vector each, of the base."""
    engine: "Engine | None" = None
    """Answers requests, for ways of augmenting that write."""
    recogniser: "Recogniser | None" = None
    """Texts -> the personal data that a model found in each."""
    datasets: Path | None = None
    """Where datasets are kept: what undoes their stand-ins may not lie there."""


@dataclass
class Making:
    """One dataset being made."""

    config: DataConfig
    seed: int
    listen: Listener
    readings: dict[str, Reading]
    """Part -> the file being read: train, and validation and test where these were supplied."""
    held: TemporaryDirectory[str]
    handed: Handed
    notes: list[str] = field(default_factory=list)
    """What a person should know, a sentence each."""
    findings: dict[str, Any] = field(default_factory=dict)
    """What was measured, by name."""

    def __post_init__(self) -> None:
        main = self.readings["train"]
        self.folder, self.task = Path(self.held.name), main.task
        stratified = self.task in (Task.CLASSIFY, Task.MULTILABEL, Task.REGRESS) or (self.task is Task.PREFER and main.judged)
        self.table = Table(self.config.split.by, self.config.split.time, stratified)
        self.account, self.spool = Account(self.folder), Spool(self.folder / "rows.spool")
        self.anonymiser: Anonymiser | None = None
        self._columns: Columns | None = None

    @property
    def columns(self) -> Columns:
        """The table, once every row is in it."""
        if self._columns is None:
            self._columns = self.table.columns()
        return self._columns

    @contextmanager
    def work(self, name: str, total: int | None = None) -> Iterator[None]:
        """Tell when a piece of work begins and ends."""
        started = time.monotonic()
        self.listen(Started(name, total))
        yield
        self.listen(Ended(name, time.monotonic() - started))

    def say(self, text: str) -> None:
        """Tell a person something, and keep it nowhere."""
        self.listen(Said(text))

    def found(self, name: str, value: Mapping[str, Any]) -> None:
        """Keep a finding for the report."""
        self.findings[name] = dict(value)
