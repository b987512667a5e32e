"""Fine-tuning as an API: the real `openai` client, a real server, real workers, a tiny base."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tunesmith.core.hashing import digest_folder

openai = pytest.importorskip("openai")

WORDS = [f"{a}{b}" for a in "abc" for b in "klmno"]
CHATS = [
    {"messages": [{"role": "user", "content": f"Say {word} twice."}, {"role": "assistant", "content": f"{word} {word}"}]} for word in WORDS
]
PAIRS = [
    {
        "input": {"messages": [{"role": "user", "content": f"Say {word} twice."}]},
        "preferred_output": [{"role": "assistant", "content": f"{word} {word}"}],
        "non_preferred_output": [{"role": "assistant", "content": f"no {word}"}],
    }
    for word in WORDS
]
SETTINGS: dict[str, Any] = {
    "model": "tiny",
    "seed": 7,
    "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 6, "batch_size": 4, "learning_rate_multiplier": 2.0}}},
}
TIME = 300
"""Seconds after which something hangs."""


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def until(what: Callable[[], Any], seconds: float = TIME) -> Any:
    """What is waited for, once it is there."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if found := what():
            return found
        time.sleep(0.02)
    raise AssertionError("it never came")


@dataclass
class Site:
    """A workspace with a server that can be killed and started again."""

    work: Path
    model: Path
    bases: str
    keys: dict[str, str]
    url: str = ""
    process: "subprocess.Popen[str] | None" = None
    workers: list["subprocess.Popen[str]"] = field(default_factory=list)

    def start(self, *more: str) -> None:
        self.process = self._run("serve", str(self.model), "--port", "0", "--bases", self.bases, *more)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert '"url"' in line, line or self.process.communicate(timeout=30)[1]
        self.url = json.loads(line)["url"]

    def worker(self) -> "subprocess.Popen[str]":
        self.workers.append(self._run("worker", "--bases", self.bases, "--lease-seconds", "1"))
        return self.workers[-1]

    def _run(self, *arguments: str) -> "subprocess.Popen[str]":
        call = [sys.executable, "-m", "tunesmith", *arguments, "--workspace", str(self.work), "--json", "--quiet"]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        return subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)

    def client(self, who: str = "ours") -> Any:
        return openai.OpenAI(base_url=self.url, api_key=self.keys[who], max_retries=0, timeout=60)

    def upload(self, rows: list[dict[str, Any]], who: str = "ours") -> Any:
        return self.client(who).files.create(file=("../../rows.jsonl", io.BytesIO(lines(rows))), purpose="fine-tune")

    def end(self) -> None:
        for process in (*self.workers, self.process):
            if process is not None and process.poll() is None:
                process.kill()
            if process is not None:
                process.communicate(timeout=30)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, command: Any) -> Iterator[Site]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from tunesmith.models.package import Bundle, save_model

    folder = tmp_path_factory.mktemp("tuning")
    work, model = folder / "work", folder / "plain"
    model.mkdir()
    loaded = AutoModelForCausalLM.from_pretrained(tiny_base)
    bundle = Bundle(task="generate", method="full", max_tokens=256)
    save_model(model, loaded, AutoTokenizer.from_pretrained(tiny_base), bundle)
    keys = {}
    for name, tenant, scope in (("ours", "ours", "train"), ("theirs", "theirs", "train"), ("reader", "ours", None)):
        scopes = [part for one in (scope, "chat") if one for part in ("--scope", one)]
        keys[name] = command("keys", "create", name, "--tenant", tenant, *scopes, "--workspace", work, "--json").json()["secret"]
    site = Site(work, model, f"tiny={tiny_base}", keys)
    site.start()
    yield site
    site.end()


