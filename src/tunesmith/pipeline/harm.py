"""What fine-tuning broke, as a step of a round: base and tuned model read the same general text and answer the same questions.

The base's reading is kept like any stage's output, so every round on the same base takes it up. Costs one pass over the general
text for each model: seconds for what comes along.
"""

import time
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from tunesmith.chat.render import Renderer
from tunesmith.core.files import read_json, write_json
from tunesmith.core.progress import Ended, Listener, Started
from tunesmith.core.rows import Row
from tunesmith.evaluate.forgetting import Forgetting, GeneralReading, digest_of, forgetting, headed, read_general
from tunesmith.evaluate.general import General, folded, general_material
from tunesmith.evaluate.likelihood import Likelihood
from tunesmith.models.heads import Headed
from tunesmith.pipeline.decisions import device_here
from tunesmith.pipeline.workspace import Stages
from tunesmith.recipe import Recipe

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


def without_language(model: nn.Module, method: str) -> Forgetting | None:
    """What is said of a model that ends in a head; None for one that writes text."""
    return headed(frozen=method == "features") if isinstance(model, Headed) else None
