"""Who trains the next round and who judges it: settled once, by user and by prompt, and never both."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.core.hashing import digest
from tunesmith.core.rows import Message
from tunesmith.feedback.config import ScreenConfig
from tunesmith.feedback.screening import screen
from tunesmith.feedback.sides import asked, near_texts, placed, user_of
from tunesmith.ledger.feedback import FeedbackRecord, Verdict
from tunesmith.ledger.ledger import Ledger
from tunesmith.ledger.requests import RequestRecord
from tunesmith.ledger.sides import SideRecord


def text(number: int) -> str:
    """Texts that share nothing."""
    return digest(number)[:24]


def opinion(number: int, *, key: str = "", about: int | None = None, near: bool = False) -> FeedbackRecord:
    said = text(number if about is None else about) + ("!" if near else "")
    prompt = (Message("user", said),)
    return FeedbackRecord(
        id=f"fb-{number}", tenant="t", key_id=key, completion_id=f"c-{number}", kind="label", value="a", prompt=prompt, answer="b"
    )


def standing(records: list[FeedbackRecord], stand: list[SideRecord], share: float = 0.2) -> list[SideRecord]:
    return [*stand, *placed(records, {one.feedback_id: one for one in stand}, {}, share)]


crowds = st.lists(
    st.tuples(st.sampled_from(("", "k1", "k2", "k3", "import:", "review:ann")), st.integers(0, 6), st.booleans()), max_size=25
)


@settings(max_examples=20)
@given(crowds, crowds)
def test_no_user_and_no_prompt_stands_on_two_sides_and_nothing_written_moves(
    first: list[tuple[str, int, bool]], later: list[tuple[str, int, bool]]
) -> None:
    records = [opinion(number, key=key, about=about * 1111, near=near) for number, (key, about, near) in enumerate([*first, *later])]
    early = standing(records[: len(first)], [])
    whole = standing(records, early)
    assert whole[: len(early)] == early and [one.feedback_id for one in whole] == [record.id for record in records]
    side = {one.feedback_id: one.side for one in whole}
    for one in records:
        for other in records:
            alike = asked(one).rstrip("!") == asked(other).rstrip("!") or (user_of(one) is not None and user_of(one) == user_of(other))
            if alike and "torn" not in (side[one.id], side[other.id]):
                assert side[one.id] == side[other.id]


def test_what_joins_two_sides_later_does_neither() -> None:
    records = [opinion(number, key=f"k{number % 20}", about=number) for number in range(200)]
    stand = standing(records, [])
    side = {one.feedback_id: one.side for one in stand}
    judge = next(record for record in records if side[record.id] == "judge")
    train = next(record for record in records if side[record.id] == "train")
    bridge = opinion(900, key=train.key_id, about=int(judge.id[3:]), near=True)
    made = standing([*records, bridge], stand)
    assert made[-1].side == "torn" and made[:-1] == stand


def test_who_can_neither_train_nor_judge_settles_nothing() -> None:
    """A key that judges comments on 40 prompts first, or says something of them that is set aside; their askers are placed all the same."""
    honest = [opinion(number, key=f"h{number % 16}", about=number) for number in range(40)]
    alone = {one.feedback_id: one.side for one in standing(honest, [])}
    changes: tuple[dict[str, Any], ...] = ({"kind": "comment"}, {"state": "quarantined"}, {"state": "rejected"})
    for change in changes:
        for name in ("m0", "m1", "m2", "m3", "m4", "m5"):
            first = [replace(opinion(1000 + number, key=name, about=number), **change) for number in range(40)]
            assert {one.feedback_id: one.side for one in standing([*first, *honest], [])} == alone
    freed = [replace(opinion(1000, key="h0", about=7), state="accepted")]
    stand = standing(honest, [])
    made = standing([*freed, *honest], stand)
    assert made[:-1] == stand and made[-1].feedback_id == "fb-1000"


def test_what_screening_sets_aside_is_placed_once_it_is_let_out(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        ledger.feedback.give([replace(opinion(0, key="k0"), kind="correction", value="b"), opinion(1, key="k1")])
        assert screen(ledger, ScreenConfig()) == 1
        assert [one.feedback_id for one in ledger.feedback_sides.list()] == ["fb-1"]
        ledger.feedback.review(Verdict("fb-0", "accepted"), "ann")
        screen(ledger, ScreenConfig())
        assert [one.feedback_id for one in ledger.feedback_sides.list()] == ["fb-1", "fb-0"]


def test_about_the_share_judges_and_a_single_user_trains() -> None:
    for users in (10, 40, 400):
        records = [opinion(number, key=f"k{number % users}", about=number) for number in range(800)]
        counts = Counter(one.side for one in standing(records, []))
        assert 0.1 <= counts["judge"] / 800 <= 0.3 and counts["torn"] == 0
    alone = Counter(one.side for one in standing([opinion(number, key="k", about=number) for number in range(50)], []))
    nameless = Counter(one.side for one in standing([opinion(number, about=number) for number in range(500)], []))
    assert alone == {"train": 50} and 60 <= nameless["judge"] <= 140


def test_users_of_one_key_that_is_believed_train_and_judge_and_none_does_both() -> None:
    """An application with one key and forty users: without their names all of them train, and nothing judges."""
    records = [opinion(number, key="app", about=number) for number in range(200)]
    named = [replace(record, asker=digest(number % 40)[:32]) for number, record in enumerate(records)]
    assert {one.side for one in standing(records, [])} == {"train"}
    sides = standing(named, [])
    counts = Counter(one.side for one in sides)
    assert counts["torn"] == 0 and 20 <= counts["judge"] <= 60
    by_user = {(record.asker, one.side) for record, one in zip(named, sides, strict=True)}
    assert len(by_user) == 40
    assert user_of(replace(named[0], key_id="review:ann")) is None and user_of(replace(named[0], key_id="")) is None


def test_texts_are_near_by_letters_and_not_by_topic() -> None:
    near = near_texts(["please send the red car today", "please send the red cars today", "we never saw any boat"])
    assert near == {0: [1], 1: [0]}


def test_sides_are_written_when_opinions_are_screened_and_know_whether_the_request_was_drawn(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        for number, sampled in ((0, True), (1, False)):
            request = RequestRecord(id=f"c-{number}", tenant="t", key_id="k", model="m", kind="label", sampled=sampled)
            ledger.requests.record([request])
        ledger.feedback.give([opinion(number, key=f"k{number}", about=number) for number in range(3)])
        screen(ledger, ScreenConfig())
        written = ledger.feedback_sides.list()
        assert [one.drawn for one in written] == [True, False, False]
        ledger.feedback.review(Verdict("fb-1", "accepted"), "ann")
        ledger.requests.forget(sampled_before="2100-01-01T00:00:00Z", others_before="2100-01-01T00:00:00Z")
        ledger.feedback.give([opinion(3, key="k3", about=3)])
        screen(ledger, ScreenConfig())
        assert ledger.feedback_sides.list()[:3] == written
        assert not ledger.feedback_sides.freeze([], known=2) and ledger.feedback_sides.freeze([], known=4)
