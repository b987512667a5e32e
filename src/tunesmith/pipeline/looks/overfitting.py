"""Whether the model overfitted, by the losses that training left. Costs no pass."""

from tunesmith.core.files import read_json
from tunesmith.evaluate.overfitting import overfitting
from tunesmith.models.heads import Headed
from tunesmith.pipeline.looks.look import Found, Looking

NONE = "The losses of training show none."


def look_at_overfitting(given: Looking) -> Found | None:
    """What is said beside the verdict where the run overfitted; nothing where validation was not measured."""
    found = overfitting(read_json(given.folder / "training.json"), headed=isinstance(given.tuned.model, Headed))
    return None if found is None else Found(piece=found.to_json(), alarm=found.sentence, public=found.sentence or NONE)
