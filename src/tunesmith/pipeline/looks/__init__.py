"""What is known of a finished model beside its score: one file a look, gathered here in the order of the report.

To add one, write a module with a function of a `Looking` that returns a `Found` or None, and name it below; its part of the
report card is a section (`tunesmith.report.sections`).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tunesmith.evaluate.config import GatesConfig
from tunesmith.evaluate.verdict import Gate, Judgement
from tunesmith.pipeline.looks.bias import look_at_bias
from tunesmith.pipeline.looks.code import look_at_code
from tunesmith.pipeline.looks.explaining import look_at_reasons
from tunesmith.pipeline.looks.forgetting import look_at_forgetting
from tunesmith.pipeline.looks.judge import look_at_judge
from tunesmith.pipeline.looks.learning_curve import look_at_learning_curve
from tunesmith.pipeline.looks.look import Found, Look, Looking, Tuned
from tunesmith.pipeline.looks.memorisation import look_at_memorisation
from tunesmith.pipeline.looks.overfitting import look_at_overfitting
from tunesmith.pipeline.looks.per_label import look_at_labels
from tunesmith.pipeline.looks.safety import look_at_safety
from tunesmith.pipeline.looks.searched import look_at_search
from tunesmith.pipeline.looks.seeds import look_at_seeds
from tunesmith.pipeline.looks.slices import look_at_slices

__all__ = ["LOOKS", "Found", "Looking", "Tuned", "look_at_all", "pieces", "published", "with_findings"]

LOOKS: dict[str, Look] = {
    "search": look_at_search,
    "forgetting": look_at_forgetting,
    "memorisation": look_at_memorisation,
    "safety": look_at_safety,
    "overfitting": look_at_overfitting,
    "per_label": look_at_labels,
    "bias": look_at_bias,
    "slices": look_at_slices,
    "explained": look_at_reasons,
    "over_seeds": look_at_seeds,
    "learning_curve": look_at_learning_curve,
    "judge": look_at_judge,
    "code": look_at_code,
}


def look_at_all(given: Looking) -> dict[str, Found | None]:
    """Every look's finding by its name; None where nobody looked."""
    return {name: look(given) for name, look in LOOKS.items()}


def pieces(findings: Mapping[str, Found | None]) -> dict[str, Any]:
    """What report.json says of each, null where nobody looked."""
    return {name: None if found is None else found.piece for name, found in findings.items()}


def published(judgement: Judgement, findings: Mapping[str, Found | None]) -> dict[str, Any]:
    """The report's `published`: what the model card may say of the verdict, as it was before any finding, and of each look."""
    looks = [
        {"look": name, "measured": False, "alarm": False, "text": None}
        if found is None
        else {"look": name, "measured": True, "alarm": found.alarm is not None, "text": found.public}
        for name, found in findings.items()
    ]
    return {"notes": list(judgement.notes), "looks": looks}


def with_findings(judgement: Judgement, findings: Mapping[str, Found | None], bounds: GatesConfig) -> Judgement:
    """The judgement with their gates, and a note of each that people must be told of.

    Every bound of the recipe has a gate: one that nobody measured does not hold, whyever that was.
    """
    made = [found for found in findings.values() if found is not None]
    gates = [*judgement.gates, *(gate for found in made for gate in found.gates)]
    known = {gate.name for gate in gates}
    gates += [
        Gate(name=name, bound=bound, value=None, holds=False)
        for name, bound in bounds.model_dump().items()
        if bound is not None and name not in known
    ]
    alarms = [found.alarm for found in made if found.alarm is not None]
    return replace(judgement, gates=tuple(gates), notes=(*judgement.notes, *alarms))
