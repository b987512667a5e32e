"""Arithmetic in words, far beyond so small a base: the card says so, and its figures are those of the saved answers."""

import gzip
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tunesmith.core.files import read_jsonl


@pytest.fixture(scope="module")
def said(shared_data: Path, tmp_path_factory: pytest.TempPathFactory, command: Any, write_recipe: Any) -> dict[str, Any]:
    """What the finished round answers with --json; over the shortest rows, since figures need rows and rows cost by their length."""
    folder = tmp_path_factory.mktemp("gsm8k")
    for name, count in (("train", 96), ("test", 60)):
        with gzip.open(shared_data / "gsm8k" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
            lines = sorted(file, key=len)
        (folder / f"{name}.jsonl").write_text("".join(lines[:count]), encoding="utf-8")
    recipe = write_recipe(
        folder,
        {"path": "train.jsonl", "test_path": "test.jsonl", "task": "generate", "split": {"validation": 0.05}},
        "embedded",
        train={"max_steps": 3, "learning_rate": 2e-3, "evaluations_per_epoch": 1, "compile": "off"},
        evaluate={
            "metrics": ["numeric_match", "exact_match", "token_f1", "perplexity"],
            "few_shot": [0, 1],
            "select_rows": 2,
            "max_new_tokens": 16,
        },
    )
    done = command("run", recipe, "--workspace", folder / "work", "--json")
    assert done.code == 0, done.err
    found: dict[str, Any] = done.json()
    return found


@pytest.mark.slow
def test_every_figure_of_every_system_is_that_of_its_saved_answers(said: dict[str, Any], recomputed: ModuleType) -> None:
    report = said["report"]
    assert [system["key"] for system in report["systems"]] == ["zero-shot", "few-shot", "neighbour", "tuned"]
    assert recomputed.differences(report, Path(said["folder"])) == []
    assert any(system["metrics"]["numeric_match"]["value"] > 0 for system in report["systems"])  # there is something to differ in


@pytest.mark.slow
def test_no_gain_is_called_where_hardly_a_number_is_right(said: dict[str, Any]) -> None:
    report = said["report"]
    assert (report["verdict"]["outcome"], report["verdict"]["metric"]) == ("no gain shown", "numeric_match")
    assert report["verdict"]["gain"]["low"] < 0 < report["verdict"]["gain"]["high"]
    rows = list(read_jsonl(Path(said["folder"]) / "predictions" / "tuned.jsonl"))
    assert len(rows) == 60 and all("####" in row["reference"] for row in rows)
