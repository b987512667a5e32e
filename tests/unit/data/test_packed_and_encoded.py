"""Packed files unpack as they are read, within bounds; text in other encodings is decoded, and said."""

import bz2
import gzip
import io
import json
import lzma
from pathlib import Path
from typing import Any

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tunesmith.core.errors import DataError
from tunesmith.data.formats import BadLine, Record, reader
from tunesmith.data.formats.packed import FREE, Bounds, Unpacked, packing
from tunesmith.data.settings.read import ReadConfig
from tunesmith.data.source import find

PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zstd.compress}
ROWS = [{"text": f"row {number}", "label": "café"} for number in range(50)]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()
CSV = "text,label\n" + "".join(f"{row['text']},{row['label']}\n" for row in ROWS)


def read_all(path: Path | str, longest: int = 2**20, **config: Any) -> tuple[list[Record], list[BadLine], list[str]]:
    family, source = find(str(path), longest, ReadConfig(**config))
    items = list(reader(family)(source))
    return [one for one in items if isinstance(one, Record)], [one for one in items if isinstance(one, BadLine)], source.notes


def file(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).write_bytes(data)
    return folder / name


@pytest.mark.parametrize("suffix", PACKERS)
def test_every_packing_gives_the_same_records(tmp_path: Path, suffix: str) -> None:
    pack = PACKERS[suffix]
    whole = file(tmp_path, f"a.jsonl.{suffix}", pack(LINES))
    parts = file(tmp_path, f"b.jsonl.{suffix}", b"".join(pack(line) for line in LINES.splitlines(keepends=True)) + bytes(512))
    under_another_name = file(tmp_path, "c.jsonl", pack(LINES))
    for path in (whole, parts, under_another_name):
        assert [record.values for record in read_all(path)[0]] == ROWS, path


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("harm", ["cut", "flipped", "followed"])
def test_damage_is_one_sentence_and_no_row_is_made_up(tmp_path: Path, suffix: str, harm: str) -> None:
    packed = PACKERS[suffix](LINES)
    bad = {"cut": packed[:-9], "flipped": packed[:-6] + bytes([packed[-6] ^ 255]) + packed[-5:], "followed": packed + b"more"}[harm]
    if (suffix, harm) == ("zst", "flipped"):
        bad = packed[:20] + bytes([packed[20] ^ 255]) + packed[21:]  # no checksum at its end
    path = file(tmp_path, f"a.jsonl.{suffix}", bad)
    with pytest.raises(DataError, match=r"cut short or damaged") as caught:
        records = read_all(path)[0]
        assert [record.values for record in records] != ROWS, "damage went unseen"
    assert "\n" not in str(caught.value)
    memory = {"xz": "256 MiB of memory", "zst": "128 MiB of memory"}.get(suffix)
    assert memory in str(caught.value) if memory else "MiB" not in str(caught.value)


@pytest.mark.parametrize("suffix", PACKERS)
def test_a_bomb_is_refused_after_its_allowance(tmp_path: Path, suffix: str) -> None:
    blank = b" " * 2**20
    maker = {"gz": lambda: gzip.compress(blank * 80, 9), "bz2": lambda: bz2.compress(blank * 80), "xz": lambda: lzma.compress(blank * 80)}
    packed = maker[suffix]() if suffix in maker else zstd.compress(blank * 80)
    path = file(tmp_path, f"a.jsonl.{suffix}", packed)
    with pytest.raises(DataError, match=r"over 200 times its size, as a zip bomb does.*max_unpacked_ratio"):
        read_all(path)


def test_what_unpacks_too_far_in_all_is_refused(tmp_path: Path) -> None:
    path = file(tmp_path, "a.jsonl.gz", gzip.compress(LINES * 40))
    assert len(read_all(path)[0]) == 2_000
    with pytest.raises(DataError, match=r"over 1e-05 GiB.*max_unpacked_gib"):
        read_all(path, max_unpacked_gib=1e-5)


def test_a_window_over_128_mib_is_refused() -> None:
    made = zstd.ZstdCompressor(
        options={zstd.CompressionParameter.window_log: 28, zstd.CompressionParameter.enable_long_distance_matching: 1}
    )
    data = made.compress(b"a" * 1000) + made.flush(zstd.ZstdCompressor.FLUSH_FRAME)
    with pytest.raises(DataError, match="MiB of memory"):
        Unpacked(io.BytesIO(data), "zstd", "x", Bounds(200, 2**40)).read()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=3000), min_size=1, max_size=4), st.sampled_from(sorted(PACKERS)), st.integers(1, 700))
