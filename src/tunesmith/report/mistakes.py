"""What a card says of the model's mistakes: which label is taken for which, and errors to read.

The template only sets what these functions give; each gives None, or nothing, where the report holds nothing for it.
"""

from dataclasses import dataclass

from markupsafe import Markup

from tunesmith.report import charts, figures
from tunesmith.report.figures import metric_of
from tunesmith.report.shape import Confusion, Report
from tunesmith.report.text import label, one_line, passage

HEAT_LABELS = 30
"""Up to so many labels the confusion matrix is a table with figures; beyond, a picture and the most confused pairs."""
PAIRS = 15
"""So many of the most confused pairs are listed."""


@dataclass(frozen=True, slots=True)
class HeatCell:
    count: str
    tone: str
    """`r0` to `r9` where the answer was right, `w0` to `w9` where wrong, by its share of the row; empty for none."""


@dataclass(frozen=True, slots=True)
class ConfusionView:
    labels: list[str]
    heat: list[tuple[str, list[HeatCell], str, str]]
    """Label, cells, rows in all, share right."""
    pairs: list[tuple[str, str, str, str]]
    """Reference, answer, times, share of the reference's rows."""
    picture: Markup | None


def confusion(report: Report) -> ConfusionView | None:
    """Which label is taken for which."""
    held = report.confusion
    if held is None or not held.labels:
        return None
    names = [label(name) for name in held.labels]
    if len(names) <= HEAT_LABELS:
        return ConfusionView(names, [_heat_row(names[i], i, counts) for i, counts in enumerate(held.counts)], [], None)
    total = sum(map(sum, held.counts))
    right = sum(held.counts[i][i] for i in range(len(names)))
    title = f"Confusion matrix of {len(names)} labels: {figures.share(right, total)} of {figures.whole(total)} rows were answered right."
    return ConfusionView(names, [], _pairs(held, names), charts.confusion_picture(held, title))


def _heat_row(name: str, at: int, counts: list[int]) -> tuple[str, list[HeatCell], str, str]:
    total = sum(counts)
    cells = [
        HeatCell(figures.whole(count), f"{'r' if at == j else 'w'}{min(9, int(10 * count / total))}") if count else HeatCell("", "")
        for j, count in enumerate(counts)
    ]
    return name, cells, figures.whole(total), figures.share(counts[at], total)


def _pairs(held: Confusion, names: list[str]) -> list[tuple[str, str, str, str]]:
    wrong = [(count, i, j) for i, counts in enumerate(held.counts) for j, count in enumerate(counts) if i != j and count]
    wrong.sort(key=lambda pair: (-pair[0], pair[1], pair[2]))
    return [(names[i], names[j], figures.whole(count), figures.share(count, sum(held.counts[i]))) for count, i, j in wrong[:PAIRS]]


@dataclass(frozen=True, slots=True)
class SliceView:
    name: str
    rows: str
    value: str
    range: str
    rest: str
    p: str
    worse: bool


@dataclass(frozen=True, slots=True)
class SlicesView:
    head: str
    sentence: str
    rows: list[SliceView]
    left: int
    """Slices that are not shown."""


SLICES = 12
"""So many slices are listed, the worst first."""


def slices(report: Report) -> SlicesView | None:
    """Where the model is worse than elsewhere on test."""
    held = report.slices
    if held is None or not held.sentence:
        return None
    metric = metric_of(held.measure)
    rows = [
        SliceView(
            name=one_line(one.name, 60),
            rows=figures.whole(one.figures.rows),
            value=metric.write(one.figures.value.value),
            range=metric.write_range(one.figures.value),
            rest=metric.write(one.figures.rest),
            p=figures.p_value(one.p_corrected),
            worse=one.worse,
        )
        for one in held.slices[:SLICES]
    ]
    return SlicesView(metric.head, one_line(held.sentence, 600), rows, len(held.slices) - len(rows))


@dataclass(frozen=True, slots=True)
class ErrorView:
    row_id: str
    confidence: str
    fields: list[tuple[str, str, int, str]]
    """Name, text, characters left out, its class."""


def errors(report: Report) -> list[ErrorView]:
    """Wrong answers to read, in the order they come in."""
    shown = []
    for error in report.errors:
        parts = (
            ("Prompt", error.prompt, 1500, "prompt"),
            ("Should be", error.reference, 900, "reference"),
            ("Answered", error.answer, 900, "answer"),
        )
        confidence = "" if error.confidence is None else figures.share(error.confidence, 1.0)
        fields = [(name, *passage(text, longest), style) for name, text, longest, style in parts if text or style == "answer"]
        shown.append(ErrorView(one_line(error.row_id, 60), confidence, fields))
    return shown
