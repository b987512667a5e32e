"""Which labels an opinion may name: those of the model it is about; of a line of service, those of its champion, who will learn it.

Costs reading a small file for each model that is asked about. A model whose answers are free text, or that nobody knows any more, takes
anything.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.core.errors import TunesmithError
from tunesmith.core.files import read_json
from tunesmith.ledger.feedback import FeedbackRecord
from tunesmith.pipeline.naming import folder_name, known_model
from tunesmith.pipeline.workspace import Workspace

if TYPE_CHECKING:
    from tunesmith.ledger.ledger import Ledger

Labels = tuple[str, ...]


class LabelSets:
    """The labels of a workspace's models, each read once."""

    def __init__(self, place: Workspace, ledger: "Ledger") -> None:
        self._place, self._ledger = place, ledger
        self._read: dict[tuple[str | None, str | None], Labels | None] = {}

    def of(self, record: FeedbackRecord) -> Labels | None:
        """The labels that an opinion may name; None: anything goes."""
        return None if record.asked == "text" else self.named(record.model, record.model_hash)

    def named(self, model: str | None, model_hash: str | None = None) -> Labels | None:
        """The labels of a model.

        Args:
            model: the name that was asked; None: the champion of the only line there is.
            model_hash: its content, where that is known.
        """
        if (model, model_hash) not in self._read:
            try:
                folder = self._folder(model, model_hash)
                self._read[model, model_hash] = None if folder is None else _labels_in(folder)
            except TunesmithError:  # gone, or never here
                self._read[model, model_hash] = None
        return self._read[model, model_hash]

    def _folder(self, model: str | None, model_hash: str | None) -> Path | None:
        lines = self._ledger.steps.lines()
        line = model if model in lines else lines[0] if model is None and len(lines) == 1 else None
        if line is not None:
            champion = self._ledger.steps.standing(line).champion
            return None if champion is None else known_model(champion.model, self._place, self._ledger).folder
        if model_hash is not None:
            found = [Path(one.path) for one in self._ledger.artefacts(content_hash=model_hash, kind="model")]
            there = next((path for path in reversed(found) if path.is_dir()), None)
            if there is not None:
                return there
        return None if model is None else self._called(model)

    def _called(self, name: str) -> Path | None:
        """A model that was in service from a folder of this name, or a round. A name from a file opens no path."""
        steps = (step for line in self._ledger.steps.lines() for step in self._ledger.steps.history(line))
        served = next((step.model for step in steps if step.model and folder_name(Path(step.model)) == name), None)
        if served is None and Path(name).is_absolute():
            return None
        return known_model(served or name, self._place, self._ledger).folder


def _labels_in(folder: Path) -> Labels | None:
    """What its bundle says; without the libraries that would load it."""
    values = read_json(folder / "tunesmith.json")
    known = values.get("labels") if isinstance(values, dict) and values.get("task") == "classify" else None
    return tuple(map(str, known)) if isinstance(known, list) and known else None
