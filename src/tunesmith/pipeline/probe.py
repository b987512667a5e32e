"""A few real steps of a training, in a process of their own: `python -m tunesmith.pipeline.probe ORDER OUT`.

A process of its own has clean memory, and may be killed for want of it without harm to who asked. It does what the training will do,
by the same code: loads the base, sets up the run, settles, saves, validates on a few rows, takes the heaviest step twice and some ordinary
ones until its time is up, saves, takes up the best, writes the model; into a folder that passes. Where its
stdin is a pipe, it ends and cleans up once that is closed: whoever asked is gone. Each stage is written down before it begins, so
that of a killed probe is known where it was.

What is reported: processor and wall seconds of each stage and step, the process's resident memory once all is imported, and the most
it ever had.
"""

import json
import os
import re
import resource
import shutil
import stat
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DivergedError
from tunesmith.core.files import make_folder, write_json
from tunesmith.core.progress import silent
from tunesmith.models.load import load_base
from tunesmith.models.package import Bundle, save_model
from tunesmith.pipeline.bench import Bench, bench_of
from tunesmith.pipeline.datasets import general_rows
from tunesmith.pipeline.extras import PROBED_STEPS
from tunesmith.pipeline.material import Material, replay_examples
from tunesmith.pipeline.training import TrainingRun
from tunesmith.pipeline.workspace import Workspace
from tunesmith.recipe import Recipe
from tunesmith.train.batches import Batch, Example, batches_of
from tunesmith.train.checkpoint import load_weights, save_checkpoint
from tunesmith.train.loop import take_step, validation
from tunesmith.train.reading import read

MOST_STEPS = 32
FEWEST_STEPS = 3
NO_MEMORY = 77
"""Exit code where an allocation was refused: what a kill says too."""
_NO_ROOM = ("can't allocate memory", "out of memory")
_STATUS = Path("/proc/self/status")


