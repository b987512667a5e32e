"""What a card says beside the score, through the whole pipeline: confidence, slices, what was lost; its numbers made anew from what was saved."""

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tunesmith.core.files import read_jsonl
from tunesmith.embedded import general_path
from tunesmith.score.calibrated import Calibration, applied
from tunesmith.score.calibration import figures
from tunesmith.score.chances import chances_of
from tunesmith.score.prediction import Prediction

Rows = list[dict[str, Any]]
LOOKING: dict[str, Any] = {
    "data": {"path": "rows.jsonl", "split": {"validation": 0.5, "test": 0.2}},
    "train": {"max_steps": None, "epochs": 6, "evaluations_per_epoch": 1},
    "evaluate": {"few_shot": [0], "forgetting": {"enabled": True}, "memorisation": {"rows": 40}},
    "gates": {"forgetting": 100.0, "calibration_error": 1.0},
}


@pytest.fixture(scope="module")
def looked_at(
    tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, command: Any, write_rows: Any, write_recipe: Any, colour_rows: Rows
) -> Path:
    """The folder of a round that looked at all of it."""
    folder = tmp_path_factory.mktemp("findings")
    write_rows(folder / "rows.jsonl", [row | {"shop": "ab"[place % 2]} for place, row in enumerate(colour_rows)])
    recipe = write_recipe(folder, LOOKING["data"], tiny_base, **{name: held for name, held in LOOKING.items() if name != "data"})
    said = command("run", recipe, "--workspace", folder / "work", "--json")
    assert said.code == 0, said.err
    return folder / "work" / "rounds" / str(said.json()["report"]["round"]["id"])


def report_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return found


def predictions(folder: Path, name: str) -> list[Prediction]:
    return [Prediction.from_json(value) for value in read_jsonl(folder / "predictions" / f"{name}.jsonl")]


def test_answers_on_test_are_the_models_own_corrected_by_what_lies_with_the_model(looked_at: Path) -> None:
    stored = json.loads((looked_at / "model" / "tunesmith.json").read_text())["calibration"]
    assert applied(predictions(looked_at, "uncorrected"), Calibration.from_json(stored)) == predictions(looked_at, "tuned")
    assert stored["measured"] is None


def test_figures_of_confidence_are_those_of_the_saved_answers(looked_at: Path) -> None:
    test = report_of(looked_at)["calibration"]["test"]
    for name, side in (("uncorrected", "before"), ("tuned", "after")):
        chances = chances_of(predictions(looked_at, name))
        assert chances is not None
        assert test[side]["ece"] == pytest.approx(figures(chances).ece)
        assert test[side]["nll"] == pytest.approx(figures(chances).nll)


def test_the_model_cards_code_gives_the_corrected_confidence(looked_at: Path) -> None:
    code = (looked_at / "model" / "README.md").read_text().split("```python\n")[1].split("```")[0]
    row = next(iter(read_jsonl(next((looked_at.parents[1] / "datasets").iterdir()) / "test.jsonl")))
    code = code.replace('Path(".")', f"Path({str(looked_at / 'model')!r})").replace(
        '"What the model is asked"', repr(row["prompt"][-1]["content"])
    )
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "card", "exec"), {})
    saved = next(one for one in predictions(looked_at, "tuned") if one.row_id == row["id"])
    answer, confidence = out.getvalue().split()
    assert answer == saved.answer and float(confidence) == pytest.approx(saved.confidence, abs=1e-4)


def test_slices_hold_the_accuracy_of_their_rows(looked_at: Path) -> None:
    told = {one["name"]: one["figures"] for one in report_of(looked_at)["slices"]["slices"]}
    right = {one.row_id: one.answer == one.reference for one in predictions(looked_at, "tuned")}
    by_shop = [name for name in told if name.startswith("shop = ")]
    assert by_shop
    for name in by_shop:
        inside, one = told[name]["rows"], told[name]
        assert one["value"]["value"] * inside + one["rest"] * (len(right) - inside) == pytest.approx(sum(right.values()))


def test_what_was_lost_stands_in_report_page_and_gates(looked_at: Path) -> None:
    report = report_of(looked_at)
    lost = report["forgetting"]
    assert lost["rise"]["documents"] == 61
    assert lost["rise"]["relative"]["value"] == pytest.approx(lost["rise"]["tuned"] / lost["rise"]["base"] - 1)
    gates = {gate["name"]: gate for gate in report["verdict"]["gates"]}
    assert gates["forgetting"]["value"] == lost["rise"]["relative"]["high"]
    assert gates["calibration_error"]["value"] == report["calibration"]["test"]["after"]["ece_high"]
    page = (looked_at / "report.html").read_text()
    assert (
        "What was lost of what the base knew" in page and "How far its confidence can be believed" in page and "Where it is worse" in page
    )


