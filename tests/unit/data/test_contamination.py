"""Benchmarks must not be taught: equal, near and quoted texts are told with their set, and nothing else is."""

import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from tunesmith.data.contamination import Contaminated, Held, How
from tunesmith.data.settings.dedup import NearConfig

QUESTION = "how many bottles does the milkman bring to the house on the hill each week of the year"
HELD = {"test": ["where is my card", QUESTION], "arc": ["what colour is the evening sky"]}


DEFAULT = NearConfig()


def told(
    rows: list[tuple[str, ...]], held: dict[str, list[str]] = HELD, config: NearConfig | None = DEFAULT, ngram: int = 13
) -> list[Contaminated]:
    return list(Held(held, config, ngram).find(rows))


def test_each_way_is_told_with_its_set_and_the_row() -> None:
    rows = [
        ("an innocent text",),
        ("where is my card", "an answer"),
        ("where is my cart",),
        ("tell me something", "surely: what colour is the evening sky?"),
        ("quiz", f"here is one i know: {QUESTION} and the answer is seven"),
        ("what colour is the evening sky",),
    ]
    assert told(rows) == [
        Contaminated(1, "test", How.SAME),
        Contaminated(2, "test", How.NEAR),
        Contaminated(4, "test", How.OVERLAP),
        Contaminated(5, "arc", How.SAME),
    ]


def test_thirteen_words_in_a_row_are_a_passage_and_twelve_are_not() -> None:
    words = QUESTION.split()
    rest = "and then nothing else that was said in there had anything to do with it at all"
    assert told([(" ".join(words[2:15]) + " " + rest,)]) == [Contaminated(0, "test", How.OVERLAP)]
    assert told([(" ".join(words[2:14]) + " " + rest,)]) == []
    assert told([(" ".join(words[2:14]) + " " + rest,)], ngram=12) == [Contaminated(0, "test", How.OVERLAP)]


def test_a_passage_does_not_run_from_one_text_into_the_next() -> None:
    words = QUESTION.split()
    assert told([(" ".join(words[:8]), " ".join(words[8:]))]) == []


def test_a_passage_is_found_deep_in_a_giant_text() -> None:
    words = "word " * 250_000
    assert told([(words,), (words + QUESTION + " " + words,)]) == [Contaminated(1, "test", How.OVERLAP)]


def test_equality_is_told_before_nearness_and_an_earlier_set_before_a_later() -> None:
    held = {"validation": ["where is my cart"], "test": ["where is my card"]}
    assert told([("where is my card",)], held) == [Contaminated(0, "test", How.SAME)]
    assert told([("where is my care",)], held) == [Contaminated(0, "validation", How.NEAR)]


def test_without_thresholds_near_texts_are_not_looked_for() -> None:
    assert told([("where is my cart",), ("where is my card",)], config=None) == [Contaminated(1, "test", How.SAME)]


@pytest.mark.parametrize("held", [{}, {"test": []}, {"test": [""]}])
def test_nothing_held_contaminates_nothing(held: dict[str, list[str]]) -> None:
    assert told([("some text", ""), ("",), ()], held) == []


def test_random_texts_contaminate_nothing_and_planted_edits_are_found() -> None:
    rng = random.Random(0)

    def sentence() -> str:
        return " ".join("".join(rng.choice("abcdefghijklmnop") for _ in range(rng.randint(3, 9))) for _ in range(rng.randint(3, 90)))

    held, rows = [sentence() for _ in range(500)], [sentence() for _ in range(6000)]
    assert told([(row,) for row in rows], {"test": held}) == []
    planted = {}
    for at in range(0, 6000, 40):
        edited = list(rng.choice(held))
        for _ in range(len(edited) // 30):
            edited[rng.randrange(len(edited))] = "z"
        rows[at] = "".join(edited)
        planted[at] = "test"
    assert {each.ordinal: each.held for each in told([(row,) for row in rows], {"test": held})} == planted


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(alphabet="ab c", max_size=23), max_size=12), st.lists(st.text(alphabet="ab c", max_size=23), max_size=12))
def test_up_to_23_characters_it_says_what_comparing_everything_says(held: list[str], rows: list[str]) -> None:
    def near(a: str, b: str) -> bool:
        return b != "" and Levenshtein.distance(a, b) <= int(0.15 * max(len(a), len(b)) + 1e-9)

    wanted = [k for k, row in enumerate(rows) if any(near(row, other) for other in held)]
    assert [each.ordinal for each in told([(row,) for row in rows], {"test": held}, ngram=50)] == wanted


def test_rows_stream_past_and_are_not_gathered() -> None:
    taken = 0

    def rows() -> Iterator[tuple[str]]:
        nonlocal taken
        for number in range(50_000):
            taken += 1
            yield ("where is my card" if number == 10 else f"row {number} of many",)

    first = next(Held(HELD, NearConfig(), 13).find(rows()))
    assert first == Contaminated(10, "test", How.SAME)
    assert taken < 10_000