def test_files_go_up_and_come_back_and_no_name_reaches_the_disk(site: Site) -> None:
    client = site.client()
    file = site.upload(CHATS)
    assert (file.filename, file.purpose, file.bytes, file.status) == ("rows.jsonl", "fine-tune", len(lines(CHATS)), "processed")
    assert client.files.retrieve(file.id) == file and client.files.content(file.id).read() == lines(CHATS)
    assert file.id in [one.id for one in client.files.list(purpose="fine-tune")]
    assert {path.name for path in (site.work / "files").iterdir()} == {one.id for one in client.files.list()}
    assert client.files.delete(file.id).deleted and not (site.work / "files" / file.id).exists()
    with pytest.raises(openai.NotFoundError):
        client.files.content(file.id)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (lines(CHATS[:2]) + b"{no json\n", "Line 3: it is no JSON"),
        (lines([{"messages": [{"role": "user", "content": "a"}]}]), "Line 1: no assistant message"),
        (lines(CHATS[:1]) + lines(PAIRS[:1]), "Line 2: it is of the preference form"),
        (lines([PAIRS[0] | {"preferred_output": []}]), "Line 1: preferred_output is no list of messages"),
        (b"", "Line 1: the file holds no example"),
    ],
)
def test_a_bad_file_is_refused_with_its_line_and_the_rule(site: Site, data: bytes, said: str) -> None:
    before = sorted((site.work / "files").iterdir())
    with pytest.raises(openai.BadRequestError, match=said) as told:
        site.client().files.create(file=("rows.jsonl", data), purpose="fine-tune")
    assert told.value.param == "file" and told.value.code == "invalid_file_format"
    assert sorted((site.work / "files").iterdir()) == before


def test_what_may_not_be_asked_is_refused_by_name(site: Site, tiny_base: Path) -> None:
    client, file = site.client(), site.upload(CHATS)
    create = client.fine_tuning.jobs.create
    for model in ("gpt-4o-mini", str(tiny_base), "../plain", "Qwen/Qwen3-0.6B", "embedded", "ft:tiny:theirs::abc"):
        with pytest.raises(openai.NotFoundError):
            create(model=model, training_file=file.id)
    wrong = [
        ({"training_file": "file-0"}, "training_file"),
        ({"method": {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.1}}}}, "training_file"),
        ({"suffix": "../up"}, "suffix"),
        ({"hyperparameters": {"n_epochs": 0}}, "hyperparameters.n_epochs"),
        ({"extra_body": {"recipe": "r.yaml"}}, "recipe"),
        ({"training_file": site.upload(CHATS[:9]).id}, "training_file"),
    ]
    for asked, param in wrong:
        with pytest.raises(openai.BadRequestError) as told:
            create(**({"model": "tiny", "training_file": file.id} | asked))
        assert str(told.value.param).startswith(param)
    with pytest.raises(openai.PermissionDeniedError):
        site.client("reader").files.list()
    assert not list(client.fine_tuning.jobs.list()) and not list((site.work / "jobs").glob("*"))
    body = b"x" * 2_000_000
    assert (
        httpx.post(f"{site.url}/fine_tuning/jobs", content=body, headers={"Authorization": f"Bearer {site.keys['ours']}"}).status_code
        == 413
    )


@pytest.fixture(scope="module")
def done(site: Site, command: Any) -> Any:
    """A supervised job, one of preferences, and one that starts from the first one's model; the training file was deleted before a worker came."""
    client = site.client()
    file, check = site.upload(CHATS), site.upload(CHATS[:5])
    chats, again = (
        client.fine_tuning.jobs.create(
            training_file=file.id,
            validation_file=check.id,
            suffix="twice",
            metadata={"team": "a"},
            extra_headers={"Idempotency-Key": "once"},
            **SETTINGS,
        )
        for _ in range(2)
    )
    assert again.id == chats.id and chats.status == "queued" and chats.metadata == {"team": "a"}
    client.files.delete(file.id)
    pairs = client.fine_tuning.jobs.create(
        model="tiny",
        training_file=site.upload(PAIRS).id,
        method={"type": "dpo", "dpo": {"hyperparameters": {"n_epochs": 1, "beta": 0.2}}},
    )
    said = command("worker", "--idle", "0", "--bases", site.bases, "--workspace", site.work, "--json", "--quiet")
    assert said.code == 0 and said.json() == {"jobs": 2}, said.err
    found = client.fine_tuning.jobs.retrieve(chats.id)
    further = client.fine_tuning.jobs.create(
        model=found.fine_tuned_model, training_file=site.upload(CHATS[:10]).id, hyperparameters={"n_epochs": 1}
    )
    said = command("worker", "--once", "--bases", site.bases, "--workspace", site.work, "--json", "--quiet")
    assert said.json() == {"jobs": 1}, said.err
    return found, client.fine_tuning.jobs.retrieve(pairs.id), client.fine_tuning.jobs.retrieve(further.id)


