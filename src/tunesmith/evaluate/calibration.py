"""Calibrate: from a model's answers to the `calibrate` rows to confidences that can be believed, and a threshold to answer from.

It costs some fits over the rows and no pass of the model. `applied` then corrects further predictions of the same model: test
rows, a served answer. Both know answers that are labels (with the probability of each) and answers that are texts (with one
confidence each, `score.sureness`).

Figures after are of out-of-fold probabilities, and so is the threshold: no row is judged by a calibrator that saw it. What
serves is fitted on all rows. The calibrator is chosen by the same folds, which may flatter the chosen one a little. That these
rows chose nothing else of the model is for the caller to mind.
"""

from collections.abc import Sequence
from dataclasses import replace

from tunesmith.core.errors import DataError, RecipeError
from tunesmith.evaluate.calibration_wording import sentences_of
from tunesmith.evaluate.config import CalibrateConfig
from tunesmith.score.abstention import aurc, curve, threshold
from tunesmith.score.calibrated import Calibration, Measured, applied, changes
from tunesmith.score.calibration import figures
from tunesmith.score.chances import Chances, Right, chances_of
from tunesmith.score.crossfit import FULL_CHOICE, LEAST_ROWS, candidates, choose
from tunesmith.score.prediction import Prediction
from tunesmith.score.text import exact

__all__ = ["Calibration", "applied", "calibrate", "changes"]


def calibrate(
    predictions: Sequence[Prediction],
    config: CalibrateConfig | None = None,
    *,
    seed: int = 0,
    groups: Sequence[str] | None = None,
    right: Right = exact,
) -> Calibration:
    """Choose and fit a calibrator, measure it, and find the threshold.

    Args:
        predictions: the model's answers to the `calibrate` rows.
        groups: the group of each row, where rows belong together.
        right: which answers that are texts are right.

    Raises:
        DataError: no row, no probabilities, or none whose reference is a label.
        RecipeError: methods that these answers have no use for.
    """
    config = config or CalibrateConfig()
    before = chances_of(predictions, right=right)
    if before is None:
        raise DataError("Some answers carry neither probabilities of labels nor a confidence: there is nothing to calibrate.")
    names, left_out = _methods(config, before)
    chosen = choose(names, before.logp_RC, before.label_R, folds=config.folds, seed=seed, groups=groups)
    after = before.replaced(chosen.p_NC)
    found = None if config.risk is None else threshold(after.confidence_R, after.right_R, config.risk, groups=groups)
    calibration = Calibration(
        labels=before.labels,
        judged=before.judged,
        calibrator=chosen.calibrator,
        risk=config.risk,
        threshold=found,
        rows=len(predictions),
        measured=_measured(before, after, chosen.losses, groups),
    )
    return replace(calibration, sentences=sentences_of(calibration, left_out))


def _measured(before: Chances, after: Chances, losses: dict[str, float], groups: Sequence[str] | None) -> Measured:
    points = curve(after.confidence_R, after.right_R)
    return Measured(
        before=figures(before, groups),
        after=figures(after, groups),
        losses=losses,
        aurc_before=aurc(before.confidence_R, before.right_R),
        aurc_after=aurc(after.confidence_R, after.right_R),
        curve=tuple((point.coverage, point.risk, point.confidence) for point in points),
        changed=int((after.answer_R != before.answer_R).sum()),
        unknown=int((before.label_R < 0).sum()),
    )


def _methods(config: CalibrateConfig, chances: Chances) -> tuple[tuple[str, ...], str]:
    """The candidates, and a sentence on those that were left out; empty where none was."""
    rows, labels = len(chances.p_RC), len(chances.labels)
    if config.methods == "auto":
        few = f"Only a temperature was tried: {rows} rows are under {FULL_CHOICE}." if rows < FULL_CHOICE else ""
        return candidates(rows, judged=chances.judged), few
    asked = tuple(config.methods)
    if "platt" in asked and labels != 2:
        raise RecipeError(f"calibrate.methods: platt knows right and wrong only, and the answers are {labels} labels: take vector.")
    few_for = {name: LEAST_ROWS.get(name, FULL_CHOICE) for name in asked if name not in ("identity", "temperature")}
    out = [name for name in asked if rows < few_for.get(name, 0)]
    told = f"Not tried on {rows} rows: {', '.join(f'{name} (from {few_for[name]:,} on)' for name in out)}." if out else ""
    return ("identity", *(name for name in asked if name not in out)), told
