"""Whether the model that was kept, or the run it comes from, overfitted: read off the losses that training left. Costs no pass.

What counts as overfitting is `train.watch.standing`: validation loss above its lowest for several evaluations, beyond its own noise,
while training loss went on falling. Here that is asked twice, of the losses up to the step that was kept and of all of them:

- it holds up to the kept step: the model kept is overfitted (it can be where a measure chose the step, not the loss);
- it holds at the end, and the kept step is that of the lowest loss or an earlier one: the run overfitted, the model is from before;
- it holds at the end, and the kept step lies later: the model is from within the rise.

Beside these one plain fact: that the step kept is step 0, so that nothing that was trained is in the model; or that interpolation went
back to the base, so that nothing is but the head, where the model has one. A rise of one or two
evaluations, a plateau, noise and a divergence are none of these, and nothing is said of them.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from tunesmith.score.measures import NAMES, measure
from tunesmith.train.watch import standing

Outcome = Literal["none", "earlier kept", "within", "kept", "start kept"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overfitting:
    """What the losses say of the kept model."""

    outcome: Outcome
    sentence: str | None
    """None where there is nothing to say."""
    since_step: int
    """The step of the lowest validation loss."""
    kept_step: int
    lowest: float
    """Validation loss there."""
    kept: float | None
    """Validation loss at the kept step; None where it was not measured there."""
    last: float

    def to_json(self) -> dict[str, Any]:
        """As report.json has it."""
        return asdict(self)


def overfitting(training: Mapping[str, Any], *, headed: bool = False) -> Overfitting | None:
    """What is to be said of a round's training; None where validation was not measured.

    Args:
        training: the `training` piece of report.json; `validation`, `steps`, `chosen_step`, `chosen_by` and `interpolated` are read.
        headed: whether the model has a head of its own, which interpolation leaves as it was trained.
    """
    validation = [(int(one["step"]), float(one["loss"])) for one in training["validation"]]
    losses = [(int(one["step"]), float(one["loss"])) for one in training["steps"]]
    if not validation:
        return None
    kept = int(training["chosen_step"])
    outcome, sentence = _said(validation, losses, kept, training, headed)
    since, lowest = min(validation, key=lambda one: one[1])
    return Overfitting(
        outcome=outcome,
        sentence=sentence,
        since_step=since,
        kept_step=kept,
        lowest=lowest,
        kept=dict(validation).get(kept),
        last=validation[-1][1],
    )


def _said(
    validation: list[tuple[int, float]], losses: list[tuple[int, float]], kept: int, training: Mapping[str, Any], headed: bool
) -> tuple[Outcome, str | None]:
    back = training.get("interpolated") == 0
    if back and not headed:
        return "start kept", "Nothing that was trained is in the model: interpolation went all the way back to the base."
    if kept == 0 and len(validation) > 1 and validation[0][0] == 0:
        return "start kept", (
            "Nothing that was trained is in the model: on the rows set aside to select by no step did better than the start, which was kept."
        )
    if back:
        return "start kept", "Of what was trained only the head is in the model: interpolation took the rest all the way back to the base."
    by = _by(str(training.get("chosen_by") or "loss"))
    at_kept = standing([one for one in validation if one[0] <= kept], [one for one in losses if one[0] <= kept])
    if at_kept is not None and at_kept.kind == "overfitting":
        course = at_kept.course[0].lower() + at_kept.course[1:]
        return "kept", (
            f"The model kept is overfitted: up to step {kept}, whose {by} was the best, {course}. "
            f"Setting train.early_stopping.by to loss would keep step {at_kept.lowest_step}."
        )
    at_end = standing(validation, losses)
    if at_end is None or at_end.kind != "overfitting":
        return "none", None
    if kept <= at_end.lowest_step:
        return "earlier kept", f"{at_end.course}: the run overfitted, and the model kept is that of step {kept}, before the rise."
    return (
        "within",
        f"{at_end.course}: the run overfitted, and the model kept, of step {kept}, lies within the rise; its {by} was the best.",
    )


def _by(name: str) -> str:
    return f"{measure(name).title} on the rows set aside to select by" if name in NAMES else "validation loss"
