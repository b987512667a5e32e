"""Clients that send files, make, list and cancel jobs while servers and workers are killed; and what must hold of all that afterwards.

For the journey with quick jobs, and for the benchmark with real ones. What a client was told is written down the moment it was told.
"""

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import openai

from tunesmith.ledger.ledger import Ledger

DEAD = (openai.APIConnectionError, openai.APITimeoutError)


@dataclass
class Told:
    """What clients tried, and what they were told is so."""

    files: dict[str, bytes] = field(default_factory=dict)
    """Id -> bytes of each file that was accepted."""
    tried_files: set[bytes] = field(default_factory=set)
    jobs: dict[str, str] = field(default_factory=dict)
    """Name of the request -> id of the job that was accepted."""
    tried_jobs: dict[str, str] = field(default_factory=dict)
    """Name of each request for a job -> its training file."""
    unwanted: set[str] = field(default_factory=set)
    """Jobs that a client tried to cancel."""

    @property
    def count(self) -> int:
        """All that was accepted."""
        return len(self.files) + len(self.jobs)


def rows(tag: str) -> bytes:
    """A file of ten chats that no other is like."""
    return b"".join(
        json.dumps({"messages": [{"role": "user", "content": f"Say {tag} {n}."}, {"role": "assistant", "content": f"{tag} {n}"}]}).encode()
        + b"\n"
        for n in range(10)
    )


def make(client: Any, name: str, file: str) -> str:
    """The id of a job; the same name again gives the same job."""
    settings = {"model": "tiny", "training_file": file, "hyperparameters": {"n_epochs": 1}}
    return str(client.fine_tuning.jobs.create(**settings, extra_headers={"Idempotency-Key": name}).id)


def talk(client: Any, told: Told, who: str, dead: threading.Event, *, most: int, cancels: bool) -> None:
    """Send, make, list, and cancel or not, until the server is gone or was killed; once `most` things were accepted, only list."""
    with contextlib.suppress(*DEAD), client:
        for turn in count():
            while told.count >= most and not dead.wait(0.05):
                client.fine_tuning.jobs.list(limit=5)
            if dead.is_set():
                return
            data, name = rows(f"{who} {turn}"), f"{who} {turn}"
            told.tried_files.add(data)
            file = client.files.create(file=("../../rows.jsonl", data), purpose="fine-tune").id
            told.files[file] = data
            told.tried_jobs[name] = file
            told.jobs[name] = job = make(client, name, file)
            assert job in [one.id for one in client.fine_tuning.jobs.list(limit=50)]
            if cancels:
                told.unwanted.add(job)
                with contextlib.suppress(openai.BadRequestError):  # it was over already
                    client.fine_tuning.jobs.cancel(job)


def attack(connect: Callable[[], Any], told: Told, *, who: str, clients: int, until: int, kill: Callable[[], None], seconds: float) -> None:
    """Clients at work; once `until` more things were accepted, `kill` kills, and all of them end."""
    dead, target = threading.Event(), told.count + until
    ends = time.monotonic() + seconds
    with ThreadPoolExecutor(clients) as pool:
        talks = [
            pool.submit(talk, connect(), told, f"{who}-{number}", dead, most=target + clients, cancels=number == 1)
            for number in range(clients)
        ]
        while told.count < target and time.monotonic() < ends and not any(one.done() for one in talks):
            time.sleep(0.005)
        reached = told.count >= target
        kill()
        dead.set()
        for one in talks:
            one.result(timeout=seconds)
    assert reached, f"only {told.count} of {target} things were accepted"


def send_again(client: Any, told: Told) -> int:
    """Requests for jobs of which no answer came, sent again by the same name; returns how many."""
    left = sorted(set(told.tried_jobs) - set(told.jobs))
    for name in left:
        told.jobs[name] = make(client, name, told.tried_jobs[name])
    return len(left)


def awaited(what: Callable[[], Any], seconds: float, why: str) -> Any:
    """What is waited for, once it is there. AssertionError where it never comes."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError(why)


def all_over(client: Any, seconds: float) -> dict[str, Any]:
    """Every job by id, once all are over."""

    def over() -> dict[str, Any] | None:
        found = {job.id: job for job in client.fine_tuning.jobs.list(limit=100)}
        return found if all(job.finished_at for job in found.values()) else None

    found: dict[str, Any] = awaited(over, seconds, "some job never ended")
    return found


def check(client: Any, told: Told, work: Path, jobs: dict[str, Any], kills: int, clients: int) -> dict[str, int]:
    """That nothing which was accepted is lost or doubled, and nothing stands half; what was counted on the way."""
    listed = [file for file in client.files.list() if file.purpose == "fine-tune"]
    assert len({file.id for file in listed}) == len(listed) and {file.id for file in listed} >= set(told.files)
    contents = [client.files.content(file.id).read() for file in listed]
    assert len(set(contents)) == len(contents) and set(contents) <= told.tried_files
    assert all(client.files.content(one).read() == data for one, data in told.files.items())
    left = [path for path in (work / "files").iterdir() if path.suffix == ".part"]
    assert len(left) <= kills * clients  # on its way when the server was killed; swept a day later
    assert set(jobs) == set(told.jobs.values()) and len(jobs) == len(told.tried_jobs)
    models = [model.id for model in client.models.list() if model.id.startswith("ft:")]
    ends = dict.fromkeys(("succeeded", "cancelled", "failed"), 0)
    for job in jobs.values():
        ends[job.status] += 1
        _check_job(client, job, job.id in told.unwanted, models)
    assert len(models) == ends["succeeded"] and not ends["failed"]
    for file in (work / "tunesmith.db",):
        with sqlite3.connect(file) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    with Ledger.open(work / "tunesmith.db") as ledger:
        assert ledger.audit.broken() is None
    return ends | {"files": len(listed), "files_heard_of": len(told.files), "jobs": len(jobs), "left_parts": len(left)}


def _check_job(client: Any, job: Any, unwanted: bool, models: list[str]) -> None:
    events = list(reversed(list(client.fine_tuning.jobs.list_events(job.id, limit=100))))
    assert events[0].message == f"Created fine-tuning job: {job.id}" and len({event.id for event in events}) == len(events)
    made = sum(event.message.startswith("New fine-tuned model created") for event in events)
    steps = [event.data["step"] for event in events if event.data and "train_loss" in event.data]
    assert steps == sorted(set(steps)), "a step was told twice"
    if job.status == "cancelled":
        assert unwanted and made == 0 and job.fine_tuned_model is None
        return
    assert job.status == "succeeded" and made == 1, job.error
    assert steps == list(range(1, max(steps) + 1)) and models.count(job.fine_tuned_model) == 1
