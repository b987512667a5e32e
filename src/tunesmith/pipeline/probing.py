"""A probe of a training, asked for and read: which steps it takes, and what its seconds and bytes say of the whole run.

Seconds of a step are c + b x operations, fitted on the steps that were taken; the run's own steps, validations, checkpoints and what
comes before its first step are then counted out. Memory is what the probe's process had at most, as it took the heaviest step there is.
A probe takes `PROBE_SECONDS` of steps and what it needs to come so far: loading the base twice, a step or three of the heaviest.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from tunesmith.core.errors import MachineError
from tunesmith.core.files import read_json, write_json
from tunesmith.pipeline.datasets import passing_folder
from tunesmith.pipeline.workload import Step, Whole, Workload
from tunesmith.train.batches import Batch, Example

PROBE_SECONDS = 10.0
NO_MEMORY = 77
"""As pipeline/probe.py, which this does not import: it is a program of its own."""
MOST_SECONDS = 600.0
"""A probe that takes longer is ended, and tells nothing."""
ORDINARY_STEPS = 6
MOST_PASSES = 2
"""Passes of a step that are taken: gradients are there from the first on, so that no later one holds more."""
SELECT_TOKENS = 2048
_INSTANT = 1e-6
"""Seconds that a step can't take less of."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Seconds of a processor's work, and of the wall's clock."""

    cpu: float = 0.0
    wall: float = 0.0

    def __add__(self, other: "Clock") -> "Clock":
        """Both together."""
        return Clock(self.cpu + other.cpu, self.wall + other.wall)

    def __mul__(self, times: float) -> "Clock":
        """So many times."""
        return Clock(self.cpu * times, self.wall * times)


@dataclass(frozen=True, slots=True)
class Probed:
    """What a probe found."""

    killed_at: str | None
    """The stage in which it was killed, or refused memory; None: it came to its end."""
    level: int = 0
    """Bytes resident once all is imported."""
    peak: int = 0
    """Most bytes resident."""
    stages: Mapping[str, Clock] = field(default_factory=dict)
    steps: Sequence[tuple[float, Clock]] = ()
    """Operations and seconds of each step taken."""
    evaluated: float = 0.0
    """Operations of the validation."""
    seconds: float = 0.0
    """Of the wall's clock, the probe itself, imports included."""
    refused: bool = False
    """Whether an allocation was refused, which is sure; a kill may also be a person's."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The steps that a probe is to take, the heaviest first, and the rows it is to validate on."""

    groups: tuple[tuple[Batch, ...], ...]
    flops: tuple[float, ...]
    select: tuple[Example, ...]
    evaluation_flops: float


