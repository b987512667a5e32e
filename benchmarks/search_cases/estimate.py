"""How right an estimate is: memory and time foretold with a probe, against the training that follows.

A grid of settings (method x length x batch x size of the model): random Llamas and Qwen 3s of 7 to 120 million weights, rows cut from the
prose of pretrain_en. For each, three processes one after another: one estimates, its probe is the second, the third trains. Memory is the
kernel's high-water mark of resident memory, above the level after imports; time is processor seconds of the training from loading its base
to its model on disk, on one thread: no wall time, and nothing of what several threads would gain. Errors are shares of what the training
took. Settings that take less than 500 MiB are left out of the error of memory, and stay in that of time.

With a probe nothing is fitted: no constant of the arithmetic is left in the figures but what rows and a larger cache of frozen layers take.
`by_arithmetic` is memory without the probe, for comparison, and not out of sample: its `CPU_SLACK` was set with the embedded base and a
17M Llama like this grid's in view.

    nice -n 5 .venv/bin/python benchmarks/search_cases/estimate.py        # the table, and a line of JSON a case
    .venv/bin/python benchmarks/search_cases/estimate.py --only full-17m  # settings whose name has this in it
"""

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DATA = next((one / "shared" / "data" for one in ROOT.parents if (one / "shared" / "data").is_dir()), ROOT.parent / "shared" / "data")
MIB = 2**20
LEAST_MEMORY = 500 * MIB
SHARES = {"median": 0.10, "p95": 0.25}
CHARACTERS_A_TOKEN = 3.2
WORK = 0.9e12
"""Operations a training is given, about: a quarter of a minute on a core."""

