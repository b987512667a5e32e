"""Trackers: other tools' views of a run's plain numbers. One file each, named in the table; each library is an extra.

A tracker is shown a run, never asked about it: `steps.jsonl` and the report are what a round is held to. What leaves for
a tracker is the numbers of each step and `flat_settings` of the recipe: numbers, switches and words of the recipe's own
vocabulary, no path, no text, no label.

A run that is continued hands in its whole log again, and each tracker takes the steps that it lacks: none twice, and
none lost that a kill took from a tracker's buffer. Where a run went back after a divergence, each tracker is told, and
forgets the abandoned steps as far as its record allows: TensorBoard hides them, an offline record of W&B is begun anew;
MLflow keeps them beside those taken again, and an online run of W&B until it is past the step where it had failed, both
with a word about it.

What trackers cost, measured on one busy CPU core: TensorBoard 0.5 ms a step and 2 s to begin; MLflow 1 ms a step and 10 s
to make its tables; W&B 1 ms a step, 3 s to begin and a process of its own.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, Self, get_args, get_origin

from tunesmith.core.errors import MachineError, RecipeError, did_you_mean
from tunesmith.core.progress import Listener, Said
from tunesmith.section import Section

Setting = float | int | bool | str | None


class Tracker(Protocol):
    """One tool's record of one run."""

    LIBRARY: ClassVar[str]
    """The module it needs."""
    held: dict[str, int]
    """The last step that its record holds of each value, earlier executions included."""

    @classmethod
    def open(cls, folder: Path, run_name: str, settings: Mapping[str, Setting]) -> Self:
        """Begin a record, or take up the one of the same name.

        Args:
            folder: the round's training folder; a record that is kept locally lies in a folder or file of its own in it.
            run_name: the round's id.
            settings: `flat_settings` of the recipe.
        """
        ...

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Add the finite numbers of a step, all of which are later than `held`."""
        ...

    def go_back(self, step: int) -> None:
        """The steps after `step` are abandoned, and will be taken again: forget them where that can be done, and lower `held` to what is left."""
        ...

    def close(self) -> None:
        """Write what is left."""
        ...


_TABLE = {
    "tensorboard": "tunesmith.pipeline.trackers.tensorboard:TensorBoard",
    "mlflow": "tunesmith.pipeline.trackers.mlflow:MLflow",
    "wandb": "tunesmith.pipeline.trackers.wandb:WandB",
}


def tracker(name: str) -> type[Tracker]:
    """The tracker of that name. Raises RecipeError with the nearest one where there is none."""
    if name not in _TABLE:
        raise RecipeError(f"train.track {name!r} is not known.{did_you_mean(name, _TABLE)}")
    module, attribute = _TABLE[name].split(":")
    found: type[Tracker] = getattr(import_module(module), attribute)
    return found


def refuse_without_library(names: Iterable[str]) -> None:
    """MachineError before a run whose tracker's library is not installed, naming the extra that has it."""
    for name in names:
        spec = find_spec(tracker(name).LIBRARY)
        if spec is None or spec.origin is None:  # without an origin: a bare folder of that name, such as W&B leaves behind
            raise MachineError(
                f"train.track: {name} needs a library that is not installed: pip install 'tunesmith[{name}]', or take {name} out of train.track."
            )


class Trackers:
    """All the trackers of a run. One that fails is told of once, and left alone from then on."""

    def __init__(self, trackers: Mapping[str, Tracker], listen: Listener) -> None:
        self._open, self._listen = dict(trackers), listen

    @classmethod
    def open(cls, names: Sequence[str], folder: Path, run_name: str, settings: Mapping[str, Setting], *, listen: Listener) -> "Trackers":
        """Open each; where the run is continued, call `log` for all of its history next (`train.watch.Watch.history`)."""
        opened = cls({}, listen)
        for name in dict.fromkeys(names):
            kind = tracker(name)
            with _Guard(opened, name):
                opened._open[name] = kind.open(folder, run_name, settings)
        return opened

    def log(self, step: int, values: Mapping[str, float | None]) -> None:
        """Show a step's numbers: those that are known, finite, and not shown yet."""
        known = {name: float(value) for name, value in values.items() if value is not None and math.isfinite(value)}
        for name, one in list(self._open.items()):
            with _Guard(self, name):
                fresh = {key: value for key, value in known.items() if step > one.held.get(key, -1)}
                if fresh:
                    one.log(step, fresh)
                    one.held.update(dict.fromkeys(fresh, step))

    def go_back(self, step: int, history: Iterable[tuple[int, Mapping[str, float]]]) -> None:
        """After a divergence: forget what came after `step`, where anything did, and show again what is then lacking of `history`."""
        for name, one in list(self._open.items()):
            with _Guard(self, name):
                if any(last > step for last in one.held.values()):
                    one.go_back(step)
        for earlier, values in history:
            self.log(earlier, values)

    def close(self) -> None:
        """Close each. May be called twice."""
        for name, one in list(self._open.items()):
            with _Guard(self, name):
                one.close()
            self._open.pop(name, None)

    def give_up(self, name: str, error: Exception) -> None:
        """Go on without a tracker."""
        self._open.pop(name, None)
        why = str(error).strip().splitlines()[:1]
        self._listen(
            Said(f"{name} shows no more of this run, which goes on: {type(error).__name__}{': ' + why[0] if why else ''}", warning=True)
        )


class _Guard:
    """Within, what a tracker raises costs the tracker, not the run."""

    def __init__(self, trackers: Trackers, name: str) -> None:
        self._trackers, self._name = trackers, name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, Exception):
            return False
        self._trackers.give_up(self._name, error)
        return True


def flat_settings(section: Section, before: str = "") -> dict[str, Setting]:
    """What of a recipe may be shown elsewhere, by dotted name: numbers, switches, and words that the recipe's schema names.

    Free text never is: not paths and ids, instructions, labels, tokens or patterns.
    """
    flat: dict[str, Setting] = {}
    for name, field in type(section).model_fields.items():
        value: Any = getattr(section, name)
        if isinstance(value, Section):
            flat |= flat_settings(value, f"{before}{name}.")
        elif isinstance(value, bool | int | float) or value is None:
            flat[before + name] = value
        elif isinstance(value, str) and value in _words(field.annotation):
            flat[before + name] = str(value)
        elif isinstance(value, list | tuple) and value and all(isinstance(item, int | float) for item in value):
            flat[before + name] = ", ".join(f"{item:g}" for item in value)
    return flat


def _words(annotation: Any) -> set[str]:
    """The words that a field's type spells out."""
    if get_origin(annotation) is Literal:
        return {word for word in get_args(annotation) if isinstance(word, str)}
    if isinstance(annotation, type) and issubclass(annotation, str) and hasattr(annotation, "__members__"):
        return {str(word.value) for word in annotation.__members__.values()}
    return set().union(*(_words(part) for part in get_args(annotation)))
