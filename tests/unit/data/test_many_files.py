"""Folders, globs and archives: the files of one kind as one source, each record with the file it is from; never more than was meant."""

import io
import json
import os
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tunesmith.core.errors import DataError, RecipeError
from tunesmith.data.formats import Record, reader
from tunesmith.data.settings.read import ReadConfig
from tunesmith.data.source import files_of, find


def places(path: Path | str, **config: Any) -> list[str]:
    family, source = find(str(path), 2**20, ReadConfig(**config))
    return [f"{item.file}:{item.number}" for item in reader(family)(source) if isinstance(item, Record)]


def rows(folder: Path, *names: str, count: int = 2) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("".join(json.dumps({"text": f"{name} {n}", "label": "a"}) + "\n" for n in range(count)))
    return folder


def test_a_folder_is_read_in_order_of_name(tmp_path: Path) -> None:
    rows(tmp_path, "b.jsonl", "a.jsonl", "sub/c.jsonl", ".hidden.jsonl", ".git/x.jsonl", "d.jsonl.part", "~$e.jsonl")
    assert places(tmp_path) == ["a.jsonl:1", "a.jsonl:2", "b.jsonl:1", "b.jsonl:2", "c.jsonl:1", "c.jsonl:2"]
    assert [path.name for path in files_of(str(tmp_path))] == ["a.jsonl", "b.jsonl", "c.jsonl"]


def test_a_name_that_repeats_is_told_with_its_folder(tmp_path: Path) -> None:
    rows(tmp_path, "one/a.jsonl", "two/a.jsonl", "b.jsonl", count=1)
    assert places(tmp_path) == ["b.jsonl:1", "one/a.jsonl:1", "two/a.jsonl:1"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("*.jsonl", ["a.jsonl:1"]), ("**/*.jsonl", ["a.jsonl:1", "b.jsonl:1"]), ("su?/[ab].jsonl", ["b.jsonl:1"])],
)
def test_globs(tmp_path: Path, pattern: str, expected: list[str]) -> None:
    rows(tmp_path, "a.jsonl", "sub/b.jsonl", count=1)
    assert places(tmp_path / pattern) == expected


