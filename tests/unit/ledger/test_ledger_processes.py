"""Several processes on one SQLite ledger, and processes killed while they write."""

import subprocess
import sys
import time
from pathlib import Path

import tunesmith
from tunesmith.ledger.ledger import Ledger

SOURCES = str(Path(tunesmith.__file__).parents[1])

WRITER = """
import sys, time
from pathlib import Path
from tunesmith.ledger.ledger import Ledger
from tunesmith.ledger.records import MetricRecord, RoundRecord, StageRecord

path, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()  # all start at once
with Ledger.open(path) as ledger:
    ledger.record_round(RoundRecord(id=name, identity="i", recipe={}, recipe_hash="h"))
    ledger.record_stage(StageRecord(key="shared", name="s", version=1, inputs={}, output_path="/a", output_hash=name, seconds=1.0))
    print("opening", ledger.open_test_set("t", name), flush=True)
    for number in range(count):
        ledger.record_metrics(MetricRecord(round_id=name, system=str(number), name=n, side="test", value=1.0) for n in ("a", "b"))
        print("wrote", number, flush=True)
"""


def start(path: Path, name: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), name, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": SOURCES},
    )


def go(writers: list[subprocess.Popen[str]]) -> None:
    for writer in writers:
        assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()


def test_processes_that_open_a_new_ledger_at_once_and_write_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    names = ["r-1", "r-2"]
    writers = [start(path, name, 10) for name in names]
    go(writers)
    said = [writer.communicate(timeout=120)[0] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0]
    assert sorted(text.splitlines()[0] for text in said) == ["opening 1", "opening 2"]
    with Ledger.open(path) as ledger:
        assert {each.id for each in ledger.rounds()} == set(names)
        assert [len(ledger.metrics(name)) for name in names] == [20, 20]
        stage = ledger.reusable_stage("shared")
        assert stage is not None and stage.output_hash in names


def test_what_was_written_before_a_kill_is_there_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    for attempt, seconds in enumerate((0.0, 0.1)):  # the first dies while it makes or opens the ledger
        writer = start(path, f"r-{attempt}", 10_000)
        go([writer])
        if attempt:
            assert writer.stdout is not None and writer.stdout.readline().startswith("opening")
        time.sleep(seconds)
        writer.kill()
        said = writer.communicate(timeout=30)[0]
        acknowledged = said.count("wrote")
        with Ledger.open(path) as ledger:
            with ledger.reading() as connection:
                assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
            kept = ledger.metrics(f"r-{attempt}")
        assert len(kept) % 2 == 0  # each pair whole or absent
        assert len(kept) // 2 - acknowledged in (0, 1)  # at most one written and not yet said
