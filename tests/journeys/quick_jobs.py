"""A worker whose jobs are quick: the real worker, ledger, lease and folders, and in place of training so many steps that are written down."""

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

STEPS = 12
FULL = "full"
"""A file of this name in the workspace: jobs find their disk full."""


def read_steps(folder: Path) -> list[dict[str, Any]]:
    """Whole lines of the log of steps."""
    path = folder / "steps.jsonl"
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]] if path.exists() else []


def quick_job(place: Any, base: str, listen: Any) -> Any:
    """What `run_job` does, without a model: goes on where a killed worker left."""
    from tunesmith.core.files import explained, make_folder, write_json
    from tunesmith.core.progress import Advanced, Said, Started
    from tunesmith.pipeline.jobs import Made

    folder = make_folder(place.folder / "rounds" / "r-quick" / "training")
    done = read_steps(folder)
    with (folder / "steps.jsonl").open("w") as log:
        log.writelines(json.dumps(step) + "\n" for step in done)
    listen(Started("train", STEPS, "steps"))
    if done:
        listen(Said(f"Continuing at step {len(done)}"))
    for step in range(len(done) + 1, STEPS + 1):
        with (folder / "steps.jsonl").open("a") as log:
            log.write(json.dumps({"step": step, "loss": 1 / step}) + "\n")
        listen(Advanced("train", step, figures={"train_loss": 1 / step}))
        time.sleep(0.005)
        if (place.root / FULL).exists():
            with explained(folder / "checkpoint"), Path("/dev/full").open("w") as full:
                full.write("weights")
    write_json(folder.parent / "model" / "config.json", {"job": place.job.id})
    return Made(SimpleNamespace(id="r-quick", sentence="It learnt."), 100, {"step": STEPS, "train_loss": 1 / STEPS}, "step,train_loss\n")


@contextlib.contextmanager
def quick_jobs() -> Iterator[None]:
    """Meanwhile workers of this process take `quick_job`, and no torch."""
    from tunesmith.pipeline import worker

    training: Any = ModuleType("tunesmith.pipeline.training")
    training.read_steps = read_steps
    before, run = sys.modules.get("tunesmith.pipeline.training"), worker.run_job
    sys.modules["tunesmith.pipeline.training"] = training
    worker.run_job = quick_job
    try:
        yield
    finally:
        worker.run_job = run
        sys.modules.pop("tunesmith.pipeline.training")
        if before is not None:
            sys.modules["tunesmith.pipeline.training"] = before


def work(workspace: str, bases: list[str], told: Any) -> None:
    """Work through jobs until killed."""
    from tunesmith.pipeline.bases import read_bases
    from tunesmith.pipeline.worker import Worker
    from tunesmith.pipeline.workspace import Workspace

    place = Workspace(Path(workspace))
    with place.ledger() as ledger, quick_jobs():
        told("")
        Worker(place, ledger, read_bases(bases), lease_seconds=0.5).work()
