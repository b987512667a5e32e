"""How alike two sentences are, as a number from 0 to 5: what the card says is what the saved answers give."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="module")
def said(shared_data: Path, tmp_path_factory: pytest.TempPathFactory, command: Any, write_recipe: Any) -> dict[str, Any]:
    """What the finished round answers with --json."""
    folder = tmp_path_factory.mktemp("stsb")
    for name, count in (("train", 500), ("test", 100)):
        head, *lines = (shared_data / "stsb" / f"{name}.csv").read_text(encoding="utf-8").splitlines(keepends=True)
        (folder / f"{name}.csv").write_text(head + "".join(lines[:: len(lines) // count][:count]), encoding="utf-8")
    recipe = write_recipe(
        folder,
        {"path": "train.csv", "test_path": "test.csv", "task": "regress", "split": {"validation": 0.1}},
        "embedded",
        train={"max_steps": 20, "learning_rate": 1e-3},
        evaluate={"few_shot": [0, 2], "select_rows": 8},
    )
    done = command("run", recipe, "--workspace", folder / "work", "--json")
    assert done.code == 0, done.err
    found: dict[str, Any] = done.json()
    return found


@pytest.mark.slow
def test_every_figure_of_every_system_is_that_of_its_saved_answers(said: dict[str, Any], recomputed: ModuleType) -> None:
    report = said["report"]
    assert [system["key"] for system in report["systems"]] == ["zero-shot", "few-shot", "mean", "neighbour", "linear", "tuned"]
    assert list(report["systems"][0]["metrics"]) == ["pearson", "spearman", "mae", "rmse", "r2"]
    assert recomputed.differences(report, Path(said["folder"])) == []


@pytest.mark.slow
def test_ridge_on_words_is_far_ahead_and_the_card_advises_it(said: dict[str, Any]) -> None:
    """What is known of this data set: the words two sentences share tell much, and a base of seven million weights is behind."""
    report = said["report"]
    pearson = {system["key"]: system["metrics"]["pearson"]["value"] for system in report["systems"]}
    assert pearson["linear"] > 0.6 > 0.5 > pearson["tuned"] and pearson["mean"] == 0.0
    assert any("TF-IDF with ridge regression does better" in note and "use it instead" in note for note in report["verdict"]["notes"])
    constant = next(system for system in report["systems"] if system["key"] == "mean")
    assert abs(constant["metrics"]["r2"]["value"]) < 0.05  # the training rows' mean explains nothing of the test rows' spread
