"""A study as a folder: what is searched, and a small file a trial, each whole or absent.

    study.json          what is searched and by which seed; another search is refused the folder
    records/0007.json   a trial: asked for, under way, ended
    ended.json          why the search ended, before its finalists are trained again
    lock                held by the one process that leads the study

A trial's file is written before it is trained, at each of its evaluations, and when it ends: a few hundred bytes and a sync each. The
samplers' own state is nowhere: it is derived anew from the trials for each question (`sampling`), so that nothing else has to survive.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunesmith.core.errors import MachineError, RecipeError
from tunesmith.core.files import make_folder, only_one, read_json, write_json
from tunesmith.search.outcome import TrialRecord, curve_from, curve_json, measured_from, measured_json
from tunesmith.search.trial import Measured, Point, Settings

_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A trial, from when it was asked for."""

    number: int
    settings: Settings
    seed: int
    repeats: int | None = None
    """The trial whose settings it trains again under another seed; None for the search's own."""
    points: tuple[Point, ...] = ()
    """Its evaluations so far."""
    measured: Measured | None = None
    """How it ended; None where it has not."""
    deaths: int = 0
    """Of workers that trained it."""
    elapsed: float = 0.0
    """Seconds that the search had worked when this was written."""
    cut: bool = False
    """It was ended because a budget was spent, and says nothing about its settings."""

    @property
    def ended(self) -> bool:
        return self.measured is not None

    @property
    def steps(self) -> int:
        """Optimiser steps that it took so far."""
        if self.measured is not None:
            return self.measured.steps
        return self.points[-1].step if self.points else 0

    def trial(self) -> TrialRecord:
        """As part of an outcome; it must have ended."""
        assert self.measured is not None
        return TrialRecord(self.number, self.settings, self.seed, self.measured)

    def told(self, point: Point) -> "Record":
        """With one evaluation more; one that was told before is left as it was."""
        if self.points and point.step <= self.points[-1].step:
            return self
        return replace(self, points=(*self.points, point))

    def finished(self, measured: Measured, *, resumed: bool, cut: bool) -> "Record":
        """Ended.

        Args:
            measured: as its trainer told it.
            resumed: it was begun before a kill: the steps made then were made for it too, heard of or not.
            cut: see the field.
        """
        curve = measured.curve if len(measured.curve) >= len(self.points) else self.points
        steps = measured.steps
        if resumed and (steps or self.points):
            steps = max([steps, *(point.step for point in curve)])
        return replace(self, points=(), measured=replace(measured, steps=steps, curve=tuple(curve)), cut=cut)


class Folder:
    """The files of one study."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records = path / "records"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be its one leader; BusyError where there is another."""
        with only_one(self.path / "lock", f"The search in {self.path}"):
            yield

    def begin(self, identity: dict[str, Any]) -> None:
        """Write what is searched, or see that it is the same. RecipeError where the folder holds another search."""
        described = {"version": _VERSION, **identity}
        file = self.path / "study.json"
        make_folder(self.records)
        if not file.exists():
            write_json(file, described)
        elif read_json(file) != described:
            raise RecipeError(
                f"{self.path} holds another search (space, sampler, pruner or seed differ): name another folder, or remove it."
            )

    def load(self) -> list[Record]:
        """Every trial, in order of number. MachineError names a file that is damaged, or a gap."""
        files = sorted(file for file in self.records.iterdir() if file.suffix == ".json" and not file.name.startswith("."))
        found = [_record(file) for file in files]
        for position, record in enumerate(found):
            if record.number != position:
                raise MachineError(f"{self._file(position)} is missing: put it back, or remove {self.path} to begin the search anew.")
        return found

    def write(self, record: Record) -> None:
        """Write a trial, whole."""
        told: dict[str, Any] = {
            "number": record.number,
            "settings": dict(record.settings),
            "seed": record.seed,
            "repeats": record.repeats,
            "points": curve_json(record.points),
            "measured": measured_json(record.measured) if record.measured is not None else None,
            "deaths": record.deaths,
            "elapsed": record.elapsed,
            "cut": record.cut,
        }
        write_json(self._file(record.number), told)

    def ended(self) -> dict[str, Any] | None:
        """How the search ended, as `end` wrote it; None where it has not."""
        file = self.path / "ended.json"
        return dict(read_json(file)) if file.exists() else None

    def end(self, told: dict[str, Any]) -> None:
        """Write how the search ended."""
        write_json(self.path / "ended.json", told)

    def _file(self, number: int) -> Path:
        return self.records / f"{number:05d}.json"


def _record(file: Path) -> Record:
    told = read_json(file)
    try:
        measured = told["measured"]
        return Record(
            number=int(told["number"]),
            settings=dict(told["settings"]),
            seed=int(told["seed"]),
            repeats=told["repeats"],
            points=curve_from(told["points"]),
            measured=measured_from(measured) if measured is not None else None,
            deaths=int(told["deaths"]),
            elapsed=float(told["elapsed"]),
            cut=bool(told["cut"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise MachineError(f"{file} is damaged: put it back, or remove it and all later ones to train these trials again.") from error
