"""How well each label is told, beside what other systems make of it. Costs no pass: the answers are there."""

from collections.abc import Sequence
from dataclasses import asdict

from tunesmith.data.config import Task
from tunesmith.pipeline.looks.look import Found, Looking
from tunesmith.score.per_class import ClassFigures, class_table, worst_first

WORST = 5
"""So many labels are named to strangers."""
OTHERS = ("zero-shot", "few-shot", "majority", "neighbour", "linear")
"""Whose F1 stands beside the tuned model's, where they answered."""


def look_at_labels(given: Looking) -> Found | None:
    """Precision, recall and F1 of each label on test, the worst first; nothing where answers are no single labels."""
    if given.sides.task != Task.CLASSIFY:
        return None
    groups = given.groups("test")
    answers = {key: found for key in OTHERS if (found := given.answers_of(key)) is not None}
    beside = {key: {one.label: one.f1.value for one in class_table(found)} for key, found in answers.items()}
    table = worst_first(class_table(given.answers, groups))
    return Found(
        piece={"labels": [_line(one, {key: f1[one.label] for key, f1 in beside.items()}) for one in table]}, public=public_of(table)
    )


def public_of(table: Sequence[ClassFigures]) -> str | None:
    """The weakest labels: these stand in the model's own files too."""
    worst = ", ".join(f"{one.label} {100 * one.f1.value:.1f}% of {one.support:,} rows" for one in table[:WORST])
    return f"Smallest F1, with the test rows it rests on: {worst}." if worst else None


def _line(one: ClassFigures, beside: dict[str, float]) -> dict[str, object]:
    figures = {name: asdict(getattr(one, name)) for name in ("precision", "recall", "f1")}
    return {"label": one.label, "rows": one.support, "answered": one.answered, **figures, "beside": beside}
