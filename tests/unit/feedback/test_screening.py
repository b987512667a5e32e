"""What looks wrong is set aside, with the reason; what is honest mostly isn't."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import mean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.core.rows import Message
from tunesmith.feedback.config import ScreenConfig
from tunesmith.feedback.screening import screen, suspicions
from tunesmith.feedback.simulated import ATTACKER, Crowd, opinions_of
from tunesmith.feedback.votes import believed, gathered
from tunesmith.ledger.feedback import FeedbackRecord, Verdict
from tunesmith.ledger.ledger import Ledger

Say = Callable[..., FeedbackRecord]
PLAIN = ScreenConfig()


def shares(crowd: Crowd, seeds: range) -> tuple[float, float]:
    """Set aside: of the attacker's opinions, of right honest ones; means over seeds."""
    lies, right = [], []
    for seed in seeds:
        made = opinions_of(crowd, seed)
        aside = suspicions([record for record, _ in made], PLAIN)
        lies += [record.id in aside for record, _ in made if record.key_id == ATTACKER]
        right += [record.id in aside for record, true in made if true]
    return (mean(lies) if lies else 0.0), mean(right)


def test_of_feedback_poisoned_at_thirty_percent_by_one_key_the_poison_is_set_aside_and_the_rest_is_not() -> None:
    lies, right = shares(Crowd(), range(10))
    assert lies >= 0.99 and right <= 0.03


def test_a_liar_who_speaks_no_more_than_others_is_found_by_what_they_say() -> None:
    crowd = Crowd(honest=12, poisoned=1 / 13)
    lies, right = shares(crowd, range(10))
    assert lies >= 0.95 and right <= 0.06


def test_where_nobody_lies_little_is_set_aside_and_the_right_side_rarely() -> None:
    assert shares(Crowd(poisoned=0.0, accuracy=1.0), range(10)) == (0.0, 0.0)
    assert shares(Crowd(poisoned=0.0), range(10))[1] <= 0.08


def test_the_lesser_side_of_a_contradiction_is_set_aside_and_says_why(say: Say) -> None:
    said = [say("thumbs", "up", key_id=key) for key in "abcd"] + [say("thumbs", "down", key_id="e")]
    found = suspicions(said, PLAIN)
    assert found == {said[-1].id: "contradiction: 4 of 5 keys, the more reliable ones, say otherwise"}


def test_one_against_one_is_undecided_and_both_wait(say: Say) -> None:
    said = [say("thumbs", "up", key_id="a"), say("thumbs", "down", key_id="b"), say("thumbs", "down", "another", key_id="a")]
    found = suspicions(said, PLAIN)
    assert set(found) == {said[0].id, said[1].id} and "neither side" in found[said[0].id]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (("thumbs", "up"), ("correction", "something else")),
        (("thumbs", "up"), ("label", "other")),
        (("label", "x"), ("label", "y")),
        (("preference", "better"), ("preference", "answer")),
    ],
)
def test_opinions_of_different_kinds_contradict_too(say: Say, one: tuple[str, str], two: tuple[str, str]) -> None:
    first = say(*one, key_id="a")
    turned = say(*two, key_id="b") if two[0] != "preference" else say(*two, answer="better", key_id="b")
    found = suspicions([first, turned], PLAIN)
    assert set(found) == {first.id, turned.id}


def test_two_corrections_of_one_answer_and_opinions_of_two_prompts_are_no_contradiction(say: Say) -> None:
    said = [say("correction", "one way", key_id="a"), say("correction", "another way", key_id="b"), say("thumbs", "down", key_id="c")]
    said += [say("thumbs", "up", "one"), say("thumbs", "down", "two"), say("comment", "no", key_id="z")]
    assert suspicions(said, PLAIN) == {}


def test_a_key_that_is_mostly_wrong_is_believed_in_nothing(say: Say) -> None:
    said = [say("thumbs", "up", f"q{number}", key_id=key) for number in range(10) for key in "abc"]
    said += [say("thumbs", "down", f"q{number}", key_id="liar") for number in range(10)]
    alone = say("correction", "trust me, it is so", "nobody else was asked", key_id="liar")
    found = suspicions([*said, alone], PLAIN)
    assert found[alone.id].startswith("unreliable key: it is right in about") and len(found) == 11


