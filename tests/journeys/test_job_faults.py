"""Fine-tuning jobs while things go wrong: servers and workers killed under clients at work, a disk that is full.

Servers and workers are the real ones, jobs are quick (`quick_jobs.py`); benchmarks/job_faults.py does it with real training, and longer.
"""

import contextlib
import importlib.util
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

openai = pytest.importorskip("openai")

HERE = Path(__file__).parent
SECONDS = 60.0
"""After which something hangs."""


def module(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = made
    spec.loader.exec_module(made)
    return made


gateways, attacked = module("gateways"), module("attacked_jobs")


@pytest.fixture(scope="module")
def spawner() -> Iterator[Any]:
    with gateways.Spawner() as made:
        yield made


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What jobs may start from; quick ones never look into it."""
    folder = tmp_path_factory.mktemp("base")
    (folder / "config.json").write_text("{}")
    return f"tiny={folder}"


class Site:
    """A workspace with a server and a worker that can be killed and started again."""

    def __init__(self, spawner: Any, work: Path, base: str) -> None:
        self.spawner, self.work, self.bases = spawner, work, [base]
        self.secret = gateways.key(work, "ours", ["train", "chat"])

    def serve(self, **settings: Any) -> Any:
        self.server = self.spawner.start(self.work, bases=self.bases, most_files=10_000, most_jobs=1000, **settings)
        return self.server

    def hire(self) -> Any:
        self.worker = self.spawner.start(self.work, worker=True, bases=self.bases)
        return self.worker

    def client(self) -> Any:
        return self.server.client(self.secret)

    def under_way(self) -> list[Path]:
        """Logs of jobs that take their steps."""
        return [path for path in self.work.glob("jobs/*/rounds/*/training/steps.jsonl") if not (path.parent.parent / "model").exists()]


def test_no_file_and_no_job_that_was_accepted_is_lost_or_doubled_however_server_and_worker_are_killed(
    tmp_path: Path, spawner: Any, base: str
) -> None:
    site, told, draw = Site(spawner, tmp_path / "work", base), attacked.Told(), random.Random(0)
    site.serve()
    with site.client() as client:
        data = attacked.rows("first")
        told.tried_files.add(data)
        file = client.files.create(file=("rows.jsonl", data), purpose="fine-tune").id
        told.files[file], told.tried_jobs["first"] = data, file
        told.jobs["first"] = attacked.make(client, "first", file)
        assert client.fine_tuning.jobs.cancel(told.jobs["first"]).status == "cancelled"  # nobody works on it yet
        told.unwanted.add(told.jobs["first"])
    site.hire()
    again = 0
    for moment, victims in enumerate(("server", "worker", "both")):

        def kill(victims: str = victims) -> None:
            if victims != "server":
                attacked.awaited(site.under_way, SECONDS, "no job took a step")
                site.worker.kill()
            if victims != "worker":
                site.server.kill()

        attacked.attack(site.client, told, who=f"{moment}", clients=3, until=draw.randrange(5, 11), kill=kill, seconds=SECONDS)
        if victims != "worker":
            assert site.server.stderr() == ""
            site.serve()
        if victims != "server":
            site.hire()
        with site.client() as client:
            again += attacked.send_again(client, told)
    with site.client() as client:
        jobs = attacked.all_over(client, SECONDS)
        site.worker.stop()
        site.hire()  # which sweeps what the killed ones left
        succeeded = {job.id for job in jobs.values() if job.status == "succeeded"}
        known = lambda: {path.name for path in (site.work / "jobs").iterdir()} & set(jobs)  # noqa: E731
        attacked.awaited(lambda: known() == succeeded, SECONDS, "folders of jobs were left")
        found = attacked.check(client, told, site.work, jobs, kills=3, clients=3)
    assert found["succeeded"] >= 4 and found["cancelled"] >= 1 and again <= 3 * 3
    assert found["files"] - found["files_heard_of"] <= 3 * 3  # kept, and killed before the client heard of it


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], capture_output=True, check=False, timeout=30)
    if done.returncode:
        pytest.skip("a small disk can't be mounted here: that takes root and the right to mount")
    yield place
    subprocess.run(["umount", "-l", place], check=False, timeout=30)


def test_on_a_full_disk_files_and_jobs_are_refused_whole_and_taken_when_there_is_room(small_disk: Path, spawner: Any, base: str) -> None:
    site = Site(spawner, small_disk / "work", base)
    server = site.serve()
    server.errors.open("a").close()  # on the full disk itself nothing could be said
    kept: dict[str, bytes] = {}
    made: set[str] = set()

    def send(tag: str) -> None:
        data = attacked.rows(f"{tag} " + "word " * 2000)
        kept[client.files.create(file=("rows.jsonl", data), purpose="fine-tune").id] = data

    with site.client() as client:
        send("before")
        first = next(iter(kept))
        made.add(attacked.make(client, "before", first))
        filler, refused = small_disk / "filler", {"files": 0, "jobs": 0}
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 4096)
        for number in range(20):
            for what in refused:
                try:
                    send(f"{number}") if what == "files" else made.add(attacked.make(client, f"{number}", first))
                except openai.InternalServerError as error:
                    assert error.status_code == 503 and int(error.response.headers["retry-after"]) > 0 and "again" in error.message
                    refused[what] += 1
        assert refused["files"] == 20 and refused["jobs"] > 10
        assert {path.name for path in (site.work / "files").iterdir()} == set(kept)
        assert {path.name for path in (site.work / "jobs").iterdir()} == made
        filler.unlink()
        send("after")
        made.add(attacked.make(client, "after", first))
        assert {file.id for file in client.files.list()} == set(kept)
        assert all(client.files.content(one).read() == data for one, data in kept.items())
        assert {job.id for job in client.fine_tuning.jobs.list(limit=100)} == made
        site.hire()
        assert {job.status for job in attacked.all_over(client, SECONDS).values()} == {"succeeded"}
    server.stop()


def test_a_job_that_finds_its_disk_full_fails_in_a_sentence_and_the_next_goes_on(tmp_path: Path, spawner: Any, base: str) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    site = Site(spawner, tmp_path / "work", base)
    site.serve()
    with site.client() as client:
        file = client.files.create(file=("rows.jsonl", attacked.rows("a")), purpose="fine-tune").id
        (site.work / "full").touch()
        failing = attacked.make(client, "full", file)
        site.hire()
        ended = attacked.all_over(client, SECONDS)[failing]
        assert ended.status == "failed" and "No space left" in ended.error.message and str(tmp_path) not in ended.error.message
        assert ended.error.code == "server_error" and ended.fine_tuned_model is None
        attacked.awaited(lambda: not (site.work / "jobs" / failing).exists(), SECONDS, "its folder was left")
        (site.work / "full").unlink()
        going = attacked.make(client, "room", file)
        assert attacked.all_over(client, SECONDS)[going].status == "succeeded"
        assert [model.id for model in client.models.list() if model.id.startswith("ft:")] == [
            client.fine_tuning.jobs.retrieve(going).fine_tuned_model
        ]
