"""Every task goes the whole way, from rows to a verdict: label sets, numbers, spans, preferences."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Rows = list[dict[str, Any]]
THINGS = ("car", "house", "boat", "shirt", "door", "cup", "chair", "hat", "lamp", "book", "bag", "coat", "fence", "wall")
COLOURS, SIZES = ("red", "green", "blue"), ("big", "small")


@pytest.fixture
def run(tmp_path: Path, tiny_base: Path, command: Any, write_rows: Any, write_recipe: Any) -> Callable[..., Any]:
    """Runs a recipe over rows: (rows, data=, **sections) -> what was said."""

    def call(rows: Rows, *, data: dict[str, Any] | None = None, code: int = 0, **sections: Any) -> Any:
        write_rows(tmp_path / "rows.jsonl", rows)
        recipe = write_recipe(tmp_path, {"path": "rows.jsonl"} | (data or {}), tiny_base, **sections)
        said = command("run", recipe, "--workspace", tmp_path / "work", "--json")
        assert said.code == code, said.err
        return said

    return call


def _described() -> list[tuple[str, tuple[str, ...]]]:
    """Texts with the words of theirs that are labels."""
    made = []
    for number in range(216):
        words = [COLOURS[number % 3]] * (number % 4 > 0) + [SIZES[number % 2]] * (number % 5 > 1)
        made.append((f"Send the {' '.join([*words, THINGS[number % 14]])} of order {number}", tuple(sorted(words))))
    return made


def _systems(report: Any) -> list[str]:
    return [system["key"] for system in report["systems"]]


@pytest.mark.parametrize("head", [None, "tokens"])
def test_sets_of_labels(run: Any, head: str | None) -> None:
    rows = [{"text": text, "labels": list(labels)} for text, labels in _described()]
    said = run(rows, method={"head": head}, train={"max_steps": 4 if head else 30}).json()
    report = said["report"]
    assert (report["data"]["task"], report["training"]["objective"]) == ("multilabel", "sft" if head else "multilabel")
    assert report["verdict"]["metric"] == "labels_micro_f1" and report["confusion"] is None
    assert set(report["data"]["labels"]) == {"red", "green", "blue", "big", "small"}
    assert _systems(report) == ["zero-shot", "few-shot", "majority", "linear", "tuned"]
    assert report["systems"][3]["metrics"]["labels_micro_f1"]["value"] > 0.9
    if head is None:
        losses = [one["loss"] for one in report["training"]["validation"]]
        assert losses[-1] < losses[0]
        assert (Path(said["folder"]) / "model" / "head.safetensors").is_file()


@pytest.mark.parametrize("head", [None, "tokens"])
def test_numbers(run: Any, head: str | None) -> None:
    rows = [{"text": f"The {THINGS[n % 14]} of {COLOURS[n % 3]}, {n}", "score": 1.0 + n % 3} for n in range(210)]
    report = run(
        rows,
        data={"task": "regress", "dedup": {"near": False}},  # a template, whose chains would part colours from sides
        method={"head": head},
        train={"max_steps": 4 if head else 100, "epochs": 30, "learning_rate": 0.003},
    ).json()["report"]
    assert report["training"]["objective"] == ("sft" if head else "regression")
    assert report["verdict"]["metric"] == "pearson" and "Pearson correlation" in report["verdict"]["sentence"]
    assert _systems(report) == ["zero-shot", "few-shot", "mean", "neighbour", "linear", "tuned"]
    if head is None:
        losses = [one["loss"] for one in report["training"]["validation"]]
        assert min(losses) < losses[0] / 3
        assert report["systems"][-1]["metrics"]["pearson"]["value"] > 0.2


def test_spans(run: Any) -> None:
    rows = []
    for text, labels in _described():
        spans = [
            [text.index(f" {label} ") + 1, text.index(f" {label} ") + 1 + len(label), "colour" if label in COLOURS else "size"]
            for label in labels
        ]
        rows.append({"text": text, "spans": spans})
    said = run(rows, data={"task": "tag"}, train={"max_steps": 40})
    report = said.json()["report"]
    assert (report["training"]["objective"], report["verdict"]["metric"]) == ("tags", "span_f1")
    assert _systems(report) == ["word-tags", "tuned"] and report["few_shot"] is None
    assert set(report["data"]["labels"]) == {"colour", "size"}
    assert report["systems"][1]["metrics"]["span_f1"]["value"] > 0.5
    assert "can't be asked for spans" in said.err


def _pairs() -> Rows:
    return [
        {"prompt": f"Where is the {thing}, number {n}?", "chosen": f"In hall {n} of the {thing} house.", "rejected": f"No idea, ask {n}."}
        for thing in THINGS
        for n in range(4)
    ]


@pytest.mark.parametrize("objective", [None, "ipo", "orpo", "simpo", "kto", "unlikelihood", "sft"])
def test_preference_pairs(run: Any, objective: str | None) -> None:
    said = run(_pairs(), **({"objective": {"name": objective}} if objective else {}))
    report = said.json()["report"]
    assert (report["data"]["task"], report["training"]["objective"]) == ("prefer", objective or "dpo")
    assert report["verdict"]["metric"] == "preference_accuracy"
    assert _systems(report) == ["zero-shot", "few-shot", "length", "tuned"]
    assert set(report["systems"][0]["metrics"]) == {"preference_accuracy", "preference_accuracy_per_token"}
    told = [line for line in report["warnings"] if "only the chosen answers" in line]
    assert len(told) == (objective == "sft")
    assert all(error["reference"].startswith("In hall") and error["answer"].startswith("No idea") for error in report["errors"])


def test_answers_judged_one_by_one(run: Any) -> None:
    rows = [
        {"prompt": pair["prompt"], "completion": pair["chosen" if n % 2 else "rejected"], "label": bool(n % 2)}
        for n, pair in enumerate(_pairs() * 2)
    ]
    report = run(rows, data={"task": "prefer"}).json()["report"]
    assert (report["data"]["format"], report["training"]["objective"]) == ("prompt/completion/wanted", "kto")
    assert report["verdict"]["metric"] == "wanted_auc" and report["errors"] == []


def test_what_the_rows_can_not_serve_is_refused_before_training(run: Any, colour_rows: Rows) -> None:
    said = run(colour_rows, objective={"name": "dpo"}, code=2)
    assert "dpo needs answers that people judged" in said.errors[0]
    assert "was taken for rows to classify" in said.errors[0]
