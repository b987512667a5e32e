"""A row as a line and back: what went in comes out, to the letter, whatever it holds."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.core.rows import Message, Row
from tunesmith.data.lines import identity_of, line_of, row_of, with_id

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
ROWS = st.builds(
    Row,
    id=st.just(""),
    prompt=st.lists(st.builds(Message, st.sampled_from(["user", "system", "assistant", "tool"]), TEXT), max_size=3).map(tuple),
    answer=TEXT,
    rejected=st.none() | TEXT,
    labels=st.none() | st.lists(TEXT, max_size=3, unique=True).map(lambda names: tuple(sorted(names))),
    value=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    tags=st.none() | st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99), TEXT), max_size=2).map(tuple),
    wanted=st.none() | st.booleans(),
    weight=st.floats(1e-6, 1e6),
    source=TEXT,
    fields=st.dictionaries(TEXT, JSON, max_size=3),
)


@settings(max_examples=200, deadline=None)
@given(ROWS)
def test_what_goes_in_comes_out(row: Row) -> None:
    assert row_of(line_of(row), "") == row


@settings(max_examples=60, deadline=None)
@given(ROWS, st.text("0123456789abcdef-", min_size=1, max_size=18))
def test_the_id_stands_first_and_is_read_back(row: Row, row_id: str) -> None:
    line = with_id(line_of(row), row_id)
    assert line.startswith(b'{"id":"' + row_id.encode() + b'"')
    assert line.endswith(b"}\n") and line.count(b"\n") == 1
    assert json.loads(line)["id"] == row_id
    assert row_of(line).id == row_id
    assert row_of(line, "") == row


def test_an_empty_row_is_two_characters_and_still_takes_an_id() -> None:
    assert line_of(Row(id="left out")) == b"{}"
    assert with_id(b"{}", "5") == b'{"id":"5"}\n'
    assert row_of(b"{}") == Row(id="")


@settings(max_examples=100, deadline=None)
@given(ROWS, TEXT, TEXT)
def test_where_a_row_was_read_is_no_part_of_what_it_is(row: Row, one: str, other: str) -> None:
    from dataclasses import replace

    assert identity_of(line_of(replace(row, source=one))) == identity_of(line_of(replace(row, source=other)))


def test_a_text_that_looks_like_a_source_stays_part_of_what_the_row_is() -> None:
    rows = [Row(id="", answer=f'","source":"{name}') for name in "ab"]
    assert len({identity_of(line_of(row)) for row in rows}) == 2


@pytest.mark.parametrize("number", [2**53 + 1, 2**64 - 1, -(2**63)])
def test_whole_numbers_keep_every_digit(number: int) -> None:
    assert row_of(line_of(Row(id="", fields={"n": number})), "").fields["n"] == number


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b'{"answer": 3}', b'{"tags": [[1, 2]]}', b"\xff"])
def test_what_is_no_row_is_a_value_error(line: bytes) -> None:
    with pytest.raises(ValueError):
        row_of(line)


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(ValueError):
        line_of(Row(id="", answer="\ud800"))
