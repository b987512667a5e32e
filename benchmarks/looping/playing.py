"""A real server with simulated users: requests and opinions through the `openai` client, and a reviewer who errs now and then."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

from tunesmith.feedback.deciding import Sitting
from tunesmith.feedback.users import Turn
from tunesmith.ledger.feedback import FeedbackRecord
from tunesmith.pipeline.feedback import waiting
from tunesmith.pipeline.workspace import Workspace

READY_SECONDS = 240.0
AT_ONCE = 8
"""Requests under way at a time."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server, and the secret of each of its users."""

    url: str
    model: str
    secrets: Mapping[str, str]


@contextmanager
def served(model: str, workspace: Path, names: Sequence[str]) -> Iterator[Running]:
    """`tunesmith serve MODEL` in a process of its own, with a key for each user; ended with the block, whatever happens there.

    Raises:
        RuntimeError: it is not ready within `READY_SECONDS`, or ends before.
    """
    with Workspace(workspace).ledger() as ledger:
        secrets = {name: ledger.keys.create(name, ["chat", "feedback"])[1] for name in names}
    call = [sys.executable, "-m", "tunesmith", "serve", model, "--port", "0", "--workspace", str(workspace), "--json", "--quiet"]
    call += ["--keep-requests", "1", "--feedback-per-minute", "1000000", "--most-waiting", "1000"]
    said, complained = workspace / "serve.out", workspace / "serve.err"
    with said.open("w") as out, complained.open("w") as err:
        process = subprocess.Popen(call, stdout=out, stderr=err, env=os.environ | {"PYTHONUNBUFFERED": "1"})
        try:
            told = _ready(process, said, complained)
            yield Running(told["url"], told["models"][0], secrets)
        finally:
            process.terminate()
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=60)


def _ready(process: "subprocess.Popen[bytes]", said: Path, complained: Path) -> dict[str, Any]:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until and process.poll() is None:
        line = said.read_text()
        if line.endswith("\n"):
            found: dict[str, Any] = json.loads(line)
            return found
        time.sleep(0.05)
    raise RuntimeError(f"the server did not get ready: {complained.read_text()[-2000:]}")


@dataclass(slots=True)
class Replayed:
    """What users asked and said."""

    requests: int = 0
    right: int = 0
    """Answers that were right."""
    opinions: int = 0
    malicious: int = 0
    """Opinions of malicious users."""
    wrong: int = 0
    """Opinions that are wrong, whoever gave them."""


def replay(server: Running, turns: Sequence[Turn], seed: int) -> Replayed:
    """Ask and speak as every user would, through the official client; opinions are given one after another, so that a seed gives one ledger."""
    from openai import OpenAI

    clients = {name: OpenAI(base_url=server.url, api_key=secret, timeout=120, max_retries=2) for name, secret in server.secrets.items()}

    def ask(turn: Turn) -> tuple[str, str]:
        message = {"role": "user", "content": turn.text}
        made = clients[turn.key].chat.completions.create(model=server.model, messages=[message])  # type: ignore[list-item]
        return made.id, made.choices[0].message.content or ""

    told, drawn = Replayed(requests=len(turns)), Random(seed)
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = list(pool.map(ask, turns))
        for turn, (completion, answer) in zip(turns, answers, strict=True):
            told.right += answer == turn.truth
            body = turn.opinion(answer, thumbs=drawn.random() < 0.5)
            if body is not None:
                clients[turn.key].post("/feedback", cast_to=object, body={"completion_id": completion} | body)
                told.opinions += 1
                told.malicious += turn.malicious
                told.wrong += turn.says != turn.truth
    finally:
        for client in clients.values():
            client.close()
    return told


def review(workspace: Path, truth: Mapping[str, str], error: float, seed: int) -> dict[str, int]:
    """Go through the whole queue as `tunesmith review` does: accept what is right, reject what is wrong, but for a share of errors.

    Args:
        workspace: whose ledger.
        truth: text asked, as it is kept (personal data replaced) -> its right label.
        error: share of decisions that are the wrong way round.
        seed: which ones.
    """
    drawn = Random(seed)
    with Workspace(workspace).ledger() as ledger:
        found = waiting(ledger)
        keys = ("a" if _is_right(one.record, truth) != (drawn.random() < error) else "r" for one in found)
        sitting = Sitting(ledger, "scripted", lambda one, place, of: None, lambda text: None)
        done = asdict(sitting.go(found, keys, lambda: None))
        return done | {f"state_{name}": count for name, count in ledger.feedback.counts().items()}


def _is_right(record: FeedbackRecord, truth: Mapping[str, str]) -> bool:
    """Whether an opinion is right; one without words can't be told to be."""
    label = truth[record.prompt[-1].content] if record.prompt else None
    return label == (record.answer if record.kind == "thumbs" else record.value)