def test_a_flood_is_told_and_a_lone_application_is_none(say: Say) -> None:
    flood = [say("thumbs", "up", f"f{number}", key_id="loud", created="2026-11-02T00:00:00Z") for number in range(30)]
    others = [say("thumbs", "up", f"{key}{number}", key_id=key, created="2026-11-02T09:00:00Z") for key in "abc" for number in range(5)]
    assert suspicions(flood + others[:10], PLAIN) == {}  # two other keys are too few to compare with
    found = suspicions(flood + others, PLAIN)
    assert set(found) == {record.id for record in flood} and set(found.values()) == {"flood: its key gave 30 of 45 opinions on 2026-11-02"}
    spread = [replace(record, created=f"2026-11-{number + 1:02d}T00:00:00Z") for number, record in enumerate(flood[:28])]
    assert suspicions(spread + others, PLAIN) == {}


def test_a_busy_key_that_others_confirm_is_no_flood_unless_it_says_most(say: Say) -> None:
    def day(busy: int) -> list[FeedbackRecord]:
        said = [say("thumbs", "up", f"q{number}", key_id="busy", created="2026-11-02T00:00:00Z") for number in range(busy)]
        return said + [
            say("thumbs", "up", f"q{number}", key_id=key, created="2026-11-02T00:00:00Z")
            for key in "abcdefgh"
            for number in range(9 if key < "g" else 24)
        ]

    assert suspicions(day(60), PLAIN) == {}
    assert len(suspicions(day(120), PLAIN)) == 120


def test_one_text_for_many_prompts_is_near_copies_and_agreement_is_not(say: Say) -> None:
    spam = [say("correction", f"Visit our shop at the corner, number {number}!", f"q{number}", key_id="spam") for number in range(6)]
    agree = [say("correction", "The library opens at nine o'clock.", "when?", key_id=key) for key in "abcdefg"]
    short = [say("correction", "Yes.", f"s{number}", key_id="terse") for number in range(9)]
    found = suspicions([*spam, *agree, *short], PLAIN)
    assert set(found) == {record.id for record in spam} and "6 prompts" in found[spam[0].id]


def test_a_correction_that_changes_nothing_is_set_aside(say: Say) -> None:
    same = say("correction", "  ANSWER ")
    assert suspicions([same], PLAIN) == {same.id: "no change: it repeats the answer"}


def test_reviewed_opinions_stay_and_what_no_longer_looks_wrong_is_let_out(tmp_path: Path, say: Say) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        up, down = ledger.feedback.give([say("thumbs", "up", key_id="a"), say("thumbs", "down", key_id="b")])
        assert screen(ledger, PLAIN) == 2 and screen(ledger, PLAIN) == 0
        ledger.feedback.review(Verdict(down.id, "rejected"), "ann")
        assert screen(ledger, PLAIN) == 1
        assert [(one.id, one.state, one.reason) for one in ledger.feedback.list()] == [(up.id, "new", None), (down.id, "rejected", None)]


OPINIONS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(["up", "down"]), st.integers(0, 3)),
    max_size=24,
    unique_by=lambda one: (one[0], one[2]),
)


@settings(max_examples=60, deadline=None)
@given(OPINIONS, st.randoms())
def test_the_order_of_opinions_changes_nothing_and_chances_add_up(said: list[tuple[str, str, int]], chance: object) -> None:
    records = [
        FeedbackRecord(
            id=f"{key}{place}", tenant="t", key_id=key, completion_id=f"c{place}", kind="thumbs", value=value,  # type: ignore[arg-type]
            prompt=(Message("user", f"q{place}"),), answer="a", created="2026-11-02T00:00:00Z",
        )
        for key, value, place in said
    ]  # fmt: skip
    beliefs = believed(gathered(records))
    for held in beliefs.chances.values():
        assert len(held) == 1 or sum(held.values()) == pytest.approx(1)
    assert all(0 < share < 1 for share in beliefs.reliability.values())
    shuffled = list(records)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert suspicions(shuffled, PLAIN).keys() == suspicions(records, PLAIN).keys()