def test_a_job_succeeds_and_tells_all_that_the_client_knows_of(site: Site, done: Any) -> None:
    client, (job, pairs, further) = site.client(), done
    assert job.status == "succeeded" and job.error is None, job.error
    assert job.fine_tuned_model == f"ft:tiny:ours:twice:{job.id[6:18]}" and job.organization_id == "ours" and job.seed == 7
    assert job.trained_tokens > 100 and job.finished_at >= job.created_at and job.method.supervised.hyperparameters.n_epochs == 6
    events = list(client.fine_tuning.jobs.list_events(job.id, limit=5))
    assert len({event.id for event in events}) == len(events) > 10
    steps = [event.data["step"] for event in reversed(events) if event.data and "train_loss" in event.data]
    assert steps == list(range(1, len(steps) + 1)) and any(event.data and "valid_loss" in event.data for event in events)
    assert events[0].message.startswith("New fine-tuned model created") and events[-1].message.startswith("Created")
    assert str(site.work) not in " ".join(event.message for event in events)
    (checkpoint,) = client.fine_tuning.jobs.checkpoints.list(job.id)
    assert checkpoint.fine_tuned_model_checkpoint == job.fine_tuned_model and checkpoint.metrics.valid_loss > 0
    table = client.files.content(job.result_files[0]).text.splitlines()
    assert table[0] == "step,train_loss,valid_loss,learning_rate,tokens" and len(table) == len(steps) + 2
    listed = client.fine_tuning.jobs.list(limit=1)
    assert listed.has_more and [one.id for one in listed] == [further.id, pairs.id, job.id]
    assert [one.id for one in client.fine_tuning.jobs.list(metadata={"team": "a"})] == [job.id]
    assert pairs.status == "succeeded" and pairs.method.dpo.hyperparameters.beta == 0.2, pairs.error
    assert further.status == "succeeded" and further.model == job.fine_tuned_model, further.error
    assert further.fine_tuned_model == f"ft:tiny:ours::{further.id[6:18]}"
    kept = {path.name for path in (site.work / "jobs" / job.id).iterdir()}
    assert "rounds" in kept and not kept & {"files", "datasets", "cache"}


def test_the_model_answers_its_tenant_at_once_and_nobody_else(site: Site, done: Any) -> None:
    name, asked = done[0].fine_tuned_model, [{"role": "user", "content": "Say ak twice."}]
    reader = site.client("reader")  # of the same tenant, without the right to train
    assert name in [model.id for model in reader.models.list()] and reader.models.retrieve(name).id == name
    said = reader.chat.completions.create(model=name, messages=asked, max_tokens=4)
    assert said.model == name and said.usage.completion_tokens > 0
    pieces = reader.chat.completions.create(model=name, messages=asked, max_tokens=4, stream=True)
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == said.choices[0].message.content
    preferring = reader.chat.completions.create(model=done[1].fine_tuned_model, messages=asked, max_tokens=4)
    assert preferring.usage.completion_tokens > 0
    theirs = site.client("theirs")
    assert [model.id for model in theirs.models.list()] == ["plain"]
    for refused in (
        lambda: theirs.chat.completions.create(model=name, messages=asked),
        lambda: theirs.models.retrieve(name),
        lambda: theirs.models.delete(name),
        lambda: theirs.fine_tuning.jobs.retrieve(done[0].id),
        lambda: theirs.fine_tuning.jobs.cancel(done[0].id),
        lambda: theirs.fine_tuning.jobs.list_events(done[0].id),
        lambda: theirs.fine_tuning.jobs.checkpoints.list(done[0].id),
        lambda: theirs.files.retrieve(done[0].result_files[0]),
        lambda: theirs.files.content(done[0].validation_file),
        lambda: theirs.files.delete(done[0].validation_file),
    ):
        with pytest.raises(openai.NotFoundError):
            refused()
    assert not list(theirs.fine_tuning.jobs.list()) and not list(theirs.files.list())


