"""Trials in the ledger: what may be done by itself, who answered what, and what people said of it."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tunesmith.core.errors import RecipeError
from tunesmith.ledger.feedback import FeedbackRecord, Verdict
from tunesmith.ledger.ledger import Ledger
from tunesmith.ledger.requests import RequestRecord
from tunesmith.ledger.steps import StepRecord
from tunesmith.ledger.trials import TrialRule, TriedRecord

OLD, NEW = "2026-01-01T00:00:00Z", "2026-11-01T00:00:00Z"


def begun(ledger: Ledger, line: str = "champion") -> int:
    """A trial by half."""
    for action, mode in (("promote", None), ("challenge", "share")):
        share = 0.5 if mode else None
        told = ledger.steps.take(
            StepRecord(line=line, action=action, model=action, mode=mode, share=share, who="ann", why="so")  # type: ignore[arg-type]
        )
    return told.number


def row(step: int, id_: str, **more: object) -> TriedRecord:
    values = {"step": step, "id": id_, "arm": "champion", "asker": f"of {id_}"} | more
    return TriedRecord(**values)  # type: ignore[arg-type]


def test_what_was_said_first_of_a_trial_stands_and_a_trial_that_is_none_is_refused(ledger: Ledger) -> None:
    step = begun(ledger)
    assert ledger.trials.rule(step) == TrialRule(step)
    ledger.trials.allow(TrialRule(step, promote_when_better=True))
    ledger.trials.allow(TrialRule(step, end_when_worse=True, one_key=True))
    assert ledger.trials.rule(step) == TrialRule(step, promote_when_better=True)
    with pytest.raises(RecipeError):
        ledger.trials.allow(TrialRule(step + 1))


def test_all_who_ask_at_once_deal_by_one_secret(ledger: Ledger) -> None:
    step = begun(ledger)
    with ThreadPoolExecutor(6) as pool:
        secrets = set(pool.map(lambda _: ledger.trials.secret(step), range(12)))
    assert len(secrets) == 1 and len(secrets.pop()) == 32
    assert ledger.trials.secret(begun(ledger, "other")) != ledger.trials.secret(step)


def test_rows_come_back_as_they_were_written_first(ledger: Ledger) -> None:
    step = begun(ledger)
    whole = row(
        step, "a", choice=2, agrees=True, shown_confidence=0.5, shown_seconds=0.25, other_confidence=0.1, other_seconds=2.0, answer="NUL \0",
        lost="slow", created=NEW,
    )  # fmt: skip
    ledger.trials.record([whole, row(step, "b", agrees=False)])
    ledger.trials.record([row(step, "a", choice=2, arm="challenger")])
    newest, first = ledger.trials.rows(step)
    assert newest.agrees is False and first.answer == "NUL \ufffd" and (first.arm, first.agrees, first.lost) == ("champion", True, "slow")
    assert [one.id for one in ledger.trials.rows(step, limit=1)] == ["b"] and ledger.trials.rows(step + 1) == []


def test_opinions_are_counted_where_they_tell_whether_an_answer_was_good(ledger: Ledger) -> None:
    step = begun(ledger)
    ledger.trials.record([row(step, id_, arm="challenger" if id_ in "bd" else "champion") for id_ in "abcdefg"])
    ledger.requests.record([RequestRecord(id="b", tenant="t", key_id="k", model="m", kind="label", label="red")])
    given = [
        FeedbackRecord(tenant="t", key_id="k", completion_id=id_, kind=kind, value=value, answer=answer)  # type: ignore[arg-type]
        for id_, kind, value, answer in (
            ("a", "thumbs", "up", None), ("b", "label", "red", None), ("c", "label", "red", "blue"), ("d", "correction", "so", "x"),
            ("e", "comment", "hm", None), ("f", "thumbs", "down", None), ("g", "label", "red", None), ("elsewhere", "thumbs", "up", None),
        )
    ]  # fmt: skip
    ledger.feedback.give(given)
    ledger.feedback.review(Verdict(given[5].id, "rejected"), "ann")
    told = [(one.asker, one.arm, one.good, one.key) for one in ledger.trials.opinions(step)]
    key = ("t", "k")
    assert told == [
        ("of a", "champion", True, key), ("of b", "challenger", True, key), ("of c", "champion", False, key), ("of d", "challenger", False, key),
    ]  # fmt: skip
    count, last = ledger.trials.opinion_count(step)
    assert count == 7 and last == max(str(one.changed or one.created) for one in ledger.feedback.list())
    assert ledger.trials.opinion_count(step + 1) == (0, "")


def test_rows_of_ended_trials_go_and_words_of_running_ones(ledger: Ledger) -> None:
    ended, running = begun(ledger), begun(ledger, "other")
    ledger.steps.take(StepRecord(action="keep", who="ann", why="so"))
    ledger.trials.record([row(step, f"{step} {day}", answer="words", created=day) for step in (ended, running) for day in (OLD, NEW)])
    assert ledger.trials.forget(before="2026-06-01T00:00:00Z") == 1
    left = {(one.step, one.created): one.answer for step in (ended, running) for one in ledger.trials.rows(step)}
    assert left == {(ended, NEW): "words", (running, OLD): None, (running, NEW): "words"}
