"""How a calibration is said: what was done, what it did, from which confidence on to answer."""

from tunesmith.score.abstention import DOUBT
from tunesmith.score.calibrated import Calibration, Measured
from tunesmith.score.calibration import ECE
from tunesmith.score.calibrators.temperature import Temperature

_DONE = {
    "identity": "Confidences are left as they are",
    "platt": "Confidences are corrected by one slope and one offset",
    "vector": "Confidences are corrected by a weight and an offset for each label",
    "isotonic": "Confidences are corrected by a rising curve for each label",
}


def sentences_of(calibration: Calibration, left_out: str) -> tuple[str, ...]:
    """A few plain sentences; of a calibration that was measured."""
    measured = calibration.measured
    assert measured is not None
    found = [_correction(calibration, measured), left_out, _threshold(calibration)]
    if measured.changed:
        found.append(f"The correction changes the answer of {measured.changed:,} of {calibration.rows:,} rows.")
    if measured.unknown:
        found.append(f"The reference of {measured.unknown:,} rows is none of the labels: these count as wrong at any confidence.")
    return tuple(one for one in found if one)


def _correction(calibration: Calibration, measured: Measured) -> str:
    before, after, one = measured.before, measured.after, calibration.calibrator
    chance = f"{ECE.shown(after.by_chance)} would be by chance"
    if one.name == "identity":
        return (
            f"{_DONE['identity']}: on {calibration.rows:,} rows no correction was better beyond doubt; "
            f"calibration error {ECE.shown(before.ece)} ({chance}), log loss {before.nll:.3f}."
        )
    done = f"Confidences are corrected by a temperature of {one.temperature:.2f}" if isinstance(one, Temperature) else _DONE[one.name]
    return (
        f"{done}, found on {calibration.rows:,} rows: calibration error {ECE.shown(before.ece)} before, {ECE.shown(after.ece)} after "
        f"({chance}), log loss {before.nll:.3f} before, {after.nll:.3f} after, each on rows it was not fitted to."
    )


def _threshold(calibration: Calibration) -> str:
    if calibration.risk is None:
        return ""
    risk, sure = f"{calibration.risk * 100:g}%", f"{(1 - DOUBT) * 100:g}%"
    one = calibration.threshold
    if one is None:
        return (
            f"No confidence can be promised, at {sure} certainty, to keep wrong answers at {risk} or under: more `calibrate` rows may help."
        )
    if one.answered == one.rows:
        return f"All answers may be given: at {sure} certainty at most {risk} of them are wrong ({one.wrong} of {one.rows:,} here)."
    return (
        f"Answers with a confidence of {shown_confidence(one.confidence)} or more, {one.coverage * 100:.0f}% of rows, are wrong in at most {risk} "
        f"of cases, at {sure} certainty ({one.wrong} of {one.answered:,} here)."
    )


def shown_confidence(value: float) -> str:
    """As many decimals as it takes to tell it from 1: `0.83`, `0.9997`."""
    for decimals in range(2, 8):
        if round(value, decimals) < 1:
            return f"{value:.{decimals}f}"
    return f"{value:.8f}"
