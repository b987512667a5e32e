"""A training that is one of many over the same rows and base: what it shares with the others, and who hears how it goes.

What is shared changes no number: examples are made once in a process, the frozen layers' states once for all processes. They stay
in a folder that whoever owns it removes, at up to `train.trunk_cache_mib` for each set of frozen layers.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.chat.render import Renderer
from tunesmith.core.hashing import digest
from tunesmith.recipe import Recipe
from tunesmith.train.batches import Example
from tunesmith.train.loop import EvaluationReport

if TYPE_CHECKING:
    from tunesmith.pipeline.training import TrainingRun

Heard = Callable[["TrainingRun", EvaluationReport], None]
"""Told of each evaluation, when the best step so far is saved and before the run could go on from here; what it raises ends the run."""
KINDS_KEPT = 4
"""Ways to make examples that are held at once; the one made first goes first."""


def deaf(run: "TrainingRun", report: EvaluationReport) -> None:
    """Hears nothing."""


@dataclass(frozen=True, slots=True)
class Examples:
    """The examples of some rows, by all that making them depends on but the rows: for one dataset."""

    held: dict[str, list[list[Example]]] = field(default_factory=dict)

    def of(self, recipe: Recipe, objective: str, renderer: Renderer, make: Callable[[], list[list[Example]]]) -> list[list[Example]]:
        """Those made before by the same settings, else made now."""
        key = digest(
            [
                recipe.data.model_dump(mode="json"),
                recipe.base.model_dump(mode="json"),
                recipe.train.weight_by,
                renderer.max_tokens,
                objective,
                recipe.method.head,
            ]
        )
        if key not in self.held:
            while len(self.held) >= KINDS_KEPT:
                del self.held[next(iter(self.held))]
            self.held[key] = make()
        return list(self.held[key])


@dataclass(frozen=True, slots=True, kw_only=True)
class OfMany:
    """What the trainings have in common."""

    trunks: Path
    """Folder of the frozen layers' states."""
    examples: Examples = field(default_factory=Examples)
    threads: int | None = None
    """Most threads it may take, where several train at once; None: all there are."""
    heard: Heard = deaf
