"""The model card parses as the hub parses it, holds the report's figures, and gives away nothing of the data."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from huggingface_hub import ModelCard

from tunesmith.report.limits import TITLES, title
from tunesmith.report.loading import Loading
from tunesmith.report.model_card import Origin, model_card

WHOLE = Loading(form="whole", task="classify", end_ids=(2,))
ADAPTER = Loading(form="adapter", task="generate", end_ids=(2,))
KNOWN = Origin(base_id="Qwen/Qwen3-0.6B", base_name="Qwen/Qwen3-0.6B", license="apache-2.0", languages=("en",))


def labelled(report: dict[str, Any]) -> dict[str, Any]:
    figures = {name: {"value": 0.2, "low": 0.1, "high": 0.4} for name in ("precision", "recall", "f1")}
    return report | {"per_label": {"labels": [{"label": "refund", "rows": 14, "answered": 9, **figures, "beside": {"zero-shot": 0.1}}]}}


def read(text: str) -> ModelCard:
    """As `ModelCard.load` reads it: errors of metadata are errors."""
    return ModelCard(text)


def test_the_hub_reads_what_was_measured(fakes: ModuleType) -> None:
    card = read(model_card(labelled(fakes.gain()), KNOWN, WHOLE))
    data = card.data
    assert (data.base_model, data.license, data.language) == ("Qwen/Qwen3-0.6B", "apache-2.0", "en")
    assert (data.library_name, data.pipeline_tag) == ("transformers", "text-generation")
    assert {"tunesmith", "full", "classify"} <= set(data.tags)
    assert data.datasets is None
    assert data.model_name == "tunesmith-r-3f2a9c01d4"
    assert [(one.metric_type, one.metric_name, one.metric_value) for one in data.eval_results] == [
        ("accuracy", "Accuracy", 0.823),
        ("f1", "Macro F1", 0.794),
    ]
    assert {(one.dataset_name, one.dataset_split, one.task_type) for one in data.eval_results} == {
        ("tickets.jsonl", "test", "text-classification")
    }
    for told in (
        "**Fine-tuning earned its place: accuracy 82.3% against 55.0%",
        "| Fine-tuned | 82.3 (78.0 to 86.6) | 79.4 (74.6 to 84.2) | 61.2 | 11.8 |",
        "| Step kept | 198 |",
        "1,400 train, 150 select, 150 calibrate, 300 test rows, 22 labels",
        "label = refund (51.0% against",
        "refund 20.0% of 14 rows",
        "No forgetting was found",
        "Confidences are corrected by a temperature of 1.62",
        "- Looked at, and not told here, as it shows rows: reasons for single answers.",
        "- Not measured: unwanted answers, bias, memorisation, other seeds, what a search gained, overfitting, what a judge prefers, code that passes its tests, more rows.",
        "It does not keep to 1 of the bounds its maker set: calibration error.",
        "| gain | +1.0 points | +21.8 points | yes |",
        "| calibration error | 0.050 | 0.061 | **no** |",
        "Licence: that of the base, `apache-2.0`",
        "dataset `b2b2b2b2b2b2b2b2`",
    ):
        assert told in card.text, told


def test_an_adapter_names_peft_and_what_is_not_known_is_said(fakes: ModuleType) -> None:
    card = read(model_card(fakes.generation(), Origin(base_name="my-base", local_path=True), ADAPTER))
    assert card.data.library_name == "peft" and card.data.pipeline_tag == "text-generation"
    assert card.data.license is card.data.base_model is card.data.language is None
    assert "Licence: not known" in card.text and "Its language was not stated" in card.text
    assert "Before it is published" in card.text and "PeftModel.from_pretrained" in card.text


def test_nothing_of_rows_or_of_the_machine_is_given_away(fakes: ModuleType) -> None:
    report = fakes.gain()
    secret = "Anna Example, 12 Hidden Lane"
    report["slices"]["slices"][1] |= {"name": f"customer = {secret}", "worse": True}
    report["slices"]["sentence"] = f"1 of 3 slices is worse than the rest: customer = {secret}."
    report["per_group"] = {"sentence": f"Answers are worse for customer = {secret}."}
    report["judge"] = {
        "judge": "http://host:8000/v1 /home/x/judge.gguf",
        "sentence": "http://host:8000/v1 /home/x/judge.gguf preferred theirs.",
    }
    judged = f"A judge prefers the base, zero-shot: {report['judge']['sentence']}"
    report["verdict"]["notes"] += [report["slices"]["sentence"], report["per_group"]["sentence"], judged]
    report["published"]["looks"].append({"look": "judge", "measured": True, "alarm": True, "text": None})
    text = model_card(report, KNOWN, WHOLE)
    assert "Few-shot prompting costs" in text
    for held in (
        secret,
        "Anna",
        "/home",
        "http://host",
        "judge.gguf",
        "someone",
        "teapot",
        report["errors"][0]["row_id"],
        "AMD EPYC",
        "customer_id",
    ):
        assert held not in text, held


@pytest.mark.parametrize("path", ["C:\\Users\\anna\\rows.csv", "/home/anna/rows.csv", "rows.csv", "s3://bucket/anna/rows.csv"])
def test_of_the_data_file_only_its_name_is_told(fakes: ModuleType, path: str) -> None:
    report = fakes.gain()
    report["data"]["path"] = path
    text = model_card(report, KNOWN, WHOLE)
    assert read(text).data.eval_results[0].dataset_name == "rows.csv"
    assert "anna" not in text


def test_hostile_names_stay_text(fakes: ModuleType) -> None:
    report = labelled(fakes.gain())
    nasty = "]<script>alert(1)</script>| x\n---\nlicense: stolen"
    report["data"]["path"] = nasty
    report["per_label"]["labels"][0]["label"] = nasty
    report["published"]["looks"] += [{"look": name, "measured": True, "alarm": True, "text": nasty} for name in (nasty, "bias")]
    report["published"]["notes"].append(nasty)
    report["verdict"]["gates"].append({"name": nasty, "bound": 1, "value": 2, "holds": False})
    report["systems"][1]["name"] = nasty
    report["verdict"]["sentence"] = nasty
    card = read(model_card(report, Origin(base_name=nasty, license="mit\nevil: yes"), WHOLE))
    assert card.data.license == "mit\nevil: yes" and "evil" not in card.data.to_dict()
    assert "<script" not in card.text and "\nlicense: stolen" not in card.text
    assert (
        len({line.count(" | ") for line in card.text.split("## The comparison")[1].split("##")[0].splitlines() if line.startswith("|")})
        == 1
    )


def test_a_report_with_nothing_but_an_id_still_makes_a_card() -> None:
    card = read(model_card({"schema": 1, "round": {"id": "r-0"}}, Origin(), WHOLE))
    assert card.data.eval_results is None and "# tunesmith-r-0" in card.text
    for name in TITLES:
        assert title(name).lower() in card.text.split("Not measured: ")[1].splitlines()[0]
    assert "## Bounds\n\nIts maker set none." in card.text


def test_every_fake_round_makes_a_card_that_loads_from_a_file(fakes: ModuleType, tmp_path: Path) -> None:
    for name in ("gain", "no_gain", "generation", "hostile"):
        file = tmp_path / f"{name}.md"
        file.write_text(model_card(getattr(fakes, name)(), KNOWN, WHOLE), encoding="utf-8")
        assert ModelCard.load(file).data.license == "apache-2.0"
