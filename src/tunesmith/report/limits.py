"""Where a model falls short, for its model card: what may be published of each look at it, and which looks were not taken.

Meant for others than the owner of the data, so nothing is made of the looks' findings here: the look that knows what its words hold
says which of them strangers may read (`published` in report.json), and no other word is repeated.
"""

from tunesmith.report.shape import Report, Showable
from tunesmith.report.text import one_line

TITLES = {
    "safety": "Unwanted answers",
    "bias": "Bias",
    "memorisation": "Memorisation",
    "forgetting": "Forgetting",
    "over_seeds": "Other seeds",
    "search": "What a search gained",
    "slices": "Worse parts",
    "per_label": "Weakest labels",
    "calibration": "Confidence",
    "overfitting": "Overfitting",
    "judge": "What a judge prefers",
    "code": "Code that passes its tests",
    "learning_curve": "More rows",
    "explained": "Reasons for single answers",
}
"""Looks for people, the gravest first; one that is not here goes by its own name."""


def limits(report: Report) -> str:
    """Where it falls short; what nobody looked at is named too, and what was looked at and is not for strangers."""
    known = {one.look: one for one in report.published.looks}
    looks = {name: known.get(name, Showable(look=name)) for name in (*TITLES, *known)}
    said = [f"- **{title(name)}.** {in_markdown(one.text)}" for name, one in looks.items() if one.measured and one.text]
    for opening, names in (
        ("Looked at, and not told here, as it shows rows", [name for name, one in looks.items() if one.measured and not one.text]),
        ("Not measured", [name for name, one in looks.items() if not one.measured]),
    ):
        if names:
            said.append(f"- {opening}: {', '.join(title(name).lower() for name in names)}.")
    said.append("- The figures hold for rows like those of the test set; nothing was tried on others.")
    return "\n".join(said)


def title(look: str) -> str:
    """What a look is called."""
    return TITLES.get(look) or in_markdown(look.replace("_", " ").capitalize())


def in_markdown(text: str) -> str:
    """Text that may come from data, as it may stand in Markdown: on one line, and with nothing in it that acts."""
    line = one_line(text, 1200).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for mark in "\\`|[]*":
        line = line.replace(mark, f"\\{mark}") if mark != "`" else line.replace(mark, "'")
    return line