def test_a_job_killed_with_its_server_ends_once_and_with_the_same_weights(site: Site, done: Any) -> None:
    """The worker dies of kill -9 in mid-training, then the server; the server's own worker goes on where it was."""
    client = site.client()
    file, check = site.upload(CHATS), site.upload(CHATS[:5])
    job = client.fine_tuning.jobs.create(training_file=file.id, validation_file=check.id, **SETTINGS)
    worker = site.worker()

    def told() -> list[int]:
        found = client.fine_tuning.jobs.list_events(job.id, limit=100)
        return [event.data["step"] for event in reversed(list(found)) if event.data and "train_loss" in event.data]

    rounds = site.work / "jobs" / job.id / "rounds"
    until(lambda: any(len(log.read_bytes().splitlines()) > 4 for log in rounds.glob("*/training/steps.jsonl")))
    worker.kill()
    assert worker.wait(30) == -signal.SIGKILL
    assert site.process is not None
    site.process.kill()
    site.process.communicate(timeout=30)
    site.start("--worker")
    client = site.client()
    ended = until(lambda: (found := client.fine_tuning.jobs.retrieve(job.id)).finished_at and found)
    assert ended.status == "succeeded", ended.error
    steps, total = told(), max(event.data["total_steps"] for event in client.fine_tuning.jobs.list_events(job.id) if event.data)
    assert steps == list(range(1, total + 1)), "each step is told once"
    messages = [event.message for event in client.fine_tuning.jobs.list_events(job.id)]
    assert sum(message.startswith("New fine-tuned model created") for message in messages) == 1
    assert any(message.startswith("Continuing at step") for message in messages)
    weights = [
        digest_folder(next((site.work / "jobs" / one.id / "rounds").glob("*/model")), ("*.safetensors",)) for one in (ended, done[0])
    ]
    assert weights[0] == weights[1], "as without a kill"
    assert ended.trained_tokens == done[0].trained_tokens


def test_a_job_is_cancelled_between_two_steps_and_leaves_nothing(site: Site, done: Any) -> None:
    client, worker = site.client(), site.worker()
    file = site.upload(CHATS)
    settings = {"model": "tiny", "training_file": file.id, "hyperparameters": {"n_epochs": 50, "batch_size": 1}}
    running, waiting = client.fine_tuning.jobs.create(**settings), client.fine_tuning.jobs.create(**settings)
    assert client.fine_tuning.jobs.cancel(waiting.id).status == "cancelled"
    until(lambda: any(event.data for event in client.fine_tuning.jobs.list_events(running.id)))
    client.fine_tuning.jobs.cancel(running.id)
    ended = until(lambda: (found := client.fine_tuning.jobs.retrieve(running.id)).finished_at and found)
    assert ended.status == "cancelled" and ended.fine_tuned_model is None
    until(lambda: not {running.id, waiting.id} & {path.name for path in (site.work / "jobs").iterdir()})
    with pytest.raises(openai.BadRequestError, match="already"):
        client.fine_tuning.jobs.cancel(running.id)
    worker.terminate()
    worker.communicate(timeout=60)


def test_a_deleted_model_is_gone_from_list_service_and_disk(site: Site, done: Any) -> None:
    client, name = site.client(), done[0].fine_tuned_model
    assert client.models.delete(name).deleted
    assert name not in [model.id for model in client.models.list()]
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model=name, messages=[{"role": "user", "content": "a"}])
    assert not (site.work / "jobs" / done[0].id).exists()
    assert client.fine_tuning.jobs.retrieve(done[0].id).status == "succeeded"
