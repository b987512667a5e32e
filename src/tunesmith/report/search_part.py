"""The `search` piece of report.json, typed; its form is told in `tunesmith.report.card`."""

from typing import Any

from pydantic import Field

from tunesmith.report.figures import Metric, metric_of
from tunesmith.report.shape import Estimate, Number, Part


class TrialPart(Part):
    number: int
    settings: dict[str, Any] = Field(default_factory=dict)
    value: Number = None
    pruned: bool = False
    steps: int = 0


class FinalistPart(Part):
    number: int
    values: tuple[Number, ...] = ()
    mean: Number = None
    spread: Number = None


class ComparedPart(Part):
    name: str = "loss"
    less_is_better: bool = True
    sentence: str = ""


class GainPart(Part):
    difference: Number = None
    low: Number = None
    high: Number = None
    value: Number = None
    ours: Number = None
    outcome: str = ""


class AsItWasPart(Part):
    value: Number = None


class SearchPart(Part):
    """`search` of report.json."""

    id: str = ""
    measure: str = ""
    compared: ComparedPart = ComparedPart()
    steps: int = 0
    seconds: float = 0.0
    stopped: str = ""
    trials: tuple[TrialPart, ...] = ()
    finalists: tuple[FinalistPart, ...] = ()
    best: int = 0
    importance: dict[str, float] = Field(default_factory=dict)
    importance_note: str = ""
    as_it_was: AsItWasPart = AsItWasPart()
    gain: GainPart | None = None
    sentence: str = ""

    @property
    def told(self) -> list[TrialPart]:
        """Trials that have a value."""
        return [trial for trial in self.trials if trial.value is not None]

    @property
    def winner(self) -> TrialPart | None:
        """The trial whose settings were chosen."""
        return next((trial for trial in self.trials if trial.number == self.best), None)

    @property
    def names(self) -> list[str]:
        """The settings, those first on which most hangs."""
        found = {name for trial in self.trials for name in trial.settings}
        return sorted(found, key=lambda name: (-self.importance.get(name, 0.0), name))

    def better(self, one: float, other: float) -> bool:
        """Whether a value beats another."""
        return one < other if self.compared.less_is_better else one > other

    @property
    def metric(self) -> Metric:
        """What trials are compared by."""
        if self.compared.name == "loss":
            return Metric("loss", "Validation loss", less_is_better=True, places=3)
        return metric_of(self.compared.name, [Estimate(value=trial.value) for trial in self.told])
