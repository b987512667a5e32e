"""How long a rollback takes in a running server under load, and whether a request is lost meanwhile.

    python benchmarks/serve_cases/rollback.py [--turns 6] [--clients 8]

Two models of the embedded base's size stand behind `tunesmith serve --champion`; clients ask through the official `openai` client without
retries, every second one as a stream, while the champion is rolled back and promoted in turn. The time of a turn runs from before the step
is written to the ledger until the server says that it serves it. Every answer must be the one that its model gives to its prompt alone.
Needs the package `openai`. About a minute on two cores.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WORDS = ("rake", "spade", "barrow", "hose")
ANSWER_TOKENS = 16
DEADLINE_SECONDS = 60


@dataclass
class Seen:
    """What the clients got."""

    answers: list[tuple[str, str, str]] = field(default_factory=list)
    """(prompt, fingerprint, text)."""
    errors: list[str] = field(default_factory=list)


def make_model(folder: Path, seed: int) -> Path:
    """The embedded base with a little noise in its weights, saved as a tuned model."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from tunesmith.embedded import base_path
    from tunesmith.models.package import Bundle, save_model

    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(base_path(), dtype=torch.float32)
    with torch.no_grad():
        for part in model.parameters():
            part.add_(0.1 * part.std() * torch.randn_like(part))
    folder.mkdir(parents=True)
    save_model(folder, model, AutoTokenizer.from_pretrained(base_path()), Bundle(task="chat", method="full", max_tokens=256))
    return folder


def ask(client: Any, word: str, stream: bool) -> tuple[str, str]:
    """Fingerprint and text of one answer."""
    body = {"model": "champion", "messages": [{"role": "user", "content": f"Where is my {word}?"}], "max_tokens": ANSWER_TOKENS}
    if not stream:
        said = client.chat.completions.create(**body)
        return said.system_fingerprint, said.choices[0].message.content
    pieces = list(client.chat.completions.create(**body, stream=True))
    return pieces[0].system_fingerprint, "".join(piece.choices[0].delta.content or "" for piece in pieces)


def keep_asking(url: str, number: int, seen: Seen, stop: threading.Event) -> None:
    """One client, until it is told to stop."""
    import openai

    client = openai.OpenAI(base_url=url, api_key="none needed", max_retries=0, timeout=DEADLINE_SECONDS)
    turn = number
    while not stop.is_set():
        word = WORDS[turn % len(WORDS)]
        try:
            seen.answers.append((word, *ask(client, word, turn % 2 == 0)))
        except Exception as error:
            seen.errors.append(f"{type(error).__name__}: {error}"[:300])
        turn += 1


def wait_for(url: str, step: int) -> None:
    """Until the server serves a step."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        with urllib.request.urlopen(f"{url.removesuffix('/v1')}/ready", timeout=DEADLINE_SECONDS) as answer:
            state = json.load(answer)["service"]["champion"]
        if state["step"] >= step and state["follows"]:
            return
        time.sleep(0.01)
    raise TimeoutError(f"step {step} was not served within {DEADLINE_SECONDS} s")


def turns_under_load(url: str, ledger: Any, second: Path, turns: int, clients: int) -> tuple[list[float], Seen]:
    """Seconds of each rollback and of each promotion back, in turn."""
    from tunesmith.ledger.steps import StepRecord

    seen, stop, times = Seen(), threading.Event(), []
    threads = [threading.Thread(target=keep_asking, args=(url, n, seen, stop), daemon=True) for n in range(clients)]
    for thread in threads:
        thread.start()
    try:
        for turn in range(2 * turns):
            time.sleep(1)
            back = turn % 2 == 0
            step = StepRecord(
                action="rollback" if back else "promote", model=None if back else str(second), who="benchmark", why="measured"
            )
            begun = time.monotonic()
            wait_for(url, ledger.steps.take(step).number)
            times.append(time.monotonic() - begun)
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=2 * DEADLINE_SECONDS)
    return times, seen


def measure(turns: int = 6, clients: int = 8) -> dict[str, Any]:
    """One case of the benchmark: the slowest rollback in seconds, and what became of requests meanwhile."""
    import openai

    from tunesmith.ledger.ledger import Ledger
    from tunesmith.ledger.steps import StepRecord

    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        models = [make_model(work / name, seed) for seed, name in enumerate(("first", "second"))]
        place = work / "workspace"
        place.mkdir()
        with Ledger.open(place / "tunesmith.db") as ledger:
            for model in models:
                ledger.steps.take(StepRecord(action="promote", model=str(model), who="benchmark", why="measured"))
            process, url = started(place)
            try:
                client = openai.OpenAI(base_url=url, api_key="none needed", max_retries=0, timeout=DEADLINE_SECONDS)
                alone = {("second", word): ask(client, word, stream=False) for word in WORDS}
                wait_for(url, ledger.steps.take(StepRecord(action="rollback", who="benchmark", why="measured")).number)
                alone |= {("first", word): ask(client, word, stream=False) for word in WORDS}
                again = StepRecord(action="promote", model=str(models[1]), who="benchmark", why="measured")
                wait_for(url, ledger.steps.take(again).number)
                times, seen = turns_under_load(url, ledger, models[1], turns, clients)
            finally:
                process.send_signal(signal.SIGTERM)
                try:
                    process.communicate(timeout=60)
                except subprocess.TimeoutExpired:
                    process.kill()
    known = {(word, *answer) for (_, word), answer in alone.items()}
    strange = [one for one in seen.answers if one not in known]
    back = times[::2]
    return {
        "case": "rollback-s",
        "value": round(max(back), 3),
        "unit": "s",
        "spread": [round(min(back), 3), round(max(back), 3)],
        "repeats": len(back),
        "to_reach": 2,
        "ours": {
            "rollback": [round(one, 3) for one in back],
            "promote again": [round(one, 3) for one in times[1::2]],
            "clients": clients,
            "requests": len(seen.answers) + len(seen.errors),
            "errors": len(seen.errors),
            "answers of neither model": len(strange),
            "answers by model": {
                print_: sum(one[1] == print_ for one in seen.answers) for print_ in sorted({one[1] for one in seen.answers})
            },
        },
        "peer": None,
        "peer_version": None,
        "failures": seen.errors[:5] + [str(one) for one in strange[:5]],
    }


def started(place: Path) -> "tuple[subprocess.Popen[str], str]":
    """The server, and the URL it tells."""
    call = [sys.executable, "-m", "tunesmith", "serve", "--champion", "--port", "0", "--workspace", str(place), "--json", "--quiet"]
    with (place / "stderr.txt").open("w") as errors:
        process = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=errors, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"})
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError((place / "stderr.txt").read_text()[-2000:])
    return process, json.loads(line)["url"]


def main() -> None:
    """Print one line of JSON."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--turns", type=int, default=6)
    asked.add_argument("--clients", type=int, default=8)
    given = asked.parse_args()
    print(json.dumps({"machine": platform.machine(), "cpus": os.cpu_count(), "cases": [measure(given.turns, given.clients)]}))


if __name__ == "__main__":
    main()
