"""What the embedded base's pretraining is worth: banking77 at 10 rows an intent, a mean-pooled head, full fine-tuning.

Three systems, the same rows and seeds: the pretrained base, the same network from random weights, and TF-IDF with
logistic regression. Both networks get their own learning rate, the one with the lowest loss on `select` for the first
seed, and their own number of steps, the checkpoint with the lowest loss on `select`. Accuracy on the whole official
test set.

    .venv/bin/python benchmarks/base.py --json > benchmarks/results/DATE-base.json

Needs the public data sets beside the checkout. About 25 minutes on two cores; `--random FILE` takes the random-weights
accuracies from an earlier result file, since they don't depend on the base's weights.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parent.parent
DATA = ROOT.parent / "shared" / "data" / "banking77"
RATES = {"pretrained": (5e-4, 1e-3), "random": (5e-4, 1e-3, 2e-3)}
EPOCHS = {"pretrained": 12, "random": 20}


def recipe_for(kind: str, rate: float, seed: int, args: argparse.Namespace):
    """One fine-tuning run as a recipe."""
    from tunesmith.recipe import parse_recipe

    return parse_recipe(f"""
seed: {seed}
data:
  path: {DATA / "train.csv"}
  test_path: {DATA / "test.csv"}
  task: classify
  rows_per_label: 10
  split: {{validation: 0.03}}
base: {{path: {args.base}, random_weights: {str(kind == "random").lower()}}}
method: {{name: full, head: class}}
train:
  learning_rate: {rate}
  epochs: {EPOCHS[kind]}
  warmup: 0.1
  precision: {args.precision}
  threads: {args.threads}
  evaluations_per_epoch: 1
  checkpoint_minutes: 60
  early_stopping: {{patience: 6}}
""")


def fine_tune(kind: str, rate: float, seed: int, args: argparse.Namespace, *, test: bool) -> tuple[float, float | None]:
    """Lowest loss on `select`, and accuracy on test where it is asked for."""
    from tunesmith.core.progress import silent
    from tunesmith.models.load import base_hash
    from tunesmith.pipeline.bench import bench_of
    from tunesmith.pipeline.evaluation import answerer
    from tunesmith.pipeline.training import Material, TrainingRun
    from tunesmith.pipeline.workspace import Workspace

    recipe = recipe_for(kind, rate, seed, args)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        bench = bench_of(recipe, Workspace(Path(folder)), silent, base_hash(recipe.base))
        material = Material(bench.sides["train"], bench.sides["select"], bench.labels, "classify")
        (Path(folder) / "run").mkdir()
        run = TrainingRun(Path(folder) / "run", recipe, bench.fresh_base(), bench.renderer, material, silent)
        model = run.run()
        loss = run.state.progress.best_loss
        accuracy = None
        if test:
            answers = answerer(model, bench.renderer, bench.judged, recipe).answer(bench.sides["test"])
            accuracy = sum(one.answer == one.reference for one in answers) / len(answers)
    seconds = time.monotonic() - started
    print(
        json.dumps({"kind": kind, "rate": rate, "seed": seed, "select_loss": loss, "accuracy": accuracy, "seconds": round(seconds)}),
        file=sys.stderr,
        flush=True,
    )
    return loss, accuracy


def accuracies(kind: str, args: argparse.Namespace) -> list[float]:
    """Accuracy for each seed at the rate that the first seed's `select` rows prefer."""
    tried = {rate: fine_tune(kind, rate, 0, args, test=True) for rate in RATES[kind]}
    best = min(tried, key=lambda rate: tried[rate][0])
    return [tried[best][1], *(fine_tune(kind, best, seed, args, test=True)[1] for seed in range(1, args.seeds))]


def linear(args: argparse.Namespace) -> list[float]:
    """The floor on the same rows, for each seed."""
    from tunesmith.core.progress import silent
    from tunesmith.data.prepare import prepare
    from tunesmith.evaluate.linear import linear_floor

    found = []
    for seed in range(args.seeds):
        sides = prepare(recipe_for("pretrained", 1e-3, seed, args).data, seed, silent).dataset.sides
        answers = linear_floor(sides["train"], sides["test"], seed=seed)
        found.append(sum(one.answer == one.reference for one in answers) / len(answers))
    return found


def case(name: str, values: list[float]) -> dict:
    """One line of the result."""
    return {
        "case": name,
        "value": statistics.mean(values),
        "unit": "accuracy",
        "spread": [min(values), max(values)],
        "repeats": len(values),
        "each": values,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", action="append", choices=["pretrained", "random", "linear"], help="only these; all where absent")
    parser.add_argument("--random", type=Path, help="an earlier result file to take the random-weights case from")
    parser.add_argument("--base", default="embedded")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="bf16")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if not DATA.is_dir():
        sys.exit("banking77 is not beside the checkout (shared/data/banking77): nothing to measure")
    wanted = args.case or ["linear", "pretrained", "random"]
    cases = []
    for kind in wanted:
        if kind == "random" and args.random:
            cases += [one for one in json.loads(args.random.read_text())["cases"] if one["case"] == "banking77-10-random"]
        else:
            cases.append(case(f"banking77-10-{kind}", linear(args) if kind == "linear" else accuracies(kind, args)))
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    result = {
        "commit": commit,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {args.threads} threads, {args.precision}",
        "cases": cases,
    }
    if args.json:
        print(json.dumps(result))
    else:
        for one in cases:
            print(f"{one['case']}: {one['value']:.1%} ({one['spread'][0]:.1%} to {one['spread'][1]:.1%}, {one['repeats']} seeds)")


if __name__ == "__main__":
    main()
