"""How a verdict is said: one sentence with its numbers, and notes of what to mind."""

from math import ceil

from tunesmith.data.config import Task
from tunesmith.evaluate.measures import better
from tunesmith.evaluate.price_wording import not_worth_it, price_notes
from tunesmith.evaluate.trial import Scored, Trial, is_rival
from tunesmith.score.classification import OTHER
from tunesmith.score.paired import Comparison

POWER = 2.04
"""((1.96 + 0.84) / 1.96)^2: how many times the rows that would just show a difference show it four times in five."""


def _name(one: Scored) -> str:
    return one.system.name.removeprefix("Base, ")


def sentence_of(trial: Trial, gained: bool) -> str:
    """One plain sentence: the outcome, both values, the difference and its interval."""
    decisive = trial.measure
    unbeaten = [one for one in trial.baselines if not one.compared.is_gain]
    rival = unbeaten[0] if unbeaten else trial.baselines[0]
    against = rival.compared
    role = "the best baseline" if rival is trial.baselines[0] else "a baseline it is not shown to beat"
    lost = against.is_loss and not trial.too_small
    opening = _gained(trial) if gained else "No gain shown"
    if lost:
        worse = _worse_than_base(trial) and not is_rival(rival.system.key)
        opening += ", fine-tuning made it worse" if worse else f", {_name(rival)} does better"
    elif trial.too_small and not gained:
        opening += f", {trial.drawn.units} {'groups of ' if trial.drawn.grouped else ''}test rows are too few to tell"
    sign = -1.0 if lost else 1.0
    ends = sorted((sign * against.low, sign * against.high))
    change = "gain" if gained else "loss" if lost else "difference"
    low, high = (decisive.shown_difference(end, unit=False) for end in ends)
    return (
        f"{opening}: {decisive.title} {decisive.shown(trial.value(trial.tuned))} against {decisive.shown(trial.value(rival))} "
        f"for {role}, {_name(rival)}: a {change} of {decisive.shown_difference(sign * against.difference)} "
        f"(95% interval {low} to {high}{_p_where_it_decides(against)})."
    )


def _worse_than_base(trial: Trial) -> bool:
    """Whether the tuned model loses to its base under the plain prompt: else only a better prompt, or another model, does better."""
    zero = next((one for one in trial.baselines if one.system.key == "zero-shot"), None)
    return zero is not None and zero.compared.is_loss


def _p_where_it_decides(against: Comparison) -> str:
    """Its p, where the interval alone would show a gain and the test does not."""
    return f", p = {against.p_value:.2g}" if against.low > 0 and not against.is_gain else ""


def _gained(trial: Trial) -> str:
    """How a gain is said: plainly, or after what is far cheaper and does as well, since that is what a reader must know first."""
    floors = [one for one in trial.scored if one.system.kind == "floor" and one.against is not None and one.against.difference <= 0]
    if not floors:
        dear = not_worth_it(trial)
        return "Fine-tuning beat the base, and the gain is not worth its price" if dear else "Fine-tuning earned its place"
    best = min(floors, key=lambda one: one.against.difference if one.against is not None else 0.0)
    value = trial.measure.shown(trial.value(best))
    if best.against is not None and best.against.is_loss:
        return f"Fine-tuning beat the base, and {best.system.name} ({value}) beats both"
    return f"Fine-tuning beat the base, and {best.system.name} ({value}) does as well for far less"


