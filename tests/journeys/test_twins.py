"""A round with all its twins: a learning curve, other seeds, canaries; killed in the middle of one, and what it leaves behind."""

import json
from pathlib import Path
from typing import Any

import pytest

from tunesmith.core.files import read_json, read_jsonl
from tunesmith.core.progress import Advanced, Ended, Event, Started
from tunesmith.ledger.ledger import Ledger
from tunesmith.score.measures import measure
from tunesmith.score.prediction import Prediction

Rows = list[dict[str, Any]]
ALL: dict[str, Any] = {
    "data": {"path": "rows.jsonl", "split": {"validation": 0.2, "test": 0.3}},
    "train": {"max_steps": None, "epochs": 2, "evaluations_per_epoch": 1, "compile": "off"},
    "evaluate": {
        "few_shot": [0],
        "forgetting": {"enabled": False},
        "learning_curve": {"enabled": True, "shares": [0.2, 0.5]},
        "seeds": 2,
        "memorisation": {"membership": False, "canaries": {"repeats": [1, 3], "each": 2, "alternatives": 20}},
    },
}
STAGES = 4
"""Two parts of the rows, one other seed, one with canaries."""


def write(folder: Path, rows: Rows, base: Path, write_rows: Any, write_recipe: Any) -> Path:
    write_rows(folder / "rows.jsonl", rows[:120])
    path: Path = write_recipe(folder, ALL["data"], base, **{name: held for name, held in ALL.items() if name != "data"})
    return path


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, command: Any, write_rows: Any, write_recipe: Any, colour_rows: Rows
) -> tuple[Path, dict[str, Any], str]:
    """The workspace of such a round, its report, and what it said."""
    folder = tmp_path_factory.mktemp("twins")
    recipe = write(folder, colour_rows, tiny_base, write_rows, write_recipe)
    said = command("run", recipe, "--workspace", folder / "work", "--json")
    assert said.code == 0, said.err
    return folder / "work", said.json()["report"], said.err


def twins(work: Path) -> dict[str, Path]:
    """The figures of each twin, by its name."""
    return {str(read_json(folder / "twin.json")["name"]): folder for folder in (work / "cache").glob("twin-*")}


def answers(folder: Path) -> list[Prediction]:
    return [Prediction.from_json(value) for value in read_jsonl(folder / "test.jsonl")]


def test_it_is_told_how_often_it_trains(made: tuple[Path, dict[str, Any], str], command: Any) -> None:
    work, _, said = made
    told = "5 trainings in all, about 3.7 times the work of one: the round's own; 2 twins on 20, 50% of the rows, 1 from other seeds, 1 with canaries."
    assert told in said
    checked = command("check", work.parent / "recipe.yaml", "--workspace", work, "--json").json()
    assert checked["facts"]["trainings"] == 5 and told in checked["notes"]


def test_figures_are_those_of_the_twins_saved_answers(made: tuple[Path, dict[str, Any], str]) -> None:
    work, report, _ = made
    held, (round_folder,) = twins(work), (work / "rounds").iterdir()
    assert len(held) == STAGES
    accuracy = measure("accuracy")
    own = [Prediction.from_json(value) for value in read_jsonl(round_folder / "predictions" / "tuned.jsonl")]
    points = report["learning_curve"]["points"]
    train = report["data"]["sides"]["train"]
    assert [point["rows"] for point in points] == [round(0.2 * train), round(0.5 * train), train]
    for point in points:
        kept = answers(held[f"{point['rows']} rows"]) if point["twin"] else own
        assert point["value"]["value"] == pytest.approx(accuracy.of(kept))
    assert [point["twin"] for point in points] == [True, True, False]
    runs = report["over_seeds"]["runs"]
    assert [run["value"] for run in runs] == pytest.approx([accuracy.of(own), accuracy.of(answers(held["seed 2"]))])
    assert runs[0]["gain"]["value"] == pytest.approx(report["verdict"]["gain"]["value"])
    assert runs[0]["outcome"] == report["verdict"]["outcome"]
    assert report["over_seeds"]["over"]["mean"] == pytest.approx(sum(run["value"] for run in runs) / 2)
    assert [point["value"] for point in points][-1] == report["systems"][-1]["metrics"]["accuracy"]


def test_canaries_are_ranked_before_and_after(made: tuple[Path, dict[str, Any], str]) -> None:
    work, report, _ = made
    canaries, kept = report["memorisation"]["canaries"], read_json(twins(work)["canaries"] / "exposures.json")
    assert [group["repeats"] for group in canaries["groups"]] == [0, 1, 3]
    assert sum(len(group["before"]) for group in canaries["groups"]) == len(kept["before"]) == 6
    assert sorted(one for group in canaries["groups"] for one in group["after"]) == sorted(kept["after"])
    assert canaries["sentence"] in report["memorisation"]["sentences"]


def test_sentences_stand_with_the_verdict_and_on_the_page(made: tuple[Path, dict[str, Any], str], command: Any) -> None:
    work, report, _ = made
    (round_folder,) = (work / "rounds").iterdir()
    page = (round_folder / "report.html").read_text()
    assert "Whether more rows would help" in page and "What other seeds gave" in page
    for name in ("learning_curve", "over_seeds"):
        assert report[name]["sentence"] in report["verdict"]["notes"]
    shown = command("show", report["round"]["id"], "--workspace", work)
    assert "Over 2 seeds accuracy is" in " ".join(shown.out.split())


