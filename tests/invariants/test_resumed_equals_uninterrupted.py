"""A run that is killed, however often and wherever, ends in bit-identical weights.

Two ways of killing. Within a forked child, at every single operation that makes something durable (an fsync, a rename):
it leaves by `os._exit`, so no `finally` tidies up, as under `kill -9`. And the real command under real SIGKILLs.

What no kill can change is done once for all children, or not at all: the base is read before the fork, nobody waits for the disk (what
was written outlives the process that wrote it), and the machine's speed, which no weight depends on, is not measured.
"""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import peft  # noqa: F401 - once here, not again in every child
import pytest
import torch
import torch._dynamo  # as above: whoever makes an optimiser imports it
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from tunesmith.chat.render import Renderer
from tunesmith.core.errors import DivergedError
from tunesmith.core.files import read_json, write_json
from tunesmith.core.rows import Message, Row
from tunesmith.embedded import base_path
from tunesmith.models.config import BaseConfig
from tunesmith.models.load import Base, load_base
from tunesmith.pipeline import training
from tunesmith.pipeline.training import Material, TrainingRun
from tunesmith.recipe import Recipe
from tunesmith.train.objectives import LossSum
from tunesmith.train.state import TrainState

DONE, KILLED, DIVERGED, BROKEN = 0, 9, 3, 1
ROWS = 20

Plant = Callable[[TrainingRun], None]


@cache
def loaded(path: str) -> Base:
    """The base as every child finds it: each changes a copy of its own, as a fork's memory is."""
    return load_base(BaseConfig(path=path))


@dataclass
class Case:
    """A way to train, in one folder that survives its process."""

    folder: Path
    recipe: Recipe
    plant: Plant = field(default=lambda run: None)

    def again(self, name: str) -> "Case":
        return Case(self.folder.with_name(name), self.recipe, self.plant)

    def material(self) -> Material:
        colours = ("red", "green", "blue")
        worse = self.recipe.objective.name in ("dpo", "kto") or None
        rows = [
            Row(
                id=f"{place:04}",
                prompt=(Message("user", f"{colours[place % 3]} thing number {place}"),),
                answer=colours[place % 3],
                rejected=worse and colours[place % 2],
            )
            for place in range(ROWS + 6)
        ]
        return Material(rows[:ROWS], rows[ROWS:], colours, "prefer" if worse else "classify")

    def train(self, base: Base) -> None:
        """In the child: train to the end and leave a digest of the weights."""
        renderer = Renderer(base.tokenizer, max_tokens=64)
        run = TrainingRun(self.folder, self.recipe, base, renderer, self.material(), lambda event: None)
        self.plant(run)
        model = run.run()
        weights = {name: hashlib.sha256(p.detach().numpy().tobytes()).hexdigest() for name, p in model.named_parameters()}
        progress = run.state.progress
        seen = {"weights": weights, "validation": progress.validation, "stopped": progress.stopped, "restarts": progress.restarts}
        seen |= {"values": progress.values, "kept": progress.best_step}
        steps = [json.loads(line) for line in (self.folder / "steps.jsonl").read_text().splitlines()]
        seen["steps"] = [{key: value for key, value in step.items() if key != "seconds"} for step in steps]
        write_json(self.folder / "end.json", seen)

    def run(self, *, kill_at: int | None = None) -> int:
        """Train in a child; killed before its `kill_at`-th durable operation. Returns how it ended."""
        self.folder.mkdir(parents=True, exist_ok=True)
        assert self.recipe.base == BaseConfig(path=self.recipe.base.path)
        base = loaded(self.recipe.base.path)
        child = os.fork()
        if child == 0:
            try:
                _count_operations(self.folder, kill_at)
                training.peak_flops = lambda device, precision: None
                self.train(base)
                os._exit(DONE)
            except DivergedError:
                os._exit(DIVERGED)
            except BaseException:
                traceback.print_exc()
                os._exit(BROKEN)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def end(self) -> Any:
        return read_json(self.folder / "end.json")

    def operations(self) -> int:
        return int((self.folder / "operations").read_text())


