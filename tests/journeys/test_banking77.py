"""A public data set of 77 intents through the real command, from the embedded base, at ten rows an intent."""

import csv
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from scipy.stats import binomtest

from tunesmith.core.files import read_jsonl

LABELS, TEST = 77, 100


@pytest.fixture(scope="module")
def said(shared_data: Path, tmp_path_factory: pytest.TempPathFactory, command: Any, write_recipe: Any) -> dict[str, Any]:
    """What the finished round answers with --json."""
    folder = tmp_path_factory.mktemp("banking")
    files = shared_data / "banking77"
    recipe = write_recipe(
        folder,
        {
            "path": str(files / "train.csv"),
            "test_path": str(files / "test.csv"),
            "rows_per_label": 10,
            "test_rows": TEST,
            "split": {"validation": 0.03},
        },
        "embedded",
        train={"epochs": 4, "max_steps": None, "learning_rate": 1e-3, "evaluations_per_epoch": 1, "compile": "off"},
        evaluate={"few_shot": [0, 2], "select_rows": 20, "resamples": 1000},
    )
    done = command("run", recipe, "--workspace", folder / "work", "--json")
    assert done.code == 0, done.err
    found: dict[str, Any] = done.json()
    return found


@pytest.mark.slow
def test_ten_rows_an_intent_beat_the_base(said: dict[str, Any], shared_data: Path) -> None:
    report = said["report"]
    data, verdict = report["data"], report["verdict"]
    with (shared_data / "banking77" / "train.csv").open(encoding="utf-8") as file:
        labels = {row["category"] for row in csv.DictReader(file)}
    assert len(labels) == LABELS and set(data["labels"]) == labels
    assert data["sides"]["train"] == 10 * LABELS and data["sides"]["test"] == TEST and data["test_openings"] == 1
    arriving = 10_003 + 3_080
    for stage in data["waterfall"]:
        assert stage["kept"] + stage["dropped"] == arriving, stage
        arriving = stage["kept"]
    assert sum(data["sides"].values()) == arriving
    predictions = list(read_jsonl(Path(said["folder"]) / "predictions" / "tuned.jsonl"))
    assert len(predictions) == TEST and {one["answer"] for one in predictions} | {one["reference"] for one in predictions} <= labels
    systems = {system["key"]: system for system in report["systems"]}
    accuracy = {key: system["metrics"]["accuracy"]["value"] for key, system in systems.items()}
    assert accuracy["tuned"] == sum(one["answer"] == one["reference"] for one in predictions) / TEST
    assert verdict["outcome"] == "gain" and verdict["gain"]["low"] > 0.1
    assert accuracy["tuned"] > accuracy["zero-shot"] + 0.2 and accuracy["linear"] > 0.4
    training = report["training"]
    # Bare texts share only what stands before them, so the planner lays them out plain: little may be lost to padding.
    assert training["tokens_computed"] < 1.3 * training["tokens_in_rows"]
    assert training["validation"][-1]["loss"] < training["validation"][0]["loss"]
    assert Path(said["card"]).stat().st_size > 20_000


@pytest.mark.slow
def test_every_figure_of_every_system_is_that_of_its_saved_answers(said: dict[str, Any], recomputed: ModuleType) -> None:
    report = said["report"]
    assert [system["key"] for system in report["systems"]] == ["zero-shot", "few-shot", "majority", "neighbour", "linear", "tuned"]
    assert len(report["systems"][0]["metrics"]) == 9
    assert recomputed.differences(report, Path(said["folder"])) == []
    verdict, answers = report["verdict"], recomputed.saved(Path(said["folder"]))
    right = {name: {row["row_id"]: row["answer"] == row["reference"] for row in rows} for name, rows in answers.items()}
    gained = [right["tuned"][row] - right[verdict["best_baseline"]][row] for row in right["tuned"]]
    assert verdict["gain"]["value"] == pytest.approx(sum(gained) / len(gained), abs=1e-12)
    wins, losses = gained.count(1), gained.count(-1)
    assert verdict["gain"]["p_value"] == pytest.approx(binomtest(wins, wins + losses, alternative="greater").pvalue, rel=1e-9)