def notes_on(trial: Trial, task: Task, gained: bool) -> list[str]:
    """What a reader should mind: doubts, cheaper ways, answers that betray a fault."""
    notes = [
        *_doubts(trial, task, gained),
        *_constant_note(trial),
        *price_notes(trial),
        *(note for one in trial.scored if one.system.kind == "floor" for note in _floor_note(trial, one, task)),
    ]
    rows = trial.tuned.system.predictions
    made = task is not Task.PREFER  # else answers are weighed, not made
    if made and len(rows) > 1 and len({one.answer for one in rows}) == 1 < len({one.reference for one in rows}):
        notes.append(f"The tuned model gives one and the same answer to all {len(rows)} rows: it has learned nothing from their text.")
    if task is not Task.CLASSIFY:
        return notes
    labels = {one.reference for one in rows}
    astray = sum(one.answer not in labels for one in rows)
    if astray:
        notes.append(f"{astray} of {len(rows)} answers of the tuned model are no label of the test rows: they count as wrong, as {OTHER}.")
    if len(labels) == 1:
        notes.append("All test rows have one label: there is nothing to tell apart, and a constant answer scores 100%.")
    elif len(rows) < 5 * len(labels):
        notes.append(
            f"{len(rows)} test rows hold {len(labels)} labels, {len(rows) / len(labels):.1f} rows each: "
            "the intervals of macro averages are too narrow with so few."
        )
    return notes


def _doubts(trial: Trial, task: Task, gained: bool) -> list[str]:
    """What would be needed to know better; what the intervals rest on."""
    notes, drawn = [], trial.drawn
    against = trial.baselines[0].compared
    if not gained and not against.is_loss and against.difference > 0:
        needed = ceil(drawn.rows * POWER * ((against.high - against.low) / 2 / against.difference) ** 2)
        if drawn.rows < needed <= 1_000_000:
            notes.append(f"If the difference is real, about {_two_digits(needed)} test rows would show it four times in five.")
    if drawn.grouped:
        notes.append(f"{drawn.rows} test rows come in {drawn.units} groups; intervals and tests count groups, not rows.")
    ours = [one.answer for one in trial.tuned.system.predictions]
    notes += [
        f"The tuned model prefers the same answers as {_name(one)} in every pair."
        if task is Task.PREFER
        else f"The tuned model's answers are the same as those of {_name(one)} on every row."
        for one in trial.baselines
        if any(ours) and [other.answer for other in one.system.predictions] == ours  # raw text is read, not answered
    ]
    return notes


def _floor_note(trial: Trial, floor: Scored, task: Task) -> list[str]:
    """Honest advice where something far cheaper does as well."""
    decisive, against = trial.measure, floor.against
    if against is None or against.is_gain or not _tells_something(trial, floor):
        return []
    figures = f"{decisive.shown(trial.value(floor))} against {decisive.shown(trial.value(trial.tuned))}"
    if task is Task.PREFER:
        shown = "is told better by" if against.is_loss else "may be told as well by"
        return [f"What people preferred in these rows {shown} length alone ({floor.system.name}: {decisive.title} {figures})."]
    if against.is_loss:
        return [f"{floor.system.name} does better than the tuned model ({decisive.title} {figures}) and costs far less: use it instead."]
    if against.difference <= 0:
        return [f"{floor.system.name} does as well as the tuned model ({decisive.title} {figures}) and costs far less: prefer it."]
    return [
        f"The tuned model is not shown to beat {floor.system.name} ({decisive.title} {figures} for the tuned{_p_where_it_decides(against)}), which costs far less."
    ]


CONSTANTS = ("majority", "mean")
"""Keys of systems that give one answer whatever is asked."""


def _tells_something(trial: Trial, one: Scored) -> bool:
    """Whether a system's figure is better than that of a constant answer."""
    constant = next((other for other in trial.scored if other.system.key in CONSTANTS), None)
    return constant is None or better(trial.measure.name, trial.value(one), trial.value(constant))


def _constant_note(trial: Trial) -> list[str]:
    """What is said where nothing is better than a constant answer: the texts may not tell what is asked of them."""
    constant = next((one for one in trial.scored if one.system.key in CONSTANTS), None)
    others = [one for one in trial.scored if one is not constant]
    if constant is None or trial.too_small or any(_tells_something(trial, one) for one in others):
        return []
    value = trial.measure.shown(trial.value(constant))
    return [f"No system does better than {_name(constant).lower()} ({value}): these texts may not tell what is asked of them."]


def _two_digits(number: int) -> str:
    """A number rounded up to two digits, with commas: an estimate should look like one."""
    step = 10 ** max(0, len(str(number)) - 2)
    return f"{ceil(number / step) * step:,}"
