"""Break files in every way a seed can think of, and read them: records, bad lines or one sentence must come of each; anything else is a bug.

    .venv/bin/python benchmarks/fuzz_readers.py --inputs 1000000 --seed 0 --out benchmarks/results/2026-11-21-fuzz-readers.json

A mutation fuzzer: small whole files of every kind, damaged by flips, cuts, repeats, swaps with other files, and pieces that are known to hurt (deep
brackets, halves of surrogate pairs, marks of encodings, formulas). What is checked of each: no exception but a TunesmithError whose sentence is
one line; records that JSON and UTF-8 can hold; bad lines that can be written; no more than a few seconds. Rows are shaped, too, for the text formats. Inputs run
in child processes, so that a crash of a library in C is found and its input kept.
"""

import argparse
import bz2
import csv
import gzip
import io
import json
import lzma
import multiprocessing
import random
import signal
import sys
import tarfile
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tunesmith.core.errors import TunesmithError
from tunesmith.data import forms
from tunesmith.data.content import BadRow
from tunesmith.data.formats import Record, reader
from tunesmith.data.settings.read import ReadConfig
from tunesmith.data.shape import shape
from tunesmith.data.source import find

SLOW = 10
"""Seconds that one input may take."""
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where inputs are written: a disk would be most of the time."""
_LONGEST = 2**16
_CHUNK = 2_000
_HURTS = [
    b"\x00", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\xff\xfe\x00\x00", b"\r", b"\n", b"\r\n", b"\t", b'"', b"\\", b"\\u0000", b"\\ud800",
    b"\\udc00\\ud83d", b"[" * 3000, b"{" * 500, b'{"a":' * 1500, b"]", b"}", b"NaN", b"-Infinity", b"1e999", b"9" * 5000, b"-", b"null", b"true",
    b"caf\xe9", b"\xe2\x80\x9c", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80\x81", b"=cmd|'/c calc'!A1", b"@SUM(1)", b'"a": 1, "a": 2,',
    b"\x1f\x8b\x08", b"PK\x03\x04", b"\x28\xb5\x2f\xfd", b"BZh9", b"\xfd7zXZ\x00", b"%PDF-1.4", b"PAR1", b"../../etc/passwd", b"<!DOCTYPE x [",
    b"<!ENTITY a 'b'>", b"&a;", b"<table><tr><td>", b"</p>", b"<!--", b"-->", b"```", b"---\n", b"| a | b |\n|---|---|\n", b"\xe2\x80\xa8", b"x" * 70000,
]  # fmt: skip


def _csv(rows: list[dict[str, Any]], delimiter: str = ",") -> bytes:
    held = io.StringIO()
    writer = csv.DictWriter(held, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return held.getvalue().encode()


def _jsonl(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    held = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), held)
    return held.getvalue()


def _arrow(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow as pa

    held = io.BytesIO()
    table = pa.Table.from_pylist(rows)
    with pa.ipc.new_stream(held, table.schema) as writer:
        writer.write_table(table)
    return held.getvalue()


def _xlsx(rows: list[dict[str, Any]]) -> bytes:
    import openpyxl

    book, held = openpyxl.Workbook(), io.BytesIO()
    book.active.append(list(rows[0]))
    for row in rows:
        book.active.append([str(value) if isinstance(value, (list, dict)) else value for value in row.values()])
    book.save(held)
    return held.getvalue()


def _zip(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return held.getvalue()


def _tar(files: dict[str, bytes]) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return held.getvalue()


def _docx() -> bytes:
    space = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    body = (
        f'<?xml version="1.0"?><w:document {space}><w:body><w:p><w:pPr><w:pStyle w:val="H"/></w:pPr><w:r><w:t>Title</w:t></w:r></w:p>'
        "<w:p><w:r><w:t>One. Two.</w:t><w:br/></w:r></w:p><w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc></w:tr></w:tbl></w:body></w:document>"
    )
    styles = f'<w:styles {space}><w:style w:styleId="H"><w:name w:val="heading 1"/></w:style></w:styles>'
    return _zip({"word/document.xml": body.encode(), "word/styles.xml": styles.encode()}, zipfile.ZIP_STORED)


def _pdf() -> bytes:
    text = b"BT /F1 12 Tf 72 700 Td (A first line of text.) Tj 0 -14 Td (A second one, that is longer.) Tj ET"
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/Contents 4 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(text), text),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj%s endobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return out + b"xref\n0 6\n0000000000 65535 f \n" + table + b"trailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % len(out)


def seeds() -> dict[str, list[bytes]]:
    """Whole small files of every kind, by the name they get."""
    from backports import zstd

    labelled = [{"text": f"mess age {n}, é “q”", "label": ("yes", "no")[n % 2], "n": n} for n in range(6)]
    chat = [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho", "weight": 1}]
    call = {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": '{"a": 1}'}}]}
    tools = [{"type": "function", "function": {"name": "f"}}]
    shaped: list[list[dict[str, Any]]] = [
        labelled,
        [{"messages": chat, "tools": tools}, {"messages": [*chat, call]}],
        [{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}], "system": "s", "tools": json.dumps(tools)}],
        [{"input": {"messages": chat[:2], "tools": tools}, "preferred_output": [chat[2]], "non_preferred_output": [chat[2]]}],
        [{"chosen": "\n\nHuman: q\n\nAssistant: g", "rejected": "\n\nHuman: q\n\nAssistant: b"}],
        [{"instruction": "i", "history": [["a", "b"]], "output": "o", "input": ""}],
        [{"instruction": "i", "instances": [{"input": "", "output": "o"}, {"input": "x", "output": "p"}]}],
        [{"text": "Ada came", "spans": [[0, 3, "p"]]}, {"text": "x", "spans": "[]"}],
        [{"tokens": ["a", "b"], "tags": ["B-x", "O"]}],
        [{"text": "t", "labels": ["a", "b"]}, {"text": "u", "labels": "['a']"}],
        [{"prompt": "p", "completion": "c", "label": True}],
    ]
    lines = [_jsonl(rows) for rows in shaped]
    flat = _csv(labelled)
    small = labelled[:2]
    markdown = b"---\ntitle: T\n---\n# One\n\nText. More text.\n\n```py\ncode\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nTwo\n===\n<!-- no -->\n- x\n"
    page = b"<!DOCTYPE html><html><head><title>T</title></head><body><h1>A</h1><p>b &amp; c<br>d<ul><li>e</ul><table><tr><td>f<td>g</table><pre>h\n i</pre>"
    return {
        "r.jsonl": [*lines, lines[0].decode().encode("utf-16"), lines[0].decode().encode("cp1252")],
        "r.json": [json.dumps(rows, indent=1).encode() for rows in shaped] + [b'{"train": [["a", "b"], ["c", "d"]], "test": []}', lines[0]],
        "r.csv": [flat, _csv(labelled, ";"), flat.decode().encode("utf-16"), b'text,label\n"x\ny",2\n'],
        "r.tsv": [_csv(labelled, "\t")],
        "r.txt": [b"one\n\ntwo\nthree\n\n\xe9t\xe9\n", b"one\ntwo\n"],
        "r.jsonl.gz": [gzip.compress(lines[0]), gzip.compress(lines[0]) + gzip.compress(lines[0])],
        "r.jsonl.bz2": [bz2.compress(lines[0])],
        "r.jsonl.xz": [lzma.compress(lines[0])],
        "r.jsonl.zst": [zstd.compress(lines[0]), zstd.compress(lines[1]) + zstd.compress(lines[1])],
        "r.parquet": [_parquet(labelled), _parquet([{"messages": chat, "x": 1.5}])],
        "arrow": [_arrow(labelled)],
        "r.xlsx": [_xlsx(small)],
        "r.zip": [_zip({"a/x.jsonl": lines[0], "b.jsonl": lines[0]}), _zip({"../x.csv": flat})],
        "r.tar": [_tar({"x.jsonl": lines[0], "d/y.jsonl": lines[0]})],
        "r.tar.gz": [gzip.compress(_tar({"x.txt": b"a\n\nb\n"})), gzip.compress(_tar({"y.csv.gz": gzip.compress(flat), "z.csv": flat}))],
        "r.md": [markdown],
        "r.html": [page],
        "r.docx": [_docx()],
        "r.pdf": [_pdf()],
    }


SHARE = {
    "r.jsonl": 26, "r.json": 22, "r.csv": 16, "r.tsv": 3, "r.txt": 6, "r.jsonl.gz": 3, "r.jsonl.bz2": 1, "r.jsonl.xz": 1, "r.jsonl.zst": 2, "r.parquet": 4,
    "arrow": 3, "r.xlsx": 0.6, "r.zip": 2, "r.tar": 2, "r.tar.gz": 1, "r.md": 5, "r.html": 5, "r.docx": 2, "r.pdf": 1,
}  # fmt: skip
"""How often each kind comes up: what is cheap to read more often."""


def damaged(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """A file after a few accidents."""
    held = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        at, kind = chance.randrange(len(held) + 1), chance.randrange(9)
        upto = min(len(held), at + chance.choice((1, 2, 4, 16, 64)))
        if kind == 0 and held:
            held[min(at, len(held) - 1)] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del held[at:]
        elif kind == 2:
            del held[at:upto]
        elif kind == 3:
            held[at:at] = chance.choice(_HURTS)
        elif kind == 4:
            held[at:upto] = chance.choice(_HURTS)
        elif kind == 5:
            held[at:at] = held[at:upto] * chance.choice((1, 2, 50))
        elif kind == 6:
            other = chance.choice(others)
            start = chance.randrange(len(other) + 1)
            held[at:upto] = other[start : start + chance.choice((4, 64, 1000))]
        elif kind == 7 and held:
            held[at:upto] = bytes(chance.randrange(256) for _ in range(upto - at))
        elif kind == 8 and len(held) > 4:
            place = min(at, len(held) - 4)
            held[place : place + 4] = chance.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\1\0\0\0"))
    return bytes(held)


def rewrapped(name: str, data: bytes, others: list[bytes], chance: random.Random) -> bytes | None:
    """The same kind of file, whole outside and damaged inside: its checksums hold, so that what is in it gets read. None for kinds without an outside."""
    from backports import zstd

    pack = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zstd.compress}.get(Path(name).suffix)
    if name in ("r.jsonl.gz", "r.jsonl.bz2", "r.jsonl.xz", "r.jsonl.zst") and pack:
        return bytes(pack(damaged(chance.choice(others), others, chance)))
    if name in ("r.tar", "r.zip"):
        files = {chance.choice(_NAMES): damaged(chance.choice(others), others, chance) for _ in range(2)}
        return _tar(files) if name == "r.tar" else _zip(files)
    if name in ("r.xlsx", "r.docx"):
        with zipfile.ZipFile(io.BytesIO(data)) as held:
            parts = {info.filename: held.read(info) for info in held.infolist()}
        broken = chance.choice([part for part in parts if part.endswith("ml")])
        return _zip(parts | {broken: damaged(parts[broken], others, chance)})
    return None


_NAMES = (
    "x.jsonl",
    "y.jsonl",
    "a/x.jsonl",
    "../x.jsonl",
    "/etc/x.jsonl",
    "x.csv",
    "x.txt",
    "x.jsonl.gz",
    "train.jsonl",
    "test.jsonl",
    ".x.jsonl",
    "\x1b[31m.jsonl",
)


def made(name: str, whole: dict[str, list[bytes]], others: list[bytes], chance: random.Random) -> bytes:
    """One damaged input of a kind."""
    data = chance.choice(whole[name])
    inside = rewrapped(name, data, others, chance) if chance.random() < 0.7 else None
    return damaged(data, others, chance) if inside is None else inside


def outcome(name: str, data: bytes, folder: Path, config: ReadConfig | None = None) -> str:
    """What comes of reading bytes under a name: `records`, `bad lines`, `both` or the name of a TunesmithError; anything else is raised."""
    path = folder / name
    if name == "arrow":
        path.mkdir(exist_ok=True)
        (path / "state.json").write_text('{"_data_files": [{"filename": "d.arrow"}]}')
        (path / "d.arrow").write_bytes(data)
    else:
        path.write_bytes(data)
    try:
        family, source = find(str(path), _LONGEST, config)
        items = list(reader(family)(source))
        records = [item.values for item in items if isinstance(item, Record)]
        json.dumps(records, ensure_ascii=False, allow_nan=False).encode()
        bad = [item for item in items if not isinstance(item, Record)]
        json.dumps([[item.number, item.reason, item.raw, item.file] for item in bad], ensure_ascii=False).encode(
            "utf-8", "backslashreplace"
        )
        assert all("\n" not in item.reason and len(item.reason) < 200 for item in bad), "a reason that is no phrase"
        assert all("\n" not in note for note in source.notes), "a note of more than one line"
        if records:
            _shape(records)
    except TunesmithError as error:
        assert "\n" not in str(error), f"a sentence of more than one line: {error!r}"
        return type(error).__name__
    return "records and bad lines" if records and bad else "records" if records else "bad lines" if bad else "nothing"


def _shape(records: list[dict[str, Any]]) -> None:
    """What the next step makes of records."""
    columns: dict[str, list[Any]] = {}
    for record in records:
        for column, value in record.items():
            columns.setdefault(column, []).append(value)
    found = forms.recognise(columns, {}, None, "r")
    for record in records:
        try:
            content = shape(found.form, found.mapping, record, ",")
        except BadRow as error:
            assert "\n" not in str(error)
            continue
        json.dumps([[turn.content for turn in content.prompt], content.answer], ensure_ascii=False).encode()


def _alarm(*_: object) -> None:
    raise TimeoutError(f"over {SLOW} s")


def run_chunk(seed: int, count: int, keep: str) -> tuple[Counter[str], list[dict[str, Any]]]:
    """Read `count` inputs made from a seed; what came of them, and what must not have. The input at hand lies in `keep` in case the process dies."""
    chance = random.Random(seed)
    whole = seeds()
    every = [one for held in whole.values() for one in held]
    names, weights = list(SHARE), list(SHARE.values())
    counts: Counter[str] = Counter()
    bugs: list[dict[str, Any]] = []
    signal.signal(signal.SIGALRM, _alarm)
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        for _ in range(count):
            name = chance.choices(names, weights)[0]
            data = made(name, whole, every, chance)
            if name in ("arrow", "r.parquet", "r.pdf", "r.xlsx", "r.docx", "r.html"):  # read by C, or by much code of others
                Path(keep).write_bytes(name.encode() + b"\n" + data)
            signal.alarm(SLOW)
            try:
                counts[f"{name}: {outcome(name, data, Path(folder))}"] += 1
            except Exception as error:
                counts[f"{name}: BUG"] += 1
                where = traceback.extract_tb(error.__traceback__)[-1]
                bugs.append(
                    {
                        "name": name,
                        "error": f"{type(error).__name__}: {error}"[:300],
                        "at": f"{Path(where.filename).name}:{where.lineno}",
                        "data": data.hex()[:40_000],
                    }
                )
            finally:
                signal.alarm(0)
    return counts, bugs


def _child(seed: int, count: int, keep: str, pipe: Any) -> None:
    pipe.send(run_chunk(seed, count, keep))


def guarded(seed: int, count: int) -> tuple[Counter[str], list[dict[str, Any]]]:
    """A chunk in a process of its own: its death is a bug found, with the input it died of where a library in C was at work."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        keep = str(Path(folder) / "input")
        near, far = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.get_context("fork").Process(target=_child, args=(seed, count, keep, far))
        process.start()
        far.close()
        try:
            found = near.recv()
        except EOFError:
            data = Path(keep).read_bytes() if Path(keep).exists() else b""
            name, _, rest = data.partition(b"\n")
            found = (
                Counter({f"{name.decode()}: BUG": 1}),
                [{"name": name.decode(), "error": "the process died", "at": "", "data": rest.hex()}],
            )
        process.join()
        return found


