"""How costs are said beside a verdict: the tuned model against the best prompt of the base, which is the one that did best on `select`.

The rule: where one of the two is shown to be right more often and costs more an answer, each right answer that it gives beyond the other
has a price, the extra cost over the extra share right. The gain is worth it if that is at most `prices.right_answer`, or, where the recipe
states none, at most what the other pays for a right answer (then a right answer costs no more on the whole either). It is called not
worth its price only if that holds at the upper end of the gain's 95% interval too; where the interval's ends disagree, it is said that it can't be told.
Where neither is shown to be better, lengths of prompts and costs stand side by side, and no gain is priced.
"""

from dataclasses import dataclass
from typing import Literal

from tunesmith.evaluate.trial import PROMPTS, Scored, Trial
from tunesmith.score.costs import Offer, money, of_another_right_answer

SHORTER = 1.5
"""From so many times the tokens on, a prompt is called longer."""


@dataclass(frozen=True, slots=True)
class Worth:
    """What each further right answer costs, and whether that is too much."""

    outcome: Literal["worth", "not worth", "unclear"]
    each: float
    """At the gain that was measured."""
    least: float
    """At the upper end of its interval."""
    most: float
    """At the lower end."""
    bound: float
    """What it may cost."""


def prompted(trial: Trial) -> Scored | None:
    """The base's best prompt: the one that did best on `select`, or the only one; None where no base was asked, or it isn't known which did best.

    Test rows have no say: who has no fine-tune chooses a prompt without them. Examples can make a prompt dearer and no better, so that
    few-shot is not always what a tuned model is held against.
    """
    found = {one.system.key: one for one in trial.scored if one.system.key in PROMPTS}
    return next(iter(found.values())) if len(found) == 1 else found.get(trial.best_prompt or "")


def worth_of(trial: Trial, better: Scored, other: Scored) -> Worth | None:
    """Whether what the better one of a pair gains is worth its price; None where nothing is priced, no answer is simply right or wrong, or it costs no more.

    One of the two is the tuned model, and the difference between them is shown.
    """
    bill, shared = trial.bill, trial.measure.right is not None
    costs = (None, None) if bill is None else (bill.of(better), bill.of(other))
    if bill is None or not shared or costs[0] is None or costs[1] is None or costs[0] <= costs[1]:
        return None
    found = other.compared if other.against is not None else better.compared
    gains = sorted(abs(gain) for gain in (found.low, found.high))
    offers = Offer(costs[0], trial.value(better)), Offer(costs[1], trial.value(other))
    each, most, least = (of_another_right_answer(*offers, gain) for gain in (abs(found.difference), *gains))
    bound = bill.prices.right_answer if bill.prices.right_answer is not None else offers[1].per_right
    outcome: Literal["worth", "not worth", "unclear"] = "not worth" if least > bound else "worth" if most <= bound else "unclear"
    return Worth(outcome, each, least, most, bound)


def not_worth_it(trial: Trial) -> bool:
    """Whether the tuned model's gain over the base's best prompt is not worth its price."""
    rival = prompted(trial)
    if rival is None or not rival.compared.is_gain:
        return False
    found = worth_of(trial, trial.tuned, rival)
    return found is not None and found.outcome == "not worth"


def price_notes(trial: Trial) -> list[str]:
    """What answers cost, tuned against prompted, where that says something; and what training cost."""
    rival = prompted(trial)
    if rival is None:
        return []
    found = rival.compared
    if found.is_gain or found.is_loss:
        better, other = (trial.tuned, rival) if found.is_gain else (rival, trial.tuned)
        notes = _where_one_is_better(trial, better, other)
    else:
        notes = [] if trial.too_small else _where_none_is(trial, rival)
    return [*notes, *_training(trial, rival)]


def _where_one_is_better(trial: Trial, better: Scored, other: Scored) -> list[str]:
    bill = trial.bill
    if bill is None or (ours := bill.of(better)) is None or (theirs := bill.of(other)) is None:
        return []
    currency = bill.prices.currency
    pair = f"{money(1000 * ours)} {currency} per 1,000 answers against {money(1000 * theirs)}"
    if ours <= theirs:
        return [f"{_capital(_name(better))} does better than {_name(other)} and costs {'less' if ours < theirs else 'no more'}: {pair}."]
    found = worth_of(trial, better, other)
    if found is None:
        return [f"{_capital(_name(better))} does better than {_name(other)} and costs more: {pair}."]
    yardstick = "one is worth" if bill.prices.right_answer is not None else f"a right answer by {_name(other)} costs"
    end = {
        "worth": "the gain is worth its price",
        "not worth": "the gain is not worth its price",
        "unclear": "whether the gain is worth its price can't be told",
    }[found.outcome]
    return [
        f"{_capital(_name(better))} costs {pair}: each right answer more than {_name(other)} gives costs {money(found.each)} {currency} "
        f"({money(found.least)} to {money(found.most)}), where {yardstick} {money(found.bound)}: {end}."
    ]


def _where_none_is(trial: Trial, rival: Scored) -> list[str]:
    ours, theirs = _prompt_tokens(trial.tuned), _prompt_tokens(rival)
    shorter = ours > 0 and theirs >= SHORTER * ours
    said = f"The tuned model is not shown to differ from {_name(rival)}"
    if shorter:
        said += f", and its prompts are {theirs / ours:.1f} times shorter ({ours:.0f} tokens against {theirs:.0f})"
    bill = trial.bill
    costs = (None, None) if bill is None else (bill.of(trial.tuned), bill.of(rival))
    if bill is None or costs[0] is None or costs[1] is None:
        return [f"{said}."] if shorter else []
    pair = f"{money(1000 * costs[0])} {bill.prices.currency} per 1,000 answers against {money(1000 * costs[1])}"
    end = "" if costs[0] < costs[1] else ", as much" if costs[0] == costs[1] else ": prompting is the cheaper way"
    return [f"{said}; it costs {pair}{end}."]


def _training(trial: Trial, rival: Scored) -> list[str]:
    bill = trial.bill
    if bill is None or bill.training is None or bill.training_seconds is None:
        return []
    ours, theirs = bill.of(trial.tuned), bill.of(rival)
    said = f"Training cost {money(bill.training)} {bill.prices.currency} ({_minutes(bill.training_seconds)} of its steps)"
    useless = trial.measure.higher_is_better and trial.value(trial.tuned) <= 0
    if ours is None or theirs is None or useless or rival.compared.is_loss:  # worse answers pay nothing back, however cheap they are
        return [f"{said}."]
    answers = bill.pays_after(rival)
    if answers is None:
        return [f"{said}; by cheaper answers than those of {_name(rival)} it is never paid back, since they are not cheaper."]
    return [
        f"{said}: against the prompts of {_name(rival)} it has paid for itself after {answers:,} {'answer' if answers == 1 else 'answers'}."
    ]


def _prompt_tokens(one: Scored) -> float:
    rows = one.system.predictions
    return sum(row.prompt_tokens for row in rows) / len(rows)


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _name(one: Scored) -> str:
    return "the tuned model" if one.system.kind == "tuned" else one.system.name.removeprefix("Base, ")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
