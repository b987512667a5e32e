"""Worked examples by similarity: the nearest training rows, never the question itself, the nearest last."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.core.rows import Message, Row
from tunesmith.evaluate.examples import in_turn, random_examples, similar_examples
from tunesmith.evaluate.neighbour import neighbour_answer
from tunesmith.evaluate.prompts import LISTED, PLAIN, Forms
from tunesmith.evaluate.shots import double_while_it_helps

WORDS = ("card", "lost", "pay", "late", "app", "crash", "fee", "rate", "blue", "door")


def row(name: str, text: str, answer: str = "yes", **fields: object) -> Row:
    return Row(id=name, prompt=(Message("system", "Be short."), Message("user", text)), answer=answer, fields=fields)


def forms(train: Sequence[Row], asked: Sequence[Row], **more: object) -> Forms:
    options = {"told": None, "by_answer": False, "written": str, "seed": 0} | more
    return Forms(train=train, asked=asked, **options)  # type: ignore[arg-type]


texts = st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(" ".join), min_size=2, max_size=12, unique=True)


@given(texts=texts, asked=texts)
@settings(max_examples=15)
def test_a_base_that_copies_the_last_example_is_the_nearest_neighbour(texts: list[str], asked: list[str]) -> None:
    """Planted truth: what stands beside the question is the answer of the training row that the floor finds, word for word."""
    train = [row(f"t{n}", text, f"answer {n}") for n, text in enumerate(texts)]
    questions = [row(f"q{n}", text) for n, text in enumerate(asked) if text not in texts]
    near = similar_examples(train, questions, 3)
    floor = neighbour_answer(train, questions) if questions else []
    for question, expected in zip(questions, floor, strict=True):
        shared = any(set(question.text().split()) & set(text.split()) for text in texts)
        if shared:
            assert near.examples(question, 2)[-1].answer == expected.answer


@given(texts=texts)
@settings(max_examples=30)
def test_no_row_is_its_own_example_nor_one_with_its_words_nor_one_of_its_group(texts: list[str]) -> None:
    train = [row(f"t{n}", text, user=n % 3) for n, text in enumerate(texts)]
    asked = [train[0], row("copy", texts[1].upper() + " "), row("same group", "card lost", user=1)]
    near = similar_examples(train, asked, len(train), group_by="user")
    for question in asked:
        shown = near.examples(question, len(train))
        assert all(one.id != question.id for one in shown)
        assert all(one.text() != " ".join(question.text().casefold().split()) for one in shown)
        group = question.fields.get("user")
        assert group is None or all(one.fields["user"] != group for one in shown)
    others = [one for one in train if one.fields["user"] != 1 and one.text() != "card lost"]
    assert {one.id for one in near.examples(asked[2], 99)} == {one.id for one in others}


def test_the_nearest_stands_last_and_fewer_examples_are_the_nearest_of_more() -> None:
    train = [row("far", "the rate of the fee"), row("near", "my card is lost"), row("nearer", "my blue card is lost")]
    question = row("q", "where is my blue card it is lost")
    near = similar_examples(train, [question], 3)
    assert [one.id for one in near.examples(question, 3)] == ["far", "near", "nearer"]
    assert [one.id for one in near.examples(question, 1)] == ["nearer"]


def test_a_prompt_shows_instruction_examples_and_question_in_this_order() -> None:
    train = [row("a", "my card is lost", "lost_card"), row("b", "the app is late", "slow_app"), row("passed over", "rate " * 9)]
    question = row("q", "the card was lost")
    (plain, listed) = forms(train, [question], told=(LISTED, "One of two."), written=str.upper).with_examples(2, "similar")
    assert (plain.name, listed.name, plain.k) == (f"{PLAIN}, nearest", f"{LISTED}, nearest", 2)
    assert [(one.role, one.content) for one in listed.messages(question)] == [
        ("system", "Be short.\nOne of two."),
        ("user", "the app is late"),
        ("assistant", "SLOW_APP"),
        ("user", "my card is lost"),
        ("assistant", "LOST_CARD"),
        ("user", "the card was lost"),
    ]


def test_more_examples_than_rows_is_no_form() -> None:
    made = forms([row("a", "card"), row("b", "late"), row("passed over", "rate " * 9)], [row("q", "card fee")])
    assert made.with_examples(3, "random") == [] == made.with_examples(3, "similar")
    assert len(made.with_examples(2, "random")) == len(made.with_examples(2, "similar")) == 1
    assert [one.k for one in made.bare()] == [0]


def test_unwanted_answers_and_overlong_rows_are_no_examples() -> None:
    train = [Row(id=str(n), prompt=(Message("user", f"card {n}"),), answer="x", wanted=n % 2 == 0) for n in range(20)]
    long = Row(id="long", prompt=(Message("user", "card " * 500),), answer="x", wanted=True)
    question = row("q", "card card card")
    (made,) = forms([*train, long], [question]).with_examples(8, "similar")
    assert {one.wanted for one in made.examples(question)} == {True}
    assert "long" not in {one.id for one in made.examples(question)}


def test_random_examples_are_each_answer_in_turn_and_the_same_for_every_row() -> None:
    train = [row(str(n), f"text {n}", "abc"[n % 3]) for n in range(30)]
    rows = in_turn(train, 0)
    assert rows == in_turn(train, 0) != in_turn(train, 1)
    chosen = random_examples(rows, 6, by_label=True)
    assert sorted(one.answer for one in chosen[:3]) == ["a", "b", "c"] and random_examples(rows, 3, by_label=True) == chosen[:3]
    assert random_examples([], 3, by_label=True) == ()


def test_rows_without_a_word_in_common_still_get_examples() -> None:
    near = similar_examples([row("a", "card"), row("b", "fee")], [row("q", "???"), row("r", "zebra")], 2)
    assert near.fewest() == 2


@pytest.mark.parametrize(
    ("values", "tried"),
    [
        ([0.1, 0.2, 0.3, 0.4, 0.5], [1, 2, 4, 8, 16]),  # each doubling helps: to the end
        ([0.5, 0.4, 0.5, 0.9], [1, 2, 4]),  # two in a row that bring nothing, an equal value among them
        ([0.5, 0.4, 0.6, 0.5, 0.6], [1, 2, 4, 8, 16]),  # one that brings nothing is no end
        ([0.5, 0.6, None, 0.9], [1, 2]),  # four don't fit
        ([None], []),
    ],
)
def test_examples_are_doubled_while_that_helps(values: list[float | None], tried: list[int]) -> None:
    left = iter(values)
    assert double_while_it_helps(lambda k: next(left), lambda ours, theirs: ours > theirs, most=16) == tried


@given(st.lists(st.floats(0, 1), min_size=12, max_size=12), st.integers(1, 1024))
def test_the_best_is_never_followed_by_more_than_two_doublings(values: list[float], most: int) -> None:
    left = iter(values)
    tried = double_while_it_helps(lambda k: next(left), lambda ours, theirs: ours > theirs, most=most)
    assert tried == [2**n for n in range(len(tried))] and tried[-1] <= most
    assert len(tried) - 1 - values.index(max(values[: len(tried)])) <= 2
