"""Where a model falls short, for its model card: what the round's looks found, in a list, and what nobody looked at.

Meant for others than the owner of the data: values of columns other than labels are not named.
"""

import re
from collections.abc import Callable

from tunesmith.report import figures
from tunesmith.report.figures import metric_of
from tunesmith.report.per_label import Labels
from tunesmith.report.shape import Report, part_of
from tunesmith.report.text import one_line

_LENGTH = re.compile(r"length = \d+ to \d+ characters")
WORST = 5
"""So many labels, or slices, are named."""


def limits(report: Report) -> str:
    """Where it falls short; what nobody looked at is named too."""
    found = [(title, limit(report)) for title, limit in LIMITS]
    said = [f"- **{title}.** {in_markdown(text)}" for title, text in found if text]
    unknown = [title.lower() for title, text in found if text is None]
    if unknown:
        said.append(f"- Not measured: {', '.join(unknown)}.")
    said.append("- The figures hold for rows like those of the test set; nothing was tried on others.")
    return "\n".join(said)


def _slices(report: Report) -> str | None:
    held = report.slices
    if held is None:
        return None
    metric = metric_of(held.measure)
    worse = [one for one in held.slices if one.worse]
    if not worse:
        return f"None of {len(held.slices)} parts of the test rows is shown to be worse than the rest."
    named = []
    for one in worse[:WORST]:
        shown = one.name if _showable(one.name, report) else f"rows of one {one.name.split(' = ')[0]}"
        named.append(
            f"{shown} ({metric.write(one.figures.value.value)}{metric.unit} against {metric.write(one.figures.rest)}{metric.unit})"
        )
    more = f", and {len(worse) - WORST} more" if len(worse) > WORST else ""
    return f"Worse than on the rest, by {figures.in_text(held.measure)}: {', '.join(named)}{more}."


def _showable(name: str, report: Report) -> bool:
    """Whether a slice's name holds no value of the data but a label, which stands in tunesmith.json too."""
    kind, _, value = name.partition(" = ")
    return _LENGTH.fullmatch(name) is not None or (kind == "label" and report.data is not None and value in report.data.labels)


def _labels(report: Report) -> str | None:
    held = part_of(report, "per_label", Labels)
    if held is None or not held.labels:
        return ""
    metric = metric_of("macro_f1")
    worst = ", ".join(f"{one.label} {metric.write(one.f1.value)}% of {figures.whole(one.rows)} rows" for one in held.labels[:WORST])
    return f"Smallest F1, with the test rows it rests on: {worst}."


def _forgotten(report: Report) -> str | None:
    return report.forgetting.sentence if report.forgetting and report.forgetting.sentence else None


def _sure(report: Report) -> str | None:
    held = report.calibration
    if held is None:
        return None
    after = held.test.after if held.test else None
    error = f"Calibration error on test {100 * after.ece:.1f} points." if after is not None and after.ece is not None else ""
    return " ".join([*held.sentences, error]).strip() or None


def _by_heart(report: Report) -> str | None:
    held = report.memorisation
    return None if held is None else " ".join(held.sentences) or None


LIMITS: tuple[tuple[str, Callable[[Report], str | None]], ...] = (
    ("Worse parts", _slices),
    ("Weakest labels", _labels),
    ("Forgetting", _forgotten),
    ("Confidence", _sure),
    ("Memorisation", _by_heart),
)
"""Title, and what is said: None where nobody looked, an empty text where there is nothing to look at. To add one: a line here."""


def in_markdown(text: str) -> str:
    """Text that may come from data, as it may stand in Markdown: on one line, and with nothing in it that acts."""
    line = one_line(text, 1200).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for mark in "\\`|[]*":
        line = line.replace(mark, f"\\{mark}") if mark != "`" else line.replace(mark, "'")
    return line
