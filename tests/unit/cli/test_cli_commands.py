"""Each command: what it calls, what it prints, what it returns."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunesmith.cli.preflight import data_lines
from tunesmith.cli.running import _gates
from tunesmith.core.errors import DataError, MachineError
from tunesmith.recipe import parse_recipe

Call = Callable[..., Any]


def test_run_prints_the_verdict_and_the_card(tunesmith_command: Call, pipeline: Any, recipe: str) -> None:
    said = tunesmith_command("run", recipe)
    assert said.code == 0
    assert "Fine-tuning earned its place." in said.out
    assert "Report card: w/rounds/r-1/card.html" in said.out
    name, how = pipeline.calls[0]
    assert (name, how["again"], how["workspace"], how["recipe"].data.path) == ("run", False, Path(".tunesmith"), "rows.jsonl")


def test_run_in_a_pipe_tells_its_progress_in_lines(tunesmith_command: Call, recipe: str) -> None:
    said = tunesmith_command("run", recipe)
    assert said.err.splitlines() == ["train: started (100 steps)", "warning: a label has [red]few[/red] rows", "train: done in 3.5 s"]


def test_quiet_keeps_warnings(tunesmith_command: Call, recipe: str) -> None:
    assert tunesmith_command("run", recipe, "--quiet").err.splitlines() == ["warning: a label has [red]few[/red] rows"]


def test_json_is_alone_on_stdout(tunesmith_command: Call, pipeline: Any, recipe: str) -> None:
    pipeline.during = lambda: print("a library chatters")
    said = tunesmith_command("run", recipe, "--json")
    assert json.loads(said.out)["id"] == "r-1"
    assert said.out.count("\n") == 1
    assert "a library chatters" in said.err


def test_settings_and_workspace_are_handed_on(tunesmith_command: Call, pipeline: Any, recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tunesmith_command("run", recipe, "--again", "--set", "train.epochs=1", "--set", "seed=7", "--workspace", "w")
    how = pipeline.calls[-1][1]
    assert (how["again"], how["workspace"], how["recipe"].train.epochs, how["recipe"].seed) == (True, Path("w"), 1.0, 7)
    monkeypatch.setenv("TUNESMITH_WORKSPACE", "elsewhere")
    tunesmith_command("run", recipe)
    assert pipeline.calls[-1][1]["workspace"] == Path("elsewhere")


def test_paths_are_taken_from_the_recipes_folder(tunesmith_command: Call, pipeline: Any, tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "r.yaml").write_text("data: {path: rows.jsonl}\n")
    tunesmith_command("run", "below/r.yaml")
    assert pipeline.calls[-1][1]["recipe"].data.path == "below/rows.jsonl"


def test_a_gate_that_says_no(tunesmith_command: Call, pipeline: Any, recipe: str) -> None:
    pipeline.round = type(pipeline.round)(gates_hold=False)
    said = tunesmith_command("run", recipe)
    assert said.code == 4
    assert "Fine-tuning earned its place." in said.out
    assert "error: a gate said no: gain is 0.17, bound 0.3." in said.err
    assert json.loads(tunesmith_command("run", recipe, "--json").out)["gates_hold"] is False


def test_a_gate_that_was_not_measured() -> None:
    gate = {"name": "calibration_error", "bound": 0.0, "value": None, "holds": False}
    assert _gates({"verdict": {"gates": [gate]}}) == "a gate said no: calibration_error was not measured, bound 0."


def test_a_finished_round_says_so(tunesmith_command: Call, pipeline: Any, recipe: str) -> None:
    pipeline.round = type(pipeline.round)(finished_before=True)
    assert "--again makes a new one" in tunesmith_command("run", recipe).out


@pytest.mark.parametrize(("error", "code"), [(DataError("The file holds no rows."), 3), (MachineError("No space left."), 3)])
def test_an_error_is_one_line_and_its_code(tunesmith_command: Call, pipeline: Any, recipe: str, error: Exception, code: int) -> None:
    pipeline.round = error
    said = tunesmith_command("run", recipe, "--quiet")
    assert (said.code, said.out) == (code, "")
    assert said.err.splitlines()[-1] == f"error: {error}"
    assert json.loads(tunesmith_command("run", recipe, "--json").out) == {"error": str(error), "exit_code": code}


@pytest.mark.parametrize(
    ("error", "words"), [(MemoryError(), "Memory ran out"), (OSError(28, "No space left on device"), "No space left on the disk")]
)
def test_the_machines_own_refusals(tunesmith_command: Call, pipeline: Any, recipe: str, error: Exception, words: str) -> None:
    pipeline.round = error
    said = tunesmith_command("run", recipe)
    assert said.code == 3
    assert f"error: {words}" in said.err


def test_a_bug_leaves_its_traceback_in_a_private_file(tunesmith_command: Call, pipeline: Any, recipe: str, tmp_path: Path) -> None:
    pipeline.round = ZeroDivisionError("by \x1b[31mzero\nand a second line")
    said = tunesmith_command("run", recipe, "--workspace", "w", "--quiet")
    assert said.code == 1
    assert said.err.splitlines()[-1].startswith("error: this is a bug in tunesmith (ZeroDivisionError: by zero); its traceback is in w/")
    assert "Traceback" not in said.err
    file = next((tmp_path / "w" / "bugs").iterdir())
    assert "ZeroDivisionError" in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_debug_shows_the_traceback(tunesmith_command: Call, pipeline: Any, recipe: str, tmp_path: Path) -> None:
    pipeline.round = ZeroDivisionError("by zero")
    said = tunesmith_command("run", recipe, "--debug")
    assert "Traceback" in said.err
    assert not (tmp_path / ".tunesmith").exists()


def test_a_bug_where_nothing_can_be_written(tunesmith_command: Call, pipeline: Any, recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline.round = ZeroDivisionError("by zero")
    monkeypatch.setattr("tempfile.gettempdir", lambda: "/dev/null")
    said = tunesmith_command("run", recipe, "--workspace", "/dev/null/w")
    assert said.err.splitlines()[-1].endswith("see its traceback with --debug.")


def test_an_interruption(tunesmith_command: Call, pipeline: Any, recipe: str) -> None:
    pipeline.round = KeyboardInterrupt()
    said = tunesmith_command("run", recipe)
    assert said.code == 130
    assert said.err.splitlines()[-1] == "interrupted: continue with the same command"


def test_demo_runs_the_embedded_recipe(tunesmith_command: Call, pipeline: Any, tmp_path: Path) -> None:
    said = tunesmith_command("demo")
    assert said.code == 0
    assert pipeline.calls[0][1]["recipe"].data.path == "sample"
    assert "Report card:" in said.out
    assert list(tmp_path.iterdir()) == []


def test_show(tunesmith_command: Call, pipeline: Any) -> None:
    pipeline.kept = [type(pipeline.round)(report=None, status="failed", error="the disk is full", sentence=None, card=None)]
    said = tunesmith_command("show", "r-1")
    assert said.code == 0
    assert "error: the disk is full" in said.out
    assert "This round is failed: tunesmith run with its recipe continues it." in said.out
    assert json.loads(tunesmith_command("show", "r-1", "--json").out)["status"] == "failed"
    assert tunesmith_command("show", "r-2").code == 2


def test_list(tunesmith_command: Call, pipeline: Any) -> None:
    said = tunesmith_command("list")
    assert said.out.splitlines()[2].split()[:3] == ["r-1", "done", "2026-01-01T00:00:00Z"]
    assert json.loads(tunesmith_command("list", "--json").out)["rounds"][0]["id"] == "r-1"
    pipeline.kept = []
    assert "No rounds in .tunesmith yet" in tunesmith_command("list").out


def test_compare_shows_what_differs(tunesmith_command: Call, pipeline: Any) -> None:
    first = pipeline.kept[0]
    other = first.report | {"recipe": "data: {path: rows.jsonl}\ntrain: {epochs: 5}\n", "hashes": {"dataset": "d2"}}
    pipeline.kept = [first, type(first)(id="r-2", report=other), type(first)(id="r-3", report=None, status="running", error=None)]
    said = tunesmith_command("compare", "r-1", "r-2")
    assert "0.620" in said.out
    assert "0.580 to 0.660" in said.out
    assert [line.split() for line in said.out.splitlines()][-1] == ["train.epochs", "3.0", "5.0"]
    assert "different datasets" in said.out
    assert len(json.loads(tunesmith_command("compare", "r-1", "r-3", "--json").out)["rounds"]) == 2
    assert "running" in tunesmith_command("compare", "r-1", "r-3").out
    assert tunesmith_command("compare", "r-1").code == 2


def test_prepare_accounts_for_the_rows(tunesmith_command: Call, recipe: str) -> None:
    said = tunesmith_command("prepare", recipe)
    assert "3 not valid JSON" in said.out
    assert "Rows: 70 train, 27 test" in said.out
    assert "Labels: 2, from 40 to 57 rows each" in said.out
    assert json.loads(tunesmith_command("prepare", recipe, "--json").out)["id"] == "d-1"


def test_prepare_tells_the_rows_that_stages_added() -> None:
    rows = {"path": "rows.jsonl", "format": "text/label", "task": "classify", "sides": {"train": 1159}, "labels": {"a": 40, "b": 57}}
    stages = [
        {"stage": "split", "kept": 469, "changed": 0, "dropped": 0, "reasons": {}},
        {"stage": "augment", "kept": 1159, "changed": 0, "dropped": 2, "added": 692, "reasons": {"too near": 2}},
    ]
    lines = list(data_lines(rows | {"waterfall": stages}))
    cells = [line.split() for line in lines]
    assert ["stage", "kept", "changed", "dropped", "added", "why"] in cells
    assert ["split", "469", "0", "0", "0"] in cells and ["augment", "1159", "0", "2", "692", "2", "too", "near"] in cells
    assert lines[-1] == "Labels: 2, from 40 to 57 rows each, added rows among them"
    plain = list(data_lines(rows | {"waterfall": [{"stage": "read", "kept": 97, "changed": 0, "dropped": 3, "reasons": {}}]}))
    assert "added" not in "".join(plain) and plain[-1].endswith("57 rows each")


def test_schema(tunesmith_command: Call) -> None:
    assert json.loads(tunesmith_command("schema").out)["required"] == ["data"]
    assert json.loads(tunesmith_command("schema", "--json").out)["required"] == ["data"]


def test_init_writes_a_recipe(tunesmith_command: Call, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("{}\n")
    said = tunesmith_command("init", "--data", "rows.jsonl", "--base", "Qwen/Qwen3-0.6B", "--task", "classify")
    assert (said.code, said.err) == (0, "")
    assert "tunesmith check recipe.yaml" in said.out
    written = parse_recipe((tmp_path / "recipe.yaml").read_text())
    assert (written.data.path, written.base.path, written.data.task) == ("rows.jsonl", "Qwen/Qwen3-0.6B", "classify")


def test_init_overwrites_only_when_told(tunesmith_command: Call, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("mine")
    said = tunesmith_command("init", "--data", "sample")
    assert said.code == 2
    assert "--force" in said.err
    assert (tmp_path / "recipe.yaml").read_text() == "mine"
    assert tunesmith_command("init", "--data", "sample", "--force").code == 0
    assert (tmp_path / "recipe.yaml").read_text() != "mine"


def test_init_writes_paths_as_the_recipe_will_see_them(tunesmith_command: Call, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("{}\n")
    (tmp_path / "small").mkdir()
    tunesmith_command("init", "--data", "rows.jsonl", "--base", "small", "--out", "below/r.yaml")
    written = parse_recipe((tmp_path / "below" / "r.yaml").read_text())
    assert (written.data.path, written.base.path) == ("../rows.jsonl", "../small")


def test_init_without_a_terminal_needs_to_be_told(tunesmith_command: Call, tmp_path: Path) -> None:
    said = tunesmith_command("init")
    assert said.code == 2
    assert "--data FILE" in said.err
    absent = tunesmith_command("init", "--data", "none.jsonl")
    assert (absent.code, absent.err) == (0, "warning: none.jsonl is not there yet: put it there before tunesmith check.\n")


def test_init_asks_on_a_terminal(tunesmith_command: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["sample", "embedded"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.prompt", lambda *_, **__: next(answers))
    assert tunesmith_command("init").code == 0
    assert parse_recipe((tmp_path / "recipe.yaml").read_text()).data.path == "sample"


def test_a_typo_in_a_recipe(tunesmith_command: Call, pipeline: Any, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("data: {path: x}\ntrain:\n  learning_rte: 1\n  epochs: 0\n")
    for command in ("run", "check", "prepare"):
        said = tunesmith_command(command, "bad.yaml")
        assert said.code == 2
        assert said.err.splitlines() == [
            "error: bad.yaml:3: train.learning_rte is not a setting. Did you mean 'learning_rate'?",
            "error: bad.yaml:4: train.epochs is 0; it must be greater than 0. Leave it out for the default, 3.0.",
        ]
    assert pipeline.calls == []
