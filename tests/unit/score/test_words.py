"""Values of tokens told by words: nothing is lost, nothing is invented, every script is divided."""

from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx

from tunesmith.score.words import pieces_of


@settings(max_examples=40)
@given(st.text(max_size=60), st.lists(st.integers(1, 6), max_size=20), st.randoms())
def test_pieces_join_to_the_text_and_keep_the_sum(text: str, lengths: list[int], random: object) -> None:
    offsets: list[tuple[int, int] | None] = []
    start = 0
    for length in lengths:
        if start + length > len(text):
            break
        offsets.append((start, start + length))
        start += length
    offsets.append(None)  # a template's token, whose value is no word's
    values = [float(place % 5 - 2) for place in range(len(offsets) - 1)]
    pieces = pieces_of(text, offsets, [*values, 100.0])
    assert "".join(piece.text for piece in pieces) == text
    assert sum(piece.value or 0.0 for piece in pieces) == approx(sum(values))


def test_tokens_of_a_word_are_added_and_a_leading_space_is_no_word_of_its_own() -> None:
    pieces = pieces_of("so unkind!", [(0, 2), (2, 5), (5, 9), (9, 10)], [1.0, 2.0, 3.0, -4.0])
    assert [(piece.text, piece.value) for piece in pieces] == [("so", 1.0), (" ", None), ("unkind", 5.0), ("!", -4.0)]


def test_a_token_over_two_words_is_divided_by_characters() -> None:
    assert [piece.value for piece in pieces_of("ab c", [(0, 4)], [3.0])] == [2.0, None, 1.0]


def test_scripts_without_spaces_go_by_characters_and_cut_text_carries_nothing() -> None:
    pieces = pieces_of("退款 don't", [(1, 2), (3, 8)], [1.0, 2.0])
    assert [(piece.text, piece.value) for piece in pieces] == [("退", None), ("款", 1.0), (" ", None), ("don't", 2.0)]
