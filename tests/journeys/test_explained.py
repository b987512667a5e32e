"""Reasons through the whole pipeline: they stand in report and page, change nothing of the model, and are not made twice."""

import json
from pathlib import Path
from typing import Any

import pytest

Rows = list[dict[str, Any]]
ASKED: dict[str, Any] = {"enabled": True, "rows": 2, "steps": 16, "nearest": 2, "snapshots": 2}


def round_of(folder: Path, base: Path, tools: tuple[Any, Any, Any], rows: Rows, **sections: Any) -> Path:
    """The folder of a round over the rows."""
    command, write_rows, write_recipe = tools
    write_rows(folder / "rows.jsonl", rows)
    train = {"max_steps": None, "epochs": 3, "evaluations_per_epoch": 1, "early_stopping": {"patience": None}}
    evaluate = {"few_shot": [0], "linear_floor": False, "forgetting": {"enabled": False}} | sections.pop("evaluate", {})
    data = {"path": "rows.jsonl", "dedup": {"near": False}} | sections.pop("data", {})
    said = command(
        "run", write_recipe(folder, data, base, train=train, evaluate=evaluate, **sections), "--workspace", folder / "work", "--json"
    )
    assert said.code == 0, said.err
    return folder / "work" / "rounds" / str(said.json()["report"]["round"]["id"])


def report_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return found


@pytest.fixture(scope="module")
def tools(command: Any, write_rows: Any, write_recipe: Any) -> tuple[Any, Any, Any]:
    return command, write_rows, write_recipe


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, tools: Any, colour_rows: Rows) -> Path:
    """A round of adapters that was asked why."""
    return round_of(
        tmp_path_factory.mktemp("why"), tiny_base, tools, colour_rows[:90], method={"name": "lora", "rank": 4}, evaluate={"explain": ASKED}
    )


def test_reasons_stand_in_report_and_page(explained: Path) -> None:
    told = report_of(explained)["explained"]
    assert [one["right"] for one in told["rows"]].count(False) <= 2 and len(told["rows"]) >= 2
    for one in told["rows"]:
        if one["fails"] is None:
            assert sum(value or 0.0 for _, value in one["words"]) == pytest.approx(one["whole"] - one["blank"], rel=told["tolerance"])
        assert len(one["nearest"]) == 2
        assert all(row["value"] > 0 for row in one["toward"]) and all(row["value"] < 0 for row in one["against"])
        assert max(abs(row["value"]) for row in one["toward"] + one["against"]) == pytest.approx(1.0)
    assert (
        told["checkpoints"] == sorted(set(told["checkpoints"]))
        and told["checkpoints"][-1] == report_of(explained)["training"]["chosen_step"]
    )
    assert "Why it answered so" in (explained / "report.html").read_text()
    assert not (explained / "snapshots").exists() and not (explained / "training" / "snapshots").exists()


def test_the_model_and_its_answers_are_the_same_bit_for_bit_without_reasons(
    explained: Path, tmp_path: Path, tiny_base: Path, tools: Any, colour_rows: Rows
) -> None:
    plain = round_of(tmp_path, tiny_base, tools, colour_rows[:90], method={"name": "lora", "rank": 4})
    one, other = report_of(plain), report_of(explained)
    assert one["explained"] is None and 'id="why"' not in (plain / "report.html").read_text()
    assert one["hashes"]["model"] == other["hashes"]["model"]
    assert [step["loss"] for step in one["training"]["steps"]] == [step["loss"] for step in other["training"]["steps"]]
    assert [json.loads(line)["chances"] for line in (plain / "predictions" / "tuned.jsonl").read_text().splitlines()] == [
        json.loads(line)["chances"] for line in (explained / "predictions" / "tuned.jsonl").read_text().splitlines()
    ]


def test_a_head_is_explained_by_its_logits_and_its_rows(tmp_path: Path, tiny_base: Path, tools: Any, colour_rows: Rows) -> None:
    asked = ASKED | {"rows": 1, "steps": 8}
    folder = round_of(
        tmp_path, tiny_base, tools, colour_rows[:90], method={"name": "features", "head": "class"}, evaluate={"explain": asked}
    )
    told = report_of(folder)["explained"]
    assert all(one["figure"].startswith("logit of") for one in told["rows"])
    assert told["suspects"] and all(one["toward"] or one["against"] for one in told["rows"])


def test_what_has_no_single_answer_says_so(tmp_path: Path, tiny_base: Path, tools: Any) -> None:
    rows = [{"text": f"a plain text about thing number {place} and its colour"} for place in range(40)]
    folder = round_of(tmp_path, tiny_base, tools, rows, data={"task": "text"}, evaluate={"explain": ASKED})
    assert report_of(folder)["explained"]["sentences"] == ["Nothing is explained: raw text has no answers."]
    assert "raw text has no answers" in (folder / "report.html").read_text()


def test_without_captum_a_round_is_refused_before_it_trains(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_base: Path, tools: Any, colour_rows: Rows
) -> None:
    import sys

    command, write_rows, write_recipe = tools
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    write_rows(tmp_path / "rows.jsonl", colour_rows)
    recipe = write_recipe(tmp_path, "rows.jsonl", tiny_base, evaluate={"explain": ASKED})
    said = command("check", recipe, "--workspace", tmp_path / "work")
    assert said.code == 3
    assert "pip install 'tunesmith[explain]'" in said.err
