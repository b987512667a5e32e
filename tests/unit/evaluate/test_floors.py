"""What looks at no model: constants, TF-IDF, each word's tag, length. Each finds what was planted and nothing else."""

import numpy as np
import pytest

from tunesmith.core.rows import Message, Row
from tunesmith.evaluate.constant import always_mean, always_same_labels
from tunesmith.evaluate.linear_more import linear_labels, linear_value
from tunesmith.evaluate.pairs import longer_answer
from tunesmith.evaluate.word_tags import most_frequent_tags
from tunesmith.score.measures import measure

WORDS = ["red", "green", "blue", "boat", "house"]


def row(number: int, text: str, **target: object) -> Row:
    return Row(id=f"r{number}", prompt=(Message("user", text),), answer="x", **target)  # type: ignore[arg-type]


def sets(rows: int, seed: int) -> list[Row]:
    random = np.random.default_rng(seed)
    made = []
    for number in range(rows):
        held = [word for word in WORDS if random.random() < 0.3]
        labels = tuple(sorted(word.upper() for word in held if word != "boat"))
        made.append(row(number, " ".join([*held, "the", f"thing {number % 7}"]), labels=labels))
    return made


def test_one_regression_a_label_finds_each_label() -> None:
    test = sets(60, 1)
    found = linear_labels(sets(200, 0), test)
    assert [one.row_id for one in found] == [one.id for one in test]
    assert measure("labels_micro_f1").of(found) == pytest.approx(1.0, abs=0.05)
    assert all(one.answer == (", ".join(one.found) or "none") for one in found)  # type: ignore[arg-type]


def test_a_label_that_all_rows_carry_and_texts_without_words() -> None:
    train = [row(n, "!!", labels=("a", "b") if n % 2 else ("a",)) for n in range(8)]
    assert {one.found for one in linear_labels(train, train)} <= {("a",), ("a", "b")}


def test_the_constant_is_the_one_that_scores_best_among_training_rows() -> None:
    train = [row(n, "t", labels=("a", "b") if n < 6 else ("c",) if n < 7 else ()) for n in range(10)]
    (found,) = always_same_labels(train, train[:1])
    assert found.found == ("a", "b")
    assert always_same_labels([row(0, "t", labels=()), row(1, "t", labels=("z",))], train[:1])[0].found == ("z",)


def test_mean_and_median() -> None:
    train = [row(n, "t", value=value) for n, value in enumerate((0.0, 1.0, 8.0))]
    assert (always_mean(train, train)[0].found, always_mean(train, train, middle=True)[0].found) == (3.0, 1.0)
    assert measure("pearson").of(always_mean(train, train)) == 0.0


def test_ridge_finds_a_number_in_words_and_stays_in_range() -> None:
    random = np.random.default_rng(0)

    def some(rows: int) -> list[Row]:
        return [
            row(n, " ".join(held), value=float(len(held))) for n in range(rows) if (held := [w for w in WORDS if random.random() < 0.5])
        ]

    found = linear_value(some(200), some(50))
    value = measure("pearson").of(found)
    assert value is not None and value > 0.9
    assert all(1 <= float(one.found) <= 5 for one in found)  # type: ignore[arg-type]


def test_ridge_sees_how_alike_two_texts_are() -> None:
    random = np.random.default_rng(0)
    many = [f"word{n}" for n in range(200)]

    def some(rows: int) -> list[Row]:
        made = []
        for number in range(rows):
            shared = int(random.integers(0, 6))
            first = list(random.choice(many, 5, replace=False))
            second = first[:shared] + list(random.choice(many, 5 - min(5, shared), replace=False))
            made.append(row(number, f"First: {' '.join(first)}\nSecond: {' '.join(second)}", value=float(shared)))
        return made

    value = measure("pearson").of(linear_value(some(150), some(60)))
    assert value is not None and value > 0.8


def test_words_get_the_tag_they_had_most_often() -> None:
    train = [row(0, "Ada lives in Rome.", tags=((0, 3, "p"), (13, 17, "l"))), row(1, "Bo lives in it.", tags=((0, 2, "p"),))]
    found = most_frequent_tags(train, [row(9, "Ada left Rome with Zed and Ada Bo", tags=((0, 3, "p"),))])
    assert found[0].found == ((0, 3, "p"), (9, 13, "l"), (19, 22, "p"), (27, 30, "p"), (31, 33, "p"))
    assert (found[0].words, found[0].words_right) == (8, 4)


def test_length_as_a_preference() -> None:
    train = [Row(id=str(n), prompt=(Message("user", "q"),), answer="long answer", rejected="no") for n in range(3)]
    test = [
        Row(id="a", answer="longer", rejected="no"),
        Row(id="b", answer="no", rejected="longer"),
        Row(id="c", answer="ab", rejected="cd"),
    ]
    name, found = longer_answer(train, test)
    assert name == "Always the longer answer"
    assert measure("preference_accuracy").of(found) == 0.5
    assert longer_answer([Row(id="x", answer="a", rejected="bbb")], test)[0] == "Always the shorter answer"
    assert measure("perplexity").of(found) is None
