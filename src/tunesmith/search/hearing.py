"""A trial at work, and what is heard of its evaluations: kept in its folder, told to the search, told again after a kill.

A value is that of the step which would be kept, were the evaluation the last one. Costs a small file an evaluation.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunesmith.core.files import read_json, write_json
from tunesmith.core.rows import Row
from tunesmith.pipeline.bench import Bench
from tunesmith.pipeline.one_training import STAGE, TRAIN_VERSION, training_inputs
from tunesmith.pipeline.training import TrainingRun
from tunesmith.pipeline.workspace import stage_key
from tunesmith.search.measuring import Compared, answered_now
from tunesmith.search.outcome import curve_from, curve_json
from tunesmith.search.trial import Point, Report, Settings
from tunesmith.train.loop import EvaluationReport

POINTS = "points.json"


class Sealed(Mapping[str, Sequence[Row]]):
    """The sides of a dataset but test, which no trial has a use for: whoever asks for it all the same is a bug."""

    def __init__(self, sides: Mapping[str, Sequence[Row]]) -> None:
        self._open = {name: sides[name] for name in sides if name != "test"}

    def __getitem__(self, side: str) -> Sequence[Row]:
        """The rows of a side."""
        assert side != "test", "a search never looks at the test rows"
        return self._open[side]

    def __iter__(self) -> Iterator[str]:
        """The names of the open sides."""
        return iter(self._open)

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial at work."""

    number: int
    settings: Settings
    seed: int
    place: Path
    bench: Bench

    @property
    def inputs(self) -> dict[str, Any]:
        """All that its training depends on."""
        return training_inputs(self.bench)

    @property
    def key(self) -> str:
        """Equal for trainings that end in the same weights: that of a round's stage, which tells versions of libraries apart."""
        return stage_key(STAGE, TRAIN_VERSION, self.inputs)

    @property
    def working(self) -> Path:
        """Its training's folder."""
        return self.place / "training"

    @property
    def made(self) -> Path:
        """Its output: the model, and the report of its training."""
        return self.place / "made"


class EndedEarly(Exception):
    """The search has heard enough of a trial."""


@dataclass
class Hearing:
    """Hears a training's evaluations, keeps them, and tells the search."""

    trial: Trial
    compared: Compared
    sample: Sequence[Row]
    """Rows of `select` that are answered where validation does not say the measure."""
    at_start: Callable[[TrainingRun], float]
    """The value before the first step."""
    report: Report
    points: list[Point] = field(default_factory=list)
    start: float | None = None
    """The value before the first step, where it had to be measured."""
    before: float = 0.0
    """Processor seconds of earlier sittings."""
    began: float = field(default_factory=time.process_time)

    @property
    def file(self) -> Path:
        return self.trial.working / POINTS

    @property
    def seconds(self) -> float:
        """Of processor time, earlier sittings included."""
        return self.before + time.process_time() - self.began

    def go_back(self) -> None:
        """Tell again what was heard before a kill; raises `EndedEarly` as `__call__` does."""
        if not self.file.exists():
            return
        told = read_json(self.file)
        self.points, self.before, self.start = list(curve_from(told["curve"])), float(told["seconds"]), told["start"]
        for point in self.points:
            self._tell(point)

    def __call__(self, run: TrainingRun, heard: EvaluationReport) -> None:
        """An evaluation."""
        if self.points and heard.step <= self.points[-1].step:
            return  # gone on from before it: it was told already
        value = self._value(run, heard)
        if heard.step == 0:
            self.start = value
            return
        self.points.append(Point(heard.step, heard.step / run.feed.steps, value))
        write_json(self.file, {"curve": curve_json(tuple(self.points)), "seconds": self.seconds, "start": self.start})
        self._tell(self.points[-1])

    def _tell(self, point: Point) -> None:
        if self.report(point) and point.share < 1:  # at the end nothing is saved by ending
            raise EndedEarly

    def _value(self, run: TrainingRun, heard: EvaluationReport) -> float:
        """Of the step that would be kept, were this the last."""
        compared, progress = self.compared, run.state.progress
        if compared.measure is None:
            return compared.signed(dict(progress.validation)[progress.best_step])
        free = dict(progress.values).get(progress.best_step)
        if free is not None:
            return compared.signed(free)
        if heard.step == 0:
            return self.at_start(run)
        if heard.best:
            return compared.signed(answered_now(run.state, self.trial.bench, self.sample, compared.measure))
        kept = self.points[-1].value if self.points else self.start
        assert kept is not None, "the first evaluation is the best so far"
        return kept
