"""Rows on disk: every one comes back as it was added, by its place, and little of them is in memory."""

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunesmith.core.errors import MachineError
from tunesmith.core.rows import Message, Row
from tunesmith.data.lines import line_of
from tunesmith.data.spool import Spool


def row(text: str, number: int = 0) -> Row:
    return Row(id="", prompt=(Message("user", text),), answer="yes", source=f"f:{number}", fields={"n": number})


TEXTS = st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=30), max_size=30)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS, st.integers(1, 5), st.data())
def test_rows_come_back_by_their_place(tmp_path: Path, texts: list[str], step: int, data: st.DataObject) -> None:
    rows = [row(text, number) for number, text in enumerate(texts)]
    spool = Spool(tmp_path / "rows")
    for start in range(0, len(rows), step):
        spool.add(rows[start : start + step])
    assert len(spool) == len(rows)
    assert list(spool) == rows
    wanted = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=20)) if rows else []
    assert list(spool.rows(wanted)) == [rows[place] for place in wanted]
    assert list(spool.lines(wanted)) == [line_of(rows[place]) for place in wanted]
    spool.close()


def test_a_spool_can_be_added_to_after_it_was_read(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "rows")
    spool.add([row("a")])
    assert [each.text() for each in spool] == ["a"]
    spool.add([row("b"), row("")])
    assert [each.text() for each in spool] == ["a", "b", ""]


def test_reading_is_not_disturbed_by_another_reading(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "rows")
    spool.add([row(str(number)) for number in range(50)])
    one, other = spool.rows(range(50)), spool.rows(range(49, -1, -1))
    assert [(next(one).text(), next(other).text()) for _ in range(50)] == [(str(n), str(49 - n)) for n in range(50)]


def test_rows_and_their_lines_are_the_same_thing(tmp_path: Path) -> None:
    rows, lines = Spool(tmp_path / "rows"), Spool(tmp_path / "lines")
    some = [row("a"), Row(id=""), row("ü" * 1000)]
    rows.add(some)
    lines.add_lines(map(line_of, some))
    assert list(rows) == list(lines) == some


def test_memory_is_eight_bytes_a_row_and_none_for_its_text(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "rows")
    spool.add_lines([b"{}"])
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    spool.add_lines(b'{"answer":"%s"}' % (b"x" * 100) for _ in range(100_000))
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 8 * 100_000 <= after - before < 10 * 100_000


def test_a_closed_spool_leaves_no_file(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "rows")
    spool.add([row("a")])
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(MachineError):
        Spool(tmp_path / "none" / "rows")
