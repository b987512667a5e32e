"""What a card tells of a model beside the comparison: one section a look, in the order of the page.

To add one: a function of the report that gives what a template sets, or None; the template in `templates/sections`, which finds it as
`view`; and a line below. Its piece of report.json may be typed in the section's own file and read with `part_of`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tunesmith.report.bias import bias
from tunesmith.report.learning import curve, over_seeds
from tunesmith.report.lost import lost
from tunesmith.report.mistakes import slices
from tunesmith.report.passing import passing
from tunesmith.report.per_label import per_label
from tunesmith.report.preferred import preferred
from tunesmith.report.searched import searched
from tunesmith.report.shape import Memorised, Report
from tunesmith.report.sure import sure
from tunesmith.report.unwanted import unwanted
from tunesmith.report.why import why


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the card."""

    template: str
    """The file's name in `templates/sections`, without its ending."""
    anchor: str
    title: str
    """In the list of sections at the top."""
    view: Any
    """What the template sets."""


def _by_heart(report: Report) -> Memorised | None:
    return report.memorisation


SECTIONS: tuple[tuple[str, str, str, Callable[[Report], Any]], ...] = (
    ("searched", "searched", "The search", searched),
    ("sure", "sure", "Confidence", sure),
    ("preferred", "preferred", "Another judge", preferred),
    ("passing", "passing", "Code", passing),
    ("per_label", "labels", "Label by label", per_label),
    ("slices", "slices", "Slices", slices),
    ("lost", "lost", "What was lost", lost),
    ("by_heart", "by-heart", "By heart", _by_heart),
    ("unwanted", "unwanted", "Unwanted answers", unwanted),
    ("why", "why", "Why", why),
    ("seeds", "over-seeds", "Other seeds", over_seeds),
    ("learning_curve", "learning-curve", "More rows", curve),
    ("bias", "bias", "Bias", bias),
)
"""Template, anchor, title, and what makes its view."""


def sections_of(report: Report) -> list[Section]:
    """The sections that the report has something for."""
    made = [Section(template, anchor, title, view(report)) for template, anchor, title, view in SECTIONS]
    return [section for section in made if section.view is not None]
