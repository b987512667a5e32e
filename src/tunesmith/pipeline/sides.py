"""The rows that evaluation may see, and how generated answers to them are understood."""

from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.chat.render import Renderer
from tunesmith.core.rows import Row
from tunesmith.data.config import Task
from tunesmith.evaluate.meant import LabelSets, Meant, Numbers


@dataclass(frozen=True, slots=True)
class Sides:
    """The rows evaluation may see, instruction included."""

    train: Sequence[Row]
    select: Sequence[Row]
    test: Sequence[Row]
    labels: tuple[str, ...] | None
    """The label set of classify, multilabel and tag."""
    task: str

    @property
    def judged(self) -> bool:
        """Whether single answers are marked as wanted or not."""
        return any(row.wanted is not None for row in self.train[:1])


def meant(sides: Sides, renderer: Renderer) -> Meant | None:
    """How generated answers are understood, where they stand for something else than their words."""
    if sides.task == Task.MULTILABEL:
        return LabelSets({label: renderer.written(label) for label in sides.labels or ()})
    return Numbers.of(sides.train) if sides.task == Task.REGRESS else None
