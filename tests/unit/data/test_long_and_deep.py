"""Long files, long lines and deep values: memory stays flat, and one bad value costs one row."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.core.errors import DataError
from tunesmith.data.formats import BadLine, Record, reader
from tunesmith.data.source import find

_READ = """
import sys
from tunesmith.data.formats import Record, reader
from tunesmith.data.source import find
for path in sys.argv[1:]:
    family, source = find(path, 2**20)
    count = sum(isinstance(item, Record) for item in reader(family)(source))
    peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))  # getrusage counts the parent's too
    print(count, int(peak.split()[1]) // 1024)
"""


def rows(name: str, count: int) -> bytes:
    """A file of about `count` times 500 bytes."""
    row = {"text": "word " * 95, "label": "a"}
    line = json.dumps(row)
    if name.endswith(".json"):
        return b"[" + ",".join([line] * count).encode() + b"]"
    if name.endswith(".csv"):
        return b"text,label\n" + f"{row['text']},a\n".encode() * count
    return (line + "\n").encode() * count


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.txt", "a.jsonl.zst", "a.jsonl.gz", "a.parquet"])
def test_memory_is_flat_from_one_megabyte_to_twenty(tmp_path: Path, name: str) -> None:
    import gzip

    from backports import zstd

    paths = []
    for size, count in (("small", 2_000), ("large", 40_000)):
        path = tmp_path / f"{size}.{name}"
        if name == "a.parquet":
            import pyarrow as pa
            import pyarrow.parquet as pq

            texts = [f"{number} " + "word " * 95 for number in range(count)]
            pq.write_table(pa.table({"text": texts, "label": ["a"] * count}), path, compression="none", use_dictionary=False)
        else:
            data = rows(name, count) if "jsonl." not in name else "".join(
                json.dumps({"text": f"{n * 7919 % 104729:x} " * 70, "label": "a"}) + "\n" for n in range(count)
            ).encode()  # fmt: skip
            path.write_bytes(gzip.compress(data, 1) if name.endswith("gz") else zstd.compress(data) if name.endswith("zst") else data)
        paths.append(str(path))
    told = subprocess.run([sys.executable, "-c", _READ, *paths], capture_output=True, text=True, check=True).stdout.split()
    assert [int(told[0]), int(told[2])] == [2_000, 40_000]
    allowed = 28 if name == "a.parquet" else 12  # Arrow keeps a pool of about 20 MiB, whatever the length
    assert int(told[3]) - int(told[1]) < allowed, f"{name}: {told[1]} MiB after the small file, {told[3]} MiB after the large one"


def test_a_line_of_a_hundred_megabytes_is_one_bad_line(tmp_path: Path) -> None:
    long = b'{"text": "' + b"x" * 100_000_000 + b'", "label": "a"}'
    good = b'{"text": "t", "label": "a"}'
    for name, data in {"a.jsonl": b"\n".join([good, long, good]), "a.json": b"[" + b",\n".join([good, long, good]) + b"]"}.items():
        (tmp_path / name).write_bytes(data)
        told = subprocess.run(
            [sys.executable, "-c", _READ, str(tmp_path / name)], capture_output=True, text=True, check=True
        ).stdout.split()
        assert int(told[0]) == 2 and int(told[1]) < 150, f"{name}: {told[1]} MiB"
        family, source = find(str(tmp_path / name), 2**20)
        (bad,) = [item for item in reader(family)(source) if isinstance(item, BadLine)]
        assert (bad.number, bad.reason, len(bad.raw)) == (2, "longer than 1 MiB", 4096)
        (tmp_path / name).unlink()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ('{"a":' * 50_000 + "1" + "}" * 50_000, "nested too deeply"),
        ("9" * 10_000, "a number is too large"),
        ("1e999", "a number is too large"),
        ("NaN", "NaN is not JSON"),
        ('"\\ud800"', "holds half of a surrogate pair"),
        ('{"a": 1, "a": 2}', "a key that comes twice"),
    ],
)
@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_a_value_that_hurts_costs_its_row_alone(tmp_path: Path, name: str, value: str, reason: str) -> None:
    lines = ['{"text": "a", "label": "x"}', f'{{"text": {value}, "label": "x"}}', '{"text": "]}", "label": "x"}']
    (tmp_path / name).write_text("\n".join(lines) if name == "a.jsonl" else "[" + ",\n".join(lines) + "]")
    family, source = find(str(tmp_path / name), 2**20)
    items = list(reader(family)(source))
    assert [type(item) for item in items] == [Record, BadLine, Record] and [item.number for item in items] == [1, 2, 3]
    assert isinstance(items[1], BadLine) and items[1].reason == reason and items[1].raw == lines[1]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(
    items=st.lists(st.dictionaries(st.text(max_size=5), JSON, max_size=4), min_size=1, max_size=6),
    indent=st.sampled_from([None, 1]),
    block=st.integers(1, 40),
)
def test_an_array_read_in_windows_is_the_array(
    tmp_path_factory: pytest.TempPathFactory, items: list[object], indent: int | None, block: int
) -> None:
    from tunesmith.data.formats import json_text

    path = tmp_path_factory.mktemp("json") / "a.json"
    text = json.dumps(items, indent=indent, ensure_ascii=False)
    path.write_text(text, encoding="utf-8")
    before, json_text._BLOCK = json_text._BLOCK, block
    try:
        family, source = find(str(path), 2**20)
        told = list(reader(family)(source))
    finally:
        json_text._BLOCK = before
    assert [item.values for item in told if isinstance(item, Record)] == items
    if indent:
        starts = [number for number, line in enumerate(text.split("\n"), 1) if line.startswith((" {",))]
        assert [item.number for item in told] == starts


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[{"a": 1}, {"a": 2]', "not valid JSON"),
        ('[{"a": 1}, {"a": "x}]', "cut short"),
        ('[{"a": 1} {"a": 2}]', "expected a comma between items on line 1, column 11"),
        ('[{"a": 1}]\n\n x', "text after the end of the array on line 3, column 2"),
        ('[{"a": 1},\n {"b": tru}]', "line 2, column 8"),
        ('{"a": [1, 2', "none of its|not valid|cut short|JSON object"),
        ("true", "expected an array of objects"),
    ],
)
def test_where_an_array_breaks_is_told(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.json").write_text(text)
    family, source = find(str(tmp_path / "a.json"), 2**20)
    try:
        items = list(reader(family)(source))
    except DataError as error:
        assert __import__("re").search(words, str(error)), str(error)
    else:
        assert text.startswith('{"a": [1') and isinstance(items[0], BadLine)
