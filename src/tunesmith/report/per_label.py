"""What a card says of each label: how well the tuned model tells it, beside the base and the best baseline."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field

from tunesmith.report import figures
from tunesmith.report.figures import metric_of
from tunesmith.report.shape import Count, Estimate, Number, Part, Report, part_of
from tunesmith.report.text import label, one_line

SHOWN = 30
"""So many labels stand on the page, the worst first; report.json has all."""
_F1 = "macro_f1"
"""F1 is written as its mean is."""


class LabelFigures(Part):
    """One label on test."""

    label: str
    rows: Count = None
    answered: Count = None
    precision: Estimate = Estimate()
    recall: Estimate = Estimate()
    f1: Estimate = Estimate()
    beside: Mapping[str, Number] = Field(default_factory=dict)


class Labels(Part):
    """Worst first."""

    labels: tuple[LabelFigures, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """One label's line."""

    label: str
    rows: str
    cells: list[tuple[str, str]]
    """Precision, recall, F1: each with its interval."""
    beside: list[str]
    """F1 of the others."""


@dataclass(frozen=True, slots=True)
class LabelsView:
    """The section."""

    others: list[str]
    """Names of the systems whose F1 stands beside."""
    lines: list[Line]
    left: int
    """Labels that are not shown."""
    never: int
    """Labels that the tuned model gave to no row."""


def per_label(report: Report) -> LabelsView | None:
    """Label by label; None where answers are no labels, or all rows have one."""
    held = part_of(report, "per_label", Labels)
    if held is None or len(held.labels) < 2:
        return None
    names = {system.key: one_line(system.title, 40) for system in report.systems}
    known = {key for one in held.labels for key in one.beside}
    shown = [key for key in dict.fromkeys(("zero-shot", report.verdict.best_baseline, "linear")) if key in known and key in names]
    metric = metric_of(_F1)
    lines = [
        Line(
            label=label(one.label, 60),
            rows=figures.whole(one.rows),
            cells=[(metric.write(part.value), metric.write_range(part)) for part in (one.precision, one.recall, one.f1)],
            beside=[metric.write(one.beside.get(key)) for key in shown],
        )
        for one in held.labels[:SHOWN]
    ]
    never = sum(one.answered == 0 for one in held.labels)
    return LabelsView([names[key] for key in shown], lines, len(held.labels) - len(lines), never)
