"""What the tuned model lost of what the base knew.

The base's reading of general text is kept like any stage's output, so every round on the same base takes it up. Costs one pass over
that text for each model, seconds for what comes along.
"""

import time
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from tunesmith.core.files import read_json, write_json
from tunesmith.core.progress import Ended, Started
from tunesmith.core.rows import Row
from tunesmith.evaluate.forgetting import Forgetting, GeneralReading, digest_of, forgetting, forgetting_gate, headed, read_general
from tunesmith.evaluate.general import General, folded, general_material
from tunesmith.evaluate.likelihood import Likelihood
from tunesmith.models.heads import Headed
from tunesmith.pipeline.looks.look import Found, Looking
from tunesmith.recipe import Recipe

READING_VERSION = 1


def look_at_forgetting(given: Looking) -> Found | None:
    """Base against tuned model on general text and questions."""
    if not given.recipe.evaluate.forgetting.enabled:
        return None
    found = _found(given)
    if found is None:
        return None
    bound = given.recipe.gates.forgetting
    gate = None if bound is None else forgetting_gate(found, bound)
    return Found(
        piece=found.to_json(),
        gates=() if gate is None else (gate,),
        alarm=found.sentence if found.alarm else None,
        public=found.sentence,
    )


def _found(given: Looking) -> Forgetting | None:
    tuned = given.tuned
    if isinstance(tuned.model, Headed):  # it writes no text
        return headed(frozen=tuned.bundle.method == "features")
    general = general_of(given.recipe, [*given.sides.train, *given.replay])
    if general is None:
        return None
    before = _base_reading(given, general)
    after = _reading(given, tuned.model, general, work="fine-tuned on general text")
    return forgetting(before, after, general, tolerance=given.recipe.evaluate.forgetting.tolerance)


def general_of(recipe: Recipe, trained: Sequence[Row]) -> General | None:
    """The general text and questions that the recipe names, without what was trained on; None where it asks for none.

    Raises:
        TunesmithError: a file that can't be read, or holds nothing of use.
    """
    config = recipe.evaluate.forgetting
    if not config.enabled or (config.general is None and config.probes is None):
        return None
    return general_material(config, seed=recipe.seed, trained={folded(row.answer) for row in trained if not row.prompt})


def _reading(given: Looking, model: nn.Module, general: General, *, work: str) -> GeneralReading:
    """What a model makes of the material."""
    started = time.monotonic()
    given.listen(Started(work, len(general.documents) + len(general.probes), "texts"))
    asked = Likelihood(model.to(given.device).eval(), given.tuned.renderer, given.device, given.precision)
    found = read_general(asked, general)
    given.listen(Ended(work, time.monotonic() - started))
    return found


def _base_reading(given: Looking, general: General) -> GeneralReading:
    """The base's, made once for all rounds that ask the same of it."""
    asked = Likelihood(given.base.model, given.tuned.renderer, given.device)
    inputs = {"base": given.base_hash, "material": digest_of(asked, general), "device": given.device.type}

    def make(out: Path) -> None:
        write_json(out / "reading.json", _reading(given, given.base.model, general, work="base on general text").to_json())

    return GeneralReading.from_json(read_json(given.stages.folder("general", READING_VERSION, inputs, make) / "reading.json"))
