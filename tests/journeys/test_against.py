"""A second round against the first one's model, with prices: through the command line to the report card."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tunesmith.core.files import read_json, read_jsonl

PRICES = {"base": {"prompt": 1.0, "answer": 2.0}, "hour": 3.6, "currency": "CHF"}
ASKED = {"few_shot": "auto", "few_shot_by": ["random", "similar"], "few_shot_most": 2, "prices": PRICES}


@pytest.fixture(scope="module")
def home(
    tmp_path_factory: pytest.TempPathFactory, colour_rows: Any, tiny_base: Path, command: Any, write_rows: Any, write_recipe: Any
) -> Path:
    """A workspace in which a model was made that is then the champion of a weaker round."""
    folder: Path = tmp_path_factory.mktemp("against")
    write_rows(folder / "rows.jsonl", colour_rows)
    train = {"epochs": 6, "max_steps": None, "compile": "off"}
    first = write_recipe(folder / "first", "../rows.jsonl", tiny_base, train=train, evaluate={"few_shot": [0]})
    done = command("run", first, "--workspace", folder / "work", "--json")
    assert done.code == 0, done.err
    (folder / "first.json").write_text(done.out)
    asked = {**ASKED, "against": [done.json()["id"]]}
    second = write_recipe(folder / "second", "../rows.jsonl", tiny_base, train={"compile": "off"}, evaluate=asked)
    done = command("run", second, "--workspace", folder / "work", "--json")
    assert done.code == 0, done.err
    (folder / "second.json").write_text(done.out)
    return folder


@pytest.fixture
def reports(home: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    first, second = (json.loads((home / name).read_text())["report"] for name in ("first.json", "second.json"))
    return first, second


def test_the_champion_is_scored_as_it_was_in_its_own_round(home: Path, reports: Any) -> None:
    first, second = reports
    systems = {system["key"]: system for system in second["systems"]}
    assert list(systems) == ["zero-shot", "few-shot", "majority", "neighbour", "linear", "champion", "tuned"]
    champion, before = systems["champion"], first["systems"][-1]
    assert champion["name"] == f"Champion ({first['round']['id']})" and champion["kind"] == "baseline"
    assert champion["metrics"] == before["metrics"] and champion["prompt_tokens"] == before["prompt_tokens"]
    mine = home / "work" / "rounds" / first["round"]["id"] / "predictions" / "tuned.jsonl"
    theirs = home / "work" / "rounds" / second["round"]["id"] / "baselines" / "champion.jsonl"
    for ours, its in zip(read_jsonl(mine), read_jsonl(theirs), strict=True):
        assert (ours["row_id"], ours["answer"]) == (its["row_id"], its["answer"])
        assert ours["chances"] == pytest.approx(its["chances"], abs=1e-6)


def test_the_champion_must_be_beaten_too(reports: Any) -> None:
    _, second = reports
    verdict = second["verdict"]
    assert verdict["best_baseline"] == "champion" and verdict["outcome"] == "no gain shown"
    assert "Champion (r-" in verdict["sentence"] and "made it worse" not in verdict["sentence"]
    assert not [warning for warning in second["warnings"] if "trained on" in warning]


def test_costs_stand_in_json_page_and_terminal(home: Path, reports: Any, command: Any) -> None:
    first, second = reports
    for system in second["systems"]:
        by_time = system["seconds_per_answer"]  # 3.60 an hour: a thousandth a second
        by_tokens = (system["prompt_tokens"] + 2 * system["answer_tokens"]) / 1000
        assert system["cost_per_1000"] == pytest.approx(by_tokens if system["key"] in ("zero-shot", "few-shot") else by_time)
    costs = second["verdict"]["costs"]
    seconds = sum(step["seconds"] for step in second["training"]["steps"])
    assert costs["training"] == pytest.approx(seconds / 1000) and costs["currency"] == "CHF"
    best = max(second["few_shot"]["tried"], key=lambda one: (one["value"], -one["k"]))
    assert costs["against"] == ("few-shot" if best["k"] else "zero-shot")
    page = (home / "work" / "rounds" / second["round"]["id"] / "report.html").read_text()
    shown = command("show", second["round"]["id"], "--workspace", home / "work").out
    assert "CHF per<br>1,000 answers" in page and "CHF per" in shown
    assert all(system["cost_per_1000"] is None for system in first["systems"])
    assert "1,000 answers" not in (home / "work" / "rounds" / first["round"]["id"] / "report.html").read_text()


def test_every_way_and_number_of_examples_was_tried(reports: Any) -> None:
    tried = reports[1]["few_shot"]["tried"]
    found = {(one["k"], "nearest" in one["form"], "labels listed" in one["form"]) for one in tried}
    assert found == {(k, near, told) for k in (1, 2) for near in (False, True) for told in (False, True)} | {
        (0, False, False),
        (0, False, True),
    }
    assert reports[1]["few_shot"]["by"] in ("random", "similar")


def test_prices_change_no_baseline_and_another_champion_does(home: Path, tmp_path: Path, command: Any) -> None:
    work = shutil.copytree(home, tmp_path / "home")
    place = ("--workspace", work / "work", "--json")
    dearer = command("run", work / "second" / "recipe.yaml", *place, "--set", "evaluate.prices.hour=7.2")
    assert dearer.code == 0 and "baselines: taken from an earlier round" in dearer.err and "train: taken" in dearer.err
    folder = work / "work" / "rounds" / read_json(work / "first.json")["id"] / "model"
    told = read_json(folder / "tunesmith.json")
    (folder / "tunesmith.json").unlink()  # it is a hard link to what the stage keeps
    (folder / "tunesmith.json").write_text(json.dumps(told | {"max_new_tokens": 9}))
    other = command("run", work / "second" / "recipe.yaml", *place)
    assert other.code == 0 and not other.json()["finished_before"]
    assert "baselines: taken" not in other.err and "score r-" in other.err


def test_a_champion_trained_on_test_rows_is_warned_of(home: Path, tmp_path: Path, command: Any) -> None:
    work = shutil.copytree(home, tmp_path / "home")
    other = command("run", work / "second" / "recipe.yaml", "--workspace", work / "work", "--json", "--set", "seed=5")
    assert other.code == 0, other.err
    (warning,) = [line for line in other.json()["report"]["warnings"] if "was made with" in line]
    assert warning.startswith("Champion (r-") and warning.endswith("its figures flatter it.")
    assert "of the 35 test rows (" in warning and "on its train side" in warning and "on its select side" in warning


def test_check_refuses_a_champion_of_other_labels(home: Path, tmp_path: Path, command: Any, write_rows: Any, colour_rows: Any) -> None:
    work = shutil.copytree(home, tmp_path / "home")
    write_rows(work / "rows.jsonl", [row for row in colour_rows if row["label"] != "red"])
    said = command("check", work / "second" / "recipe.yaml", "--workspace", work / "work")
    assert said.code == 2 and len(said.errors) == 1
    assert "has other labels than these rows (1 differ; 'red', which no training row has" in said.errors[0]
