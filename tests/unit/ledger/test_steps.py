"""Who is in service follows from the steps taken, and from nothing else."""

import random

import pytest

from tunesmith.core.errors import RecipeError
from tunesmith.ledger.ledger import Ledger
from tunesmith.ledger.steps import Action, Mode, StepRecord, standing_after


def step(action: Action, model: str | None = None, *, mode: Mode | None = None, share: float | None = None) -> StepRecord:
    return StepRecord(action=action, model=model, mode=mode, share=share, who="ann", why="it is better")


def test_rolling_back_goes_the_way_that_was_come(ledger: Ledger) -> None:
    for model in ("one", "two", "three"):
        ledger.steps.take(step("promote", model))
    serving = [ledger.steps.take(step("rollback")).champion for _ in range(2)]
    assert [model and model.model for model in serving] == ["two", "one"]
    with pytest.raises(RecipeError, match="no champion of 'champion' to go back to"):
        ledger.steps.take(step("rollback"))
    ledger.steps.take(step("promote", "four"))
    again = ledger.steps.take(step("rollback"))
    assert again.champion and again.champion.model == "one" and again.former == ()
    told = [(one.action, one.model) for one in ledger.steps.history()]
    assert told[3:] == [("rollback", "two"), ("rollback", "one"), ("promote", "four"), ("rollback", "one")]


def test_a_trial_ends_by_promotion_by_rollback_and_by_keeping(ledger: Ledger) -> None:
    for model in ("one", "two"):
        ledger.steps.take(step("promote", model))
    for end in (step("keep"), step("promote", "four"), step("rollback")):
        tried = ledger.steps.take(step("challenge", "three", mode="share", share=0.1))
        assert tried.challenger and (tried.challenger.model, tried.mode, tried.share) == ("three", "share", 0.1)
        ended = ledger.steps.take(end)
        assert (ended.challenger, ended.mode, ended.share) == (None, None, None)


def test_what_can_t_be_taken_is_refused_in_a_sentence_and_leaves_no_trace(ledger: Ledger) -> None:
    for refused, said in (
        (step("rollback"), "no champion"),
        (step("challenge", "one", mode="shadow"), "no champion to challenge"),
        (step("keep"), "no trial to end"),
    ):
        with pytest.raises(RecipeError, match=said):
            ledger.steps.take(refused)
    ledger.steps.take(step("promote", "one"))
    for repeated in (step("promote", "one"), step("challenge", "one", mode="shadow")):
        with pytest.raises(RecipeError, match="already"):
            ledger.steps.take(repeated)
    assert len(ledger.steps.history()) == 1
    for share in (None, 0.0, 1.0, 1.5, float("nan")):
        with pytest.raises(RecipeError, match="between 0 and 1"):
            step("challenge", "two", mode="share", share=share)


def test_a_trial_is_ended_before_another_begins(ledger: Ledger) -> None:
    ledger.steps.take(step("promote", "one"))
    ledger.steps.take(step("challenge", "two", mode="shadow"))
    for model in ("two", "three"):
        with pytest.raises(RecipeError, match="two is tried beside the champion of 'champion' already: end that trial first"):
            ledger.steps.take(step("challenge", model, mode="share", share=0.5))
    ledger.steps.take(step("keep"))
    told = ledger.steps.take(step("challenge", "three", mode="shadow"))
    assert told.challenger and told.challenger.model == "three" and len(ledger.steps.history()) == 4
    older = [step("promote", "one"), step("challenge", "two", mode="shadow"), step("challenge", "three", mode="shadow")]
    stands = standing_after("champion", older)  # ledgers that were written before this rule are read as they were
    assert stands.challenger and stands.challenger.model == "three"


def test_a_folder_that_holds_another_model_by_now_can_be_promoted_anew(ledger: Ledger) -> None:
    def promoted(content: str | None) -> StepRecord:
        return StepRecord(action="promote", model="/m/x", model_hash=content, who="ann", why="trained again")

    ledger.steps.take(promoted("h1"))
    told = ledger.steps.take(promoted("h2"))
    assert told.champion and told.champion.model_hash == "h2" and [one.model_hash for one in told.former] == ["h1"]
    for same in ("h2", None):
        with pytest.raises(RecipeError, match="already"):
            ledger.steps.take(promoted(same))


def test_two_who_decide_on_one_standing_take_one_step(ledger: Ledger) -> None:
    seen = ledger.steps.take(step("promote", "one"))
    ledger.steps.take(step("promote", "two"), after=seen.number)
    with pytest.raises(RecipeError, match="meanwhile"):
        ledger.steps.take(step("promote", "three"), after=seen.number)
    other = StepRecord(line="other", action="promote", model="nine", who="ann", why="first")
    ledger.steps.take(other)
    assert ledger.steps.lines() == ["champion", "other"]
    champion = ledger.steps.standing().champion
    assert champion is not None and champion.model == "two"
    assert ledger.steps.last() == ledger.steps.standing().number == 2 and ledger.steps.last("other") == 3


def test_any_way_through_steps_stands_as_a_plain_stack_says(ledger: Ledger) -> None:
    draw = random.Random(5)
    stack: list[str] = []
    for turn in range(60):
        action: Action = draw.choice(["promote", "promote", "rollback", "challenge", "keep"])
        model = f"m{turn}" if action in ("promote", "challenge") else None
        try:
            told = ledger.steps.take(step(action, model, mode="shadow" if action == "challenge" else None))
        except RecipeError:
            continue
        if action == "promote":
            stack.append(str(model))
        elif action == "rollback":
            stack.pop()
        assert [one.model for one in (*told.former, *([told.champion] if told.champion else []))] == stack
        assert ledger.steps.standing() == told
    assert standing_after("champion", ledger.steps.history()) == ledger.steps.standing()
