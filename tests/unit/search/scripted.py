"""Trainers that train nothing: values by a formula, so that a test knows what a search should find. Loaded by name, in workers too."""

import json
import math
import os
import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError
from tunesmith.core.files import write_json
from tunesmith.search.trial import Measured, Point, Report, Settings

SPACE: dict[str, Any] = {
    "train.learning_rate": {"log": [1e-5, 1e-1]},
    "method.rank": [4, 8, 16, 32, 64],
    "train.weight_decay": {"linear": [0, 0.2]},
    "method.dropout": {"linear": [0, 0.5]},
}
"""Rate and rank matter; decay and dropout are idle."""
STEPS = 10
"""Between two evaluations."""


def height(settings: Settings) -> float:
    """Highest at a rate of 10^-3 and a rank of 16, where it is 1."""
    rate = math.log10(settings.get("train.learning_rate", 1e-3)) + 3
    rank = math.log2(settings.get("method.rank", 16)) - 4
    return 1 - 0.2 * rate**2 - 0.1 * rank**2


@dataclass(frozen=True)
class Hill:
    """Curves that rise to `height`, with noise of the settings and the seed."""

    noise: float = 0.0
    evaluations: int = 8
    folder: Path | None = None
    """Where it keeps how far each trial has come, and a line for each step made, as a real trainer would."""

    def train(self, number: int, settings: Settings, seed: int, report: Report) -> Measured:
        """See `Trainer`."""
        luck = random.Random(json.dumps([sorted(settings.items()), seed])).gauss(0, self.noise)
        curve: list[Point] = []
        made = 0
        for evaluation in range(1, self.evaluations + 1):
            share = evaluation / self.evaluations
            curve.append(Point(evaluation * STEPS, share, height(settings) * (1 - math.exp(-3 * share)) + luck))
            made += self._made(number, evaluation)
            if report(curve[-1]):
                return Measured(value=curve[-1].value, steps=made, seconds=0.5, pruned=True, curve=tuple(curve))
        return Measured(value=height(settings) + luck, steps=made, seconds=1.0, curve=tuple(curve))

    def _made(self, number: int, evaluation: int) -> int:
        """Steps that had to be made up to this evaluation; none where an earlier sitting had made them."""
        if self.folder is None:
            return STEPS
        file = self.folder / f"{number}.json"
        if file.exists() and json.loads(file.read_text()) >= evaluation:
            return 0
        with (self.folder / "steps").open("a") as steps:
            steps.write(f"{number}:{evaluation}\n")
        write_json(file, evaluation)
        return STEPS


@dataclass(frozen=True)
class Broken:
    """A hill on which some trials end otherwise."""

    how: dict[int, str]
    """Number of a trial -> `diverges`, `raises`, `fails`, `is killed` or `is always killed`."""
    folder: Path
    hill: Hill = Hill()

    def train(self, number: int, settings: Settings, seed: int, report: Report) -> Measured:
        """See `Trainer`."""
        (self.folder / f"worker-{os.getpid()}").touch()
        before = self.folder / f"was-here-{number}"
        match self.how.get(number):
            case "diverges":
                return Measured(value=None, steps=STEPS, seconds=0.1, diverged="step 3 was refused")
            case "raises":
                raise DataError("The rows are gone.")
            case "fails":
                raise ZeroDivisionError("a bug")
            case "is killed" if not before.exists():
                before.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            case "is always killed":
                os.kill(os.getpid(), signal.SIGKILL)
        return self.hill.train(number, settings, seed, report)


@dataclass(frozen=True)
class Making:
    """Makes a trainer in a worker."""

    trainer: Any

    def __call__(self) -> Any:
        """The trainer."""
        return self.trainer


@dataclass(frozen=True)
class Waiting:
    """Never ends by itself."""

    folder: Path

    def train(self, number: int, settings: Settings, seed: int, report: Report) -> Measured:
        """See `Trainer`."""
        (self.folder / f"worker-{os.getpid()}").touch()
        time.sleep(600)
        raise AssertionError("nobody ended it")
