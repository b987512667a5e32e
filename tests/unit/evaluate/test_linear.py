"""The linear floor: what it learns, and what it does where there is nothing to learn from."""

from collections.abc import Sequence

import pytest

from tunesmith.core.errors import DataError
from tunesmith.core.rows import Message, Row
from tunesmith.evaluate.linear import linear_floor


def rows(pairs: Sequence[tuple[str, str]], name: str = "train") -> list[Row]:
    return [Row(id=f"{name}{index}", prompt=(Message("user", text),), answer=label) for index, (text, label) in enumerate(pairs)]


KINDS = {"refund": "i want my money back for order", "where": "where is the parcel with number", "thanks": "many thanks you helped with"}
TRAIN = rows([(f"{text} {index}", label) for index in range(12) for label, text in KINDS.items()])
TEST = rows([(f"hello {text} x{index}", label) for index in range(5) for label, text in KINDS.items()], "test")


def test_it_learns_what_words_tell() -> None:
    found = linear_floor(TRAIN, TEST)
    assert [one.row_id for one in found] == [row.id for row in TEST]
    assert all(one.answer == one.reference for one in found)
    assert all(one.confidence is not None and 0.4 < one.confidence <= 1.0 for one in found)
    assert all(one.prompt_tokens == 0 and one.answer_tokens == 0 and 0 < one.seconds < 1 for one in found)


def test_the_same_rows_give_the_same_answers() -> None:
    one, other = linear_floor(TRAIN, TEST, seed=3), linear_floor(TRAIN, TEST, seed=3)
    assert [(a.answer, a.confidence) for a in one] == [(b.answer, b.confidence) for b in other]


def test_pairs_of_words_are_seen() -> None:
    pairs = [("not good at all", "bad"), ("good not at all bad", "good")] * 10
    assert [one.answer for one in linear_floor(rows(pairs), rows(pairs[:2], "test"))] == ["bad", "good"]


@pytest.mark.parametrize(
    ("train", "answer"),
    [
        ([("only text", "only")], "only"),
        ([("a b", "one"), ("c d", "one")], "one"),
        ([("", "rare"), ("", "common"), ("", "common")], "common"),
        ([("!!!", "rare"), ("???", "common"), (" ", "common")], "common"),
        ([("first words", "one"), ("other things", "two")], None),
        ([("first words", "one"), ("other things", "two"), *[(f"n{i}", f"single {i}") for i in range(5)]], None),
        ([("", "one"), ("", "two")] * 5 + [("word", "three")], None),
        ([("!!!", "one"), ("???", "two")] * 5 + [("word", "three")], None),
        ([("!!!", "one"), ("???", "two")] * 5 + [("word", "two")], None),
        ([("I", "one"), ("u", "two")] * 5, None),
        ([("Привет мир", "ru"), ("東京 へ", "ja")] * 4, None),
    ],
)
def test_poor_training_rows_still_give_answers(train: list[tuple[str, str]], answer: str | None) -> None:
    found = linear_floor(rows(train), rows([("first words of a test", "?"), ("", "?")], "test"))
    assert len(found) == 2
    assert all(one.answer in {label for _, label in train} for one in found)
    assert answer is None or {one.answer for one in found} == {answer}


def test_classes_with_one_row_stand_beside_full_ones() -> None:
    lonely = [*TRAIN, *rows([("a singular zebra question", "zebra")], "lonely")]
    found = linear_floor(lonely, [*TEST, *rows([("singular zebra question", "zebra")], "z")])
    assert found[-1].answer == "zebra"
    assert sum(one.answer == one.reference for one in found) >= len(TEST)


def test_no_training_row_is_refused_and_no_test_row_is_fine() -> None:
    with pytest.raises(DataError, match="no training row"):
        linear_floor([], TEST)
    assert linear_floor(TRAIN, []) == []
