"""An engine's text with its stops cut: the same however the text is cut into pieces, and nothing said that would have to be withdrawn."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.serve.answers import Ask, TokenSaid
from tunesmith.serve.choices import ChoiceText
from tunesmith.serve.refusals import Refusal

LETTERS = st.text(alphabet="ab \n", max_size=12)


def told(pieces: list[str], stops: list[str], *, strip: bool) -> tuple[str, bool]:
    choice = ChoiceText(Ask(text="x"), stops, strip=strip)
    said = "".join(choice.more(piece, last=place == len(pieces) - 1) for place, piece in enumerate(pieces))
    return said, choice.stopped


def first_end(text: str, stops: list[str]) -> int | None:
    """Where the stop begins that is complete first, found letter by letter."""
    for end in range(1, len(text) + 1):
        begun = [end - len(stop) for stop in stops if text[:end].endswith(stop)]
        if begun:
            return min(begun)
    return None


@given(st.lists(LETTERS, min_size=1, max_size=6), st.lists(st.text(alphabet="ab ", min_size=1, max_size=4), max_size=3), st.booleans())
def test_however_the_text_comes_the_same_is_said(pieces: list[str], stops: list[str], strip: bool) -> None:
    text = "".join(pieces)
    cut = first_end(text, stops)
    whole = text[:cut]
    assert told(pieces, stops, strip=strip) == (whole.strip() if strip else whole, cut is not None)


def test_what_may_become_a_stop_waits_and_is_said_where_it_does_not() -> None:
    choice = ChoiceText(Ask(text="x"), ["END"], strip=False)
    assert [choice.more(piece, last=False) for piece in ("a E", "N", "x", "EN")] == ["a ", "", "ENx", ""]
    assert choice.more("", last=True) == "EN" and not choice.stopped


def spelt(*texts: str) -> list[TokenSaid]:
    return [TokenSaid(text, tuple(text.encode()), -1.0) for text in texts]


@given(
    st.lists(st.text(alphabet="abé ", min_size=1, max_size=3), min_size=1, max_size=12),
    st.text(alphabet="ab", min_size=1, max_size=3),
    st.data(),
)
def test_however_tokens_come_those_before_the_stop_are_told_and_no_other(tokens: list[str], stop: str, data: st.DataObject) -> None:
    came: list[TokenSaid] = []
    choice, left = ChoiceText(Ask(text="x", logprobs=True), [stop], strip=False), tokens
    while left:
        count = data.draw(st.integers(1, len(left)))
        part, left = left[:count], left[count:]
        choice.more("".join(part), last=not left)
        came += choice.more_tokens(spelt(*part), last=not left)
    cut = "".join(tokens).partition(stop)[0]
    whole = [token for place, token in enumerate(tokens) if len("".join(tokens[: place + 1])) <= len(cut)]
    assert [one.text for one in came] == whole


def test_tokens_that_spell_something_else_than_the_text_are_not_told_up_to_a_stop() -> None:
    choice = ChoiceText(Ask(text="x", logprobs=True), ["END"], strip=False)
    assert choice.more("One END secret", last=True) == "One "
    assert choice.more_tokens(spelt("token_id:7", " END", " secret"), last=True) == ()
    first = ChoiceText(Ask(text="x", logprobs=True), ["END"], strip=False)  # the space of the first token is not in every engine's text
    assert first.more("One END secret", last=True) == "One "
    assert [one.text for one in first.more_tokens(spelt(" One", " END", " secret"), last=True)] == [" One"]


@pytest.mark.parametrize(
    ("schema", "text", "holds"),
    [
        ({"type": "object"}, '"no object"', False),
        ({"type": "object", "required": ["a"]}, '{"b": 1}', False),
        ({"type": "object", "required": ["a"]}, '{"b": 1, "a": null}', True),
        ({"required": ["a"]}, "3", True),
        ({"type": "array", "required": "a"}, "[]", True),
    ],
)
def test_of_a_schema_its_outside_is_looked_at(schema: dict[str, Any], text: str, holds: bool) -> None:
    choice = ChoiceText(Ask(text="x", schema=schema), (), strip=False)
    choice.more(text, last=True)
    if holds:
        choice.end("stop")
        return
    with pytest.raises(Refusal) as found:
        choice.end("stop")
    assert found.value.status == 502 and "that a schema accepts" in found.value.message
