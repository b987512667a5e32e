"""What a card says of confidences: how far they can be believed on test, before and after the correction, and from which on to answer."""

from dataclasses import dataclass

from markupsafe import Markup

from tunesmith.report import charts, figures
from tunesmith.report.shape import Calibration, Report, Sureness
from tunesmith.report.text import one_line


@dataclass(frozen=True, slots=True)
class Row:
    """One figure, before and after."""

    name: str
    before: str
    after: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Sure:
    """The section: a picture, a table, sentences."""

    picture: Markup | None
    rows: list[Row]
    sentences: list[str]


def sure(report: Report) -> Sure | None:
    """How far the tuned model's confidence goes; None where nobody looked."""
    found = report.calibration
    if found is None:
        return None
    return Sure(_picture(found), _rows(found), [one_line(sentence, 400) for sentence in found.sentences])


def _rows(found: Calibration) -> list[Row]:
    if found.test is None:
        return []
    before, after = found.test.before, found.test.after
    chance = "" if after.by_chance is None else f"{100 * after.by_chance:.1f} by chance alone"
    return [
        Row("Calibration error, points", _error(before), _error(after), chance),
        Row("Log loss", _plain(before.nll), _plain(after.nll)),
        Row("Brier score", _plain(before.brier), _plain(after.brier)),
        Row("Mean confidence, %", _percent(before.confidence), _percent(after.confidence), f"{_percent(after.accuracy)}% are right"),
    ]


def _error(held: Sureness) -> str:
    if held.ece is None:
        return figures.ABSENT
    ends = "" if held.ece_low is None or held.ece_high is None else f" ({100 * held.ece_low:.1f} to {100 * held.ece_high:.1f})"
    return f"{100 * held.ece:.1f}{ends}"


def _plain(value: float | None) -> str:
    return figures.ABSENT if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return figures.ABSENT if value is None else f"{100 * value:.1f}"


def _picture(found: Calibration) -> Markup | None:
    if found.test is None:
        return None
    points = {name: held.diagram for name, held in (("before", found.test.before), ("after", found.test.after)) if held.diagram}
    if not points:
        return None
    said = ", ".join(
        f"{100 * bin_.confidence:.0f}% sure, {100 * bin_.accuracy:.0f}% right"
        for bin_ in points.get("after", [])
        if bin_.confidence is not None and bin_.accuracy is not None
    )
    return charts.reliability(points, f"Reliability on test, after the correction: {said}.")
