"""Files are whole or absent, whatever goes wrong while they are written; one lock, one holder."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tunesmith.core.errors import BusyError, MachineError
from tunesmith.core.files import (
    mend_folder,
    only_one,
    read_json,
    read_jsonl,
    whole_file,
    whole_folder,
    write_json,
    write_jsonl,
    write_text,
)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB, where this process may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = (
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], capture_output=True)
        if shutil.which("mount")
        else None
    )
    if mounted is None or mounted.returncode != 0:
        pytest.skip("needs the right to mount a tmpfs")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def names(folder: Path) -> list[str]:
    return sorted(item.name for item in folder.iterdir())


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    write_text(tmp_path / "new" / "a.txt", "é\n")
    assert (tmp_path / "new" / "a.txt").read_text(encoding="utf-8") == "é\n"
    write_json(tmp_path / "a.json", {"b": [1, "é"]})
    assert read_json(tmp_path / "a.json") == {"b": [1, "é"]}
    write_jsonl(tmp_path / "a.jsonl", iter([{"a": 1}, "\u2028"]))
    assert list(read_jsonl(tmp_path / "a.jsonl")) == [{"a": 1}, "\u2028"]


def test_an_exception_leaves_the_earlier_file(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "earlier")
    with pytest.raises(ZeroDivisionError), whole_file(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert (tmp_path / "a.txt").read_text() == "earlier"
    assert names(tmp_path) == ["a.txt"]


def test_values_that_fail_halfway_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        write_jsonl(tmp_path / "a.jsonl", (1 // value for value in (1, 0)))
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", float("nan"))
    assert names(tmp_path) == []


def test_an_exception_leaves_the_earlier_folder(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "f") as temporary:
        (temporary / "a").write_text("earlier")
    with pytest.raises(ZeroDivisionError), whole_folder(tmp_path / "f") as temporary:
        (temporary / "a").write_text("half")
        raise ZeroDivisionError
    assert (tmp_path / "f" / "a").read_text() == "earlier"
    with whole_folder(tmp_path / "f") as temporary:
        (temporary / "b").write_text("later")
    assert names(tmp_path / "f") == ["b"]
    assert names(tmp_path) == ["f"]


def test_a_full_disk_leaves_the_earlier_file_and_says_so(tiny_disk: Path) -> None:
    write_text(tiny_disk / "a.txt", "earlier")
    with pytest.raises(MachineError, match="No space left"):
        write_text(tiny_disk / "a.txt", "x" * 200_000)
    with pytest.raises(MachineError, match="No space left"), whole_folder(tiny_disk / "f") as temporary:
        (temporary / "b").write_text("x" * 200_000)
    assert names(tiny_disk) == ["a.txt"]
    assert (tiny_disk / "a.txt").read_text() == "earlier"


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="file"):
        write_text(tmp_path / "file" / "a.txt", "x")


@pytest.mark.parametrize("text", ["", "{", '{"a": 1'])
def test_damaged_json_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(MachineError, match=r"a\.json can't be read"):
        read_json(path)


def test_damaged_lines_are_named_with_their_number(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n{"a"')
    lines = read_jsonl(path)
    assert next(lines) == {"a": 1}
    with pytest.raises(MachineError, match=r"a\.jsonl:2 is damaged"):
        next(lines)
    with pytest.raises(MachineError, match="can't be read"):
        list(read_jsonl(tmp_path / "missing.jsonl"))
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(MachineError, match="can't be read"):
        list(read_jsonl(path))


def test_a_lock_has_one_holder(tmp_path: Path) -> None:
    lock = tmp_path / "r" / ".lock"
    with only_one(lock, "Round r"), pytest.raises(BusyError, match="Round r is in use"), only_one(lock, "Round r"):
        pass
    with only_one(lock, "Round r"):
        pass


def test_a_lock_is_waited_for_as_long_as_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tmp_path / ".lock"
    with ExitStack() as holder:
        holder.enter_context(only_one(lock, "Round r"))
        monkeypatch.setattr("time.sleep", lambda seconds: holder.close())
        with only_one(lock, "Round r", wait_seconds=60):
            pass


def test_what_fails_under_a_lock_is_not_the_locks_fault(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), only_one(tmp_path / ".lock", "Round r"):
        (tmp_path / "missing").read_text()


def test_a_killed_holder_frees_the_lock(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    code = (
        "import pathlib, sys, time\nfrom tunesmith.core.files import only_one\n"
        "with only_one(pathlib.Path(sys.argv[1]), 'x'): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(lock)], stdout=subprocess.PIPE, env=os.environ)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(BusyError), only_one(lock, "x"):
        pass
    holder.kill()
    holder.communicate()
    with only_one(lock, "x"):
        pass


def test_a_replacement_cut_short_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "best"
    (tmp_path / ".best.1.old").mkdir()
    (tmp_path / ".best.1.old" / "a").write_text("earlier")
    (tmp_path / ".best.2.part").mkdir()
    (tmp_path / ".bestial.2.part").mkdir()
    mend_folder(path)
    assert (path / "a").read_text() == "earlier"
    assert names(tmp_path) == [".bestial.2.part", "best"]
    (tmp_path / ".best.3.old").mkdir()
    mend_folder(path)
    assert (path / "a").read_text() == "earlier"
    mend_folder(tmp_path / "none" / "best")
    assert names(tmp_path) == [".bestial.2.part", "best"]


def test_json_is_for_people(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"name": "Zoë"})
    assert "Zoë" in (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"name": "Zoë"}
