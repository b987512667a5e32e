"""The same round from Python: typed, in a notebook too, with errors of one family."""

import asyncio
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import tunesmith
from tunesmith.core.progress import Advanced, Ended, Event, Said, Started


@pytest.fixture(scope="module")
def recipe(colour_file: Path, tiny_base: Path) -> tunesmith.Recipe:
    return tunesmith.Recipe(
        data={"path": str(colour_file)},
        base={"path": str(tiny_base)},
        train={"max_steps": 3, "threads": 1},
        evaluate={"few_shot": [0], "select_rows": 12, "resamples": 200, "forgetting": {"enabled": False}},
    )


@pytest.fixture(scope="module")
def heard() -> list[Event]:
    return []


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("python") / "work"


@pytest.fixture(scope="module")
def done(recipe: tunesmith.Recipe, workspace: Path, heard: list[Event]) -> tunesmith.Round:
    """A round run inside a running event loop, as a notebook's cell is."""

    async def cell() -> tunesmith.Round:
        return tunesmith.run(recipe, workspace=workspace, listen=heard.append)

    return asyncio.run(cell())


def test_a_round_is_a_typed_value(done: tunesmith.Round, workspace: Path) -> None:
    assert isinstance(done, tunesmith.Round) and (done.status, done.error, done.finished_before) == ("done", None, False)
    assert done.folder == workspace / "rounds" / done.id and done.card == done.folder / "report.html" and done.card.is_file()
    assert done.report is not None and done.sentence == done.report["verdict"]["sentence"]
    assert done.gates_hold
    assert done.to_json()["report"] is done.report
    assert get_type_hints(tunesmith.run)["return"] is tunesmith.Round
    with pytest.raises(AttributeError):
        done.status = "failed"  # type: ignore[misc]


def test_listening_tells_of_every_piece_of_work(done: tunesmith.Round, heard: list[Event]) -> None:
    begun = [event.work for event in heard if isinstance(event, Started)]
    ended = [event.work for event in heard if isinstance(event, Ended)]
    assert set(begun) == set(ended) >= {"read", "dedup", "split", "train", "score zero-shot on test", "score fine-tuned on test"}
    steps = [event.done for event in heard if isinstance(event, Advanced) and event.work == "train"]
    assert steps == sorted(steps) and steps[-1] == 3
    totals = {event.work: event.total for event in heard if isinstance(event, Started)}
    assert totals["train"] == 3 and totals["score fine-tuned on test"] == done.report["systems"][-1]["rows"]  # type: ignore[index]
    for event in heard:
        if isinstance(event, Advanced) and totals[event.work] is not None:
            assert event.done <= totals[event.work]  # type: ignore[operator]
    assert any(isinstance(event, Said) and "text/label" in event.text for event in heard)


def test_the_same_recipe_is_shown_at_once(done: tunesmith.Round, recipe: tunesmith.Recipe, workspace: Path) -> None:
    heard: list[Event] = []
    shown = tunesmith.run(recipe, workspace=workspace, listen=heard.append)
    assert (shown.id, shown.report, shown.finished_before, heard) == (done.id, done.report, True, [])
    assert tunesmith.show(done.id, workspace=workspace).report == done.report


def test_the_recipe_of_a_round_gives_the_same_recipe(
    done: tunesmith.Round, recipe: tunesmith.Recipe, workspace: Path, tmp_path: Path
) -> None:
    (tmp_path / "again.yaml").write_text(done.report["recipe"])  # type: ignore[index]
    again = tunesmith.load_recipe(tmp_path / "again.yaml")
    assert again.identity() == recipe.identity()
    assert tunesmith.run(again, workspace=workspace).finished_before


def test_check_and_prepare(recipe: tunesmith.Recipe, tmp_path: Path) -> None:
    found = tunesmith.check(recipe, workspace=tmp_path)
    assert found.problems == [] and len(found.examples) == 3 and found.facts["rows"]["train"] > 100
    prepared = tunesmith.prepare(recipe, workspace=tmp_path)
    assert prepared.folder.is_dir() and sum(prepared.report["sides"].values()) == 240
    assert not (tmp_path / "rounds").exists()


def _recipe(recipe: tunesmith.Recipe, **sections: Any) -> tunesmith.Recipe:
    return tunesmith.Recipe(**{**recipe.model_dump(), **sections})


@pytest.mark.parametrize(
    ("kind", "sections", "words"),
    [
        (tunesmith.RecipeError, {"data": {"path": "nowhere.jsonl"}}, "does not exist"),
        (tunesmith.RecipeError, {"base": {"path": "./nowhere"}}, "base.path"),
        (tunesmith.RecipeError, {"train": {"epocs": 1}}, "epochs"),
        (tunesmith.RecipeError, {"seed": -1}, "seed"),
        (tunesmith.DataError, {"train": {"max_tokens": 12, "threads": 1}}, "max_tokens"),
    ],
)
def test_what_is_wrong_is_one_family_of_errors(
    kind: type[Exception], sections: dict[str, Any], words: str, recipe: tunesmith.Recipe, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=words) as caught:
        tunesmith.run(_recipe(recipe, **sections), workspace=tmp_path)
    assert isinstance(caught.value, tunesmith.TunesmithError)


def test_a_listener_that_fails_stops_the_round_and_it_goes_on_later(recipe: tunesmith.Recipe, tmp_path: Path) -> None:
    def listen(event: Event) -> None:
        if isinstance(event, Advanced) and event.work == "train":
            raise KeyError("of the caller's own")

    with pytest.raises(KeyError, match="of the caller's own"):
        tunesmith.run(recipe, workspace=tmp_path, listen=listen)
    done = tunesmith.run(recipe, workspace=tmp_path)
    assert done.status == "done" and done.report is not None and done.report["round"]["continued"] == 1


def test_the_weights_come_from_the_recipes_seed_alone(recipe: tunesmith.Recipe, tmp_path: Path) -> None:
    """Whatever was drawn before."""
    import numpy as np
    import torch

    from tunesmith.core.hashing import digest_folder

    weights = []
    for name in ("one", "two"):
        torch.manual_seed(len(weights) + 99)
        np.random.seed(len(weights))
        done = tunesmith.run(recipe, workspace=tmp_path / name)
        weights.append(digest_folder(done.folder / "model", ("*.safetensors",)))
    assert weights[0] == weights[1]
