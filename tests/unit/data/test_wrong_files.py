"""Lines and files that can't be read: each is set aside, or answered in one sentence."""

import csv
import gzip
import json
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.core.errors import DataError, RecipeError, TunesmithError
from tunesmith.data.config import ReadConfig

LENIENT = ReadConfig(bad_lines=1.0)

BAD_LINES: list[tuple[bytes, str]] = [
    (b'{"text": "cut', "not valid JSON"),
    (b'{"text": "a", "label": "b"} tail', "not valid JSON"),
    (b"[1, 2]", "not a JSON object"),
    (b'"text"', "not a JSON object"),
    (b'{"text": "\xcf\xf0\xe8\xe2\xe5\xf2", "label": "b"}', "not UTF-8"),
    (b'{"text": "caf\xc3\xa9 caf\xe9", "label": "b"}', "not UTF-8"),
    (b'{"text": "a", "label": "b", "text": "c"}', "a key that comes twice"),
    (b'{"text": "a", "label": ' + b"9" * 5_000 + b"}", "a number is too large"),
    (b'{"text": "a", "label": "b", "deep": ' + b"[" * 300 + b"]" * 300 + b"}", "nested too deeply"),
    (b'{"text": "a\x00b", "label": "b"}', "NUL"),
    (b'{"text": "\\ud800", "label": "b"}', "surrogate"),
    (b'{"text": NaN, "label": "b"}', "NaN is not JSON"),
    (b'{"text": 1e999, "label": "b"}', "too large"),
    (b'{"text": ' + b"[" * 100_000 + b"}", "nested too deeply"),
    (b'{"text": "' + b"x" * 2_000_000 + b'", "label": "b"}', "longer than 1 MiB"),
    (b'{"text": ["a"], "label": "b"}', "text is a list"),
    (b'{"text": "a", "label": ["b", "c"]}', "label is a list"),
    (b'{"messages": [{"role": "user", "content": "a"}]}', "in the form messages"),
]


@pytest.mark.parametrize(("line", "reason"), BAD_LINES, ids=[reason for _, reason in BAD_LINES])
def test_bad_lines_are_set_aside_with_number_and_reason(files: ModuleType, tmp_path: Path, line: bytes, reason: str) -> None:
    good = [json.dumps(row).encode() for row in files.labelled(4)]
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\n".join([*good[:2], line, *good[2:]]) + b"\n")
    result = files.collected(str(path), LENIENT, None)
    assert [row.source for row in result.rows] == [f"rows.jsonl:{number}" for number in (1, 2, 4, 5)]
    assert [(bad.number, bad.file) for bad in result.bad] == [(3, "rows.jsonl")]
    assert reason in result.bad[0].reason
    assert len(result.bad[0].raw) < 200_000
    with pytest.raises(DataError, match=f"1 of 5 lines.*line 3: .*{reason}"):
        files.reading(path)


