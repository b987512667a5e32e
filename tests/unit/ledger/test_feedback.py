"""Requests and opinions in the ledger: one of each kind from each key, kept whatever kills the process, moved by reviewers alone."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import tunesmith
from tunesmith.core.errors import RecipeError
from tunesmith.core.rows import Message
from tunesmith.ledger.feedback import FeedbackRecord, Verdict
from tunesmith.ledger.ledger import Ledger
from tunesmith.ledger.requests import RequestRecord


def request(id_: str, **more: object) -> RequestRecord:
    return RequestRecord(**{"id": id_, "tenant": "a", "key_id": "k", "model": "m"} | more)  # type: ignore[arg-type]


def opinion(completion: str, **more: object) -> FeedbackRecord:
    given = {"tenant": "a", "key_id": "k", "completion_id": completion, "kind": "thumbs", "value": "up"}
    return FeedbackRecord(**given | more)  # type: ignore[arg-type]


def test_a_request_comes_back_as_it_went_in(ledger: Ledger) -> None:
    whole = request(
        "c-1", choice=2, model_hash="h", kind="label", prompt=(Message("user", "hi \u2028"),), answer="x", label="x", confidence=0.25,
        prompt_tokens=3, answer_tokens=1, seconds=0.5, finish="stop", sampled=True,
    )  # fmt: skip
    ledger.requests.record([whole, request("c-2")])
    ledger.requests.record([replace(whole, answer="another")])
    assert ledger.requests.find("c-1", 2) == whole and ledger.requests.find("c-1", 0) is None
    found = ledger.requests.find("c-2")
    assert found is not None and found.prompt is None and found.answer is None


def test_old_requests_go_those_with_texts_later(ledger: Ledger) -> None:
    days = ["2026-01-01T00:00:00Z", "2026-01-20T00:00:00Z", "2026-01-31T00:00:00Z"]
    ledger.requests.record(
        [request(f"{place}{sampled}", created=day, sampled=sampled) for place, day in enumerate(days) for sampled in (0, 1)]
    )
    assert ledger.requests.forget(sampled_before=days[1], others_before=days[2]) == 3
    assert sorted(one.id for one in ledger.requests.list()) == ["11", "20", "21"] and ledger.requests.count() == 3
    assert [one.id for one in ledger.requests.list(sampled=True)] == ["21", "11"]


def test_the_same_opinion_twice_is_one_and_another_takes_its_place(ledger: Ledger) -> None:
    (first,) = ledger.feedback.give([opinion("c-1", prompt=(Message("user", "q"),), answer="a")])
    assert ledger.feedback.give([opinion("c-1")]) == [first]
    ledger.feedback.review(Verdict(first.id, "accepted"), "ann")
    (again,) = ledger.feedback.give([opinion("c-1")])
    assert (again.id, again.state, again.reviewer) == (first.id, "accepted", "ann")
    (changed,) = ledger.feedback.give([opinion("c-1", value="down")])
    assert (changed.id, changed.value, changed.state, changed.reviewer) == (first.id, "down", "new", None)
    assert changed.prompt == first.prompt and changed.answer == "a"
    ledger.feedback.give([opinion("c-1", key_id="other"), opinion("c-1", choice=1), opinion("c-1", kind="comment", value="x")])
    assert len(ledger.feedback.list()) == 4 and ledger.feedback.counts() == {"new": 4, "accepted": 0, "rejected": 0, "quarantined": 0}


def test_opinions_are_listed_in_pages_and_by_whom(ledger: Ledger) -> None:
    given = ledger.feedback.give([opinion(f"c-{number}", key_id="kj"[number % 2]) for number in range(6)])
    mine = ledger.feedback.list(tenant="a", key_id="k", limit=2)
    assert mine == [given[0], given[2]]
    assert ledger.feedback.list(tenant="a", key_id="k", limit=2, after=mine[-1].id) == [given[4]]
    assert ledger.feedback.list(tenant="b") == [] and ledger.feedback.list(after="fb-none") == []


def test_screening_never_moves_what_a_person_decided(ledger: Ledger) -> None:
    one, two = ledger.feedback.give([opinion("c-1"), opinion("c-2")])
    ledger.feedback.review(Verdict(one.id, "accepted"), "ann")
    assert ledger.feedback.screen([Verdict(one.id, "quarantined", "x"), Verdict(two.id, "quarantined", "flood")]) == 1
    assert [(found.state, found.reason) for found in ledger.feedback.list()] == [("accepted", None), ("quarantined", "flood")]


def test_what_makes_no_sense_is_refused(ledger: Ledger) -> None:
    for wrong in ({"kind": "thumb"}, {"state": "open"}, {"value": "sideways"}, {"asked": "picture"}):
        with pytest.raises(RecipeError):
            opinion("c", **wrong)
    with pytest.raises(RecipeError, match="There is no opinion 'fb-x'"):
        ledger.feedback.review(Verdict("fb-x", "accepted"), "ann")
    with pytest.raises(RecipeError, match="name is empty"):
        ledger.feedback.review(Verdict("fb-x", "accepted"), " ")
    with pytest.raises(RecipeError, match="There is no opinion"):
        ledger.feedback.find("fb-x")


GIVER = """
import sys
from tunesmith.ledger.feedback import FeedbackRecord
from tunesmith.ledger.ledger import Ledger

with Ledger.open(sys.argv[1]) as ledger:
    for number in range(100_000):
        made = FeedbackRecord(tenant="a", key_id="k", completion_id=f"c-{number}", kind="thumbs", value="up")
        print(ledger.feedback.give([made])[0].id, flush=True)
"""


def test_no_opinion_that_was_acknowledged_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    giver = subprocess.Popen(
        [sys.executable, "-c", GIVER, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(Path(tunesmith.__file__).parents[1])},
    )
    assert giver.stdout is not None
    told = [giver.stdout.readline().strip() for _ in range(20)]
    giver.kill()
    told += [line for line in giver.communicate(timeout=30)[0].split("\n")[:-1] if line]
    assert giver.returncode == -signal.SIGKILL
    with Ledger.open(path) as ledger:
        kept = [record.id for record in ledger.feedback.list()]
    assert kept[: len(told)] == told and len(kept) - len(told) in (0, 1)
