"""Text from facts, several references an input: what the card says is what the saved answers give, and its intervals count inputs."""

import csv
import gzip
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tunesmith.data.dataset import read_dataset

INPUTS = {"devset": 40, "testset_w_refs": 24}


@pytest.fixture(scope="module")
def said(shared_data: Path, tmp_path_factory: pytest.TempPathFactory, command: Any, write_recipe: Any) -> dict[str, Any]:
    """What the finished round answers with --json."""
    folder = tmp_path_factory.mktemp("e2e")
    for name, count in INPUTS.items():
        _some(shared_data / "e2e_nlg" / f"{name}.csv.gz", count, folder / f"{name}.csv")
    recipe = write_recipe(
        folder,
        {
            "path": "devset.csv",
            "test_path": "testset_w_refs.csv",
            "task": "generate",
            "read": {"columns": {"prompt": "mr", "completion": "ref"}},
        },
        "embedded",
        train={"max_steps": 12, "learning_rate": 2e-3, "evaluations_per_epoch": 1},
        evaluate={
            "metrics": ["rougeL", "bleu", "chrf", "token_f1", "exact_match", "perplexity"],
            "few_shot": [0, 1],
            "select_rows": 4,
            "max_new_tokens": 24,
        },
    )
    done = command("run", recipe, "--workspace", folder / "work", "--json")
    assert done.code == 0, done.err
    found: dict[str, Any] = done.json()
    return found


def _some(packed: Path, count: int, out: Path) -> None:
    """All references of `count` inputs spread over the file."""
    with gzip.open(packed, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    inputs = list(dict.fromkeys(row["mr"] for row in rows))
    chosen = set(inputs[:: len(inputs) // count][:count])
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["mr", "ref"])
        writer.writeheader()
        writer.writerows(row for row in rows if row["mr"] in chosen)


@pytest.mark.slow
def test_every_figure_of_every_system_is_that_of_its_saved_answers(said: dict[str, Any], recomputed: ModuleType) -> None:
    report = said["report"]
    assert [system["key"] for system in report["systems"]] == ["zero-shot", "few-shot", "neighbour", "tuned"]
    assert recomputed.differences(report, Path(said["folder"])) == []
    value = {system["key"]: {name: one["value"] for name, one in system["metrics"].items()} for system in report["systems"]}
    assert value["tuned"]["perplexity"] < value["zero-shot"]["perplexity"] / 2
    assert value["tuned"]["bleu"] > 0 and value["neighbour"]["rougeL"] > 0.2  # there is something to differ in


@pytest.mark.slow
def test_references_of_one_input_are_resampled_together(said: dict[str, Any], recomputed: ModuleType) -> None:
    report, folder = said["report"], Path(said["folder"])
    (dataset,) = (folder.parents[1] / "datasets").iterdir()
    input_of = {row.id: row.prompt[-1].content for row in read_dataset(dataset).sides["test"]}
    rows, inputs = len(input_of), set(input_of.values())
    assert len(inputs) == INPUTS["testset_w_refs"] and rows > 4 * len(inputs)
    counted = f"{rows} test rows come in {len(inputs)} groups; intervals and tests count groups, not rows."
    assert counted in report["verdict"]["notes"]
    # The mean of a score over clusters of rows: its linearised standard error, by the book (Cochran, 1977, 9.3).
    answers = recomputed.saved(folder)["tuned"]
    score = np.array([recomputed.MEASURES["rougeL"]([row]) for row in answers])
    apart = score - score.mean()
    within = np.array([sum(gap for gap, row in zip(apart, answers, strict=True) if input_of[row["row_id"]] == one) for one in inputs])
    by_input = np.sqrt((within**2).sum() * len(inputs) / (len(inputs) - 1)) / rows
    told = report["systems"][-1]["metrics"]["rougeL"]
    half = (told["high"] - told["low"]) / 2
    assert half == pytest.approx(2.07 * by_input, rel=0.25)  # Student's t with 23 degrees of freedom
    assert half > 1.5 * 1.96 * score.std() / np.sqrt(rows)
