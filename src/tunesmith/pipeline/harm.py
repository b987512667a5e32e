"""What fine-tuning broke, as steps of a round: what the tuned model lost of what the base knew, and what it has by heart of its rows.

The base's reading of general text is kept like any stage's output, so every round on the same base takes it up. Costs one pass over
that text for each model, seconds for what comes along; memorisation, where it is asked for, a pass over some hundred rows for each.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from tunesmith.chat.render import Renderer
from tunesmith.core.errors import DataError
from tunesmith.core.files import read_json, write_json
from tunesmith.core.progress import Ended, Listener, Started
from tunesmith.core.rows import Row
from tunesmith.data.config import Task
from tunesmith.evaluate.forgetting import Forgetting, GeneralReading, digest_of, forgetting, headed, read_general
from tunesmith.evaluate.general import General, folded, general_material
from tunesmith.evaluate.likelihood import HeadLikelihood, Likelihood, RowScorer
from tunesmith.evaluate.memorisation import Memorisation, both_sides, membership_of
from tunesmith.evaluate.personal import PersonalOutputs, personal_outputs, personal_values
from tunesmith.evaluate.verbatim import Continue, continuing, verbatim
from tunesmith.models.heads import Headed
from tunesmith.pipeline.decisions import device_here
from tunesmith.pipeline.evaluation import Sides
from tunesmith.pipeline.workspace import Stages
from tunesmith.recipe import Recipe
from tunesmith.score.prediction import Prediction

READING_VERSION = 1


def material(recipe: Recipe, trained: Sequence[Row]) -> General | None:
    """The general text and questions that the recipe names, without what was trained on; None where it asks for none.

    Raises:
        RecipeError, DataError, MachineError: a file that can't be read (see `general_material`).
    """
    config = recipe.evaluate.forgetting
    if not config.enabled or (config.general is None and config.probes is None):
        return None
    return general_material(config, seed=recipe.seed, trained={folded(row.answer) for row in trained if not row.prompt})


def reading(model: nn.Module, renderer: Renderer, general: General, listen: Listener, *, work: str) -> GeneralReading:
    """What a model makes of the material."""
    device = device_here()
    precision = "bf16" if device.type == "cuda" else "fp32"
    started = time.monotonic()
    listen(Started(work, len(general.documents) + len(general.probes), "texts"))
    found = read_general(Likelihood(model.to(device).eval(), renderer, device, precision), general)
    listen(Ended(work, time.monotonic() - started))
    return found


def base_reading(stages: Stages, base_hash: str, base: nn.Module, renderer: Renderer, general: General) -> GeneralReading:
    """The base's, made once for all rounds that ask the same of it."""
    device = device_here()
    inputs = {"base": base_hash, "material": digest_of(Likelihood(base, renderer, device), general), "device": device.type}

    def make(out: Path) -> None:
        write_json(out / "reading.json", reading(base, renderer, general, stages.listen, work="base on general text").to_json())

    return GeneralReading.from_json(read_json(stages.folder("general", READING_VERSION, inputs, make) / "reading.json"))


def found_forgetting(
    stages: Stages, recipe: Recipe, tuned: nn.Module, general: General, before: GeneralReading, renderer: Renderer
) -> Forgetting:
    """What the tuned model lost of what the base knew."""
    after = reading(tuned, renderer, general, stages.listen, work="fine-tuned on general text")
    return forgetting(before, after, general, tolerance=recipe.evaluate.forgetting.tolerance)


@dataclass(frozen=True, slots=True)
class Models:
    """The two that are compared, with the tuned model's renderer."""

    tuned: nn.Module
    base: nn.Module
    renderer: Renderer
    labels: tuple[str, ...] | None

    def scorers(self) -> tuple[RowScorer | None, RowScorer | None]:
        """How likely the tuned model and the base find a row's answer; None for one that can't be asked."""
        device = device_here()
        precision = "bf16" if device.type == "cuda" else "fp32"
        if not isinstance(self.tuned, Headed):
            asked = [Likelihood(model.to(device), self.renderer, device, precision).rows for model in (self.tuned, self.base)]
            return asked[0], asked[1]
        if self.tuned.kind != "class" or self.labels is None:
            return None, None
        return HeadLikelihood(self.tuned, self.renderer, device, self.labels, precision).rows, None

    def goes_on(self) -> Continue | None:
        """The tuned model as it continues a text; None where it writes none."""
        device = device_here()
        precision = "bf16" if device.type == "cuda" else "fp32"
        return None if isinstance(self.tuned, Headed) else continuing(self.tuned.to(device), self.renderer, device, precision)


def found_memorisation(
    recipe: Recipe, sides: Sides, models: Models, answers: Mapping[str, Sequence[Prediction]], groups: Mapping[str, str] | None
) -> Memorisation | None:
    """What the tuned model has of its training rows by heart; None where the recipe doesn't ask.

    Args:
        recipe: the recipe.
        sides: the rows.
        models: tuned model and base.
        answers: what was generated for the test rows: `tuned`, and `base` where it was asked.
        groups: row id -> group, where rows belong together.
    """
    config = recipe.evaluate.memorisation
    if config is None:
        return None
    writes = sides.task in (Task.GENERATE, Task.TEXT)
    rows = both_sides(sides.train, [*sides.select, *sides.test], config.rows, seed=recipe.seed, groups=groups)
    tuned, base = models.scorers() if config.membership else (None, None)
    go_on, notes = models.goes_on() if config.verbatim and writes else None, []
    repeated = None
    if go_on is not None:
        try:
            repeated = verbatim(rows.trained, rows.unseen, models.renderer, config, go_on)
        except DataError as error:  # answers of a few words: nothing to repeat
            notes.append(str(error))
    given = _personal(sides, answers) if config.personal and sides.task == Task.GENERATE else {}
    return Memorisation(
        membership=None if tuned is None else membership_of(rows, tuned, base),
        verbatim=repeated,
        personal=given.get("tuned"),
        personal_base=given.get("base"),
        notes=tuple(notes),
    )


def _personal(sides: Sides, answers: Mapping[str, Sequence[Prediction]]) -> dict[str, PersonalOutputs]:
    """Personal data in what each model generated, by the model's key."""
    known = personal_values(text for row in sides.train for text in (*(turn.content for turn in row.prompt), row.answer))
    asked = {row.id: "\n".join(turn.content for turn in row.prompt) for row in sides.test}
    return {
        key: personal_outputs([asked[one.row_id] for one in made], [one.answer for one in made], known) for key, made in answers.items()
    }


def without_language(model: nn.Module, method: str) -> Forgetting | None:
    """What is said of a model that ends in a head; None for one that writes text."""
    return headed(frozen=method == "features") if isinstance(model, Headed) else None
