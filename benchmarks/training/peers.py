"""Both sides as processes: the peers' environments, made where they are missing, and the lines that are spoken to them."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent.parent
ROOT = HERE.parent
TORCH = "torch==2.13.0"


class SideFailed(Exception):
    """A side could not do what was asked; the message is its own."""


def environment(name: str, *, own_torch: bool = False) -> Path:
    """The Python of the environment `.bench/NAME` with what peers/NAME.txt pins, made anew where that has changed.

    torch goes first and alone, from TORCH_INDEX where that is set, so that no other build of it is drawn in; an
    environment that chooses its own torch is left to do so.

    Raises:
        SideFailed: it can't be installed here.
    """
    wanted = HERE / "peers" / f"{name}.txt"
    folder = ROOT / ".bench" / name
    python, ready = folder / "bin" / "python", folder / ".ready"
    digest = hashlib.sha256(wanted.read_bytes()).hexdigest()
    if ready.exists() and ready.read_text() == digest:
        return python
    print(f"setting up {folder.relative_to(ROOT)} ...", file=sys.stderr, flush=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    index = ["--index-url", os.environ["TORCH_INDEX"]] if os.environ.get("TORCH_INDEX") else []
    steps = [[sys.executable, "-m", "venv", "--clear", str(folder)]]
    steps += [] if own_torch else [[*pip, TORCH, *index]]
    steps += [[*pip, "--requirement", str(wanted)]]
    for step in steps:
        if subprocess.run(step, stdout=sys.stderr, check=False).returncode:
            raise SideFailed(f"{folder.relative_to(ROOT)} can't be set up: {' '.join(step)} failed")
    ready.write_text(digest)
    return python


class Side:
    """A worker that sleeps until it is asked; use as a context manager."""

    def __init__(self, python: Path, script: str, threads: int) -> None:
        quiet = {
            "OMP_NUM_THREADS": str(threads),
            "PYTHONPATH": str(HERE),
            "HF_HUB_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "TQDM_DISABLE": "1",
            "PYTHONWARNINGS": "ignore",
        }
        self.process = subprocess.Popen(
            [str(python), str(HERE / script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | quiet, cwd=ROOT
        )

    def __enter__(self) -> "Side":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.stdin:
            self.process.stdin.close()
        self.process.wait()

    def ask(self, do: str, **asked: Any) -> dict[str, Any]:
        """One command and its answer.

        Raises:
            SideFailed: it answered with an error, or ended.
        """
        assert self.process.stdin and self.process.stdout
        try:
            self.process.stdin.write(json.dumps({"do": do} | asked) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise SideFailed(f"the process ended with code {self.process.wait()} at {do!r}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise SideFailed(answer["error"])
        return answer
