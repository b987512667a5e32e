"""Kill servers and workers of fine-tuning jobs under clients of the official `openai` package, and let their disk run full: nothing is lost.

The commands as a user runs them (`tunesmith serve`, `tunesmith worker`), real training on a base of random weights, the clients and checks
of tests/journeys/attacked_jobs.py, whose short form with quick jobs every test run has.

- **kills**: clients send files, make, list and cancel jobs; at drawn moments the server, the worker or both get kill -9 and are started
  again. Every file and every job that a client was told of is there once and whole, each job ends once, each step is told once.
- **disk**: the workspace on a disk of a few MiB (where one can be mounted), filled while a worker works: what ends is told in a sentence,
  what can't be ended waits, and goes on when there is room.

    .venv/bin/python benchmarks/job_faults.py --kills 4 --out benchmarks/results/DATE-job-faults.json

Some three minutes on two quiet cores. Exit code 1 where something was lost, doubled or half-written.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai
from gathered import log, measured_at

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "journeys"))

import attacked_jobs as attacked

SECONDS = 900.0
"""After which something hangs."""
DISK_MIB = 12


@dataclass
class Site:
    """A workspace with the commands over it."""

    work: Path
    model: Path
    bases: str
    secret: str = ""
    url: str = ""
    server: "subprocess.Popen[bytes] | None" = None
    worker: "subprocess.Popen[bytes] | None" = None
    started: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def _run(self, name: str, *arguments: str) -> "subprocess.Popen[bytes]":
        call = [sys.executable, "-m", "tunesmith", *arguments, "--workspace", str(self.work), "--json", "--quiet"]
        errors = (self.work.parent / f"{self.work.name}-{name}.err").open("ab")
        told = subprocess.PIPE if name == "serve" else subprocess.DEVNULL
        self.started.append(subprocess.Popen(call, stdout=told, stderr=errors, env=os.environ | {"OMP_NUM_THREADS": "1"}))
        errors.close()
        return self.started[-1]

    def serve(self) -> None:
        """A server that takes requests."""
        limits = ("--most-files", "10000", "--most-jobs", "1000")
        self.server = self._run("serve", "serve", str(self.model), "--port", "0", "--bases", self.bases, *limits)
        assert self.server.stdout is not None
        line = self.server.stdout.readline()
        if not line:
            raise AssertionError(f"the server did not come up: {self.said('serve')[-400:]}")
        self.url = json.loads(line)["url"]

    def hire(self) -> None:
        """A worker."""
        self.worker = self._run("worker", "worker", "--bases", self.bases, "--lease-seconds", "2")

    def said(self, name: str) -> str:
        """What stands on the stderr of all servers or workers so far."""
        return (self.work.parent / f"{self.work.name}-{name}.err").read_text(encoding="utf-8")

    def client(self) -> openai.OpenAI:
        """The official client."""
        return openai.OpenAI(base_url=self.url, api_key=self.secret, max_retries=0, timeout=60)

    def end(self) -> None:
        """Kill what runs."""
        for one in self.started:
            if one.poll() is None:
                one.kill()
            one.wait(timeout=30)

    def under_way(self) -> list[Path]:
        """Logs of jobs that take their steps."""
        logs = self.work.glob("jobs/*/rounds/*/training/steps.jsonl")
        return [path for path in logs if path.stat().st_size and not (path.parent.parent / "model").exists()]


def kill(process: "subprocess.Popen[bytes] | None") -> None:
    """kill -9, and wait until it is gone."""
    assert process is not None and process.poll() is None, "it had ended before"
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)


def tiny(folder: Path) -> Path:
    """A base of random weights with the embedded tokenizer: what is learnt does not matter here."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from tunesmith.embedded import base_path

    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    tokens = {"vocab_size": 4096, "bos_token_id": None, "eos_token_id": 2, "pad_token_id": 3, "max_position_embeddings": 512}
    LlamaForCausalLM(LlamaConfig(**sizes, **tokens, tie_word_embeddings=True)).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(base_path() / name, folder / name)
    return folder


