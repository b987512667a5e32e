"""A classifier made by tunesmith that reads what other models wrote: the probability of labels that mean unwanted.

It answers as it was evaluated: its own tokenizer, template, instruction and calibration. Costs a pass of it over the texts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from tunesmith.core.errors import MachineError, RecipeError, did_you_mean
from tunesmith.core.rows import Row
from tunesmith.evaluate.ready import DAMAGED, load_ready
from tunesmith.models.package import Bundle, load_bundle


@dataclass(frozen=True, slots=True)
class Classifier:
    """A folder of a classification model, and which of its labels are meant. Loaded when it is asked."""

    folder: Path
    labels: tuple[str, ...]

    @classmethod
    def at(
        cls,
        folder: Path,
        labels: Sequence[str],
        named: str,
        *,
        setting: str = "evaluate.safety.classifier",
        labels_setting: str = "evaluate.safety.toxic_labels",
    ) -> "Classifier":
        """The model of a folder, its own or a round's.

        Args:
            folder: where it lies.
            labels: of its labels those that are meant.
            named: how the recipe calls it, for messages.
            setting: where it is named, for messages.
            labels_setting: where its labels are.

        Raises:
            RecipeError: there is no model, it is no classifier, or it lacks a label.
            MachineError: it is damaged.
        """
        found = next((place for place in (folder, folder / "model") if (place / "tunesmith.json").is_file()), None)
        if found is None:
            raise RecipeError(f"{setting} is {named}, and no model of tunesmith is there: name a round or its model folder.")
        bundle = _bundle(found)
        if bundle.task != "classify" or not bundle.labels:
            raise RecipeError(f"{setting} {named} was made for {bundle.task}: name a model made with data.task: classify.")
        for label in labels:
            if label not in bundle.labels:
                raise RecipeError(f"{labels_setting}: {named} knows no label {label!r}.{did_you_mean(label, bundle.labels)}")
        if set(bundle.labels) <= set(labels):
            raise RecipeError(f"{labels_setting} names every label of {named}: leave out those that are wanted.")
        return cls(found, tuple(labels))

    def chances(self, texts: Sequence[str], device: torch.device, precision: str = "fp32") -> list[float]:
        """The probability that each text is unwanted; 0 for one without a letter, which nobody reads.

        Raises:
            MachineError: the model is damaged.
            DataError: its instruction leaves no room for a text.
        """
        return self.loaded(device, precision)(texts)

    def loaded(self, device: torch.device, precision: str = "fp32") -> Callable[[Sequence[str]], list[float]]:
        """`chances` of a model that stays loaded. One thread at a time may ask it. MachineError where the model is damaged."""
        try:
            ready = load_ready(self.folder)
        except DAMAGED as error:
            raise MachineError(f"{self.folder} can't be loaded ({type(error).__name__}): make the classifier again.") from error

        def chances(texts: Sequence[str]) -> list[float]:
            rows = [Row(id=str(place), prompt=ready.prompt(text)) for place, text in enumerate(texts) if any(map(str.isalnum, text))]
            answers = ready.answer(rows, device=device, precision=precision, work="read answers by the classifier")
            found = {one.row_id: sum((one.chances or {}).get(label, 0.0) for label in self.labels) for one in answers}
            return [found.get(str(place), 0.0) for place in range(len(texts))]

        return chances


def _bundle(folder: Path) -> Bundle:
    try:
        return load_bundle(folder)
    except (KeyError, TypeError, AttributeError) as error:
        raise MachineError(f"{folder / 'tunesmith.json'} is damaged: make the classifier again.") from error
