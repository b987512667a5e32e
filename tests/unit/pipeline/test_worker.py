"""What a worker does at the edges of a job: what it tells, how it stops, and whom it leaves alone."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from tunesmith.core.errors import BusyError, DataError, DivergedError, MachineError
from tunesmith.core.progress import Advanced, Said, Started
from tunesmith.ledger.jobs import JobRecord
from tunesmith.ledger.ledger import Ledger
from tunesmith.pipeline import worker as module
from tunesmith.pipeline.bases import read_bases
from tunesmith.pipeline.beside import Beside
from tunesmith.pipeline.jobs import JobPlace, model_name, told_to_clients
from tunesmith.pipeline.worker import MOST_ATTEMPTS, MOST_STEPS_TOLD, Held, Stopped, Telling, Worker
from tunesmith.pipeline.workspace import Workspace
from tunesmith.train.loop import StepReport


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "tunesmith.db") as ledger:
        yield ledger


def made(ledger: Ledger, **more: Any) -> JobRecord:
    values = {"tenant": "a", "key_id": "k", "model": "tiny", "base": "tiny", "seed": 1, "training_file": "file-1"} | more
    return ledger.jobs.create(JobRecord(**values))


@pytest.fixture
def works(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Worker:
    monkeypatch.setattr(module, "prepare_rows", lambda place: None)
    return Worker(Workspace(tmp_path), ledger, {"tiny": "/srv/models/tiny"})


def raising(error: BaseException) -> Any:
    def run_job(*_: object) -> None:
        raise error

    return run_job


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DataError("/srv/work/jobs/x.jsonl holds 3 rows: send more."), "invalid_training_file"),
        (DivergedError(step=3, loss=float("inf"), grad_norm=1.0), "diverged"),
        (MachineError("No space left for /srv/work/x: free some."), "server_error"),
        (MemoryError(), "out_of_memory"),
        (KeyError("/srv/secret"), "server_error"),
    ],
)
def test_what_fails_is_told_in_a_sentence_without_a_path_and_the_next_job_is_taken(
    works: Worker, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: str
) -> None:
    monkeypatch.setattr(module, "run_job", raising(error))
    first, second = made(ledger), made(ledger)
    assert works.work(idle_seconds=0) == 2
    for job in (first, second):
        found = ledger.jobs.find("a", job.id)
        assert found is not None and found.status == "failed" and found.error is not None and found.error["code"] == code
        assert "/srv" not in str(found.error["message"]) and str(found.error["message"]).endswith(".")


def test_a_bug_is_told_of_by_its_place_and_not_by_what_a_client_sent(
    works: Worker, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "run_job", raising(KeyError("a client's secret row")))
    made(ledger)
    assert works.work(idle_seconds=0) == 1
    said = capfd.readouterr().err
    assert "error: KeyError at test_worker.py:" in said and "secret" not in said


def test_a_job_whose_round_another_process_holds_waits_for_it(works: Worker, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "run_job", raising(BusyError("in use")))
    job = made(ledger)
    assert works.work(idle_seconds=0) == 1
    found = ledger.jobs.find("a", job.id)
    assert found is not None and found.status == "queued" and found.worker is None and found.attempts == 0 and found.lease is not None


def test_a_worker_told_to_stop_gives_its_job_back(works: Worker, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_job(place: JobPlace, base: str, listen: Telling) -> None:
        works.stop.set()
        listen(Advanced("train", 1, figures={"train_loss": 1.0}))

    monkeypatch.setattr(module, "run_job", run_job)
    job = made(ledger)
    assert works.work() == 1
    found = ledger.jobs.find("a", job.id)
    assert found is not None and (found.status, found.worker, found.attempts) == ("queued", None, 0)


def test_a_job_that_its_workers_die_of_is_given_up(works: Worker, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "run_job", raising(AssertionError("never run")))
    job = replace(made(ledger), worker=works.name, attempts=MOST_ATTEMPTS + 1)
    ledger.jobs.claim(works.name, 30, ["tiny"])
    assert works.one(job) == "failed"
    found = ledger.jobs.find("a", job.id)
    assert found is not None and found.error is not None and found.error["code"] == "worker_lost"


def test_a_job_that_was_cancelled_while_nobody_worked_on_it_is_not_begun(
    works: Worker, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "run_job", raising(AssertionError("never run")))
    job = made(ledger)
    ledger.jobs.claim("dead", 30, ["tiny"])
    ledger.jobs.cancel("a", job.id)
    with ledger.writing() as connection:
        connection.exec_driver_sql("UPDATE jobs SET lease = 0")
    assert works.work(idle_seconds=0) == 1
    assert (ledger.jobs.find("a", job.id) or job).status == "cancelled"


def test_a_worker_with_another_ledger_sweeps_no_model(works: Worker, ledger: Ledger, tmp_path: Path) -> None:
    folders = {name: tmp_path / "jobs" / name for name in ("ftjob-other", "ftjob-waits", ".ftjob-cut.part")}
    for inner in ("ftjob-other/rounds/r/model", "ftjob-waits/files", ".ftjob-cut.part/files"):
        (tmp_path / "jobs" / inner).mkdir(parents=True)
    for folder in folders.values():
        os.utime(folder, (0, 0))
    works.sweep()
    assert [name for name, folder in folders.items() if folder.exists()] == ["ftjob-other", "ftjob-waits"]


def telling(ledger: Ledger, tmp_path: Path, **more: Any) -> Telling:
    made(ledger)
    job = ledger.jobs.claim("w", 30, ["tiny"])
    assert job is not None
    job = replace(job, **more)
    return Telling(Held(ledger, job, 30, threading.Event()), JobPlace(tmp_path, job), "/srv/models/tiny")


def steps(told: Telling) -> list[tuple[str, int]]:
    told.held.flush()
    found = reversed(told.held.ledger.jobs.events(told.held.job.id, limit=5000))
    return [("valid" if "validation" in event.message else "train", event.data["step"]) for event in found if event.data is not None]


def test_steps_that_were_told_before_a_kill_are_not_told_again(ledger: Ledger, tmp_path: Path) -> None:
    told = telling(ledger, tmp_path, step=3)
    told(Started("train", 6, "steps"))
    for step in range(2, 7):
        told(Advanced("train", step, figures={"train_loss": 1.0}))
    assert steps(told) == [("train", 4), ("train", 5), ("train", 6)]


def test_steps_that_a_killed_worker_made_and_did_not_tell_are_told_by_the_next(ledger: Ledger, tmp_path: Path) -> None:
    told = telling(ledger, tmp_path, step=2)
    log = told.place.folder / "rounds" / "r" / "training" / "steps.jsonl"
    log.parent.mkdir(parents=True)
    log.write_text("".join(json.dumps(asdict(StepReport(at, 1.0, 1.0, 0.1, 1, 1, 1, 1, 0.1))) + "\n" for at in range(1, 7)))
    told(Started("train", 8, "steps"))
    told(Advanced("train", 5, figures={"train_loss": 1.0}))  # the checkpoint was of step 4
    told.fill()
    assert steps(told) == [("train", at) for at in (3, 4, 5, 6)]
    again = ledger.jobs.by_id(told.held.job.id)
    assert again is not None and again.step == 6


def test_of_a_long_job_steps_are_told_evenly_and_every_evaluation(ledger: Ledger, tmp_path: Path) -> None:
    told, total = telling(ledger, tmp_path), 3 * MOST_STEPS_TOLD - 500
    told(Started("train", total, "steps"))
    told(Advanced("train", 0, figures={"valid_loss": 2.0}))
    for step in range(1, total + 1):
        told(Advanced("train", step, figures={"train_loss": 1.0}))
    told(Advanced("train", total, figures={"valid_loss": float("inf")}))
    found = steps(told)
    assert found[0] == ("valid", 0) and found[-2:] == [("train", total), ("valid", total)]
    assert MOST_STEPS_TOLD / 2 < len(found) <= MOST_STEPS_TOLD + 3


def test_a_lost_job_stops_at_its_next_word(ledger: Ledger, tmp_path: Path) -> None:
    told = telling(ledger, tmp_path)
    told(Said("fine"))
    with ledger.writing() as connection:
        connection.exec_driver_sql("UPDATE jobs SET worker = 'another'")
    told.held.flush()
    with pytest.raises(Stopped) as stopped:
        told(Said("late"))
    assert stopped.value.why == "lost"


def test_clients_hear_no_path_of_the_server(ledger: Ledger, tmp_path: Path) -> None:
    place = JobPlace(tmp_path, made(ledger))
    for said, heard in (
        (f"{place.rows('training_file')}: 3 rows", "training_file: 3 rows"),
        (f"{place.rows('validation_file').name}:7 is empty", "validation_file:7 is empty"),
        ("Base '/srv/models/tiny' can't be loaded", "Base 'tiny' can't be loaded"),
        (f"look into {tmp_path}/jobs/x/rounds, then ~/.cache/y", "look into a file of the server, then a file of the server"),
        ("164 rows/s and 3/4 of them, and/or more", "164 rows/s and 3/4 of them, and/or more"),
    ):
        assert told_to_clients(said, place, "/srv/models/tiny") == heard


def test_a_models_name_tells_whose_it_is_in_plain_letters() -> None:
    job = JobRecord(
        tenant="A & B/c", key_id="", model="m", base="m", seed=0, training_file="f", suffix="s", id="ftjob-" + "0123456789abcdef"
    )
    assert model_name(job) == "ft:m:A---B-c:s:0123456789ab"


def test_bases_are_names_for_folders_with_a_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert read_bases(["embedded", f"t/1={tmp_path}"]) == {"embedded": "embedded", "t/1": str(tmp_path.resolve())}
    for wrong in ("", "tiny", "a=/nowhere", f"../a={tmp_path}", f"ft:a={tmp_path}", "embedded,embedded", "Qwen/Qwen3-0.6B"):
        with pytest.raises(Exception, match="--bases"):
            read_bases([wrong])


def test_a_process_beside_is_started_again_and_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunesmith.pipeline.beside.FIRST_SECONDS", 0.01)
    twice, said = threading.Event(), []

    def heard(line: str) -> None:
        said.append(line)
        if len(said) == 2:
            twice.set()

    dying = Beside(["sh", "-c", "exit 7"], heard)
    dying.start()
    assert twice.wait(30)
    dying.close()
    assert "code 7" in said[0] and "0.01 s" in said[0] and "0.02 s" in said[1]
    tied = Beside(["sh", "-c", "cat; sleep 0"], heard)
    tied.start()
    tied.close()
    assert tied.pid is None


def test_a_tied_worker_ends_without_a_crash_while_its_input_is_open(tmp_path: Path) -> None:
    call = [sys.executable, "-m", "tunesmith", "worker", "--tied", "--idle", "0", "--quiet", "--workspace", str(tmp_path)]
    with subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        code = process.wait(120)
        assert code == 0 and process.stderr is not None and b"Fatal" not in process.stderr.read()