def served(folder: Path) -> Path:
    """A model to serve beside the jobs."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from tunesmith.models.package import Bundle, save_model

    base = tiny(folder / "tiny")
    made: Any = AutoModelForCausalLM
    (folder / "plain").mkdir()
    bundle = Bundle(task="generate", method="full", max_tokens=256)
    save_model(folder / "plain", made.from_pretrained(base), AutoTokenizer.from_pretrained(base), bundle)
    return folder / "plain"


@contextmanager
def site(work: Path, model: Path) -> Iterator[Site]:
    """A workspace with a key; whatever was started in it ends with the block."""
    from tunesmith.ledger.ledger import Ledger

    made = Site(work, model, f"tiny={model.parent / 'tiny'}")
    work.mkdir(parents=True, exist_ok=True)
    with Ledger.open(work / "tunesmith.db") as ledger:
        made.secret = ledger.keys.create("ours", ["train", "chat"])[1]
    try:
        yield made
    finally:
        made.end()


def kills(folder: Path, model: Path, count: int, clients: int, seed: int) -> dict[str, Any]:
    """What held while servers and workers were killed. AssertionError where something did not."""
    told, draw, again = attacked.Told(), random.Random(seed), 0
    with site(folder / "kills", model) as at:
        at.serve()
        at.hire()
        victims = [("server", "worker", "both")[moment % 3] for moment in range(count)]
        for moment, victim in enumerate(victims):

            def strike(victim: str = victim) -> None:
                if victim != "server":
                    attacked.awaited(at.under_way, SECONDS, "no job took a step")
                    kill(at.worker)
                if victim != "worker":
                    kill(at.server)

            attacked.attack(at.client, told, who=f"{moment}", clients=clients, until=draw.randrange(4, 9), kill=strike, seconds=SECONDS)
            log(f"  {victim} killed with {len(told.files)} files and {len(told.jobs)} jobs accepted")
            if victim != "worker":
                at.serve()
            if victim != "server":
                at.hire()
            with at.client() as client:
                again += attacked.send_again(client, told)
        with at.client() as client:
            jobs = attacked.all_over(client, SECONDS)
            found = attacked.check(client, told, at.work, jobs, kills=count, clients=clients)
        assert "Traceback" not in at.said("serve") + at.said("worker")
    return {"case": "kills", "killed": victims, "clients": clients, "sent_again": again} | found


@contextmanager
def disk(place: Path) -> Iterator[Path]:
    """A small disk. LookupError where none can be mounted."""
    place.mkdir()
    call = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(place)]
    if subprocess.run(call, capture_output=True, check=False, timeout=30).returncode:
        raise LookupError("a small disk can't be mounted here: that takes root and the right to mount")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False, timeout=30)


def full_disk(folder: Path, model: Path) -> dict[str, Any]:
    """What held while a worker's disk was full. AssertionError where something did not."""
    with ExitStack() as stack:
        place = stack.enter_context(disk(folder / "disk"))
        at = stack.enter_context(site(place / "work", model))
        for name in ("serve", "worker"):
            (place / f"work-{name}.err").symlink_to(folder / f"{name}.err")  # a full disk takes no words
        at.serve()
        client = stack.enter_context(at.client())
        file = client.files.create(file=("rows.jsonl", attacked.rows("full")), purpose="fine-tune").id
        jobs = [attacked.make(client, f"full-{number}", file) for number in range(2)]
        at.hire()
        attacked.awaited(at.under_way, SECONDS, "no job took a step")
        filler = place / "filler"
        with filler.open("wb", buffering=0) as taken, suppress(OSError):
            while True:
                taken.write(b"x" * 4096)
        time.sleep(8.0)
        assert at.worker is not None and at.worker.poll() is None, "the worker died of it"
        assert client.models.list().data, "the server stopped answering"
        refused = _refused(lambda: client.files.create(file=("rows.jsonl", attacked.rows("more " * 4000)), purpose="fine-tune"))
        filler.unlink()
        ended = attacked.all_over(client, SECONDS)
        said = [ended[job].error.message if ended[job].error and ended[job].error.message else ended[job].status for job in jobs]
        assert all(one == "succeeded" or "No space left" in one for one in said), said
        after = attacked.make(client, "after", file)
        assert attacked.all_over(client, SECONDS)[after].status == "succeeded", "no job ended well when there was room again"
        parts = [path.name for path in at.work.rglob("*") if path.name.endswith((".part", ".old"))]
        assert not parts, parts
        assert "Traceback" not in at.said("serve") + at.said("worker"), at.said("worker")[-600:]
    return {"case": "disk", "refused": refused, "jobs_on_the_full_disk": said, "job_afterwards": "succeeded"}


def _refused(ask: Callable[[], Any]) -> str:
    try:
        ask()
    except openai.InternalServerError as error:
        assert error.status_code == 503, error.message
        return f"{error.status_code}: {error.message}"
    raise AssertionError("a file was taken on a full disk")


def main() -> int:
    """Do both, print, keep; 1 where something did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=4)
    parser.add_argument("--clients", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", action="append", choices=("kills", "disk"), help="only these")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    cases: dict[str, Callable[[Path, Path], dict[str, Any]]] = {
        "kills": lambda folder, model: kills(folder, model, args.kills, args.clients, args.seed),
        "disk": full_disk,
    }
    found: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model = served(folder)
        for name in args.case or cases:
            began = time.monotonic()
            try:
                found.append(cases[name](folder, model) | {"seconds": round(time.monotonic() - began, 1)})
            except Exception as error:  # the next is done all the same, and the exit code tells
                failed.append({"case": name, "why": f"{type(error).__name__}: {error}"})
                log(f"  {name} DOES NOT HOLD: {failed[-1]['why']}")
    told = json.dumps(measured_at() | {"seed": args.seed, "cases": found, "failed": failed}, indent=1)
    print(told)
    if args.out:
        args.out.write_text(told + "\n", encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