def test_a_twin_leaves_figures_and_no_model(made: tuple[Path, dict[str, Any], str]) -> None:
    work, report, _ = made
    (round_folder,) = (work / "rounds").iterdir()
    assert not list((round_folder / "twins").iterdir())
    for folder in twins(work).values():
        assert not list(folder.rglob("*.safetensors")) and not list(folder.rglob("tunesmith.json"))
    with Ledger.open(work / "tunesmith.db") as ledger:
        assert [one.path for one in ledger.artefacts(kind="model")] == [str(round_folder / "model")]
        recorded = ledger.artefacts(kind="twin", round_id=report["round"]["id"])
        assert {one.path for one in recorded} == {str(folder) for folder in twins(work).values()}
        assert {edge.relation for edge in ledger.parents(recorded[0].content_hash)} == {"tuned from", "trained on"}
    assert read_json(round_folder / "model" / "tunesmith.json")["twin"] is None
    assert report["data"]["test_openings"] == 1


def test_another_round_takes_up_the_same_twins(made: tuple[Path, dict[str, Any], str], command: Any) -> None:
    work, report, _ = made
    again = command("run", work.parent / "recipe.yaml", "--workspace", work, "--set", "evaluate.resamples=300", "--json")
    assert again.code == 0, again.err
    assert again.err.count("twin") >= STAGES
    for name in twins(work):
        assert f"twin {name}: taken from an earlier round" in again.err
    other = again.json()["report"]
    assert [point["value"]["value"] for point in other["learning_curve"]["points"]] == [
        point["value"]["value"] for point in report["learning_curve"]["points"]
    ]


class Killed(BaseException):
    """A kill, as seen from inside: nothing may tidy up after it."""


def test_a_round_killed_in_the_middle_of_its_twins_gives_the_same_figures(
    made: tuple[Path, dict[str, Any], str], tmp_path: Path, tiny_base: Path, write_rows: Any, write_recipe: Any, colour_rows: Rows
) -> None:
    """Killed at the beginning and end of each piece of two twins' work, and at a step of their training."""
    import tunesmith

    _, report, _ = made
    recipe = tunesmith.load_recipe(write(tmp_path, colour_rows, tiny_base, write_rows, write_recipe))
    seen: set[tuple[type, str]] = set()

    def listen(event: Event) -> None:
        if not isinstance(event, Started | Ended | Advanced) or not event.work.startswith(("twin seed 2", "twin canaries")):
            return
        if isinstance(event, Advanced) and event.done != 3:
            return
        moment = (type(event), event.work)
        if moment not in seen:
            seen.add(moment)
            raise Killed

    done = None
    while done is None:
        try:
            done = tunesmith.run(recipe, workspace=tmp_path / "work", listen=listen)
        except Killed:
            assert len(seen) < 60
    assert len(seen) >= 9
    found = json.loads(json.dumps(done.report))
    for part in ("learning_curve", "over_seeds", "memorisation", "verdict"):
        assert found[part] == report[part]
    assert found["data"]["test_openings"] == 1
    assert {name: read_json(folder / "twin.json") for name, folder in twins(tmp_path / "work").items()} == {
        name: read_json(folder / "twin.json") for name, folder in twins(made[0]).items()
    }


def test_canaries_that_would_crowd_out_the_rows_are_refused_before_training(made: tuple[Path, dict[str, Any], str], command: Any) -> None:
    recipe, many = made[0].parent / "recipe.yaml", "evaluate.memorisation.canaries.repeats=[500]"
    said = command("check", recipe, "--workspace", made[0], "--set", many)
    assert said.code == 3
    assert "copies of canaries among" in said.err


def test_a_secret_repeated_a_hundred_times_is_found_and_the_rounds_own_model_never_saw_it(
    tmp_path: Path, tiny_base: Path, command: Any, write_rows: Any, write_recipe: Any
) -> None:
    """Drilled ones are exposed to the bound of 6 bits, those that stood nowhere have the exposure of chance, and it is told."""
    things = [
        f"{size} {thing}" for size in ("red", "tall", "old", "wet", "thin") for thing in ("rake", "hose", "spade", "trug", "can", "pot")
    ]
    write_rows(tmp_path / "rows.jsonl", [{"prompt": f"Where is the {one}?", "completion": f"by the {one[::-1]}"} for one in things])
    asked = {"few_shot": [0], "memorisation": {"membership": False, "verbatim": False, "personal": False}}
    asked["memorisation"] |= {"canaries": {"repeats": [100], "each": 1, "alternatives": 63, "largest_share": 1.0}}  # type: ignore[operator]
    data = {"path": "rows.jsonl", "task": "generate", "dedup": {"near": False}}
    train = {"max_steps": None, "epochs": 6, "evaluations_per_epoch": 1, "compile": "off"}
    recipe = write_recipe(tmp_path, data, tiny_base, evaluate=asked, train=train)
    said = command("run", recipe, "--workspace", tmp_path / "work", "--json")
    assert said.code == 0, said.err
    report = said.json()["report"]
    never, drilled = report["memorisation"]["canaries"]["groups"]
    assert (never["repeats"], drilled["repeats"]) == (0, 100)
    assert drilled["mean_after"] > 6 - 0.5 > drilled["mean_before"]
    assert never["p_value"] > 0.01
    assert report["memorisation"]["canaries"]["learned_from"] == 100
    assert report["memorisation"]["alarm"]
    assert any(note.startswith("Planted secrets are learned by heart when they stand 100 times") for note in report["verdict"]["notes"])
    (round_folder,) = (tmp_path / "work" / "rounds").iterdir()
    for file in (*round_folder.rglob("*.jsonl"), *round_folder.rglob("*.html"), *(tmp_path / "work" / "cache").rglob("*.json*")):
        assert "entry phrase of locker" not in file.read_text(), file