SIZES: dict[str, dict[str, Any]] = {
    "7m": {"kind": "llama", "hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 7, "num_attention_heads": 8, "heads": 8},
    "17m": {"kind": "llama", "hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 8, "num_attention_heads": 6, "heads": 6},
    "60m": {"kind": "qwen3", "hidden_size": 640, "intermediate_size": 1920, "num_hidden_layers": 11, "num_attention_heads": 10, "heads": 5},
    "120m": {
        "kind": "llama",
        "hidden_size": 896,
        "intermediate_size": 2432,
        "num_hidden_layers": 12,
        "num_attention_heads": 14,
        "heads": 14,
    },
}
"""`heads`: of keys and values."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One training."""

    method: str
    """full, lora, or head: a classifier over the frozen trunk."""
    size: str
    length: int
    """Tokens of a row, about; from two thirds to four thirds of it."""
    batch: int
    budget: int = 1024
    checkpointing: bool = False

    @property
    def name(self) -> str:
        """For the table."""
        return f"{self.method}-{self.size}-{self.length}x{self.batch}-{self.budget}" + ("-recomputed" if self.checkpointing else "")


GRID = (
    Setting("full", "7m", 512, 8, 4096),
    Setting("full", "7m", 1024, 4, 4096),
    Setting("full", "7m", 128, 32, 4096),
    Setting("full", "17m", 128, 16, 2048),
    Setting("full", "17m", 512, 4, 2048),
    Setting("full", "17m", 1024, 2),
    Setting("full", "17m", 512, 8),
    Setting("full", "17m", 1024, 4, 4096, checkpointing=True),
    Setting("full", "60m", 128, 8),
    Setting("full", "60m", 128, 2),
    Setting("full", "60m", 512, 2),
    Setting("full", "60m", 1024, 1),
    Setting("full", "120m", 128, 4),
    Setting("full", "120m", 128, 1),
    Setting("full", "120m", 512, 1),
    Setting("lora", "17m", 512, 8, 4096),
    Setting("lora", "17m", 1024, 4, 4096),
    Setting("lora", "60m", 128, 8),
    Setting("lora", "60m", 512, 2),
    Setting("lora", "60m", 1024, 1),
    Setting("lora", "60m", 512, 4, 2048),
    Setting("lora", "120m", 128, 4),
    Setting("lora", "120m", 512, 1),
    Setting("lora", "120m", 128, 1),
    Setting("head", "60m", 128, 8),
    Setting("head", "60m", 512, 4),
    Setting("head", "120m", 128, 8),
    Setting("head", "120m", 512, 4),
    Setting("head", "120m", 1024, 2),
)


def cases() -> dict[str, Callable[[], dict[str, Any]]]:
    """The four cases; the grid is measured once for all of them."""
    return {f"{what}-error-{which}": lambda what=what, which=which: case(what, which) for what in ("memory", "time") for which in SHARES}


def case(what: str, which: str) -> dict[str, Any]:
    """One figure of the grid."""
    rows = measured()
    errors = sorted(row[f"{what}_error"] for row in rows if what == "time" or row["memory_mib"] >= LEAST_MEMORY / MIB)
    value = statistics.median(errors) if which == "median" else quantile(errors, 0.95)
    told: dict[str, Any] = {
        "case": f"{what}-error-{which}",
        "value": round(value, 4),
        "unit": f"share of the {'peak memory above imports' if what == 'memory' else 'processor seconds of training'} that followed",
        "spread": [round(errors[0], 4), round(errors[-1], 4)],
        "repeats": len(errors),
        "to_reach": SHARES[which],
        "peer": None,
    }
    if which == "median":
        told["settings"] = rows
        if what == "memory":
            told["by_arithmetic"] = round(statistics.median(row["arithmetic_error"] for row in rows), 4)
    return told


def quantile(values: list[float], share: float) -> float:
    """By linear interpolation between ordered values."""
    place = share * (len(values) - 1)
    low = int(place)
    return values[low] + (place - low) * (values[min(low + 1, len(values) - 1)] - values[low])


@lru_cache
def measured(only: str = "") -> list[dict[str, Any]]:
    """Every setting of the grid: foretold, then trained."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for setting in GRID:
            if any(part in setting.name for part in only.split(",")):
                found.append(one(setting, Path(folder)))
                print(json.dumps(found[-1]), file=sys.stderr, flush=True)
    return found


def one(setting: Setting, folder: Path) -> dict[str, Any]:
    """What was foretold and what was taken."""
    place = folder / setting.name
    place.mkdir()
    write_recipe(setting, place, write_model(setting.size, folder))
    began = time.perf_counter()
    told = _worker("foretell", place)
    between = time.perf_counter()
    took = _worker("train", place)
    memory, seconds = took["memory"], took["seconds"]
    return {
        "setting": setting.name,
        "memory_mib": round(memory / MIB, 1),
        "memory_foretold_mib": round(told["memory"] / MIB, 1),
        "memory_error": round(abs(told["memory"] / memory - 1), 4),
        "arithmetic_error": round(abs(told["arithmetic"] / memory - 1), 4),
        "seconds": round(seconds, 2),
        "seconds_foretold": round(told["seconds"], 2),
        "time_error": round(abs(told["seconds"] / seconds - 1), 4),
        "steps": told["steps"],
        "estimate_took": round(between - began, 1),
        "training_took": round(time.perf_counter() - between, 1),
    }


def _worker(what: str, place: Path) -> dict[str, Any]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT / 'src'}"}
    command = [sys.executable, __file__, "--worker", what, str(place)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=900, check=False)
    if done.returncode:
        raise RuntimeError(f"{what} of {place.name} failed: {done.stderr[-2000:]}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def foretell(place: Path) -> dict[str, Any]:
    """The estimate, before anything is trained."""
    from tunesmith.pipeline.estimating import estimate
    from tunesmith.recipe import load_recipe
    from tunesmith.recipe.cost import CPU_LIBRARIES

    recipe, workspace = load_recipe(place / "recipe.yaml"), place / "workspace"
    found = estimate(recipe, workspace=workspace)
    if found.probe is None or found.training is None:
        raise RuntimeError(f"no probe could be made: {found.notes}")
    bare = estimate(recipe, probe=False, workspace=workspace)
    named = bare.memory - CPU_LIBRARIES
    return {"memory": found.memory - found.probe.level, "arithmetic": named, "seconds": found.training.cpu, "steps": found.steps}


def train(place: Path) -> dict[str, Any]:
    """The training itself, as a round does it."""
    from tunesmith.core.progress import silent
    from tunesmith.models.package import Bundle
    from tunesmith.pipeline.bench import bench_of
    from tunesmith.pipeline.making import Making
    from tunesmith.pipeline.probe import resident
    from tunesmith.pipeline.workspace import Workspace
    from tunesmith.recipe import load_recipe

    level = resident()
    recipe = load_recipe(place / "recipe.yaml")
    bench = bench_of(recipe, Workspace(place / "workspace"), silent, "")
    renderer, out = bench.renderer, place / "out"

    def bundle(method: str) -> Bundle:
        return Bundle(task=str(bench.dataset.task), method=method, max_tokens=renderer.max_tokens)

    out.mkdir()
    making = Making(recipe=recipe, renderer=renderer, material=bench.material, bundle=bundle, listen=silent)
    began = time.process_time()
    making.into(out, place / "working")
    return {"seconds": time.process_time() - began, "memory": resident("VmHWM") - level}


def write_model(size: str, folder: Path) -> Path:
    """A random model of a size, once."""
    place = folder / f"model-{size}"
    if not place.exists():
        _worker("model", place)
    return place


def model(place: Path) -> dict[str, Any]:
    """Write it, with the embedded base's tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, Qwen3Config

    from tunesmith.embedded import base_path

    tokenizer = AutoTokenizer.from_pretrained(base_path())
    shape = dict(SIZES[place.name.removeprefix("model-")])
    kind, heads = shape.pop("kind"), shape.pop("heads")
    common = {"vocab_size": len(tokenizer), "max_position_embeddings": 2048, "num_key_value_heads": heads, "bos_token_id": None}
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id, "tie_word_embeddings": kind == "qwen3"}
    config = Qwen3Config(**shape, **common, **ends, head_dim=64) if kind == "qwen3" else LlamaConfig(**shape, **common, **ends)
    torch.manual_seed(0)
    made = AutoModelForCausalLM.from_config(config)
    made.save_pretrained(place)
    tokenizer.save_pretrained(place)
    return {"parameters": sum(p.numel() for p in made.parameters())}


def write_recipe(setting: Setting, place: Path, base: Path) -> None:
    """The recipe and its rows: as many steps as the work allows, 4 to 40."""
    weights = {"7m": 7.6e6, "17m": 17e6, "60m": 57e6, "120m": 118e6}[setting.size]
    step = 6 * weights * setting.length * setting.batch * (1.0 if setting.method == "full" else 0.75)
    steps = max(4, min(40, round(WORK / step)))
    headed = setting.method == "head"
    texts = prose(setting.length, steps * setting.batch + 12)
    for name, low, high in (("train", 0, len(texts) - 12), ("validation", len(texts) - 12, len(texts) - 4), ("test", len(texts) - 4, None)):
        lines = [json.dumps(row(number, text, headed)) for number, text in enumerate(texts[low:high])]
        (place / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    data = {"path": "train.jsonl", "validation_path": "validation.jsonl", "test_path": "test.jsonl"}
    method = {"full": {"name": "full"}, "lora": {"name": "lora"}, "head": {"name": "features", "head": "class"}}[setting.method]
    trained = {"batch_rows": setting.batch, "token_budget": setting.budget, "epochs": 3 if headed else 1, "threads": 1}
    trained |= {"gradient_checkpointing": setting.checkpointing, "learning_rate": 1e-4}
    task = "classify" if headed else "generate"
    recipe = {"data": {**data, "task": task}, "base": {"path": str(base)}, "method": method, "train": trained}
    (place / "recipe.yaml").write_text(json.dumps(recipe))


def row(number: int, text: str, headed: bool) -> dict[str, str]:
    """A row of prose: its tail is the answer, or one of four labels."""
    return {"text": text, "label": "abcd"[number % 4]} if headed else {"prompt": text[:-60], "answer": text[-60:]}


def prose(length: int, rows: int) -> list[str]:
    """Stretches of prose of about so many tokens, a third more or less, none twice."""
    made: list[str] = []
    left, number = "", 0
    wanted = [round(length * CHARACTERS_A_TOKEN * (2 / 3 + 2 / 3 * ((37 * index) % 101) / 100)) for index in range(rows)]
    files = iter(sorted((DATA / "pretrain_en").glob("train-*.jsonl.gz")))
    while number < rows:
        if len(left) < wanted[number]:
            with gzip.open(next(files), "rt", encoding="utf-8") as file:
                left += " ".join(json.loads(line)["text"] for line in file)
        made.append(left[: wanted[number]])
        left, number = left[wanted[number] :], number + 1
    return made


def main() -> None:
    """The grid by itself."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--only", default="", help="settings whose name has this in it, or one of several divided by commas")
    asked.add_argument("--worker", nargs=2)
    given = asked.parse_args()
    if given.worker:
        what, place = given.worker
        print(json.dumps({"foretell": foretell, "train": train, "model": model}[what](Path(place))))
        return
    rows = measured(given.only)
    for what in ("memory", "time"):
        errors = sorted(row[f"{what}_error"] for row in rows if what == "time" or row["memory_mib"] >= LEAST_MEMORY / MIB)
        if errors:
            print(f"{what}: median {statistics.median(errors):.3f}, 95% {quantile(errors, 0.95):.3f} of {len(errors)}")


if __name__ == "__main__":
    main()
