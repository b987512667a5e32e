"""A calibration as a value: what corrects a model's confidences, stored with it, and applied to every answer it gives.

It lies this far down so that evaluation and serving, which don't know each other, apply the same one. `evaluate.calibration`
makes it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from tunesmith.core.errors import DataError
from tunesmith.score.abstention import Threshold
from tunesmith.score.calibration import Figures
from tunesmith.score.calibrators import Calibrator, from_json
from tunesmith.score.chances import JUDGED, Chances, chances_of
from tunesmith.score.prediction import Prediction

VERSION = 1
"""Of the JSON form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What calibrating did, on the rows it was done on."""

    before: Figures
    after: Figures
    """Out of fold."""
    losses: Mapping[str, float]
    """Log loss of each candidate, out of fold."""
    aurc_before: float
    aurc_after: float
    """Area under the risk-coverage curve."""
    curve: tuple[tuple[float, float, float], ...]
    """Points of that curve after: coverage, risk, confidence; the surest first."""
    changed: int
    """Rows whose answer the correction changes, out of fold."""
    unknown: int
    """Rows whose reference is none of the labels: no answer could be right, and nothing was fitted on them."""

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return {
            "before": self.before.to_json(),
            "after": self.after.to_json(),
            "losses": dict(self.losses),
            "aurc": {"before": self.aurc_before, "after": self.aurc_after},
            "curve": [list(point) for point in self.curve],
            "changed": self.changed,
            "unknown": self.unknown,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What corrects a model's confidences, and from which on it should answer."""

    labels: tuple[str, ...]
    """Those it is for, in order of name; `JUDGED` where answers are texts."""
    judged: bool
    """Whether answers are texts."""
    calibrator: Calibrator
    risk: float | None
    """Share of wrong answers that was asked for; None: nothing was."""
    threshold: Threshold | None
    """None where no threshold can promise the risk, or none was asked for."""
    rows: int
    """It was found on."""
    sentences: tuple[str, ...] = ()
    """What was done and what it is worth, for people."""
    measured: Measured | None = None
    """None of one that was read back."""

    def gives(self, corrected: Prediction) -> bool:
        """Whether a corrected answer is sure enough to be given; every one is where no risk was asked for, none where none can be promised."""
        if self.risk is None:
            return True
        return self.threshold is not None and corrected.confidence is not None and corrected.confidence >= self.threshold.confidence

    def to_json(self) -> dict[str, Any]:
        """All of it, for the report; `from_json` reads back what serving needs."""
        return {
            "version": VERSION,
            "labels": list(self.labels),
            "judged": self.judged,
            "calibrator": self.calibrator.to_json(),
            "risk": self.risk,
            "threshold": None if self.threshold is None else self.threshold.to_json(),
            "rows": self.rows,
            "sentences": list(self.sentences),
            "measured": None if self.measured is None else self.measured.to_json(),
        }

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Without what was measured; DataError for what can't be meant: another version, labels that don't fit, odd numbers."""
        if not isinstance(value, Mapping) or value.get("version") != VERSION:
            raise DataError(f"The stored calibration is not of version {VERSION}: calibrate the model again.")
        labels, judged = _labels(value.get("labels"), value.get("judged"))
        calibrator = from_json(value.get("calibrator"))
        if calibrator.labels() not in (None, len(labels)):
            raise DataError(f"The stored calibrator is of {calibrator.labels()} labels and the model of {len(labels)}: calibrate it again.")
        rows, risk, found, told = (value.get(key) for key in ("rows", "risk", "threshold", "sentences"))
        if isinstance(rows, bool) or not isinstance(rows, int) or rows < 1 or not (risk is None or _is_share(risk)):
            raise DataError("The stored calibration's rows or risk can't be meant: calibrate the model again.")
        return cls(
            labels=labels,
            judged=judged,
            calibrator=calibrator,
            risk=risk,
            threshold=None if found is None else Threshold.from_json(found),
            rows=rows,
            sentences=tuple(map(str, told)) if isinstance(told, list) else (),
        )


def _labels(labels: Any, judged: Any) -> tuple[tuple[str, ...], bool]:
    sound = isinstance(labels, list) and bool(labels) and all(isinstance(one, str) for one in labels) and isinstance(judged, bool)
    if not sound or (tuple(labels) != JUDGED if judged else labels != sorted(set(labels))):
        raise DataError("The stored calibration's labels are no list of names in order, none twice: calibrate the model again.")
    return tuple(labels), judged


def _is_share(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value) and 0 < value < 1


def applied(predictions: Sequence[Prediction], calibration: Calibration) -> list[Prediction]:
    """The same answers with corrected chances and confidence; a label's answer becomes the most probable one.

    A temperature changes no answer; vector and isotonic may (`changes` tells which), and then the answer's tokens and time
    stay those of the answer the model gave.

    Raises:
        DataError: predictions of another kind or of other labels than the calibration is for.
    """
    if not predictions:
        return []
    before = chances_of(predictions, None if calibration.judged else calibration.labels)
    if before is None or before.judged != calibration.judged:
        wanted = "a confidence and no labels" if calibration.judged else "probabilities of labels"
        raise DataError(f"This calibration is for answers with {wanted}, and some of these are not: calibrate the model that gave them.")
    after = before.replaced(calibration.calibrator.apply(before.logp_RC))
    return [_corrected(one, after, row) for row, one in enumerate(predictions)]


def _corrected(one: Prediction, after: Chances, row: int) -> Prediction:
    confidence = min(1.0, float(after.confidence_R[row]))
    if after.judged:
        return replace(one, confidence=confidence)
    told = dict(zip(after.labels, after.p_RC[row].tolist(), strict=True))
    chances = {label: told[label] for label in one.chances or ()}
    return replace(one, answer=after.labels[after.answer_R[row]], confidence=confidence, chances=chances)


def changes(before: Sequence[Prediction], after: Sequence[Prediction]) -> tuple[str, ...]:
    """Ids of the rows whose answer the correction changed."""
    return tuple(one.row_id for one, other in zip(before, after, strict=True) if one.answer != other.answer)
