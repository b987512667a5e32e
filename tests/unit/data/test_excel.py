"""Excel workbooks: rows of the meant sheet with stored values; bombs and entities refused before anything is opened."""

import zipfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from tunesmith.core.errors import DataError, RecipeError, TunesmithError
from tunesmith.data.formats import BadLine, Record, reader
from tunesmith.data.formats.cells import escape_formula
from tunesmith.data.settings.read import ReadConfig
from tunesmith.data.source import find


def read_all(path: Path | str, **config: Any) -> tuple[list[Record], list[BadLine], list[str]]:
    family, source = find(str(path), 2**20, ReadConfig(**config))
    items = list(reader(family)(source))
    return [one for one in items if isinstance(one, Record)], [one for one in items if isinstance(one, BadLine)], source.notes


def book(path: Path, rows: list[list[Any]]) -> Path:
    made = openpyxl.Workbook()
    for row in rows:
        made.active.append(row)
    other = made.create_sheet("Other sheet")
    other.append(["text", "label"])
    other.append(["there", "b"])
    made.save(path)
    return path


def test_cells_become_values_that_json_can_hold(tmp_path: Path) -> None:
    when = [datetime(2026, 1, 2, 3, 4), date(2026, 1, 2)]
    rows = [
        ["text", "n", "when", "yes", ""],
        [],
        ["é “q”", 3.0, when[0], True, None],
        ["b", 2.5, when[1], None, None],
        ["c", 1, None, None, None, "more"],
    ]
    records, bad, notes = read_all(book(tmp_path / "a.xlsx", rows))
    assert [record.values for record in records] == [
        {"text": "é “q”", "n": 3, "when": "2026-01-02T03:04:00", "yes": True},
        {"text": "b", "n": 2.5, "when": "2026-01-02T00:00:00", "yes": None},
    ]
    assert [record.number for record in records] == [3, 4]
    assert [(one.number, one.reason) for one in bad] == [(5, "6 cells where the header has 4")]
    assert notes == ["a.xlsx: the sheet 'Sheet' of 2 is read; name another in data.read.sheet."]


def test_the_sheet_is_named_in_the_recipe_or_behind_the_path(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", [["text", "label"], ["here", "a"]])
    for records, _, _ in (
        read_all(path, sheet="Other sheet"),
        read_all(path, sheet=2),
        read_all(f"{path}#Other sheet"),
        read_all(f"{path}#2"),
    ):
        assert [record.values["text"] for record in records] == ["there"]
    with pytest.raises(RecipeError, match="Did you mean 'Other sheet'"):
        read_all(path, sheet="Other shet")
    with pytest.raises(RecipeError, match="has 2 sheets, and number 3"):
        read_all(path, sheet=3)


def test_a_formula_is_what_was_last_worked_out_and_never_run(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", [["text", "label"], ["=1+1", "a"]])
    changed = replaced(path, "xl/worksheets/sheet1.xml", b"<v></v>", b"<v>2</v>")
    changed = (
        changed
        if b"<v>2</v>" in part(changed, "xl/worksheets/sheet1.xml")
        else replaced(path, "xl/worksheets/sheet1.xml", b"<v />", b"<v>2</v>")
    )
    assert read_all(changed)[0][0].values == {"text": 2, "label": "a"}


def part(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as held:
        return held.read(name)


def replaced(path: Path, name: str, old: bytes, new: bytes) -> Path:
    """A workbook with some bytes of one part changed."""
    out = path.with_name("changed.xlsx")
    with zipfile.ZipFile(path) as held, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for info in held.infolist():
            data = held.read(info)
            made.writestr(info.filename, data.replace(old, new) if info.filename == name else data)
    return out


def test_bombs_and_entities_are_refused(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", [["text", "label"], ["x", "a"]])
    sheet = "xl/worksheets/sheet1.xml"
    entities = replaced(path, sheet, b"<worksheet", b'<!DOCTYPE lol [<!ENTITY lol "lol">]><worksheet')
    with pytest.raises(DataError, match="defines entities"):
        read_all(entities)
    with pytest.raises(DataError, match=r"MiB, .* times its size, as a zip bomb does"):
        read_all(replaced(path, sheet, b"<worksheet", b" " * 2**20 * 90 + b"<worksheet"))


@pytest.mark.parametrize("size", [0, 10, 400, -30])
def test_a_workbook_cut_short_is_one_sentence(tmp_path: Path, size: int) -> None:
    whole = book(tmp_path / "a.xlsx", [["text", "label"], ["x", "a"]]).read_bytes()
    (tmp_path / "cut.xlsx").write_bytes(whole[:size])
    with pytest.raises(TunesmithError, match=r"cut short or damaged|is empty") as caught:
        read_all(tmp_path / "cut.xlsx")
    assert "\n" not in str(caught.value)


def test_a_sheet_that_claims_a_million_rows_is_read_as_what_it_holds(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", [["text", "label"], ["x", "a"]])
    claims = replaced(path, "xl/worksheets/sheet1.xml", b'ref="A1:B2"', b'ref="A1:XFD1048576"')
    assert len(read_all(claims)[0]) == 1


@pytest.mark.parametrize(
    ("cell", "written"),
    [("=1+1", "'=1+1"), ("@SUM(A1)", "'@SUM(A1)"), ("-1.5e3", "-1.5e3"), ("+49 170", "'+49 170"), ("-x", "'-x"), ("\t=1", "'\t=1"), ("\r=1", "'\r=1"),
     ("plain = 1", "plain = 1"), ("", ""), ("＝1", "'＝1"), ("-1_0", "'-1_0"), ("-1+cmd|x", "'-1+cmd|x")],
)  # fmt: skip
def test_cells_that_begin_as_formulas_do_are_written_as_text(cell: str, written: str) -> None:
    assert escape_formula(cell) == written


def test_a_formula_in_a_csv_is_a_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\n=cmd|'/c calc'!A1,a\n")
    assert read_all(tmp_path / "a.csv")[0][0].values["text"] == "=cmd|'/c calc'!A1"
