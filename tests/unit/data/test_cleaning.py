"""The stages between reading and dividing: normalise, fill, dedup, leak, sample, instruct."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.core.rows import Changed, Dropped, Kept, Message, Row
from tunesmith.data.config import DedupConfig, NormaliseConfig
from tunesmith.data.dedup import conflicting, dedup
from tunesmith.data.fill import fill
from tunesmith.data.fold import fold, text_key
from tunesmith.data.instruct import instruct
from tunesmith.data.leak import leak
from tunesmith.data.normalise import normalise
from tunesmith.data.sample import at_most

LABELLED = {"text": "message", "label": "intent"}


def row(number: int | str, text: str, answer: str, **fields: object) -> Row:
    return Row(id=str(number), prompt=(Message("user", text),), answer=answer, fields=fields)


def cleaned(text: str, **config: bool) -> str:
    (outcome,) = normalise([row(1, text, "a")], NormaliseConfig(**config))
    return outcome.row.text()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cafÃ© â€“ naÃ¯ve", "café – naïve"),
        ("plain – café", "plain – café"),
        ("  a   b \n\n\n\n c  ", "a b\n\n c"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("a\x1b[31mred\x1b[0m\x07b\x00c", "aredbc"),
        ("\ufeffa\u200bb\u202ec", "abc"),
        ("family 👨\u200d👩\u200d👧", "family 👨\u200d👩\u200d👧"),
        ("def f():\n    return  1", "def f():\n    return 1"),
        ("see   this\n```\nx  =  1\n\n\n\ny\n```\nand   that", "see this\n```\nx  =  1\n\n\n\ny\n```\nand that"),
        ("tab\tstays", "tab\tstays"),
        ("&amp; stays", "&amp; stays"),
    ],
)
def test_normalise(text: str, expected: str) -> None:
    assert cleaned(text) == expected


def test_normalise_can_be_switched_off() -> None:
    text = "  cafÃ©\x07  "
    assert cleaned(text, fix_encoding=False, white_space=False, control_characters=False) == text
    assert cleaned(text, white_space=False, control_characters=False) == "  café\x07  "


def test_normalise_tells_what_it_did() -> None:
    before = Row(id="1", prompt=(Message("system", "S "), Message("user", "q")), answer="cafÃ©", rejected="b  c")
    (outcome,) = normalise([before], NormaliseConfig())
    assert isinstance(outcome, Changed)
    assert outcome.reason == "white space, encoding repaired"
    assert (outcome.row.id, outcome.row.answer, outcome.row.rejected) == ("1", "café", "b c")


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_white_space_and_control_characters_are_done_in_one_pass(text: str) -> None:
    once = cleaned(text, fix_encoding=False)
    assert cleaned(once, fix_encoding=False) == once
    assert not any(ord(mark) < 32 and mark not in "\t\n" for mark in once)


def test_fill_names_the_column() -> None:
    rows = [row(1, "a", "b"), row(2, " ", "b"), row(3, "a", ""), row(4, "", "")]
    outcomes = list(fill(rows, LABELLED))
    assert [type(outcome) for outcome in outcomes] == [Kept, Dropped, Dropped, Dropped]
    assert [outcome.reason for outcome in outcomes if isinstance(outcome, Dropped)] == [
        "message is missing",
        "intent is missing",
        "message is missing",
    ]
    pair = Row(id="5", prompt=(Message("user", "q"),), answer="same", rejected="same")
    raw = Row(id="6", answer="text")
    assert isinstance(next(iter(fill([pair], {"chosen": "chosen", "rejected": "rejected"}))), Dropped)
    assert isinstance(next(iter(fill([raw], {"text": "body"}))), Kept)
    assert isinstance(next(iter(fill([Row(id="7", answer=" ")], {"text": "body"}))), Dropped)


def test_dedup_keeps_the_first_of_each() -> None:
    rows = [row(1, "Hello  World", "a"), row(2, "hello world", "A"), row(3, "hello world", "b"), row(4, "hello", "world a")]
    assert [type(outcome) for outcome in dedup(rows, DedupConfig())] == [Kept, Dropped, Kept, Kept]
    assert [type(outcome) for outcome in dedup(rows, DedupConfig(exact=False))] == [Kept] * 4


def test_conflicts_are_found_and_dropped() -> None:
    rows = [row(1, "hello", "a"), row(2, "HELLO", "b"), row(3, "bye", "a"), row(4, "bye", "A")]
    assert conflicting(rows) == {text_key(rows[0])}
    outcomes = list(dedup(rows, DedupConfig(conflicts="drop")))
    assert [type(outcome) for outcome in outcomes] == [Dropped, Dropped, Kept, Dropped]
    assert "another answer" in outcomes[0].reason if isinstance(outcomes[0], Dropped) else False
    texts = [Row(id="1", answer="one"), Row(id="2", answer="two")]
    assert not conflicting(texts)


def test_a_system_message_does_not_hide_a_repeat() -> None:
    plain = row(1, "hello", "a")
    assert text_key(plain) == text_key(Row(id="2", prompt=(Message("system", "S"), Message("user", "Hello ")), answer="b"))
    assert text_key(plain) != text_key(row(3, "hello you", "a"))


@given(st.text())
def test_fold_is_done_in_one_pass(text: str) -> None:
    assert fold(f"  {text}\n") == fold(text)


def test_leak_by_text_and_by_group() -> None:
    test = [row(1, "Hello", "a", customer=7)]
    train = [row(2, "hello ", "b", customer=1), row(3, "other", "a", customer="7"), row(4, "third", "a", customer=None)]
    reasons = [outcome.reason if isinstance(outcome, Dropped) else "" for outcome in leak(train, {"test": test}, "customer")]
    assert reasons == ["its text also stands in test", "its customer also stands in test", ""]
    assert [type(outcome) for outcome in leak(train, {"test": test}, None)] == [Dropped, Kept, Kept]


def test_samples_are_seeded_and_in_proportion() -> None:
    rows = [row(number, f"t{number}", "common" if number % 10 else "rare") for number in range(200)]

    def kept(seed: int, count: int | None, per_label: int | None = None) -> list[Row]:
        outcomes = at_most(rows, count=count, seed=seed, stratified=True, per_label=per_label)
        return [outcome.row for outcome in outcomes if isinstance(outcome, Kept)]

    assert Counter(each.answer for each in kept(1, 50)) == {"common": 45, "rare": 5}
    assert Counter(each.answer for each in kept(1, None, 7)) == {"common": 7, "rare": 7}
    assert len(kept(1, 10, 7)) == 10
    assert kept(1, 50) == kept(1, 50)
    assert kept(1, 50) != kept(2, 50)
    assert {each.id for each in kept(1, 20)} <= {each.id for each in kept(1, 60)}


def test_instruct_leaves_rows_that_have_one() -> None:
    rows = [row(1, "a", "b"), Row(id="2", prompt=(Message("system", "own"), Message("user", "a")), answer="b"), Row(id="3", answer="raw")]
    outcomes = list(instruct(rows, "Be brief."))
    assert [type(outcome) for outcome in outcomes] == [Changed, Kept, Kept]
    assert outcomes[0].row.prompt[0] == Message("system", "Be brief.")
