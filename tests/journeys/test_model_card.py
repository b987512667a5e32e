"""The model card that a round leaves beside its adapter: read as the hub reads it, its code run, its figures those of the report."""

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from tunesmith.core.files import read_jsonl
from tunesmith.models.package import model_digest
from tunesmith.score.per_class import class_table
from tunesmith.score.prediction import Prediction


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, colour_file: Path, tiny_base: Path, command: Any, write_recipe: Any) -> Path:
    """The folder of a short LoRA round, whose rows are called private-rows.jsonl."""
    folder = tmp_path_factory.mktemp("carded")
    (folder / "private-rows.jsonl").write_text(colour_file.read_text())
    recipe = write_recipe(folder, "private-rows.jsonl", tiny_base, method={"name": "lora"}, evaluate={"few_shot": [0], "resamples": 200})
    said = command("run", recipe, "--workspace", folder / "work", "--json")
    assert said.code == 0, said.err
    return folder / "work" / "rounds" / str(said.json()["id"])


@pytest.fixture(scope="module")
def report(done: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((done / "report.json").read_text())
    return found


def test_the_card_is_the_reports(done: Path, report: dict[str, Any]) -> None:
    card = ModelCard.load(done / "model" / "README.md")
    assert card.data.library_name == "peft" and {"lora", "classify"} <= set(card.data.tags)
    told = {one.metric_name: one.metric_value for one in card.data.eval_results}
    tuned = report["systems"][-1]["metrics"]
    assert told["Accuracy"] == pytest.approx(tuned["accuracy"]["value"], abs=1e-6)
    assert told["Macro F1"] == pytest.approx(tuned["macro_f1"]["value"], abs=1e-6)
    assert {one.dataset_name for one in card.data.eval_results} == {"private-rows.jsonl"}
    assert "[More Information Needed]" not in card.text and card.data.license is None
    assert report["hashes"]["model"] == model_digest(done / "model")


def test_nothing_private_stands_in_it(done: Path, tiny_base: Path) -> None:
    text = (done / "model" / "README.md").read_text()
    rows = list(read_jsonl(next((done.parents[1] / "datasets").iterdir()) / "train.jsonl"))
    assert not any(message["content"] in text for row in rows for message in row["prompt"])
    for path in (str(done.parents[2]), str(tiny_base.parent), "/tmp", "/home"):
        assert path not in text


def test_its_code_answers_what_the_round_saved(done: Path, tiny_base: Path) -> None:
    text = (done / "model" / "README.md").read_text()
    ours, plain = (part.split("```")[0] for part in text.split("```python\n")[1:])
    rows = list(read_jsonl(next((done.parents[1] / "datasets").iterdir()) / "test.jsonl"))[:4]
    saved = {one["row_id"]: one["answer"] for one in read_jsonl(done / "predictions" / "tuned.jsonl")}
    for row in rows:
        for code in (ours, plain):
            asked = code.replace('Path(".")', f"Path({str(done / 'model')!r})").replace("path/to/the/base", str(tiny_base))
            asked = asked.replace('"What the model is asked"', repr(row["prompt"][-1]["content"]))
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(asked, "card", "exec"), {})
            assert out.getvalue().split()[0] == saved[row["id"]]


def test_label_by_label_is_made_of_the_saved_answers(done: Path, report: dict[str, Any]) -> None:
    def table(path: Path) -> dict[str, Any]:
        return {one.label: one for one in class_table([Prediction.from_json(value) for value in read_jsonl(path)])}

    tuned, base = table(done / "predictions" / "tuned.jsonl"), table(done / "baselines" / "zero-shot.jsonl")
    lines = report["per_label"]["labels"]
    assert {line["label"] for line in lines} == set(tuned)
    for line in lines:
        assert line["f1"]["value"] == pytest.approx(tuned[line["label"]].f1.value)
        assert line["beside"]["zero-shot"] == pytest.approx(base[line["label"]].f1.value)
    assert [line["f1"]["value"] for line in lines] == sorted(line["f1"]["value"] for line in lines)
    mean = sum(line["f1"]["value"] for line in lines) / len(lines)
    assert mean == pytest.approx(report["systems"][-1]["metrics"]["macro_f1"]["value"])
    assert "Label by label" in (done / "report.html").read_text()
