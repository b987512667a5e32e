"""What is said before any option: too few rows, few-shot prompting alone, a smaller model, a linear model, personal data.

Each verdict is a sentence with its ground: arithmetic over these rows, something measured on them now, or a fact of `known`. Bounds
that nobody measured say so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.data.config import Task
from tunesmith.data.power import DISCORDANT, rows_to_show
from tunesmith.search.advice import known
from tunesmith.search.advice.bases import Candidate
from tunesmith.search.advice.order import small_will_do
from tunesmith.search.advice.rows import RowsLook
from tunesmith.search.advice.wishes import Wishes

FEW_ROWS = 50
"""Training rows under which worked examples in the prompt are tried first; our rule of thumb."""
ABLE = 1_000_000_000
"""Weights from which on a base with a chat template is asked to learn from its prompt; our rule of thumb."""
_ENOUGH = 0.9
"""A floor whose interval lies above this leaves little to gain."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One thing to know before choosing."""

    kind: str
    """rows, few-shot, small, linear, floor, preferences or personal."""
    told: str

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return {"kind": self.kind, "told": self.told}


def verdicts(look: RowsLook, bases: Sequence[Candidate], wishes: Wishes) -> list[Verdict]:
    """What is to be said of these rows, the gravest first."""
    found = [
        _power(look),
        *_labels(look),
        *_few_shot(look, bases, wishes),
        *_linear(look),
        *_small(look),
        *_other_tasks(look),
        *_personal(look, wishes),
    ]
    return [one for one in found if one is not None]


def doubt(look: RowsLook) -> str | None:
    """Why the first of the options may still gain nothing that can be shown: too few test rows, or too little left; None where neither."""
    test, floor = look.counts.get("test", 0), look.floor
    if look.gain >= DISCORDANT:
        return f"no gain is likely to be shown on {test:,} test rows, whichever is trained"
    if floor is not None and 1 - floor.value < look.gain:
        return (
            f"the linear floor leaves {100 * (1 - floor.value):.1f} points, and {test:,} test rows show a gain of {100 * look.gain:.1f} or more: "
            "none is likely to be shown over it"
        )
    return None


def _power(look: RowsLook) -> Verdict:
    test, gain = look.counts.get("test", 0), look.gain
    assumed = f"where two systems differ on {DISCORDANT:.0%} of rows"
    if gain >= DISCORDANT:
        needed = rows_to_show(DISCORDANT / 2)
        return Verdict(
            "rows",
            f"Too few rows: {test} test rows can show no gain at all ({assumed}); {needed:,} would show one of {DISCORDANT / 2:.0%}. "
            "Collect rows first, or judge by data.test_path.",
        )
    return Verdict("rows", f"{test:,} test rows show a gain of {100 * gain:.1f} points or more, four times in five ({assumed}).")


def _labels(look: RowsLook) -> list[Verdict]:
    if look.task not in (Task.CLASSIFY, Task.MULTILABEL) or not look.label_rows or look.label_rows[0] >= 10:
        return []
    few = sum(rows < 10 for rows in look.label_rows)
    return [
        Verdict(
            "rows",
            f"{few} of {len(look.label_rows)} labels have fewer than 10 training rows, {look.label_rows[0]} the fewest. "
            f"At 10 a label, {known.HEAD_BEATS_FLOOR}; of fewer nothing was measured here.",
        )
    ]


def _few_shot(look: RowsLook, bases: Sequence[Candidate], wishes: Wishes) -> list[Verdict]:
    """Worked examples in the prompt cost no training; a round scores them anyway, as what a tuned model has to beat."""
    train = look.counts.get("train", 0)
    if look.task not in (Task.CLASSIFY, Task.GENERATE) or train >= FEW_ROWS:
        return []
    able = [base for base in bases if base.chats and base.parameters >= ABLE]
    grounds = f"under {FEW_ROWS} rows and from {ABLE:.0e} weights on is our rule of thumb; a round scores the base with examples too, and measures it"
    if able:
        named = max(able, key=lambda base: base.parameters).path
        return [
            Verdict("few-shot", f"With {train} training rows, prompt {named} with examples of them before tuning anything ({grounds}).")
        ]
    if not wishes.private:
        return [
            Verdict(
                "few-shot",
                f"With {train} training rows and none of these bases able to follow examples, prompt a hosted model first ({grounds}).",
            )
        ]
    return [
        Verdict(
            "few-shot",
            f"With {train} training rows, few-shot prompting alone may be the better answer, but no base here has a chat template and "
            f"{ABLE:.0e} weights: name one by --base, or allow a hosted one by --no-private ({grounds}).",
        )
    ]


def _linear(look: RowsLook) -> list[Verdict]:
    floor = look.floor
    if floor is None:
        return []
    told = (
        f"TF-IDF with logistic regression, fitted now on {floor.trained_on:,} training rows, gets {floor.value:.1%} "
        f"({floor.low:.1%} to {floor.high:.1%}) on {floor.rows:,} select rows; the commonest label {floor.commonest:.1%}."
    )
    if floor.low >= _ENOUGH:
        return [Verdict("linear", f"A linear model may be enough: {told} A round shows it beside the tuned model.")]
    return [Verdict("floor", f"To be beaten: {told}")]


def _small(look: RowsLook) -> list[Verdict]:
    if not small_will_do(look):
        return []
    assert look.floor is not None, "what a small model will do for is told by the floor"
    left = 100 * (1 - look.floor.value)
    told = f"texts are short ({look.words} words at the median), and the linear floor leaves {left:.1f} points to any model"
    return [Verdict("small", f"A small model will do: {told}.")]


def _other_tasks(look: RowsLook) -> list[Verdict]:
    if look.task is Task.REGRESS:
        return [Verdict("linear", f"Look at the linear floor first: {known.RIDGE_WINS}.")]
    if look.task is Task.PREFER and look.counts.get("train", 0) < 1000:
        return [Verdict("preferences", f"Few preferences teach little: {known.PREFERENCES_SHOW_NOTHING}.")]
    return []


def _personal(look: RowsLook, wishes: Wishes) -> list[Verdict]:
    if not look.personal or not wishes.private:
        return []
    return [
        Verdict(
            "personal",
            f"{look.personal:,} pieces of personal data were seen in the rows: set data.anonymise, or the model may repeat them.",
        )
    ]