def resident(key: str = "VmRSS") -> int:
    """Bytes of memory this process holds (`VmRSS`), or has held at most since it began (`VmHWM`).

    The kernel's high-water mark of this very process: what getrusage tells begins at the level of whoever started it.
    """
    try:
        found = re.search(rf"^{key}:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    except OSError:
        found = None
    if found is not None:
        return int(found[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


@dataclass
class Notes:
    """What has been measured so far, kept in a file that is whole at every moment."""

    file: Path
    told: dict[str, Any] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Clock a stage: processor seconds, wall seconds, and the peak of memory by its end."""
        write_json(self.file, self.told | {"reached": name})
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        self.told.setdefault("stages", {})[name] = [time.process_time() - cpu, time.perf_counter() - wall]
        self.told["peak"] = resident("VmHWM")
        self.told.setdefault("peaks", {})[name] = self.told["peak"]


def probed(order: dict[str, Any], notes: Notes, folder: Path) -> None:
    """Carry an order out."""
    recipe = Recipe.model_validate(order["recipe"])
    with notes.stage("bench"):
        bench = bench_of(recipe, Workspace(Path(order["workspace"])), silent, "")
        bench.replay = general_rows(recipe, bench.workspace, silent, ()) if order["replay"] else ([], "text")
        material = _some(bench, order)
        renderer = bench.renderer
    with notes.stage("load"):
        base = load_base(recipe.base, seed=recipe.seed)
    with notes.stage("setup"):
        run = TrainingRun(make_folder(folder / "training"), recipe, base, renderer, material, silent)
        by_id = {("train", one.row_id): one for one in run.train_examples}
        by_id |= {("replay", one.row_id): one for one in replay_examples(material, renderer, recipe, silent)}
        groups = [_group(group, by_id, run) for group in order["groups"]]
    run.state.model.train()
    if order["settles"]:
        with notes.stage("settle"):
            _settle(run, groups)
    with notes.stage("save"):
        save_checkpoint(run.state, run.folder / "anchor")
    if run.select_examples:
        with notes.stage("evaluate"):
            validation(run.state, run.select_examples, run.objective, layout=run.feed.layout)
    _steps(run, groups, notes, order["seconds"])
    with notes.stage("best"):
        save_checkpoint(run.state, run.folder / "best")
    with notes.stage("restore"):
        load_weights(run.state, run.folder / "best")
    with notes.stage("package"):
        bundle = Bundle(task=material.task, method=run.decisions.method, max_tokens=renderer.max_tokens)
        save_model(make_folder(folder / "model"), run.state.model.eval(), base.tokenizer, bundle)


def _some(bench: Bench, order: dict[str, Any]) -> Material:
    """The rows that are asked for; labels and task are those of all."""
    wanted = {side: set(order[side]) for side in ("train", "select", "replay")}
    rows = {side: [row for row in bench.sides[side] if row.id in wanted[side]] for side in ("train", "select")}
    replay, replay_task = bench.replay
    general = [row for row in replay if row.id in wanted["replay"]]
    task = str(bench.dataset.task.value)
    return Material(rows["train"], rows["select"], bench.labels, task, replay=general, replay_task=replay_task)


def _group(passes: list[list[list[str]]], by_id: dict[tuple[str, str], Example], run: TrainingRun) -> list[Batch]:
    """The passes of a step, each of the examples that are named by side and id."""
    made: list[Batch] = []
    for names in passes:
        examples = [by_id[side, row_id] for side, row_id in names]
        made += batches_of(examples, max(1, sum(one.tokens for one in examples)) * len(examples), run.feed.layout)
    return made


def _settle(run: TrainingRun, groups: list[list[Batch]]) -> None:
    """Passes there and back as the training makes them to decide on compiling, with a copy of the state beside: they shape its memory."""
    start = {name: tensor.clone() for name, tensor in run.state.tensors().items()}
    for group in (groups[1:] + groups)[: 1 + PROBED_STEPS]:
        for batch in group:
            loss = run.objective(read(run.state, batch, run.objective).inputs).total
            loss.backward()  # type: ignore[no-untyped-call]
        run.state.forget_gradients()
    run.state.set_random_state(start)


def _steps(run: TrainingRun, groups: list[list[Batch]], notes: Notes, seconds: float) -> None:
    """The heaviest step twice, with an optimiser that has no state yet and with one that has; then ordinary ones while time lasts."""
    with notes.stage("first"):
        take_step(run.state, groups[0], run.objective)
    taken: list[list[float]] = []
    with notes.stage("steps"):
        until = time.perf_counter() + seconds
        while len(taken) < FEWEST_STEPS or (len(taken) < MOST_STEPS and time.perf_counter() < until):
            number = len(taken) % len(groups)
            cpu, wall = time.process_time(), time.perf_counter()
            try:
                take_step(run.state, groups[number], run.objective)
            except DivergedError:
                break
            taken.append([number, time.process_time() - cpu, time.perf_counter() - wall])
    notes.told["taken"] = taken


def follow(out: Path) -> None:
    """End with whoever asked: once the pipe on stdin is closed, remove what was written and leave."""
    while os.read(0, 1):
        pass
    for _ in range(3):  # the steps go on meanwhile, and may write once more
        shutil.rmtree(out, ignore_errors=True)
    os._exit(1)


def main() -> None:
    """Measure what the order asks for, into `OUT/probe.json`."""
    file, out = Path(sys.argv[1]), Path(sys.argv[2])
    notes = Notes(out / "probe.json", {"level": resident()})
    try:
        probed(json.loads(file.read_text()), notes, out)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or any(words in str(error) for words in _NO_ROOM):
            sys.exit(NO_MEMORY)
        raise
    write_json(notes.file, notes.told | {"reached": "end"})


if __name__ == "__main__":
    if stat.S_ISFIFO(os.fstat(0).st_mode):
        threading.Thread(target=follow, args=(Path(sys.argv[2]),), daemon=True).start()
    main()
