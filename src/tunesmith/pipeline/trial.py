"""Trials by command: a challenger is named, a trial is ended, and its state is told."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from tunesmith.core.errors import GateError, RecipeError
from tunesmith.feedback.config import ScreenConfig
from tunesmith.feedback.screening import screen
from tunesmith.ledger.ledger import Ledger
from tunesmith.ledger.steps import LINE, Mode, Standing, StepRecord
from tunesmith.ledger.trials import Given, TrialRule, TriedRecord
from tunesmith.pipeline.naming import named_model
from tunesmith.pipeline.promotion import checked, lasting, refused_by

if TYPE_CHECKING:
    from tunesmith.pipeline.workspace import Workspace
    from tunesmith.score.sequential import Comparison

MOST_OF_ONE_KEY = 0.5
"""Nothing is done by itself where one key speaks for a larger share of the people: it may have made them up."""
ITSELF = "tunesmith challenge"
"""Who took a step that a trial's opinions asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """A trial to begin."""

    model: str
    mode: Mode
    share: float | None = None
    line: str = LINE
    who: str
    why: str
    promote_when_better: bool = False
    end_when_worse: bool = False
    one_key: bool = False
    """One key may speak for most of the people."""


def challenge(asked: Challenge, place: "Workspace") -> Standing:
    """Begin a trial, and say what stands.

    Raises:
        RecipeError: there is no champion, the model is the champion, or opinions shall decide where none is given.
        GateError: it shall be promoted by itself, and a gate of its round said no.
        TunesmithError: the model is none that can be served.
    """
    if asked.mode == "shadow" and (asked.promote_when_better or asked.end_when_worse):
        raise RecipeError("In shadow nobody sees the challenger's answers, so no opinion can decide: try it with --share.")
    named = named_model(asked.model, place)
    with place.ledger() as ledger:
        record, content = checked(named, ledger)
        refused = refused_by(record, ledger)
        if refused and asked.promote_when_better:  # it may be tried
            raise GateError(f"{named.name} did not hold {refused}: try it without --promote-when-better, and promote it yourself.")
        model = lasting(named, record, place)
        step = StepRecord(
            line=asked.line, action="challenge", model=model, model_hash=content, mode=asked.mode, share=asked.share, who=asked.who, why=asked.why,
        )  # fmt: skip
        told = ledger.steps.take(step)
        if asked.promote_when_better or asked.end_when_worse:  # killed before this: nothing is done by itself
            ledger.trials.allow(TrialRule(told.number, asked.promote_when_better, asked.end_when_worse, asked.one_key))
    return told


def end(line: str, who: str, why: str, place: "Workspace") -> Standing:
    """End a trial; the champion stays. RecipeError where there is none."""
    with place.ledger() as ledger:
        return ledger.steps.take(StepRecord(line=line, action="keep", who=who, why=why))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadowed:
    """How the challenger's answers in shadow compare to those that were shown."""

    requests: int
    """That were answered while the trial ran."""
    compared: int
    lost: dict[str, int]
    """Not compared, by reason: `full`, `slow`, `refused`, `failed`."""
    agree: float | None
    """Share of the same answers."""
    agree_low: float | None
    agree_high: float | None
    """95% interval (Wilson)."""
    champion_confidence: float | None
    challenger_confidence: float | None
    """Means, over requests where both are known."""
    champion_seconds: float | None
    challenger_seconds: float | None
    """Medians."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialState:
    """A trial for people and programs."""

    standing: Standing
    rule: TrialRule
    shadow: Shadowed | None = None
    opinions: "Comparison | None" = None
    of_one_key: float | None = None
    """Share of the people that the busiest key speaks for."""

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self)


def trial_state(line: str, ledger: Ledger) -> TrialState:
    """How a line's trial stands. RecipeError where none runs."""
    standing = ledger.steps.standing(line)
    if standing.challenger is None:
        raise RecipeError(
            f"No model is tried beside the champion of '{line}': begin with `tunesmith challenge MODEL --shadow`, or --share 0.1."
        )
    rule = ledger.trials.rule(standing.number)
    if standing.mode == "shadow":
        return TrialState(standing=standing, rule=rule, shadow=shadowed(ledger.trials.rows(standing.number)))
    given = ledger.trials.opinions(standing.number)
    return TrialState(standing=standing, rule=rule, opinions=_comparison(given, standing), of_one_key=of_one_key(given))