def asked_of(work: Workload) -> Asked:
    """The heaviest pass with one before it, and steps spread from the lightest to the heaviest by their operations."""
    _, step, batch = work.peak
    before = next((one for one in step.passes if one is not batch), None)
    groups: list[tuple[Batch, ...]] = [(batch,) if before is None else (before, batch)]
    ordered = sorted(work.steps, key=lambda one: one.flops)
    middle = [(2 * turn + 1) * len(ordered) // (2 * ORDINARY_STEPS) for turn in range(ORDINARY_STEPS)]
    groups += [_part(ordered[place]) for place in _interleaved(sorted(set(middle)))]
    select = _sample(work.select, max(SELECT_TOKENS, work.recipe.train.token_budget))
    flops = tuple(work.step_flops([one.planned for one in group]) for group in groups)
    return Asked(tuple(groups), flops, select, work.step_flops([one.planned for one in work.evaluated(select)], learning=False))


def _part(step: Step) -> tuple[Batch, ...]:
    return step.passes[:MOST_PASSES]


def _interleaved(places: list[int]) -> list[int]:
    """From the middle outward, so that a short probe has seen the typical first."""
    return sorted(places, key=lambda place: abs(place - places[len(places) // 2]))


def _sample(examples: Sequence[Example], tokens: int) -> tuple[Example, ...]:
    """Rows spread evenly, as many as the tokens allow, two at least: KTO compares each with another."""
    if not examples:
        return ()
    mean = sum(one.tokens for one in examples) / len(examples)
    count = min(len(examples), max(2, int(tokens / max(1.0, mean))))
    return tuple(examples[turn * len(examples) // count] for turn in range(count))


def probe(work: Workload, *, seconds: float = PROBE_SECONDS) -> Probed | None:
    """Take a few steps of the training in a process of their own; None where that fails for another reason than memory.

    Raises:
        MachineError: the workspace can't be written.
    """
    asked = asked_of(work)
    with passing_folder(work.bench.workspace) as place:
        write_json(place / "order.json", _order(work, asked, seconds))
        command = [sys.executable, "-m", "tunesmith.pipeline.probe", str(place / "order.json"), str(place)]
        started = time.monotonic()
        held, holding = os.pipe()  # closed by our end, however that comes: the probe sees it, removes what it wrote and ends
        try:
            ended = subprocess.run(command, stdin=held, capture_output=True, timeout=MOST_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return None
        finally:
            os.close(held)
            os.close(holding)
        return _read(place / "probe.json", ended.returncode, asked, time.monotonic() - started)


def _order(work: Workload, asked: Asked, seconds: float) -> dict[str, Any]:
    """What the probe is told: rows by id, passes by the examples in them, and a recipe that trains as this one does without end."""
    sides: dict[str, set[str]] = {"train": set(), "select": set(), "replay": set()}
    rows = {"train": work.bench.material.train, "select": work.bench.material.select, "replay": work.bench.material.replay}

    def name(one: Example) -> tuple[str, str]:
        side, number = work.origin[id(one)]
        sides[side].add(rows[side][number].id)
        return side, one.row_id

    groups = [[[name(one) for one in batch.members] for batch in group] for group in asked.groups]
    for one in asked.select:
        name(one)
    return {
        "recipe": _endless(work).model_dump(mode="json"),
        "workspace": str(work.bench.workspace.root),
        "seconds": seconds,
        "settles": work.settles,
        "groups": groups,
        **{side: sorted(ids) for side, ids in sides.items()},
    }


def _endless(work: Workload) -> Any:
    """The recipe with enough steps, and without what would be decided or told elsewhere."""
    recipe = work.bench.recipe
    compiled = "off" if recipe.train.compile == "auto" else recipe.train.compile
    rate = None if recipe.train.learning_rate == "find" else recipe.train.learning_rate
    train = recipe.train.model_copy(update={"epochs": 1000.0, "max_steps": 1000, "track": [], "compile": compiled, "learning_rate": rate})
    method = recipe.method.model_copy(update={"unfreeze": None})
    objective = recipe.objective.model_copy(update={"class_weights": None})
    return recipe.model_copy(update={"train": train, "method": method, "objective": objective})


def _read(file: Path, code: int, asked: Asked, seconds: float) -> Probed | None:
    """What the probe wrote down, whether it came to its end or lacked memory; None where it failed otherwise."""
    try:
        told = read_json(file)
    except (MachineError, OSError, ValueError):
        told = {"reached": "the start"}
    if code in (-signal.SIGKILL, NO_MEMORY):
        return Probed(str(told.get("reached")), told.get("level", 0), told.get("peak", 0), seconds=seconds, refused=code == NO_MEMORY)
    if code != 0 or told.get("reached") != "end":
        return None
    stages = {name: Clock(*value) for name, value in told["stages"].items()}
    steps = [(asked.flops[int(number)], Clock(cpu, wall)) for number, cpu, wall in told["taken"]]
    return Probed(None, told["level"], told["peak"], stages, steps, asked.evaluation_flops, seconds)


def fitted(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """c and b of seconds = c + b x operations, neither below 0, by least squares of relative errors.

    Args:
        points: operations and seconds of each step.
    """
    known = [(work, taken) for work, taken in points if taken > _INSTANT]
    if not known:
        return 0.0, 0.0
    one = sum(1 / s**2 for _, s in known)
    x = sum(w / s**2 for w, s in known)
    xx = sum(w * w / s**2 for w, s in known)
    y, xy = sum(1 / s for _, s in known), sum(w / s for w, s in known)
    determinant = one * xx - x * x
    if determinant > 1e-9 * one * xx:
        c, b = (y * xx - x * xy) / determinant, (one * xy - x * y) / determinant
        if c >= 0 and b >= 0:
            return c, b
        if b < 0:
            return fmean(s for _, s in known), 0.0
    return (0.0, xy / xx) if xx > 0 else (y / one, 0.0)


def trained_in(found: Probed, whole: Whole, rendering: Clock, checkpoint_minutes: float) -> Clock:
    """Seconds of the whole training, from loading the base to its model on disk, as a probe foretells them.

    Args:
        found: a probe that came to its end.
        whole: the training's work.
        rendering: what making tokens of all its rows takes.
        checkpoint_minutes: as the recipe has it.
    """
    return Clock(*(_trained_in(found, whole, getattr(rendering, clock), checkpoint_minutes, clock) for clock in ("cpu", "wall")))


def _trained_in(found: Probed, whole: Whole, rendering: float, minutes: float, clock: str) -> float:
    taken = {name: float(getattr(value, clock)) for name, value in found.stages.items()}
    points = [(work, float(getattr(value, clock))) for work, value in found.steps]
    c, b = fitted(points)
    forward = taken["evaluate"] / found.evaluated if found.evaluated and "evaluate" in taken else b / 3
    steps = c * whole.steps + b * whole.step_flops
    evaluating = whole.evaluations * whole.evaluation_flops * forward
    before = whole.before_flops * forward + whole.settling_flops * b
    warming = max(0.0, taken["first"] - max((value for _, value in points[:1]), default=taken["first"]))
    saving = taken["save"] + 2 * whole.evaluations * taken["best"]
    timed = int((steps + evaluating) / (60 * minutes)) if minutes > 0 else whole.steps
    saving += timed * taken["best"]
    return taken["load"] + taken["setup"] + rendering + before + warming + steps + evaluating + saving + taken["restore"] + taken["package"]