def test_a_folder_as_the_hub_has_it(files: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for number in range(2):
        files.parquet_file(tmp_path / "data" / f"train-0000{number}-of-00002.parquet", files.labelled(3))
    (tmp_path / "README.md").write_text("# A card\n")
    (tmp_path / "dataset_infos.json").write_text("{}")
    assert places(tmp_path)[2:4] == ["train-00000-of-00002.parquet:3", "train-00001-of-00002.parquet:1"]


def test_files_of_several_splits_are_never_one_set(tmp_path: Path) -> None:
    rows(tmp_path, "train-0.jsonl", "train-1.jsonl", "test.jsonl")
    with pytest.raises(RecipeError, match=r"several splits \(test, train\).*train-\*, and the others with data\.validation_path"):
        places(tmp_path)
    assert len(places(tmp_path / "train*")) == 4


def test_several_kinds_are_one_sentence(tmp_path: Path) -> None:
    rows(tmp_path, "a.jsonl", "b.jsonl")
    (tmp_path / "c.csv").write_text("text,label\na,b\n")
    with pytest.raises(RecipeError, match=r"several kinds \(1 csv, 2 jsonl\): name one kind, such as .*/\*\.jsonl"):
        places(tmp_path)
    with pytest.raises(RecipeError, match="meets no file"):
        places(tmp_path / "*.parquet")


def test_no_link_leads_out_of_the_folder(tmp_path: Path) -> None:
    rows(tmp_path, "secret/s.jsonl", "in/a.jsonl")
    (tmp_path / "in" / "b.jsonl").symlink_to(tmp_path / "in" / "a.jsonl")
    assert len(places(tmp_path / "in")) == 4
    (tmp_path / "in" / "c.jsonl").symlink_to(tmp_path / "secret" / "s.jsonl")
    for path in (tmp_path / "in", tmp_path / "in" / "*.jsonl"):
        with pytest.raises(RecipeError, match="a link out of"):
            places(path)
    (tmp_path / "in" / "c.jsonl").unlink()
    (tmp_path / "in" / "d").symlink_to(tmp_path / "secret")
    assert len(places(tmp_path / "in")) == 4, "a folder behind a link is not entered"


def test_a_loop_of_links_and_a_pipe_are_no_files(tmp_path: Path) -> None:
    rows(tmp_path, "a.jsonl", count=1)
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.jsonl")
    assert places(tmp_path) == ["a.jsonl:1"]


LINE = b'{"text": "t", "label": "a"}\n'


def zipped(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as held:
        for name, data in files.items():
            held.writestr(name, data)
    return path


def tarred(path: Path, files: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as held:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            held.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tgz", "a.tar", "a.tar.xz", "a.tar.bz2"])
def test_archives_are_read_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    tricks = {"../../up.jsonl": LINE, "/etc/root.jsonl": LINE * 2, "c\x1b[31m.jsonl": LINE, "README.md": b"# no"}
    mode = {"a.tar": "w", "a.tar.xz": "w:xz", "a.tar.bz2": "w:bz2"}.get(name, "w:gz")
    path = zipped(tmp_path / name, tricks) if name == "a.zip" else tarred(tmp_path / name, tricks, mode)
    found = places(path)
    assert sorted(found) == ["c?[31m.jsonl:1", "root.jsonl:1", "root.jsonl:2", "up.jsonl:1"]
    assert [one.name for one in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_members_of_every_format_in_an_archive(files: ModuleType, tmp_path: Path, kind: str) -> None:
    parquet = files.parquet_file(tmp_path / "x.parquet", files.labelled(3)).read_bytes()
    for name, data, count in (("x.parquet", parquet, 3), ("x.json", b"[" + LINE + b"," + LINE + b"]", 2), ("x.txt", b"a\n\nb\nc\n\nd", 3)):
        make = zipped if kind == "zip" else tarred
        assert len(places(make(tmp_path / f"{name}.{kind}", {f"p/{name}": data, f"q/{name}": data}))) == 2 * count


def test_archives_that_are_bombs_or_broken(tmp_path: Path) -> None:
    bomb = zipped(tmp_path / "bomb.zip", {f"{n}.jsonl": b" " * 2**20 * 41 for n in range(2)})
    with pytest.raises(DataError, match="as a zip bomb does"):
        places(bomb)
    packed = tarred(tmp_path / "bomb.tar.gz", {"a.jsonl": b" " * 2**20 * 84})
    with pytest.raises(DataError, match="as a zip bomb does"):
        places(packed)
    whole = zipped(tmp_path / "whole.zip", {"a.jsonl": LINE * 400}).read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="cut short, damaged or locked"):
        places(tmp_path / "cut.zip")
    with pytest.raises(RecipeError, match="no file of a known format"):
        places(zipped(tmp_path / "other.zip", {"a.exe": b"MZ"}))


def test_a_sparse_member_that_claims_a_terabyte_is_no_file(tmp_path: Path) -> None:
    info = tarfile.TarInfo("big.jsonl")
    info.type = tarfile.GNUTYPE_SPARSE
    held = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    held[386:398], held[398:410], held[483:495] = b"00000000000\0", b"00000000000\0", b"77777777777\0"
    held[148:156] = b" " * 8
    held[148:156] = f"{sum(held):06o}\0 ".encode()
    path = tmp_path / "a.tar"
    path.write_bytes(bytes(held) + bytes(1024))
    with pytest.raises((RecipeError, DataError)):
        places(path)


def test_a_key_of_an_object_is_named_behind_a_number_sign(tmp_path: Path) -> None:
    held = {"note": {"a": ["]", "}"]}, "train": [["hi", "greet"], ["yo\n", 3], ["x"]], "test": [["b", "c"]] * 2}
    path = tmp_path / "clinc.json"
    path.write_text(json.dumps(held))
    family, source = find(f"{path}#train", 2**20)
    items = list(reader(family)(source))
    assert [item.values for item in items if isinstance(item, Record)] == [{"text": "hi", "label": "greet"}, {"text": "yo\n", "label": 3}]
    assert [item.reason for item in items if not isinstance(item, Record)] == ["not a JSON object"]
    with pytest.raises(DataError, match=r"train \(3\), test \(2\)\): name the one to train on, such as .*clinc\.json#train"):
        places(path)
    with pytest.raises(RecipeError, match="Did you mean 'train'"):
        places(f"{path}#trains")
    with pytest.raises(RecipeError, match="holds no list"):
        places(f"{path}#note")


def test_a_number_sign_in_a_name_is_part_of_it(tmp_path: Path) -> None:
    rows(tmp_path, "a#b.jsonl", count=1)
    assert places(tmp_path / "a#b.jsonl") == ["a#b.jsonl:1"]
    with pytest.raises(RecipeError, match="neither; leave it out"):
        places(f"{tmp_path / 'a#b.jsonl'}#c")
