"""The floor that remembers: its neighbours, its votes, and what it says where it knows nothing."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tunesmith.core.errors import DataError
from tunesmith.core.rows import Message, Row
from tunesmith.evaluate import neighbour
from tunesmith.evaluate.neighbour import neighbour_answer, neighbour_labels, neighbour_value
from tunesmith.score.measures import measure


def rows(pairs: Sequence[tuple[str, str]], name: str = "train") -> list[Row]:
    return [Row(id=f"{name}{n}", prompt=(Message("user", text),), answer=answer) for n, (text, answer) in enumerate(pairs)]


KINDS = {"refund": "i want my money back for order", "where": "where is the parcel with number", "thanks": "many thanks you helped with"}
TRAIN = rows([(f"{text} {n}", label) for n in range(12) for label, text in KINDS.items()])
TEST = rows([(f"hello {text} x{n}", label) for n in range(5) for label, text in KINDS.items()], "test")


def test_it_knows_what_it_has_seen() -> None:
    found = neighbour_labels(TRAIN, TEST)
    assert [one.row_id for one in found] == [row.id for row in TEST]
    assert all(one.answer == one.reference for one in found)
    assert all(one.chances is not None and sum(one.chances.values()) == pytest.approx(1.0) for one in found)
    assert all(one.chances is not None and one.confidence == one.chances[one.answer] == max(one.chances.values()) for one in found)
    assert measure("auroc").of(found) == 1.0
    again = neighbour_labels(TRAIN, TEST)
    assert [(one.answer, one.chances) for one in again] == [(one.answer, one.chances) for one in found]


def test_its_nearest_are_those_of_scikit_learn() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.neighbors import NearestNeighbors

    random = np.random.default_rng(0)
    texts = [" ".join(f"w{n}" for n in random.integers(0, 60, 8)) for _ in range(120)]
    train, asked = texts[:90], texts[90:]
    places, cosines = neighbour._nearest(train, asked, 5)
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\w+")
    theirs = NearestNeighbors(n_neighbors=5, metric="cosine").fit(words.fit_transform(train)).kneighbors(words.transform(asked))
    assert np.allclose(1 - theirs[0], cosines)
    assert np.array_equal(places[:, 0], theirs[1][:, 0])


def test_where_single_neighbours_mislead_more_of_them_vote() -> None:
    """A fifth of the training labels is wrong: one neighbour repeats that, twenty outvote it."""
    random = np.random.default_rng(1)

    def made(count: int, wrong: float, name: str) -> list[Row]:
        kinds = random.integers(0, 2, count)
        noise = [" ".join(f"n{n}" for n in random.integers(0, 30, 5)) for _ in range(count)]
        texts = [f"{'alpha beta' if kind else 'gamma delta'} {extra}" for kind, extra in zip(kinds, noise, strict=True)]
        labels = np.where(random.random(count) < wrong, 1 - kinds, kinds)
        return rows([(text, str(label)) for text, label in zip(texts, labels, strict=True)], name)

    train, test = made(300, 0.2, "train"), made(100, 0.0, "test")
    right = sum(one.answer == one.reference for one in neighbour_labels(train, test))
    alone = sum(one.answer == one.reference for one in neighbour_answer(train, test))
    assert right >= 92 and alone <= 85


def test_numbers_are_the_mean_of_the_neighbours() -> None:
    train = [replace(row, value=float("refund" in row.answer) * 4) for row in TRAIN]
    test = [replace(row, value=float("refund" in row.answer) * 4) for row in TEST]
    found = neighbour_value(train, test)
    assert measure("mae").of(found) == pytest.approx(0.0, abs=0.3)
    unknown = neighbour_value(train, rows([("zzz", "?")], "test"))[0]
    assert unknown.found == pytest.approx(4 / 3) and unknown.answer == "1.33333"


def test_generated_answers_are_the_nearest_rows_own() -> None:
    train = rows(
        [("what is the capital of France", "Paris."), ("how tall is the tower", "330 m."), ("who wrote this", "Nobody."), ("x", "Nobody.")]
    )
    asked = [("the capital of France?", "Paris."), ("how tall", "330 m."), ("zzz", "-"), ("", "-"), ("!!!", "-")]
    assert [one.answer for one in neighbour_answer(train, rows(asked, "test"))] == ["Paris.", "330 m.", "Nobody.", "Nobody.", "Nobody."]


def test_what_shares_no_word_gets_the_shares_of_the_training_rows() -> None:
    train = rows([("aa", "one"), ("bb", "one"), ("cc", "two")])
    found = neighbour_labels(train, rows([("zz", "?")], "test"))[0]
    assert found.chances == {"one": pytest.approx(2 / 3), "two": pytest.approx(1 / 3)} and found.answer == "one"


@pytest.mark.parametrize("texts", [["", "", ""], ["!!!", "???", " "], ["only", "", ""], ["Привет мир", "東京 へ", "a"] * 5])
def test_poor_training_rows_still_give_answers(texts: list[str]) -> None:
    train = [replace(row, value=float(n)) for n, row in enumerate(rows([(text, f"l{n % 2}") for n, text in enumerate(texts)]))]
    test = rows([("first words", "?"), ("", "?")], "test")
    for found in (neighbour_labels(train, test), neighbour_value(train, test), neighbour_answer(train, test)):
        assert len(found) == 2
    assert {one.answer for one in neighbour_answer(train, test)} <= {row.answer for row in train}


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [one.chances for one in neighbour_labels(TRAIN, TEST)]
    monkeypatch.setattr(neighbour, "_BLOCK", 80)
    assert [one.chances for one in neighbour_labels(TRAIN, TEST)] == whole


def test_no_training_row_is_refused_and_no_test_row_is_fine() -> None:
    for floor in (neighbour_labels, neighbour_value, neighbour_answer):
        with pytest.raises(DataError, match="no training row"):
            floor([], TEST)
    assert neighbour_labels(TRAIN, []) == [] == neighbour_answer(TRAIN, [])
    assert neighbour_value([replace(row, value=1.0) for row in TRAIN], []) == []
