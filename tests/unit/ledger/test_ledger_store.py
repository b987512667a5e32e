"""Addresses, and the sentence for each way a database can refuse."""

import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tunesmith.core.errors import BusyError, MachineError, RecipeError
from tunesmith.ledger import store
from tunesmith.ledger.ledger import Ledger
from tunesmith.ledger.records import RoundRecord


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of 512 KiB, mounted for one test."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root may mount a small disk")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tunesmith-test", folder], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small disk can't be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


A_ROUND = RoundRecord(id="r-1", identity="i", recipe={}, recipe_hash="h")


def test_wal_fsync_and_foreign_keys_are_on(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "l.db") as ledger, ledger.reading() as connection:
        settings = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous", "foreign_keys")}
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_a_path_a_text_and_a_sqlite_url_are_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for form in (Path("l.db"), "l.db", "sqlite:///l.db", f"sqlite:///{tmp_path}/l.db"):
        with Ledger.open(form) as ledger:
            ledger.record_round(A_ROUND)
            assert len(ledger.rounds()) == 1
            assert ledger.where == str(tmp_path / "l.db")


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "mysql://u:secret@h/d", "postgresql+asyncpg://u:secret@h/d", "http://u:secret@h"]
)
def test_other_addresses_are_refused_without_their_password(url: str) -> None:
    with pytest.raises(RecipeError, match=r"postgresql://user:password@host:5432/database") as refusal:
        Ledger.open(url)
    assert "secret" not in str(refusal.value)


def test_a_url_that_cannot_be_read_is_not_repeated() -> None:
    with pytest.raises(RecipeError, match="can't be read") as refusal:
        Ledger.open("postgresql://u:secret@h:port/d")
    assert "secret" not in str(refusal.value)


def test_an_unreachable_server_is_said_without_its_password() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(MachineError, match=r"postgresql\+psycopg://u:\*\*\*@127.0.0.1:1/d can't be reached") as refusal:
        Ledger.open("postgresql://u:secret@127.0.0.1:1/d")
    assert "secret" not in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "l.db"
    path.write_text("id,text\n" * 1000)
    with pytest.raises(MachineError, match="no SQLite database"):
        Ledger.open(path)
    assert path.read_text() == "id,text\n" * 1000


def test_a_truncated_file_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "l.db"
    Ledger.open(path).close()
    path.write_bytes(path.read_bytes()[:6000])
    with pytest.raises(MachineError, match="is damaged"):
        Ledger.open(path)


def test_damage_that_shows_later_is_said_too(tmp_path: Path) -> None:
    path = tmp_path / "l.db"
    with Ledger.open(path) as ledger:
        ledger.record_round(A_ROUND)
    with sqlite3.connect(path) as connection:
        page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'rounds'").fetchone()[0]
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    with Ledger.open(path) as ledger, pytest.raises(MachineError, match="is damaged"):
        ledger.rounds()


def test_a_folder_in_the_place_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="is no file"):
        Ledger.open(tmp_path)


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "workspace").touch()
    with pytest.raises(MachineError, match="workspace"):
        Ledger.open(tmp_path / "workspace" / "l.db")


def test_a_read_only_ledger_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "l.db"
    Ledger.open(path).close()
    path.chmod(0o444)
    if os.access(path, os.W_OK):
        pytest.skip("this user may write to read-only files")
    with pytest.raises(MachineError, match="can't be written to"):
        Ledger.open(path)


def test_a_read_only_file_system_is_refused(small_disk: Path) -> None:
    for name in ("l.db", "absent.db"):
        Ledger.open(small_disk / "l.db").close()
        subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
        with pytest.raises(MachineError, match="can't be written to"):
            Ledger.open(small_disk / name)
        subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)


def test_a_ledger_made_read_only_while_open(tmp_path: Path) -> None:
    """As a file system remounted read-only: reading goes on, writing ends in a sentence."""
    with Ledger.open(tmp_path / "l.db") as ledger:
        ledger.record_round(A_ROUND)
        with ledger.reading() as connection:
            connection.exec_driver_sql("PRAGMA query_only = ON")
        assert ledger.round("r-1").id == "r-1"
        with pytest.raises(MachineError, match="can't be written to"):
            ledger.finish_round("r-1", "done", 1.0)


def test_a_full_disk_leaves_the_ledger_whole(small_disk: Path) -> None:
    with Ledger.open(small_disk / "l.db") as ledger:
        written = 0
        with pytest.raises(MachineError, match="No space left"):
            for written in range(100):
                ledger.record_round(RoundRecord(id=f"r-{written}", identity="i", recipe={"text": "x" * 20000}, recipe_hash="h"))
        assert len(ledger.rounds()) == written > 3


def test_a_writer_that_waits_too_long_says_who_to_wait_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "BUSY_SECONDS", 0.2)
    path = tmp_path / "l.db"
    with Ledger.open(path) as ledger:
        ledger.record_round(A_ROUND)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert ledger.round("r-1").id == "r-1"  # readers never wait
        with pytest.raises(BusyError, match="locked by another process"):
            ledger.finish_round("r-1", "done", 1.0)
        other.execute("ROLLBACK")
        other.close()
        assert ledger.finish_round("r-1", "done", 1.0).status == "done"
