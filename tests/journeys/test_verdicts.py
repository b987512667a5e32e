"""Planted truths through the whole pipeline: what was learnt is a gain, what can't be learnt is none."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Rows = list[dict[str, Any]]


@pytest.fixture
def judged(tmp_path: Path, tiny_base: Path, command: Any, write_rows: Any, write_recipe: Any) -> Callable[..., dict[str, Any]]:
    """Runs a recipe over rows and returns its report: (rows, data=, base=, **sections)."""

    def call(rows: Rows, *, data: dict[str, Any] | None = None, base: Path | str = tiny_base, **sections: Any) -> dict[str, Any]:
        write_rows(tmp_path / "rows.jsonl", rows)
        sections["train"] = {"max_steps": None, "epochs": 8, "evaluations_per_epoch": 1} | sections.get("train", {})
        recipe = write_recipe(tmp_path, {"path": "rows.jsonl"} | (data or {}), base, **sections)
        said = command("run", recipe, "--workspace", tmp_path / "work", "--json")
        assert said.code == 0, said.err
        report: dict[str, Any] = said.json()["report"]
        return report

    return call


def _accuracy(report: dict[str, Any]) -> dict[str, float]:
    return {system["key"]: system["metrics"]["accuracy"]["value"] for system in report["systems"]}


def test_what_can_be_learnt_is_a_gain(judged: Any, colour_rows: Rows) -> None:
    report = judged(colour_rows)
    found, verdict = _accuracy(report), report["verdict"]
    assert found["tuned"] > 0.9 and max(found["zero-shot"], found["few-shot"]) < 0.6
    assert (verdict["outcome"], verdict["metric"]) == ("gain", "accuracy")
    assert verdict["gain"]["low"] > 0.1 and verdict["gain"]["p_value"] < 0.001
    assert verdict["sentence"].startswith(
        (
            "Fine-tuning earned its place: ",
            "Fine-tuning beat the base, and TF-IDF with",
            "Fine-tuning beat the base, and Nearest neighbours",
        )
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_labels_that_mean_nothing_are_no_gain(seed: int, judged: Any, colour_rows: Rows) -> None:
    labels = [row["label"] for row in colour_rows]
    random.Random(seed).shuffle(labels)
    report = judged([row | {"label": label} for row, label in zip(colour_rows, labels, strict=True)], seed=seed)
    verdict = report["verdict"]
    assert verdict["outcome"] == "no gain shown" and verdict["gain"]["low"] <= 0
    assert verdict["sentence"].startswith("No gain shown")
    assert _accuracy(report)["tuned"] < 0.6


def test_learning_only_how_common_labels_are_is_no_gain(judged: Any, colour_rows: Rows) -> None:
    """Skewed labels that mean nothing: a model that always gives the commonest beats the base, and has learnt nothing."""
    labels = ["usual"] * 160 + ["rare"] * 40 + ["odd"] * 40
    random.Random(2).shuffle(labels)
    report = judged([row | {"label": label} for row, label in zip(colour_rows, labels, strict=True)], train={"epochs": 3})
    found, verdict = _accuracy(report), report["verdict"]
    assert found["majority"] > 0.5
    assert verdict["outcome"] == "no gain shown" and verdict["gain"]["low"] <= 0


def test_training_that_changes_nothing_is_no_gain(judged: Any, colour_rows: Rows) -> None:
    report = judged(colour_rows, train={"learning_rate": 1e-9, "epochs": 1}, evaluate={"few_shot": [0]})
    verdict = report["verdict"]
    assert verdict["outcome"] == "no gain shown"
    assert report["training"]["validation"][0]["loss"] == pytest.approx(report["training"]["validation"][-1]["loss"], abs=1e-3)


def test_a_handful_of_rows_is_too_few_to_tell(judged: Any, colour_rows: Rows) -> None:
    report = judged(colour_rows[:30], train={"epochs": 2})
    verdict = report["verdict"]
    assert report["systems"][-1]["rows"] < 8
    assert verdict["outcome"] == "no gain shown" and "too few to tell" in verdict["sentence"]


def test_a_model_that_was_not_trained_answers_as_its_base_and_it_is_said(judged: Any) -> None:
    """A tuned model identical to the base: written answers, so that both are asked alike; a base that says something."""
    things = ("rake", "hose", "spade", "trug", "dibber", "fork", "hoe")
    rows = [{"prompt": f"Where is {one} {n}?", "completion": f"The {one} is in hall {n}."} for one in things for n in range(30)]
    report = judged(
        rows,
        data={"task": "generate", "dedup": {"near": False}},
        base="embedded",
        train={"learning_rate": 1e-12, "epochs": 1, "max_steps": 2},
        evaluate={"few_shot": [0], "metrics": ["chrf", "exact_match", "perplexity"]},
    )
    verdict = report["verdict"]
    assert verdict["outcome"] == "no gain shown" and verdict["best_baseline"] == "zero-shot"
    assert (verdict["gain"]["value"], verdict["gain"]["p_value"]) == (0.0, 1.0)
    assert "The tuned model's answers are the same as those of zero-shot on every row." in verdict["notes"]
    base, tuned = (next(one for one in report["systems"] if one["key"] == key)["metrics"] for key in ("zero-shot", "tuned"))
    assert base["chrf"] == tuned["chrf"] and base["exact_match"] == tuned["exact_match"]
    assert base["perplexity"]["value"] == pytest.approx(tuned["perplexity"]["value"], rel=1e-6)


def test_a_model_that_is_always_wrong_is_called_worse_and_too_sure(judged: Any, colour_rows: Rows, tmp_path: Path, write_rows: Any) -> None:
    """Every training row says the next colour: what was learnt well is wrong on every test row, most of all where it is surest."""
    following = {"red": "green", "green": "blue", "blue": "red"}
    shuffled = random.Random(0).sample(colour_rows, len(colour_rows))
    write_rows(tmp_path / "test.jsonl", shuffled[:60])
    report = judged(
        [row | {"label": following[row["label"]]} for row in shuffled[60:]],
        data={"test_path": "test.jsonl", "dedup": {"near": False}, "split": {"validation": 0.6}},
        train={"epochs": 20},
    )
    found, verdict = _accuracy(report), report["verdict"]
    assert found["tuned"] < 0.05 < found["majority"]
    assert verdict["outcome"] == "no gain shown" and verdict["gain"]["high"] < 0
    assert verdict["sentence"].startswith("No gain shown, fine-tuning made it worse: ")
    wrong_and_sure = report["calibration"]["test"]["after"]
    assert wrong_and_sure["ece"] > 0.5  # rows that were taught alike can't tell that the test set says otherwise