def _count_operations(folder: Path, kill_at: int | None) -> None:
    """Count every fsync and rename in this process, and leave it without a word before the one that is named."""
    done = 0

    def counted(original: Any) -> Any:
        def operation(*args: Any, **named: Any) -> Any:
            nonlocal done
            done += 1
            if done == kill_at:
                os._exit(KILLED)
            if kill_at is None:
                (folder / "operations").write_text(str(done))
            return original(*args, **named)

        return operation

    os.fsync = counted(lambda handle: None)
    Path.replace = counted(Path.replace)  # type: ignore[method-assign]


@pytest.fixture(scope="module")
def bases(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The tiny Llama, and a tiny GPT-2, which has dropout."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("base") / "gpt2"
    config = GPT2Config(vocab_size=4096, n_positions=128, n_embd=16, n_layer=1, n_head=2, bos_token_id=2, eos_token_id=2)
    GPT2LMHeadModel(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(base_path()).save_pretrained(folder)
    return {"llama": tiny_base, "gpt2": folder}


def recipe_of(
    base: Path, *, train: dict[str, Any] | None = None, method: dict[str, Any] | None = None, objective: str | None = None
) -> Recipe:
    """Two epochs of three steps, a checkpoint after every step, evaluations at steps 0, 1, 2, 3, 4, 5, 6.

    `compile: auto`, which tries a few steps first and has to leave no trace, is asked for by three of the cases.
    """
    settings: dict[str, Any] = {
        "epochs": 2,
        "batch_rows": 8,
        "checkpoint_minutes": 0,
        "evaluations_per_epoch": 3,
        "learning_rate": 1e-2,
        "final_share": 0.2,
        "threads": 1,
        "compile": "off",
        "early_stopping": {"patience": None},
    }
    return Recipe.model_validate(
        {
            "data": {"path": "unused"},
            "base": {"path": str(base)},
            "train": settings | (train or {}),
            "method": method or {},
            "objective": {"name": objective},
        }
    )


CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "full": ("llama", {"compile": "auto"}, {"name": "full"}),
    "dropout": ("gpt2", {"dropout": 0.2, "compile": "auto"}, {"name": "full"}),
    "lora": ("llama", {}, {"name": "lora", "rank": 2, "dropout": 0.1}),
    "head": ("llama", {}, {"name": "full", "head": "class"}),
    "muon": ("llama", {"optimizer": "muon"}, {"name": "full"}),
    "checkpointing": ("llama", {"gradient_checkpointing": True}, {"name": "full"}),
    "mean weights": ("llama", {"regularise": {"ema": 0.8, "l2_sp": 0.1, "kl": 0.2}}, {"name": "full"}),
    "noise": ("llama", {"regularise": {"neftune": 5.0}, "optimizer": "lion"}, {"name": "full"}),
    "plateau": ("llama", {"schedule": "plateau", "optimizer": "adafactor"}, {"name": "ia3"}),
    "unfreezing": ("llama", {"optimizer": "sgd"}, {"name": "full", "layer_decay": 0.5, "unfreeze": {"every_steps": 2}}),
    "unfreezing when stalled": (
        "llama",
        {"early_stopping": {"patience": 3, "minimum_gain": 9.0}},
        {"name": "full", "unfreeze": {"when_stalled": True}},
    ),
    "cached trunk": ("llama", {"regularise": {"interpolate": True}}, {"name": "layers", "top_layers": 1}),
    "features": ("llama", {}, {"name": "features", "head": "class", "pool": "attention", "head_dropout": 0.2}),
    "dpo": ("llama", {}, {"name": "full"}),
    "kto": ("llama", {}, {"name": "lora", "rank": 2}),
    "found rate": ("llama", {"learning_rate": "find", "compile": "auto"}, {"name": "full"}),
    "found rate while unfreezing": ("llama", {"learning_rate": "find"}, {"name": "full", "unfreeze": {"every_steps": 2}}),
    "stops early": ("llama", {"early_stopping": {"patience": 2, "minimum_gain": 9.0}}, {"name": "full"}),
}


@pytest.fixture(scope="module", params=list(CASES))
def case(request: pytest.FixtureRequest, bases: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A case that ran to its end without interruption."""
    base, train, method = CASES[request.param]
    objective = request.param if request.param in ("dpo", "kto") else None
    recipe = recipe_of(bases[base], train=train, method=method, objective=objective)
    made = Case(tmp_path_factory.mktemp("runs") / "whole", recipe)
    assert made.run() == DONE
    return made


def finish(case: Case) -> Any:
    assert case.run() == DONE
    end = case.end()
    shutil.rmtree(case.folder)
    return end


def test_killed_once_anywhere(case: Case) -> None:
    """One kill before each of some durable operations, spread over the run and shifted from case to case; dense where most is kept."""
    total = case.operations()
    assert total > 40
    stride = 5 if case.recipe.train.regularise.ema or case.recipe.train.dropout else 17
    first = random.Random(case.recipe.identity()).randrange(stride)
    for kill_at in range(1 + first, total + 1, stride):
        killed = case.again(f"killed-{kill_at}")
        assert killed.run(kill_at=kill_at) == KILLED
        assert finish(killed) == case.end(), f"killed before durable operation {kill_at} of {total}"


def test_killed_over_and_over(case: Case) -> None:
    """A run that never lives long still gets there, and to the same weights."""
    killed, chance, lives = case.again("killed-often"), random.Random(5), 0
    while (status := killed.run(kill_at=chance.randrange(20, 60))) == KILLED:
        lives += 1
        assert lives < 40
    assert status == DONE
    assert lives >= 1
    assert killed.end() == case.end()


def _killed_after_save(number: int) -> Plant:
    """Leave for good once so many checkpoints are whole: between two that belong together, say."""

    def plant(run: TrainingRun) -> None:
        saves = 0
        original = training.save_checkpoint

        def counted(state: TrainState, folder: Path) -> None:
            nonlocal saves
            original(state, folder)
            saves += 1
            if saves == number:
                os._exit(KILLED)

        training.save_checkpoint = counted

    return plant


@pytest.mark.parametrize("number", [2, 5, 20])
def test_killed_between_checkpoints_that_belong_together(bases: dict[str, Path], tmp_path: Path, number: int) -> None:
    """An evaluation writes two, the best and the anchor: with one of them there, the other is still made."""
    whole = Case(tmp_path / "whole", recipe_of(bases["llama"], method={"name": "full"}))
    assert whole.run() == DONE
    losses = [loss for _, loss in whole.end()["validation"]]
    assert losses == sorted(set(losses), reverse=True)  # every evaluation is the best so far, so that each writes both
    killed = Case(tmp_path / "killed", whole.recipe, _killed_after_save(number))
    assert killed.run() == KILLED
    assert finish(Case(killed.folder, whole.recipe)) == whole.end()


@pytest.mark.parametrize("kill", ["best", "anchor", "latest"])
def test_killed_around_each_rename(bases: dict[str, Path], tmp_path: Path, kill: str) -> None:
    """A checkpoint is replaced by two renames; between them there is none, and the earlier one is taken up again."""
    whole = Case(tmp_path / "whole", recipe_of(bases["llama"], method={"name": "full"}))
    assert whole.run() == DONE
    broken = whole.again("broken")
    assert broken.run(kill_at=whole.operations() // 2) == KILLED
    (broken.folder / kill).rename(broken.folder / f".{kill}.{1:032x}.old")
    (broken.folder / f".{kill}.{2:032x}.part").mkdir()
    end = finish(broken)
    assert end == whole.end()


def test_nothing_of_a_killed_writer_stays(bases: dict[str, Path], tmp_path: Path) -> None:
    killed = Case(tmp_path / "killed", recipe_of(bases["llama"], method={"name": "full"}))
    assert killed.run(kill_at=31) == KILLED
    assert killed.run() == DONE
    assert [item.name for item in killed.folder.iterdir() if item.name.startswith(".")] == []


# Divergence


def _nan_at(step: int, *, below_rate: float) -> Plant:
    """The objective of this step is NaN while the rate has not been lowered under a share of its first value."""

    def plant(run: TrainingRun) -> None:
        original = run.objective

        class Planted:
            inputs = original.inputs
            needs = original.needs

            def __call__(self, x: Any) -> LossSum:
                found = original(x)
                state = run.state
                bad = torch.is_grad_enabled() and state.step + 1 == step and state.progress.rate_factor > below_rate
                return LossSum(found.total * float("nan"), found.weight) if bad else found

        run.objective = Planted()

    return plant


def test_a_divergence_that_a_lower_rate_heals(bases: dict[str, Path], tmp_path: Path) -> None:
    whole = Case(tmp_path / "whole", recipe_of(bases["llama"], method={"name": "full"}), _nan_at(5, below_rate=0.3))
    assert whole.run() == DONE
    end = whole.end()
    assert end["restarts"] == 2
    peak = 1e-2
    rates = [step["learning_rate"] / peak for step in end["steps"]]
    assert [step["step"] for step in end["steps"]] == [1, 2, 3, 4, 5, 6]
    assert rates[4] < 0.25 < rates[3]  # a quarter of what the schedule has for it
    for kill_at in range(5, whole.operations() + 1, 37):
        killed = whole.again(f"killed-{kill_at}")
        assert killed.run(kill_at=kill_at) == KILLED
        assert finish(killed) == end


def test_a_divergence_that_nothing_heals(bases: dict[str, Path], tmp_path: Path) -> None:
    """Twice back, then it stops; the best weights are those of the last good evaluation, whole and finite."""
    whole = Case(tmp_path / "whole", recipe_of(bases["llama"], method={"name": "full"}), _nan_at(5, below_rate=0.0))
    assert whole.run() == DIVERGED
    healthy = Case(tmp_path / "healthy", recipe_of(bases["llama"], method={"name": "full"}))
    assert healthy.run(kill_at=_first_operation_of_step(healthy, 5)) == KILLED
    for case in (whole, _killed_and_continued(whole)):
        progress = read_json(case.folder / "anchor" / "progress.json")
        assert (progress["restarts"], progress["rate_factor"], progress["step"]) == (2, 0.25, 4)
        for name in ("best", "anchor"):
            ours = {k: v for k, v in _weights(case.folder / name).items() if k.startswith("weight/")}
            assert all(torch.isfinite(tensor).all() for tensor in ours.values())
            assert ours.keys() == {k for k in _weights(healthy.folder / "best") if k.startswith("weight/")}
        assert case.run() == DIVERGED  # once more changes nothing


def _killed_and_continued(whole: Case) -> Case:
    killed = whole.again("killed")
    for kill_at in (50, 25, 7, 6):
        killed.run(kill_at=kill_at)
    assert killed.run() == DIVERGED
    left, right = _weights(killed.folder / "anchor"), _weights(whole.folder / "anchor")
    assert all(torch.equal(left[name], right[name]) for name in right)
    return killed


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return dict(load_file(folder / "state.safetensors"))


def _first_operation_of_step(case: Case, step: int) -> int:
    """How many durable operations come before a step: found by a run that is thrown away."""
    probe = case.again("probe")
    probe.plant = _nan_at(step, below_rate=0.0)
    probe.run()
    return probe.operations() - 12


def test_weights_that_left_the_finite_numbers_are_not_kept(bases: dict[str, Path], tmp_path: Path) -> None:
    """A step may be finite and its result not: the next validation says so, and the step is undone."""

    def plant(run: TrainingRun) -> None:
        advance = run.state.advance

        def broken() -> None:
            advance()
            if run.state.step == 3 and run.state.progress.rate_factor == 1.0:
                next(iter(run.state.trainable().values())).data.fill_(float("inf"))

        run.state.advance = broken  # type: ignore[method-assign]

    case = Case(tmp_path / "inf", recipe_of(bases["llama"], method={"name": "full"}), plant)
    assert case.run() == DONE
    assert case.end()["restarts"] == 1
    assert all(torch.isfinite(tensor).all() for tensor in _weights(case.folder / "anchor").values() if tensor.is_floating_point())


# The real command, really killed


RECIPE = """
data: {{path: {data}, task: classify}}
base: {{path: {base}}}
method: {method}
train: {{epochs: 1, max_steps: 5, batch_rows: 8, checkpoint_minutes: 0, threads: 1, learning_rate: {rate}, evaluations_per_epoch: 9}}
evaluate: {{few_shot: [0], resamples: 200, linear_floor: false, select_rows: 4, forgetting: {{enabled: false}}}}
"""


@dataclass
class Command:
    """`tunesmith run` on one recipe in one workspace."""

    recipe: Path
    workspace: Path
    nursery: Any

    def arguments(self) -> list[str]:
        return ["run", str(self.recipe), "--workspace", str(self.workspace), "--quiet"]

    def installed(self) -> int:
        """To its end, in an interpreter of its own; how it ended."""
        environment = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        return subprocess.run([sys.executable, "-m", "tunesmith", *self.arguments()], env=environment, timeout=300, check=False).returncode

    def finish(self) -> tuple[int, str]:
        """To its end, by the entry point; how it ended, and what it said on stderr."""
        child = self.nursery.start(*self.arguments())
        return child.wait(300), child.err.read_text()

    def kill_when(self, reached: Callable[[], bool]) -> bool:
        """Kill -9 as soon as a condition holds; False where the command ended first."""
        child = self.nursery.start(*self.arguments())
        try:
            deadline = time.monotonic() + 300
            while child.poll() is None and time.monotonic() < deadline:
                if reached():
                    child.send_signal(signal.SIGKILL)
                    return bool(child.wait(300) == -signal.SIGKILL)
                time.sleep(0.001)
            return False
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait(300)

    def steps(self) -> int:
        logs = list(self.workspace.glob("rounds/*/training/steps.jsonl"))
        return max((_last_step(log) for log in logs), default=0)

    def model(self) -> bytes:
        (folder,) = self.workspace.glob("rounds/*/model")
        return b"".join(file.read_bytes() for file in sorted(folder.glob("*.safetensors")))


def _last_step(log: Path) -> int:
    try:
        lines = [line for line in log.read_text().splitlines() if line.endswith("}")]
        return int(json.loads(lines[-1])["step"]) if lines else 0
    except (OSError, ValueError):
        return 0


@pytest.fixture(params=["{name: full}", "{name: lora, rank: 2}"], ids=["full", "lora"])
def commands(request: pytest.FixtureRequest, tiny_base: Path, colour_file: Path, tmp_path: Path, nursery: Any) -> tuple[Command, Command]:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.format(data=colour_file, base=tiny_base, method=request.param, rate=0.01))
    return Command(recipe, tmp_path / "whole", nursery), Command(recipe, tmp_path / "killed", nursery)


def test_the_command_killed_at_chosen_moments(commands: tuple[Command, Command]) -> None:
    """Killed while it writes its first checkpoint, at steps 1, 3 and 5, and in evaluation; then left to end. Adapters: two of these.

    What it is compared with was started as a user does, in an interpreter of its own.
    """
    whole, killed = commands
    assert whole.installed() == 0
    training = "rounds/*/training"
    moments: list[Callable[[], bool]] = [
        lambda: any(killed.workspace.glob(f"{training}/.anchor.*")),
        lambda: killed.steps() >= 1,
        lambda: killed.steps() >= 3,
        lambda: killed.steps() >= 5,
        lambda: any(killed.workspace.glob("cache/.baselines*")),
    ]
    if "lora" in whole.recipe.read_text():
        moments = moments[1:4:2]
    hits = sum(killed.kill_when(moment) for moment in moments)
    assert hits >= len(moments) - 2
    assert hits >= 1
    assert killed.finish()[0] == 0
    assert killed.model() == whole.model()
    report = json.loads(next(killed.workspace.glob("rounds/*/report.json")).read_text())
    assert [step["step"] for step in report["training"]["steps"]] == [1, 2, 3, 4, 5]
    assert report["round"]["continued"] >= hits
    assert report["data"]["test_openings"] == 1


def test_the_command_says_that_it_diverged(tiny_base: Path, colour_file: Path, tmp_path: Path, nursery: Any) -> None:
    """The highest rate there may be, and the strongest decay: each step multiplies the matrices by -1e5, at a quarter of the rate by -2.5e4."""
    recipe = tmp_path / "recipe.yaml"
    rate = "1000, weight_decay: 100, warmup: 0, schedule: constant"
    recipe.write_text(RECIPE.format(data=colour_file, base=tiny_base, method="{name: full}", rate=rate))
    command = Command(recipe, tmp_path / "w", nursery)
    for _ in range(2):
        code, error = command.finish()
        assert code == 3
        assert "learning_rate" in error
        assert "Traceback" not in error
    (training,) = command.workspace.glob("rounds/*/training")
    assert all(torch.isfinite(tensor).all() for tensor in _weights(training / "best").values() if tensor.is_floating_point())