def test_what_is_known_by_heart_is_told_of_rows_with_one_label(looked_at: Path) -> None:
    told = report_of(looked_at)["memorisation"]
    assert 0.0 <= told["membership"]["loss"]["auc"]["low"] <= told["membership"]["loss"]["auc"]["high"] <= 1.0
    assert told["membership"]["less_base"] is not None
    assert told["verbatim"] is None and told["personal"] is None
    assert "What it has by heart" in (looked_at / "report.html").read_text()


def test_what_is_known_by_heart_of_answers_that_are_written(
    tmp_path: Path, tiny_base: Path, command: Any, write_rows: Any, write_recipe: Any
) -> None:
    said = "we will send the {} to you on the day after {} at the latest, and the {} too"
    things, days = ("rake", "dibber", "hose", "spade", "trug"), ("monday", "tuesday", "friday", "sunday")
    rows = [{"prompt": f"{one} {day} {two}?", "completion": said.format(one, day, two)} for one in things for day in days for two in things]
    write_rows(tmp_path / "rows.jsonl", rows)
    asked = {"few_shot": [0], "memorisation": {"rows": 10, "verbatim_tokens": 20}}
    data = {"path": "rows.jsonl", "task": "generate", "dedup": {"near": False}}
    done = command("run", write_recipe(tmp_path, data, tiny_base, evaluate=asked), "--workspace", tmp_path / "work", "--json")
    assert done.code == 0, done.err
    told = done.json()["report"]["memorisation"]
    assert told["verbatim"]["trained_rows"] == told["verbatim"]["unseen_rows"] == 10
    assert told["verbatim"]["trained"]["value"] == 0.0 and not told["alarm"]  # four steps teach nothing by heart
    assert told["personal"]["answers"] == done.json()["report"]["systems"][-1]["rows"]


def test_training_hard_on_something_else_is_called_forgetting_and_gated(
    tmp_path: Path, tiny_base: Path, command: Any, write_rows: Any, write_recipe: Any, colour_rows: Rows
) -> None:
    write_rows(tmp_path / "rows.jsonl", colour_rows)
    hard = {"train": {"max_steps": None, "epochs": 8, "learning_rate": 0.05, "evaluations_per_epoch": 1}, "gates": {"forgetting": 0.05}}
    sections = {name: held for name, held in (LOOKING | hard).items() if name != "data"}
    recipe = write_recipe(tmp_path, LOOKING["data"], tiny_base, **sections)
    said = command("run", recipe, "--workspace", tmp_path / "work", "--json")
    assert said.code == 4
    report = said.json()["report"]
    assert report["forgetting"]["outcome"] == "forgot"
    assert any("has forgotten" in note for note in report["verdict"]["notes"])


def test_replaying_general_text_keeps_the_same_training_from_forgetting(
    tmp_path: Path, tiny_base: Path, command: Any, write_rows: Any, write_recipe: Any, colour_rows: Rows
) -> None:
    write_rows(tmp_path / "rows.jsonl", colour_rows)
    documents = [{"text": one["text"]} for one in read_jsonl(general_path())]
    write_rows(tmp_path / "general.jsonl", documents[::2])  # the others are what is measured: none that was trained on is
    replay = {"path": str(tmp_path / "general.jsonl"), "share": 0.5}
    train = {"max_steps": None, "epochs": 8, "learning_rate": 0.05, "evaluations_per_epoch": 1, "regularise": {"replay": replay}}
    sections = {name: held for name, held in (LOOKING | {"train": train, "gates": {"forgetting": 0.05}}).items() if name != "data"}
    recipe = write_recipe(tmp_path, LOOKING["data"], tiny_base, **sections)
    said = command("run", recipe, "--workspace", tmp_path / "work", "--json")
    assert said.code == 0, said.err
    found = said.json()["report"]["forgetting"]
    assert found["outcome"] == "kept" and found["rise"]["relative"]["high"] <= 0.05
    assert 20 <= found["rise"]["documents"] < len(documents)


@pytest.mark.parametrize(
    ("sections", "code", "word"),
    [
        ({"gates": {"forgetting": 0.1}, "evaluate": {"forgetting": {"enabled": False}}}, 2, "gates.forgetting"),
        ({"gates": {"calibration_error": 0.1}, "evaluate": {"calibrate": {"enabled": False}}}, 2, "gates.calibration_error"),
        ({"gates": {"calibration_error": 0.0}}, 3, "where 50 are needed"),
    ],
)
def test_a_bound_on_what_nobody_measures_is_refused(
    sections: dict[str, Any],
    code: int,
    word: str,
    tmp_path: Path,
    tiny_base: Path,
    command: Any,
    write_rows: Any,
    write_recipe: Any,
    colour_rows: Rows,
) -> None:
    write_rows(tmp_path / "rows.jsonl", colour_rows)
    said = command("check", write_recipe(tmp_path, "rows.jsonl", tiny_base, **sections), "--workspace", tmp_path / "work")
    assert said.code == code
    assert word in said.err + said.out