def test_csv_loses_one_line_to_a_stray_quote(files: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    lines = ["text,label", "a,x", '"never closed,y', "b,x", "too,many,cells", "short", '"c\nd",x', "\xcf\xf0\xe8\xe2\xe5\xf2,x"]
    path.write_bytes("\n".join(lines[:-1]).encode() + b"\n" + lines[-1].encode("latin-1") + b"\nlast,y\n")
    result = files.collected(str(path), LENIENT, None)
    assert [row.text() for row in result.rows] == ["a", "b", "c\nd", "last"]
    assert [row.source for row in result.rows] == ["rows.csv:2", "rows.csv:4", "rows.csv:7", "rows.csv:10"]
    assert [bad.number for bad in result.bad] == [3, 5, 6, 9]
    assert result.bad[0].raw == '"never closed,y'
    assert "header has 2" in result.bad[1].reason
    assert result.bad[3].reason == "not UTF-8"


def test_csv_with_a_long_line(files: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text,label\na,x\n" + "y" * 2_000_000 + ",x\nb,y\n")
    result = files.collected(str(path), LENIENT, None)
    assert [row.text() for row in result.rows] == ["a", "b"]
    assert [(bad.number, bad.reason) for bad in result.bad] == [(3, "longer than 1 MiB")]
    assert csv.field_size_limit() == 131_072


def _write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


WRONG_FILES: list[tuple[str, bytes, type[TunesmithError], str]] = [
    ("empty.jsonl", b"", DataError, "is empty"),
    ("blank.jsonl", b"\n \n", DataError, "is empty"),
    ("empty.parquet", b"", DataError, "is empty"),
    ("empty.json", b"[]", DataError, "no rows"),
    ("header.csv", b"text,label\n", DataError, "no rows"),
    ("png.jsonl", b"\x89PNG\r\n\x1a\n" + bytes(64), DataError, "a PNG"),
    ("elf.csv", b"\x7fELF" + bytes(64), DataError, "a program"),
    ("zip.jsonl", b"PK\x03\x04" + bytes(64), DataError, "a zip archive"),
    ("nul.txt", b"abc" + bytes(500), DataError, "NUL"),
    ("parquet.jsonl", b"PAR1" + bytes(64), DataError, "name it .parquet"),
    ("text.parquet", b'{"text": "a"}', DataError, "not Parquet"),
    ("cyrillic.csv", b"text,label\n" + b"\xcf\xf0\xe8\xe2\xe5\xf2,a\n" * 20, DataError, "not UTF-8"),
    ("cyrillic.json", b'[{"text": "\xcf\xf0\xe8\xe2\xe5\xf2"}]', DataError, "not UTF-8"),
    ("cut.json", b'[{"text": "a", "label": "b"},\n{"text": ', DataError, "cut short"),
    ("cut2.json", b'[{"text": "a", "label": "b"}', DataError, "cut short"),
    ("broken.json", b'[{"text": "a"},\n{"text": oops}]', DataError, "line 2, column 10"),
    ("splits.json", b'{"train": [["a", "b"], ["c", "d"]], "test": [["a", "b"], ["e", "f"]]}', DataError, r"train \(2\), test \(2\)"),
    ("strings.json", b'["a", "b"]', DataError, "write each row as an object"),
    ("cut.jsonl.gz", gzip.compress(b'{"text": "a", "label": "b"}\n' * 900)[:-12], DataError, "cut short"),
    ("twice.csv", b"text,text\na,b\n", DataError, "'text' appears 2 times"),
    ("strange.csv", b"foo,bar\na,b\n", DataError, r"foo, bar.*data\.read\.columns"),
    ("long.csv", b"x" * 2_000_000 + b"\n1,2\n", DataError, "must be a header"),
    ("escapes.csv", b"te\x1b[31mxt,lab\nq,i\n", DataError, r"te\?\[31mxt, lab"),
    ("objects.jsonl", b"{}\n{}\n", DataError, "none"),
    ("rows.xlsx", b"PK\x03\x04", DataError, "cut short or damaged"),
    ("rows.xls", b"\xd0\xcf\x11\xe0", RecipeError, r"save it as \.xlsx"),
    ("locked.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", DataError, "locked with a password"),
    ("rows.pkl", b"\x80\x04\x95", RecipeError, "never read"),
    ("rows", b"a", RecipeError, "no suffix"),
]


@pytest.mark.parametrize(("name", "data", "kind", "words"), WRONG_FILES, ids=[name for name, *_ in WRONG_FILES])
def test_wrong_files_are_answered_in_one_sentence(
    files: ModuleType, tmp_path: Path, name: str, data: bytes, kind: type[TunesmithError], words: str
) -> None:
    path = _write(tmp_path / name, data)
    with pytest.raises(kind, match=words) as caught:
        files.reading(path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == (2 if kind is RecipeError else 3)


def test_a_parquet_cut_short(files: ModuleType, tmp_path: Path) -> None:
    whole = files.parquet_file(tmp_path / "whole.parquet", files.labelled()).read_bytes()
    with pytest.raises(DataError, match="cut short or damaged"):
        files.reading(_write(tmp_path / "cut.parquet", whole[: len(whole) // 2]))


def test_mixed_forms_are_told(files: ModuleType, tmp_path: Path) -> None:
    chats = [{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}] * 20
    with pytest.raises(DataError, match="a file of its own"):
        files.reading(files.jsonl(tmp_path / "rows.jsonl", [*files.labelled(20), *chats]))
    questions = [{"question": f"q{number}", "answer": f"a{number}"} for number in range(20)]
    with pytest.raises(DataError, match="line 21: a row in the form prompt/completion in a file of text/label"):
        files.reading(files.jsonl(tmp_path / "other.jsonl", [*files.labelled(20), *questions]))


def test_folders(files: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="holds no file of a known format"):
        files.reading(tmp_path)
    (tmp_path / "dict").mkdir()
    folder = files.arrow_folder(tmp_path / "dict" / "train", files.labelled())
    (tmp_path / "dict" / "dataset_dict.json").write_text('{"splits": ["train"]}')
    with pytest.raises(RecipeError, match="holds the splits train"):
        files.reading(tmp_path / "dict")
    shard = next(folder.glob("*.arrow"))
    shard.write_bytes(shard.read_bytes()[:300])
    with pytest.raises(DataError, match="cut short"):
        files.reading(folder)
    shard.unlink()
    with pytest.raises(DataError, match=r"missing|cut short"):
        files.reading(folder)


def test_paths(files: ModuleType, tmp_path: Path) -> None:
    files.jsonl(tmp_path / "tickets.jsonl", files.labelled())
    with pytest.raises(RecipeError, match=r"Did you mean 'tickets\.jsonl'"):
        files.reading(tmp_path / "ticket.jsonl")
    with pytest.raises(RecipeError, match="an address"):
        files.collected("https://example.org/rows.jsonl", ReadConfig(), None)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(files: ModuleType, tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("any")
    for name in ("rows.jsonl", "rows.json", "rows.csv", "rows.tsv", "rows.txt", "rows.parquet"):
        path = _write(folder / name, b'{"text": "a", "label": "b"}\n' + data if name == "rows.jsonl" else b"text,label\n" + data)
        try:
            result = files.collected(str(path), LENIENT, None)
        except TunesmithError as error:
            assert "\n" not in str(error)
        else:
            assert len({row.id for row in result.rows}) == len(result.rows)
            json.dumps([bad.raw for bad in result.bad], ensure_ascii=False).encode()