def shadowed(rows: Sequence[TriedRecord]) -> Shadowed:
    """The figures of a trial in shadow."""
    from tunesmith.score.intervals import wilson

    lost: dict[str, int] = {}
    for row in rows:
        if row.lost is not None:
            lost[row.lost] = lost.get(row.lost, 0) + 1
    both = [row for row in rows if row.lost is None]
    told = [row.agrees for row in both if row.agrees is not None]
    low, high = wilson(sum(told), len(told)) if told else (None, None)
    sure = [(a, b) for a, b in ((row.shown_confidence, row.other_confidence) for row in both) if a is not None and b is not None]
    times = [(a, b) for a, b in ((row.shown_seconds, row.other_seconds) for row in both) if a is not None and b is not None]
    return Shadowed(
        requests=len(rows),
        compared=len(both),
        lost=lost,
        agree=sum(told) / len(told) if told else None,
        agree_low=low,
        agree_high=high,
        champion_confidence=fmean(a for a, _ in sure) if sure else None,
        challenger_confidence=fmean(b for _, b in sure) if sure else None,
        champion_seconds=median(a for a, _ in times) if times else None,
        challenger_seconds=median(b for _, b in times) if times else None,
    )


def of_one_key(given: Sequence[Given]) -> float | None:
    """Share of the people that the key with most of them speaks for; None where nobody spoke. A person may be of several keys."""
    people: dict[tuple[str, str], set[str]] = {}
    for one in given:
        people.setdefault(one.key, set()).add(one.asker)
    everybody = len({one.asker for one in given})
    return max(map(len, people.values())) / everybody if everybody else None


def _comparison(given: Sequence[Given], standing: Standing) -> "Comparison":
    from tunesmith.score.sequential import Opined, compared

    return compared([Opined(one.asker, one.arm == "challenger", one.good) for one in given], standing.share or 0.5)


def verdict_step(ledger: Ledger, line: str, standing: Standing, rule: TrialRule) -> StepRecord | None:
    """The step that a trial's opinions ask for and its rule allows; None where they don't, or it doesn't.

    Before a step is asked for, what looks wrong is set aside (`feedback.screening`), and the rest is judged anew.

    Raises:
        RecipeError: one key speaks for most of the people, and its rule does not allow that.
    """
    step = _asked_for(ledger.trials.opinions(standing.number), line, standing, rule)
    if step is None:
        return None
    screen(ledger, ScreenConfig())
    given = ledger.trials.opinions(standing.number)
    step, most = _asked_for(given, line, standing, rule), of_one_key(given) or 0.0
    if step is not None and most > MOST_OF_ONE_KEY and not rule.one_key:
        raise RecipeError(one_key_words(most))
    return step


def one_key_words(share: float) -> str:
    """Why nothing is done by itself."""
    return (
        f"One key speaks for {share:.0%} of the people, and may have made them up: look at `tunesmith trial` and decide yourself, "
        "or begin the trial with --one-key where that key is an application's."
    )


def _asked_for(given: Sequence[Given], line: str, standing: Standing, rule: TrialRule) -> StepRecord | None:
    found, challenger = _comparison(given, standing), standing.challenger
    if challenger is None:
        return None
    why = figures(found)
    if found.verdict == "better" and rule.promote_when_better:
        return StepRecord(line=line, action="promote", model=challenger.model, model_hash=challenger.model_hash, who=ITSELF, why=why)
    if found.verdict == "worse" and rule.end_when_worse:
        return StepRecord(line=line, action="keep", who=ITSELF, why=why)
    return None


def figures(found: "Comparison") -> str:
    """What people said, in one sentence."""

    def liked(side: Any) -> str:
        shown = "none" if side.liked is None else f"{side.liked:.0%}"
        return f"{shown} of {side.opinions:,} opinions by {side.people:,}"

    p = min(found.p_better, found.p_worse)
    return f"good answers: challenger {liked(found.challenger)}, champion {liked(found.champion)}; p {p:.2g} at any look"


def verdict_words(found: "Comparison") -> str:
    """The verdict, in one line."""
    if found.verdict != "unknown":
        return f"The challenger is {found.verdict}: {figures(found)}."
    points = f"{100 * (found.points or 0):.0f} points"
    if not found.champion.people + found.challenger.people:
        return f"No opinions yet: those of about {found.more:,} people would show a difference of {points}."
    if not found.more:
        return f"Not known yet, though a difference of {points} should have shown by now: {figures(found)}."
    return f"Not known yet: opinions of about {found.more:,} more people would show a difference of {points}. So far {figures(found)}."