def test_unpacking_is_the_inverse_of_packing_whatever_is_asked_at_a_time(parts: list[bytes], suffix: str, step: int) -> None:
    packed = b"".join(PACKERS[suffix](part) for part in parts)
    opened = Unpacked(io.BytesIO(packed), packing(packed), "x", Bounds(200, 2**40))
    assert b"".join(iter(lambda: opened.read(step) or b"", b"")) == b"".join(parts)


def test_the_allowance_counts_from_the_packed_bytes() -> None:
    bounds = Bounds(ratio=10, most=2**40)
    bounds.take(100, FREE + 1000, "x")
    with pytest.raises(DataError, match="over 10 times"):
        bounds.take(0, 1, "x")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json", "a.txt"])
def test_text_with_a_mark_is_decoded_and_said(tmp_path: Path, encoding: str, name: str) -> None:
    text = {"a.csv": CSV, "a.jsonl": LINES.decode(), "a.json": json.dumps(ROWS, ensure_ascii=False), "a.txt": LINES.decode()}[name]
    records, bad, notes = read_all(file(tmp_path, name, text.encode(encoding)))
    assert len(records) == 50 and not bad
    assert name == "a.txt" or [record.values for record in records] == ROWS
    assert any("UTF-" in note and "read as that" in note for note in notes) == (encoding != "utf-8-sig")


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json"])
def test_lines_of_latin_1_are_guessed_one_by_one_and_said(tmp_path: Path, name: str) -> None:
    text = {"a.csv": CSV, "a.jsonl": LINES.decode(), "a.json": json.dumps(ROWS, ensure_ascii=False, indent=0)}[name]
    lines = text.splitlines(keepends=True)
    mixed = b"".join(line.encode("latin-1" if place > len(lines) // 2 else "utf-8") for place, line in enumerate(lines))
    records, bad, notes = read_all(file(tmp_path, name, mixed))
    assert [record.values for record in records] == ROWS and not bad
    (note,) = [one for one in notes if "Windows-1252" in one]
    assert "data.read.encoding" in note and "café" not in note


def test_the_note_counts_lines_and_names_the_first(tmp_path: Path) -> None:
    data = b"text,label\nplain,a\n" + "„Spaß“ voilà\u00a0»,a\n".encode("cp1252") + b"caf\xe9,b\n"
    records, _, notes = read_all(file(tmp_path, "a.csv", data))
    assert [record.values["text"] for record in records] == ["plain", "„Spaß“ voilà\u00a0»", "café"]
    assert any(note.startswith("a.csv: 2 lines are not UTF-8") and "the first on line 3" in note for note in notes)


@pytest.mark.parametrize("encoding", ["cp1251", "shift_jis", "koi8-r", "utf-16-le"])
def test_the_recipe_names_an_encoding(tmp_path: Path, encoding: str) -> None:
    words = "日本語" if encoding == "shift_jis" else "Привет"
    path = file(tmp_path, "a.csv", f"text,label\n{words},a\n".encode(encoding))
    assert read_all(path, encoding=encoding)[0][0].values == {"text": words, "label": "a"}


def test_what_the_named_encoding_does_not_have_is_set_aside(tmp_path: Path) -> None:
    path = file(tmp_path, "a.jsonl", b'{"text": "\x83\x65"}\n{"text": "\x83"}\n{"text": "b"}\n')
    records, bad, _ = read_all(path, encoding="shift_jis")
    assert [record.number for record in records] == [1, 3]
    assert [(one.number, one.reason) for one in bad] == [(2, "bytes that its encoding does not have")]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.jsonl.gz"])
def test_a_file_that_is_not_in_the_named_encoding_is_refused(tmp_path: Path, encoding: str, name: str) -> None:
    path = file(tmp_path, name, gzip.compress(LINES) if name.endswith(".gz") else CSV.encode() if name == "a.csv" else LINES)
    with pytest.raises(DataError, match=rf"{name} is not {encoding.upper()}: leave data\.read\.encoding out, or name another") as caught:
        read_all(path, encoding=encoding)
    assert "path" not in str(caught.value).replace(str(path), "")


@pytest.mark.parametrize("name", ["zip", "unicode_escape", "idna", "klingon", "hex", "utf-7"])
def test_what_is_no_encoding_of_files_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="encoding"):
        ReadConfig(encoding=name)
