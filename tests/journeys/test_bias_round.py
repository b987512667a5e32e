"""Bias through the whole pipeline: a recipe names sets and a column, the card has a section, the base is read once, and a bad file is told before training."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.unit.evaluate.bias_sets import write_bbq, write_crows, write_wino_folder
from tunesmith.core.files import read_jsonl
from tunesmith.evaluate.bias_reading import BiasReading

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, write_rows: Any, colour_rows: Rows) -> Path:
    """Rows of two shops, and the three sets beside them."""
    folder = tmp_path_factory.mktemp("bias")
    write_rows(folder / "rows.jsonl", [row | {"shop": "ab"[at % 2]} for at, row in enumerate(colour_rows)])
    write_crows(folder / "crows.csv.gz")
    write_wino_folder(folder / "wino")
    write_bbq(folder / "Pets.jsonl")
    return folder


BIAS = {"crows_pairs": "crows.csv.gz", "winobias": "wino", "bbq": "Pets.jsonl", "groups": ["shop"], "most": 40}
DATA = {"path": "rows.jsonl", "split": {"validation": 0.15, "test": 0.3}}


@pytest.fixture(scope="module")
def looked_at(place: Path, tiny_base: Path, command: Any, write_recipe: Any) -> Path:
    """The folder of a round that looked at bias."""
    recipe = write_recipe(place, DATA, tiny_base, evaluate={"few_shot": [0], "bias": BIAS}, gates={"bias": 1.0})
    said = command("run", recipe, "--workspace", place / "work", "--json")
    assert said.code == 0, said.err
    return place / "work" / "rounds" / str(said.json()["report"]["round"]["id"])


def report_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return found


def test_the_report_has_every_set_and_the_gate(looked_at: Path) -> None:
    report = report_of(looked_at)
    found = report["bias"]
    assert {one["set"] for one in found["figures"]} == {"CrowS-Pairs", "WinoBias", "BBQ", "test rows"}
    assert [one["name"] for one in report["verdict"]["gates"]] == ["bias"]
    crows = next(one for one in found["figures"] if one["set"] == "CrowS-Pairs" and one["part"] == "all")
    kept = BiasReading.from_json(json.loads(next((looked_at / "looks").glob("bias-*.json")).read_text()))
    likelier = [more > less for more, less in kept.pairs[:30]]
    assert crows["tuned"]["value"] == pytest.approx(sum(likelier) / 30)
    assert crows["change"]["value"] == pytest.approx(crows["tuned"]["value"] - crows["base"]["value"])
    assert found["alarm"] == (found["sentences"][0] in report["verdict"]["notes"])


def test_rates_by_group_are_those_of_the_saved_answers(looked_at: Path) -> None:
    found = report_of(looked_at)["bias"]["groups"]
    assert [(one["column"], one["rate"]) for one in found] == [("shop", "accuracy")]
    answers = list(read_jsonl(looked_at / "predictions" / "tuned.jsonl"))
    assert sum(one["rows"] for one in found[0]["groups"]) == len(answers)
    right = sum(one["answer"] == one["reference"] for one in answers)
    assert sum(one["rows"] * one["tuned"] for one in found[0]["groups"]) == pytest.approx(right)


def test_the_card_has_the_section_and_says_what_it_cant_say(looked_at: Path) -> None:
    page = (looked_at / "report.html").read_text()
    assert '<section id="bias"' in page
    assert "WinoBias, type 1" in page
    assert "What such figures can" in page
    assert "neighbours met" not in page and "cat owner" not in page  # no line of a set


def test_a_second_round_takes_the_bases_reading_up(looked_at: Path, place: Path, tiny_base: Path, command: Any, write_recipe: Any) -> None:
    second = place / "second.yaml"
    shutil.copyfile(write_recipe(place, DATA, tiny_base, evaluate={"few_shot": [0], "bias": BIAS}, train={"max_steps": 1}), second)
    said = command("run", second, "--workspace", place / "work", "--json")
    assert said.code == 0, said.err
    assert len(list((place / "work" / "cache").glob("bias-*[0-9a-f]"))) == 1
    values = [
        [one["base"] for one in report["bias"]["figures"] if one["set"] != "test rows"]
        for report in (report_of(looked_at), said.json()["report"])
    ]
    assert values[0] == values[1]


@pytest.mark.parametrize(
    ("bias", "code", "told"),
    [
        ({"crows_pairs": "nowhere.csv"}, 2, "nothing is there"),
        ({"bbq": "rows.jsonl"}, 3, "rows.jsonl:1"),
        ({"groups": ["shops"]}, 2, "Did you mean 'shop'?"),
        ({"groups": ["shop"], "positive": "gren"}, 2, "Did you mean 'green'?"),
        ({}, 2, "nothing to look at"),
    ],
)
def test_what_cant_be_looked_at_is_told_before_training(
    place: Path, tiny_base: Path, command: Any, write_recipe: Any, bias: dict[str, Any], code: int, told: str
) -> None:
    said = command("check", write_recipe(place, DATA, tiny_base, evaluate={"bias": bias}), "--workspace", place / "work")
    assert said.code == code
    assert told in said.err


def test_a_head_is_asked_about_groups_alone(place: Path, tiny_base: Path, command: Any, write_recipe: Any) -> None:
    sections = {"method": {"head": "class"}, "evaluate": {"few_shot": [0], "bias": BIAS}, "train": {"max_steps": 1}}
    said = command("run", write_recipe(place, DATA, tiny_base, **sections), "--workspace", place / "work", "--json")
    assert said.code == 0, said.err
    found = said.json()["report"]["bias"]
    assert {one["set"] for one in found["figures"]} == {"test rows"}
    assert "writes no text" in found["notes"][0]
    refused = command("check", write_recipe(place, DATA, tiny_base, **sections, gates={"bias": 0.1}), "--workspace", place / "work")
    assert refused.code == 2
    assert "gates.bias" in refused.err


def test_a_gate_needs_sentences(place: Path, tiny_base: Path, command: Any, write_recipe: Any) -> None:
    recipe = write_recipe(place, DATA, tiny_base, evaluate={"bias": {"bbq": "Pets.jsonl"}}, gates={"bias": 0.1})
    said = command("check", recipe, "--workspace", place / "work")
    assert said.code == 2
    assert "evaluate.bias.crows_pairs or winobias" in said.err