def main() -> int:
    """Run, print the result, and write it where asked; 1 where a bug was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--bugs", type=Path, help="where inputs that must not have failed are written, a JSON line each")
    asked = parser.parse_args()
    counts: Counter[str] = Counter()
    bugs: list[dict[str, Any]] = []
    begun = time.monotonic()
    done = 0
    while done < asked.inputs:
        count = min(_CHUNK, asked.inputs - done)
        some, found = guarded(asked.seed * 10_000_019 + done // _CHUNK, count)
        counts += some
        bugs += found
        done += count
        if done % (25 * _CHUNK) == 0 or done == asked.inputs:
            rate = done / (time.monotonic() - begun)
            print(f"{done:,} inputs, {len(bugs)} bugs, {rate:,.0f} a second", file=sys.stderr, flush=True)
            _write(asked, counts, bugs, time.monotonic() - begun)
    return 1 if bugs else 0


def _write(asked: argparse.Namespace, counts: Counter[str], bugs: list[dict[str, Any]], seconds: float) -> None:
    kinds = {name: {key.split(": ")[1]: count for key, count in sorted(counts.items()) if key.startswith(name + ":")} for name in SHARE}
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "inputs": sum(counts.values()),
        "seed": asked.seed,
        "bugs": len(bugs),
        "seconds": round(seconds),
        "outcomes": kinds,
    }
    if asked.out:
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        asked.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    else:
        print(json.dumps(result))
    if asked.bugs:
        asked.bugs.write_text("".join(json.dumps(bug) + "\n" for bug in bugs), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
