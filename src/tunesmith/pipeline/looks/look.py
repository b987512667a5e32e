"""What a look at a finished model is given, and what it gives back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from tunesmith.chat.render import Renderer
from tunesmith.core.files import read_jsonl
from tunesmith.core.progress import Listener
from tunesmith.core.rows import Row
from tunesmith.data.dataset import Dataset
from tunesmith.evaluate.systems import Answers
from tunesmith.evaluate.verdict import Gate
from tunesmith.models.load import Base
from tunesmith.models.package import Bundle
from tunesmith.pipeline.datasets import groups_of
from tunesmith.pipeline.decisions import device_here
from tunesmith.pipeline.evaluation import Sides
from tunesmith.pipeline.workspace import Stages
from tunesmith.recipe import Recipe
from tunesmith.score.prediction import Prediction

if TYPE_CHECKING:
    from torch import device

    from tunesmith.pipeline.twins import Twins


@dataclass(frozen=True, slots=True)
class Tuned:
    """The model a round made, ready to answer."""

    model: nn.Module
    renderer: Renderer
    bundle: Bundle
    answerer: Answers
    """Answers as the model will be served, before any correction of its confidences."""


@dataclass(frozen=True, slots=True)
class Looking:
    """A round whose model is trained and has answered the test rows."""

    recipe: Recipe
    folder: Path
    """The round's own; a look may keep files under `folder / "looks"`, so that a killed round does not ask twice."""
    dataset: Dataset
    sides: Sides
    metric: str
    """The measure that decides."""
    base: Base
    """The base as it was pretrained; never trained."""
    base_hash: str
    tuned: Tuned
    answers: list[Prediction]
    """The tuned model's on test, corrected where it was calibrated."""
    baselines: Path
    """A JSONL file of answers for each other system, by its key."""
    replay: list[Row]
    """General rows that training mixed in."""
    twins: "Twins"
    """Trains the recipe once more, for what one training can't tell."""
    stages: Stages
    listen: Listener

    @property
    def device(self) -> "device":
        """Where models answer."""
        return device_here()

    @property
    def precision(self) -> str:
        """What models answer in."""
        return "bf16" if self.device.type == "cuda" else "fp32"

    def answers_of(self, system: str) -> list[Prediction] | None:
        """Another system's answers on test; None where it was not scored."""
        path = self.baselines / f"{system}.jsonl"
        return [Prediction.from_json(value) for value in read_jsonl(path)] if path.exists() else None

    def groups(self, side: str) -> Mapping[str, str] | None:
        """Row id -> group on a side, where rows belong together."""
        return groups_of(self.dataset, side, self.recipe.data.split.by)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a look found."""

    piece: dict[str, Any]
    """As report.json has it, under the look's name."""
    gates: tuple[Gate, ...] = ()
    """Of the bounds that the recipe sets."""
    alarm: str | None = None
    """What people must be told beside the verdict, in a sentence."""
    public: str | None = None
    """What strangers may read of it, in the model card: no text of a row, no value of a column but a label, no path, no address, no name of
    an engine. None: that it was looked at, and nothing else."""


Look = Callable[[Looking], Found | None]
"""None where the recipe doesn't ask, or there is nothing to look at."""
