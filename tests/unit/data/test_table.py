"""The table of keys: one value a column for each row, in order, equal where rows agree; eighty-odd bytes a row."""

import math
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.core.rows import Message, Row
from tunesmith.data.fold import key_of, keys_of, row_key
from tunesmith.data.table import CONTRADICTABLE, MARKED, RAW, UNWANTED, WANTED, Columns, Table


def row(text: str, answer: str = "yes", **more: object) -> Row:
    return Row(id="", prompt=(Message("user", text),), answer=answer, **more)  # type: ignore[arg-type]


def columns(rows: list[Row], by: str | None = None, timed: str | None = None, *, stratified: bool = True, step: int = 1000) -> Columns:
    table = Table(by, timed, stratified)
    for start in range(0, len(rows), step):
        some = rows[start : start + step]
        table.add(some, [keys_of(each) for each in some], range(start, start + len(some)), [row_key(each) for each in some], 0)
    assert len(table) == len(rows)
    return table.columns()


TEXTS = st.text(alphabet="abÄß \t", max_size=4)
ROWS = st.lists(
    st.builds(row, TEXTS, st.sampled_from(["x", "X", "y", ""]), fields=st.fixed_dictionaries({"g": st.integers(0, 2) | st.none()})),
    max_size=30,
)


@settings(max_examples=80, deadline=None)
@given(ROWS, st.integers(1, 7))
def test_a_column_is_equal_exactly_where_rows_agree(rows: list[Row], step: int) -> None:
    made = columns(rows, by="g", step=step)
    folded = [(" ".join(each.text().casefold().split()), " ".join(each.answer.casefold().split())) for each in rows]
    for one in range(len(rows)):
        for other in range(one):
            assert (made.text[one] == made.text[other]) == (folded[one][0] == folded[other][0])
            assert (made.answer[one] == made.answer[other]) == (folded[one][1] == folded[other][1])
            assert (made.pair[one] == made.pair[other]) == (folded[one] == folded[other])
            assert (made.stratum[one] == made.stratum[other]) == (rows[one].answer == rows[other].answer)
            groups = [rows[place].fields["g"] for place in (one, other)]
            assert (made.group[one] == made.group[other]) == (groups[0] == groups[1])
    assert [bool(group) for group in made.group] == [each.fields["g"] is not None for each in rows]
    assert made.read.tolist() == list(range(len(rows)))
    assert made.shown.tolist() == [len(text) for text, _ in folded]
    assert made.asked.tolist() == [len(each.answer) for each in rows]


@settings(max_examples=40, deadline=None)
@given(ROWS, st.integers(1, 7))
def test_how_rows_are_divided_into_runs_changes_nothing(rows: list[Row], step: int) -> None:
    one, other = columns(rows, by="g"), columns(rows, by="g", step=step)
    for name in Columns.__slots__:
        assert np.array_equal(getattr(one, name), getattr(other, name), equal_nan=name == "time"), name


def test_an_empty_table_has_empty_columns() -> None:
    assert all(len(getattr(columns([]), name)) == 0 for name in Columns.__slots__)


def test_groups_are_compared_as_text_and_never_zero() -> None:
    made = columns([row("a", fields={"g": 1}), row("b", fields={"g": "1"}), row("c", fields={"g": " "}), row("d")], by="g")
    assert made.group[0] == made.group[1] == key_of("1")
    assert made.group[2:].tolist() == [0, 0]


def test_without_a_column_to_keep_together_every_group_is_zero() -> None:
    assert columns([row("a", fields={"g": 1})]).group.tolist() == [0]


def test_times_are_seconds_and_unknown_ones_nan() -> None:
    made = columns([row("a", fields={"t": "1970-01-02"}), row("b", fields={"t": 7}), row("c", fields={"t": "soon"}), row("d")], timed="t")
    assert made.time[:2].tolist() == [86400.0, 7.0]
    assert all(math.isnan(value) for value in made.time[2:])


@pytest.mark.parametrize(
    ("given_row", "flags"),
    [
        (row("a"), CONTRADICTABLE),
        (row("a", tags=((0, 1, "x"),)), CONTRADICTABLE | MARKED),
        (row("a", tags=()), CONTRADICTABLE),
        (row("a", rejected="no"), 0),
        (row("a", wanted=True), WANTED),
        (row("a", wanted=False), UNWANTED),
        (Row(id="", answer="raw text"), RAW),
    ],
)
def test_flags_say_what_a_row_is(given_row: Row, flags: int) -> None:
    made = columns([given_row])
    assert made.flags.tolist() == [flags]
    assert made.has(MARKED).tolist() == [bool(flags & MARKED)]


def test_parts_are_told_apart() -> None:
    table = Table(None)
    for part, text in enumerate(["a", "b", "a"]):
        table.add([row(text)], [keys_of(row(text))], [part], [part], part)
    made = table.columns()
    assert [made.of_part(name).tolist() for name in ("train", "validation", "test")] == [
        [True, False, False],
        [False, True, False],
        [False, False, True],
    ]


def test_the_codes_of_strata_are_told_with_their_labels() -> None:
    table = Table(None, stratified=True)
    rows = [row("a", "x"), row("b", "y"), row("c", "x")]
    table.add(rows, [keys_of(each) for each in rows], range(3), range(3), 0)
    assert dict(table.strata()) == {"x": 0, "y": 1}
    assert table.columns().stratum.tolist() == [0, 1, 0]


def test_memory_is_eighty_odd_bytes_a_row() -> None:
    table, some = Table(None, stratified=True), [row("text")] * 1000
    keys = [keys_of(each) for each in some]
    table.add(some, keys, range(1000), range(1000), 0)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for start in range(1000, 51_000, 1000):
        table.add(some, keys, range(start, start + 1000), range(1000), 0)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    kinds = {np.dtype(getattr(table.columns(), name).dtype).itemsize for name in Columns.__slots__}
    assert kinds <= {1, 4, 8}
    assert 70 * 50_000 < after - before < 100 * 50_000
    assert sys.getsizeof(table) < 1000
