"""One round through the real command line, and what stands in its report, its folder and the ledger afterwards."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunesmith.core.files import read_json, read_jsonl
from tunesmith.core.hashing import digest_folder
from tunesmith.core.progress import Advanced, Ended, Event, Started
from tunesmith.ledger.ledger import Ledger
from tunesmith.ledger.records import RoundRecord
from tunesmith.models.package import model_digest
from tunesmith.pipeline.looks import LOOKS

LEARNS = {"epochs": 8, "max_steps": None, "evaluations_per_epoch": 1}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, colour_file: Path, tiny_base: Path, command: Any, write_recipe: Any) -> Path:
    """A folder with rows, a recipe, and the workspace `work` in which it was run."""
    folder: Path = tmp_path_factory.mktemp("round")
    shutil.copyfile(colour_file, folder / "rows.jsonl")
    write_recipe(folder, "rows.jsonl", tiny_base, train=LEARNS, gates={"gain": 0.05})
    done = command("run", folder / "recipe.yaml", "--workspace", folder / "work", "--json")
    assert done.code == 0, done.err
    (folder / "said.json").write_text(done.out)
    return folder


@pytest.fixture(scope="module")
def report(home: Path) -> dict[str, Any]:
    """The report of that round."""
    found: dict[str, Any] = json.loads((home / "said.json").read_text())["report"]
    return found


@pytest.fixture
def copy(home: Path, tmp_path: Path) -> Path:
    """The same folder, to go on from without disturbing others."""
    return Path(shutil.copytree(home, tmp_path / "home"))


@pytest.fixture
def run(command: Any) -> Callable[..., Any]:
    """Runs the recipe of a folder in its workspace: (folder, ...) -> what was said."""

    def call(folder: Path, *arguments: str, code: int = 0) -> Any:
        said = command("run", folder / "recipe.yaml", "--workspace", folder / "work", "--json", *arguments)
        assert said.code == code, said.err
        return said

    return call


def test_the_report_is_complete_and_lies_in_the_rounds_folder(home: Path, report: dict[str, Any]) -> None:
    (folder,) = (home / "work" / "rounds").iterdir()
    assert read_json(folder / "report.json") == report
    pieces = "schema round verdict systems few_shot data training confusion errors recipe environment hashes seeds warnings calibration published"
    assert set(report) == {*pieces.split(), *LOOKS}
    card = (folder / "report.html").read_text()
    assert report["verdict"]["sentence"].split(":")[0] in card and report["round"]["id"] in card
    assert not list(folder.rglob("*.bin")) + list(folder.rglob("*.pkl"))
    assert report["round"]["status"] == "done" and report["round"]["continued"] == 0
    assert report["hashes"]["model"] == digest_folder(folder / "model", without=("README.md", "watch.json"))
    assert [system["key"] for system in report["systems"]] == ["zero-shot", "few-shot", "majority", "neighbour", "linear", "tuned"]


def test_the_figures_are_those_of_the_saved_predictions(home: Path, report: dict[str, Any]) -> None:
    (folder,) = (home / "work" / "rounds").iterdir()
    rows = {row["id"]: row for row in read_jsonl(next((home / "work" / "datasets").iterdir()) / "test.jsonl")}
    for system in report["systems"]:
        key = system["key"]
        predictions = list(read_jsonl(folder / ("predictions" if key == "tuned" else "baselines") / f"{key}.jsonl"))
        assert {one["row_id"]: one["reference"] for one in predictions} == {key: row["answer"] for key, row in rows.items()}
        right = sum(one["answer"] == one["reference"] for one in predictions)
        assert system["rows"] == len(predictions) == report["data"]["sides"]["test"]
        assert system["metrics"]["accuracy"]["value"] == pytest.approx(right / len(predictions))
        assert system["metrics"]["macro_f1"]["value"] == pytest.approx(_macro_f1(predictions))
        assert system["metrics"]["accuracy"]["low"] <= right / len(predictions) <= system["metrics"]["accuracy"]["high"]
        assert all(0 <= one["confidence"] <= 1 for one in predictions)
    table, tuned = report["confusion"], report["systems"][-1]
    assert sum(table["counts"][i][i] for i in range(len(table["labels"]))) / tuned["rows"] == pytest.approx(
        tuned["metrics"]["accuracy"]["value"]
    )
    assert sum(map(sum, table["counts"])) == tuned["rows"]
    best = max(
        (system for system in report["systems"] if system["kind"] == "baseline"), key=lambda system: system["metrics"]["accuracy"]["value"]
    )
    assert report["verdict"]["gain"]["value"] == pytest.approx(tuned["metrics"]["accuracy"]["value"] - best["metrics"]["accuracy"]["value"])
    wrong = [one for one in predictions if one["answer"] != one["reference"]]
    assert len(report["errors"]) == min(20, len(wrong))


def _macro_f1(predictions: list[dict[str, Any]]) -> float:
    labels = {one["reference"] for one in predictions}
    found = []
    for label in labels:
        hits = sum(one["answer"] == one["reference"] == label for one in predictions)
        found.append(
            2 * hits / (sum(one["answer"] == label for one in predictions) + sum(one["reference"] == label for one in predictions))
        )
    return sum(found) / len(labels)


def test_the_rows_add_up(report: dict[str, Any], colour_rows: list[dict[str, str]]) -> None:
    arriving = len(colour_rows)
    for stage in report["data"]["waterfall"]:
        assert stage["kept"] + stage["dropped"] == arriving, stage
        assert sum(stage["reasons"].values()) == stage["dropped"]
        arriving = stage["kept"]
    assert sum(report["data"]["sides"].values()) == arriving
    assert report["data"]["labels"] == dict(Counter(row["label"] for row in colour_rows))


def test_the_curves_add_up(home: Path, report: dict[str, Any]) -> None:
    training = report["training"]
    assert [step["step"] for step in training["steps"]] == list(range(1, len(training["steps"]) + 1))
    assert sum(step["tokens"] for step in training["steps"]) == training["tokens_computed"] < training["tokens_in_rows"]
    lowest = min(training["validation"], key=lambda one: one["loss"])
    assert training["chosen_step"] == lowest["step"]
    assert training["trainable"] == training["parameters"]


def test_a_finished_round_is_shown_without_work(copy: Path, run: Any, command: Any) -> None:
    before = digest_folder(copy / "work" / "rounds")
    said = run(copy)
    assert said.json()["finished_before"] and said.err == ""
    told = command("run", copy / "recipe.yaml", "--workspace", copy / "work")
    assert "It was finished before" in told.out and told.err == ""
    assert digest_folder(copy / "work" / "rounds") == before


def test_again_is_a_new_round_that_shares_no_training(copy: Path, run: Any, report: dict[str, Any]) -> None:
    said = run(copy, "--again")
    other = said.json()["report"]
    assert other["round"]["id"] == report["round"]["id"] + "-2" and other["round"]["identity"] == report["round"]["identity"]
    assert "train: done" in said.err and "baselines: taken from an earlier round" in said.err
    assert other["data"]["test_openings"] == 2
    weights = [digest_folder(folder / "model", ("*.safetensors",)) for folder in (copy / "work" / "rounds").iterdir()]
    assert len(weights) == 2 and len(set(weights)) == 1  # trained twice, to the same bits
    assert run(copy).json()["id"] == other["round"]["id"]


def test_other_evaluation_takes_the_training_there_is(copy: Path, run: Any, report: dict[str, Any]) -> None:
    said = run(copy, "--set", "evaluate.select_rows=6")
    assert "train: taken from an earlier round" in said.err and "train: started" not in said.err
    other = said.json()["report"]
    assert other["round"]["id"] != report["round"]["id"]
    assert other["training"] == report["training"] and other["hashes"]["model"] == report["hashes"]["model"]
    assert other["few_shot"]["rows"] == 6 and other["data"]["test_openings"] == 2


def test_other_rows_are_another_round(copy: Path, run: Any, report: dict[str, Any]) -> None:
    with (copy / "rows.jsonl").open("a") as file:
        file.write(json.dumps({"text": "We lost the green kite", "label": "green"}) + "\n")
    said = run(copy)
    other = said.json()["report"]
    assert other["round"]["identity"] != report["round"]["identity"] and other["hashes"]["dataset"] != report["hashes"]["dataset"]
    assert "train: started" in said.err


def test_rows_elsewhere_are_the_same_round(copy: Path, run: Any, write_recipe: Any, tiny_base: Path) -> None:
    """Where files lie is not what a round is."""
    moved = copy / "deeper"
    write_recipe(moved, "rows.jsonl", tiny_base, train=LEARNS, gates={"gain": 0.05})
    shutil.move(copy / "rows.jsonl", moved / "rows.jsonl")
    shutil.move(copy / "work", moved / "work")
    assert run(moved).json()["finished_before"]


class Killed(BaseException):
    """A kill, as seen from inside: nothing may tidy up after it."""


def test_a_round_killed_at_every_turn_ends_as_if_never_stopped(home: Path, report: dict[str, Any], tmp_path: Path) -> None:
    """Killed at the beginning and end of each piece of work in turn, and in the middle of training."""
    import tunesmith

    shutil.copyfile(home / "rows.jsonl", tmp_path / "rows.jsonl")
    shutil.copyfile(home / "recipe.yaml", tmp_path / "recipe.yaml")
    recipe = tunesmith.load_recipe(tmp_path / "recipe.yaml")
    seen: set[tuple[type, str, int]] = set()

    def listen(event: Event) -> None:
        if isinstance(event, Advanced) and (event.work != "train" or event.done % 9):
            return
        if isinstance(event, Started | Ended | Advanced):
            moment = (type(event), event.work, getattr(event, "done", 0))
            if moment not in seen:
                seen.add(moment)
                raise Killed

    done = None
    while done is None:
        try:
            done = tunesmith.run(recipe, workspace=tmp_path / "work", listen=listen)
        except Killed:
            assert len(seen) < 60
    assert len(seen) > 20
    assert done.report is not None and done.report["data"]["test_openings"] == 1
    assert done.report["round"]["continued"] >= 20 and done.id == report["round"]["id"]
    assert done.report["hashes"] == report["hashes"]
    for part in ("verdict", "confusion", "errors", "few_shot"):
        assert done.report[part] == report[part]
    stable = ("step", "loss", "learning_rate", "grad_norm", "tokens")
    assert [[step[name] for name in stable] for step in done.report["training"]["steps"]] == [
        [step[name] for name in stable] for step in report["training"]["steps"]
    ]


def test_looking_at_rounds(copy: Path, run: Any, command: Any, report: dict[str, Any]) -> None:
    first = report["round"]["id"]
    second = run(copy, "--set", "evaluate.few_shot=[0]").json()["id"]
    place = ("--workspace", copy / "work")
    shown = command("show", first, *place, "--json")
    assert shown.code == 0 and shown.json()["report"] == report
    assert command("show", first[:8], *place, "--json").json()["id"] == first
    text = command("show", first, *place).out
    assert report["verdict"]["sentence"].split(":")[0] in " ".join(text.split()) and "report.html" in text
    listed = command("list", *place, "--json").json()["rounds"]
    assert [one["id"] for one in listed] == [second, first] and {one["status"] for one in listed} == {"done"}
    assert first in command("list", *place).out
    compared = command("compare", first, second, *place, "--json").json()
    assert [one["id"] for one in compared["rounds"]] == [first, second]
    (pair,) = compared["pairs"]
    assert (pair["first"], pair["second"], pair["rows"], pair["why_not"]) == (first, second, report["data"]["sides"]["test"], None)
    assert (pair["difference"], pair["better"], pair["p_corrected"]) == (0.0, None, 1.0)  # the same training: the same answers
    page = copy / "pages" / "compare.html"
    text = command("compare", first, second, *place, "--html", page).out
    assert "evaluate.few_shot" in text and f"Between {first} and {second} no difference is shown: 0.0 points in accuracy" in text
    assert "Overfitted" in text and f"Page: {page}" in text
    assert "no difference is shown" in page.read_text() and "Beside the score" in page.read_text()
    before = page.read_text()
    assert command("compare", first, "r-none", *place, "--html", page).code == 2 and page.read_text() == before
    assert command("compare", first, second, *place, "--html", copy).code == 2
    (copy / "work" / "rounds" / second / "predictions" / "tuned.jsonl").unlink()
    assert f"the answers of {second} are missing or damaged" in command("compare", first, second, *place).out


def test_the_tenth_opening_of_a_test_set_is_warned_of(copy: Path, run: Any) -> None:
    with Ledger.open(copy / "work" / "tunesmith.db") as ledger:
        (test_set,) = {opening.test_set_hash for opening in ledger.test_openings(_test_hash(copy))}
        for number in range(7):
            ledger.record_round(RoundRecord(id=f"r-{number}", identity=str(number), recipe={}, recipe_hash="", base_hash=""))
            ledger.open_test_set(test_set, f"r-{number}")
    ninth = run(copy, "--set", "evaluate.resamples=201").json()["report"]
    assert ninth["data"]["test_openings"] == 9 and not [line for line in ninth["warnings"] if "opened" in line]
    tenth = run(copy, "--set", "evaluate.resamples=202").json()["report"]
    assert tenth["data"]["test_openings"] == 10
    assert [line for line in tenth["warnings"] if "opened by 10 rounds" in line and "fresh" in line]


def _test_hash(folder: Path) -> str:
    from tunesmith.data.dataset import read_dataset

    return read_dataset(next((folder / "work" / "datasets").iterdir())).side_hash("test")


def test_the_ledger_knows_where_a_model_comes_from(home: Path, report: dict[str, Any]) -> None:
    hashes = report["hashes"]
    with Ledger.open(home / "work" / "tunesmith.db") as ledger:
        assert {one.hash for one in ledger.lineage(hashes["model"])} == {hashes["dataset"], hashes["base"]}
        (artefact,) = ledger.artefacts(content_hash=hashes["model"])
        assert artefact.round_id == report["round"]["id"] and model_digest(Path(artefact.path)) == hashes["model"]
        assert ledger.dataset(hashes["dataset"]).counts == report["data"]["sides"]
        assert [stage.name for stage in ledger.stages(report["round"]["id"])] == ["train", "baselines"]
        kept = {(one.system, one.name): one.value for one in ledger.metrics(report["round"]["id"])}
        for system in report["systems"]:
            assert kept[system["key"], "accuracy"] == system["metrics"]["accuracy"]["value"]


def test_a_gate_that_does_not_hold_is_exit_code_4(copy: Path, run: Any, command: Any) -> None:
    said = run(copy, "--set", "gates.gain=0.99", code=4)
    (gate,) = said.json()["report"]["verdict"]["gates"]
    assert (gate["name"], gate["bound"], gate["holds"], said.json()["gates_hold"]) == ("gain", 0.99, False, False)
    told = command("run", copy / "recipe.yaml", "--workspace", copy / "work", "--set", "gates.gain=0.99")
    assert told.code == 4 and len(told.errors) == 1 and "bound 0.99" in told.err
