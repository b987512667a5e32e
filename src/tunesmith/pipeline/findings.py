"""What is known of a tuned model beside its score: how far its confidence goes, what it lost, where it is worse."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from tunesmith.evaluate.config import GatesConfig
from tunesmith.evaluate.forgetting import Forgetting, forgetting_gate
from tunesmith.evaluate.memorisation import Memorisation
from tunesmith.evaluate.slices import Slices
from tunesmith.evaluate.verdict import Gate, Judgement
from tunesmith.pipeline import calibrating


@dataclass(frozen=True, slots=True)
class Findings:
    """Each None where nobody looked, or there was nothing to look at."""

    calibration: dict[str, Any] | None
    """As the report has it (`calibrating.piece`)."""
    forgetting: Forgetting | None
    slices: Slices | None
    memorisation: Memorisation | None = None

    def to_json(self) -> dict[str, Any]:
        """The report's `calibration`, `forgetting`, `slices` and `memorisation`."""
        return {
            "calibration": self.calibration,
            "forgetting": None if self.forgetting is None else self.forgetting.to_json(),
            "slices": None if self.slices is None else self.slices.to_json(),
            "memorisation": None if self.memorisation is None else self.memorisation.to_json(),
        }

    def added_to(self, judgement: Judgement, bounds: GatesConfig) -> Judgement:
        """The judgement with their gates, and a note of each that people must be told of."""
        return replace(judgement, gates=(*judgement.gates, *self._gates(bounds)), notes=(*judgement.notes, *self._alarms()))

    def _gates(self, bounds: GatesConfig) -> Iterator[Gate]:
        found = (
            None if bounds.calibration_error is None else calibrating.gate(self.calibration, bounds.calibration_error),
            None if bounds.forgetting is None or self.forgetting is None else forgetting_gate(self.forgetting, bounds.forgetting),
        )
        return (gate for gate in found if gate is not None)

    def _alarms(self) -> Iterator[str]:
        if self.forgetting is not None and self.forgetting.alarm:
            yield self.forgetting.sentence
        if self.memorisation is not None and self.memorisation.alarm:
            yield self.memorisation.sentences[0]
        if self.slices is not None and self.slices.worse:
            yield self.slices.sentence
