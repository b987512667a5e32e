"""Spans become tags and tags become spans again, whatever the tokens are."""

from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core.rows import Span
from tunesmith.score.spans import IGNORED, agreement, bio_classes, reachable, spans_of, token_classes, token_tags, words_of

TEXT = "Ada met Bo Li in  Rome."


def test_tags_of_words() -> None:
    spans = ((0, 3, "p"), (8, 13, "p"), (18, 22, "l"))
    assert token_tags(TEXT, words_of(TEXT), spans) == ["B-p", "O", "B-p", "I-p", "O", "B-l", "O"]
    assert spans_of(TEXT, words_of(TEXT), ["B-p", "O", "B-p", "I-p", "O", "B-l", "O"]) == spans


def test_tokens_with_their_space_and_tokens_of_the_template() -> None:
    offsets = [None, (0, 3), (3, 7), (7, 10), (10, 13), (13, 16), (16, 18), (18, 22), (22, 23), None]
    spans = ((8, 13, "p"), (18, 22, "l"))
    tags = token_tags(TEXT, offsets, spans)
    assert tags == [None, "O", "O", "B-p", "I-p", "O", None, "B-l", "O", None]
    assert spans_of(TEXT, offsets, tags) == spans
    classes = bio_classes(["p", "l"])
    assert classes == ("O", "B-l", "I-l", "B-p", "I-p")
    assert token_classes(TEXT, offsets, spans, classes)[:5] == [IGNORED, 0, 0, 3, 4]
    assert token_classes(TEXT, offsets, spans, bio_classes(["p"]))[7] == IGNORED  # a label that training never saw teaches nothing


def test_neighbours_of_one_label_stay_apart() -> None:
    spans = ((0, 3, "p"), (4, 7, "p"))
    assert spans_of(TEXT, words_of(TEXT), token_tags(TEXT, words_of(TEXT), spans)) == spans


def test_an_inside_without_a_beginning_begins() -> None:
    assert spans_of(TEXT, words_of(TEXT), ["I-p", "I-l", "O", "O", "O", "I-p", "I-p"]) == ((0, 3, "p"), (4, 7, "l"), (18, 23, "p"))


def test_a_character_in_two_tokens_is_one_span() -> None:
    assert spans_of("é!", [(0, 1), (0, 1), (1, 2)], token_tags("é!", [(0, 1), (0, 1), (1, 2)], [(0, 1, "x")])) == ((0, 1, "x"),)


def test_a_span_inside_a_token_grows_to_it() -> None:
    assert reachable("abcdef", [(0, 3), (3, 6)], [(1, 2, "x")]) == ((0, 3, "x"),)


def test_agreement_counts_words() -> None:
    assert agreement(TEXT, ((0, 3, "p"),), ()) == (6, 7)
    assert agreement(TEXT, ((0, 3, "p"),), ((0, 3, "p"),)) == (7, 7)
    assert agreement(TEXT, ((0, 7, "p"),), ((0, 3, "p"), (4, 7, "p"))) == (6, 7)


@given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["O", "p", "l"]), st.booleans()), max_size=12))
def test_whole_tokens_always_come_back(parts: list[tuple[int, str, bool]]) -> None:
    offsets: list[tuple[int, int]] = []
    spans: list[Span] = []
    at = 0
    for size, label, joined in parts:
        offsets.append((at, at + size))
        if label != "O":
            if joined and spans and spans[-1][1] == at and spans[-1][2] == label:
                spans[-1] = (spans[-1][0], at + size, label)
            else:
                spans.append((at, at + size, label))
        at += size
    text = "x" * at
    assert spans_of(text, offsets, token_tags(text, offsets, spans)) == tuple(spans)
