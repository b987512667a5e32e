"""Where on the test rows the tuned model is worse than elsewhere. Costs no pass: its answers are there."""

import re
from collections.abc import Sequence

from tunesmith.data.config import Task
from tunesmith.evaluate.slices import SliceFigures, Slices, judge_slices
from tunesmith.pipeline.looks.look import Found, Looking
from tunesmith.score.measures import Measure, measure

_LENGTH = re.compile(r"((up to|over) \d+|\d+ to \d+) characters")
WORST = 5
"""So many parts are named to strangers."""


def look_at_slices(given: Looking) -> Found | None:
    """Parts of the test rows against the rest; nothing where there are no answers to tell it by."""
    recipe, sides = given.recipe, given.sides
    if not recipe.evaluate.slices or sides.task in (Task.TEXT, Task.PREFER):
        return None
    decisive, groups = measure(given.metric), given.groups("test")
    found = judge_slices(decisive, sides.test, given.answers, resamples=recipe.evaluate.resamples, seed=recipe.seed, groups=groups)
    if found is None:
        return None
    return Found(
        piece=found.to_json(), alarm=found.sentence if found.worse else None, public=public_of(found, decisive, sides.labels or ())
    )


def public_of(found: Slices, decisive: Measure, labels: Sequence[str]) -> str:
    """The worst parts; of a column's value nothing but its column, unless it is a label, which stands in the model's own files too."""
    worse = found.worse
    if not worse:
        return f"None of {len(found.slices)} parts of the test rows is shown to be worse than the rest."
    told = [
        f"{one.name if _holds_no_value(one, labels) else f'rows of one {one.column}'} "
        f"({decisive.shown(one.figures.value.value)} against {decisive.shown(one.figures.rest)})"
        for one in worse[:WORST]
    ]
    more = f", and {len(worse) - WORST} more" if len(worse) > WORST else ""
    return f"Worse than on the rest, by {decisive.title}: {', '.join(told)}{more}."


def _holds_no_value(one: SliceFigures, labels: Sequence[str]) -> bool:
    """Whether a part's name may be shown; a column of the data may be called `length` or `label` too."""
    return (one.column == "length" and _LENGTH.fullmatch(one.value) is not None) or (one.column == "label" and one.value in labels)
