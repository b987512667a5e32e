"""The two case studies in examples/: they can be run, their pages say what the kept reports say, and those say what they are shown for."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tunesmith.recipe import load_recipe, parse_recipe

EXAMPLES = Path(__file__).parents[2] / "examples"


def kept(case: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((EXAMPLES / case / "report.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def keeping() -> ModuleType:
    """The script that writes the pages."""
    spec = importlib.util.spec_from_file_location("keep_case", EXAMPLES / "keep_case.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("case", ["failure", "success"])
def test_every_figure_of_its_page_is_the_reports(case: str, keeping: ModuleType) -> None:
    page = (EXAMPLES / case / "README.md").read_text(encoding="utf-8")
    assert keeping.written(page, kept(case)) == page
    assert kept(case)["verdict"]["sentence"] in page


@pytest.mark.parametrize("case", ["failure", "success"])
def test_the_kept_report_is_of_this_recipe(case: str) -> None:
    """But for the number of threads, which changes no figure that is told."""
    told, asked = (
        one.model_dump(mode="json") for one in (parse_recipe(kept(case)["recipe"]), load_recipe(EXAMPLES / case / "recipe.yaml"))
    )
    told["train"].pop("threads"), asked["train"].pop("threads")
    assert {name: told[name] for name in asked} == asked


@pytest.mark.parametrize("case", ["failure", "success"])
def test_a_stranger_can_run_it(case: str, tmp_path: Path, command: Any) -> None:
    said = command("check", EXAMPLES / case / "recipe.yaml", "--workspace", tmp_path)
    assert said.code == 0, said.err


def test_the_failure_is_called_one() -> None:
    report = kept("failure")
    verdict, lost = report["verdict"], report["forgetting"]
    assert verdict["outcome"] == "no gain shown" and verdict["gain"]["low"] <= 0
    assert any("Validation loss has risen" in line and "while training loss fell" in line for line in report["training"]["words"])
    losses = [one["loss"] for one in report["training"]["validation"]]
    assert losses[-1] > 1.1 * min(losses) and report["training"]["chosen_step"] < len(report["training"]["steps"])
    assert lost["outcome"] == "forgot" and lost["rise"]["relative"]["low"] > 1
    assert any(note.startswith("The tuned model has forgotten") for note in verdict["notes"])
    assert [(gate["name"], gate["holds"]) for gate in verdict["gates"]] == [("forgetting", False)]


def test_the_success_is_called_one() -> None:
    report = kept("success")
    verdict = report["verdict"]
    assert verdict["outcome"] == "gain" and verdict["sentence"].startswith("Fine-tuning earned its place: ")
    assert verdict["gain"]["low"] > 0.3 and all(gate["holds"] for gate in verdict["gates"])
    value = {system["key"]: system["metrics"]["accuracy"]["value"] for system in report["systems"]}
    assert value["tuned"] > max(held for name, held in value.items() if name != "tuned")
    assert {gate["name"] for gate in verdict["gates"]} == {"gain", "calibration_error"}
