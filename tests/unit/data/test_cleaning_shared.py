"""Reading and cleaning in blocks, by one process or several, gives what iterating gives; so do files cut at awkward places."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.data.data_files import jsonl
from tunesmith.core.rows import Row
from tunesmith.data import cleaning
from tunesmith.data import read as reading_module
from tunesmith.data.config import DataConfig, ReadConfig
from tunesmith.data.filter.frequent import Frequent
from tunesmith.data.formats import BadLine, json_lines
from tunesmith.data.prepare import prepare
from tunesmith.data.read import read

GOOD = st.builds(
    lambda text, label: json.dumps({"text": text, "label": label}).encode(),
    st.text("ab é\u2028", min_size=1, max_size=8),
    st.sampled_from("xy"),
)
LINES = st.lists(
    GOOD
    | st.sampled_from(
        [
            b"",
            b"  ",
            b"{",
            b"[]",
            b'\xef\xbb\xbf{"text": "mark", "label": "x"}',
            b'{"text": "caf\xe9", "label": "x"}',
            b'{"text": "' + b"long " * 60 + b'", "label": "x"}',
        ]
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LINES, st.integers(1, 80), st.booleans())
def test_blocks_give_what_iterating_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[bytes], size: int, ended: bool
) -> None:
    path = tmp_path / "rows.jsonl"
    start = b'{"text": "first", "label": "x"}'
    path.write_bytes(b"\n".join([start, *lines]) + b"\n" * ended)
    config = ReadConfig(bad_lines=1.0, max_line_mib=200 / 2**20)
    whole, parts = read(str(path), config, None), read(str(path), config, None)
    monkeypatch.setattr(json_lines, "_BLOCK", size)
    rows: list[Row] = []
    bad: list[BadLine] = []
    for block in parts.blocks():
        some, told = parts.rows_of(block)
        parts.take(told)
        rows += some
        bad += told.bad
    parts.check()
    items = list(whole)
    assert rows == [item for item in items if isinstance(item, Row)]
    assert bad == [item for item in items if isinstance(item, BadLine)]
    assert (parts.rows, parts.bad, parts.notes) == (whole.rows, whole.bad, whole.notes)


def test_an_array_of_json_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps([{"text": str(number), "label": "x"} for number in range(10)]))
    reading = read(str(path), ReadConfig(), None)
    assert [row.text() for block in reading.blocks() for row in reading.rows_of(block)[0]] == [str(number) for number in range(10)]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.integers(0, 12), max_size=30), max_size=8), st.integers(1, 6))
def test_merged_counts_keep_their_bound(streams: list[list[int]], room: int) -> None:
    merged: Frequent[int] = Frequent(room)
    for stream in streams:
        one: Frequent[int] = Frequent(room)
        for key in stream:
            one.add(key)
        merged.merge(one)
    every = [key for stream in streams for key in stream]
    assert merged.seen == len(every)
    assert len(list(merged.items())) <= room
    for key in set(every):
        assert every.count(key) - len(every) / (room + 1) <= merged[key] <= every.count(key)
    if len(set(every)) <= room:
        assert merged.exact


def test_two_workers_make_the_same_dataset_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [
        "caf\u00c3\u00a9 {}",
        "  loose   space {}",
        "plain {}",
        "plain {}",
        "another kind of longer text, for the lines that are counted {}",
        "",
    ]
    path = jsonl(
        tmp_path / "rows.jsonl",
        [{"text": texts[number % 6].format(number // 2), "label": "xyz"[number % 3]} for number in range(3000)] + ["{"],
    )
    monkeypatch.setattr(cleaning, "SHARED", 100)
    monkeypatch.setattr(cleaning, "PIECE", 70)
    monkeypatch.setattr(json_lines, "_BLOCK", 5000)
    monkeypatch.setattr(reading_module, "SAMPLED", 1000)
    made = []
    for workers in (1, 2):
        monkeypatch.setattr(cleaning, "cores", lambda workers=workers: workers)
        made.append(prepare(DataConfig.model_validate({"path": str(path)}), 0))
    one, other = made
    assert replace(one.dataset, sides={}) == replace(other.dataset, sides={})
    assert one.outcomes == other.outcomes
    assert one.looks == other.looks
    for name in ("train.jsonl", "test.jsonl", "outcomes.jsonl", "quarantine.jsonl"):
        assert (one.folder / name).read_bytes() == (other.folder / name).read_bytes()
    assert one.dataset.waterfall[0]["dropped"] == 1
