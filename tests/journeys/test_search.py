"""A search from a recipe to the best recipe and a round that says what it gained; killed on the way; blind to the test rows."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tunesmith
from tunesmith.core.files import read_json, read_jsonl
from tunesmith.core.progress import Ended, Event, Said, Started
from tunesmith.data.dataset import Sides
from tunesmith.ledger.ledger import Ledger
from tunesmith.recipe.search_space import with_settings
from tunesmith.score.measures import measure
from tunesmith.score.prediction import Prediction
from tunesmith.search import searching, study
from tunesmith.search.searching import Search, search
from tunesmith.search.telling_round import without_gain

TRAIN = {"epochs": 1, "max_steps": None, "batch_rows": 16, "evaluations_per_epoch": 2, "learning_rate": 0.0001, "compile": "off"}
SECTIONS: dict[str, Any] = {
    "train": TRAIN,
    "method": {"name": "features", "head": "class"},
    "evaluate": {"few_shot": [0], "linear_floor": False, "calibrate": {"enabled": False}},
    "search": {
        "sampler": "random",
        "trials": 4,
        "finalists": 1,
        "seeds": 2,
        "stop_early": False,
        "space": {"train.learning_rate": [0.0001, 0.01, 0.1], "method.head_dropout": [0.0, 0.1]},
    },
}


class Killed(BaseException):
    """A kill, as seen from inside."""


class Seen(BaseException):
    """Somebody asked for the test rows."""


@pytest.fixture(scope="module")
def recipe(
    tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, colour_rows: list[dict[str, str]], write_rows: Any, write_recipe: Any
) -> Path:
    """A recipe with a search, beside its rows."""
    folder = tmp_path_factory.mktemp("search")
    write_rows(folder / "rows.jsonl", colour_rows)
    path: Path = write_recipe(folder, {"path": "rows.jsonl", "split": {"validation": 0.2, "test": 0.3}}, tiny_base, **SECTIONS)
    return path


@pytest.fixture(scope="module")
def sealed() -> Iterator[None]:
    """From the first trial to the last, whoever asks for the test rows of a dataset ends everything."""
    studied, get = study.search_with, Sides.__getitem__

    def blind(*given: Any, **named: Any) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Sides, "__getitem__", refuse)
            patch.setattr(Sides, "each", refuse)
            return studied(*given, **named)

    def refuse(sides: Sides, side: str) -> Any:
        if side == "test":
            raise Seen
        return get(sides, side)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(searching, "search_with", blind)
        yield


def killing(at: int) -> Callable[[Event], None]:
    """Listens until so many trainings have begun, and is killed then."""
    begun: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, Started) and event.work.endswith(": train"):
            begun.append(event.work)
            if len(begun) == at:
                raise Killed

    return listen


@pytest.fixture(scope="module")
def done(recipe: Path, sealed: None) -> tuple[Search, list[Event]]:
    """A search that was killed in its third trial and gone on with, and what it said then."""
    heard: list[Event] = []
    work = recipe.parent / "work"
    with pytest.raises(Killed):
        search(tunesmith.load_recipe(recipe), workspace=work, listen=killing(3))
    with Ledger.open(work / "tunesmith.db") as ledger:
        assert ledger.rounds() == [], "a search is no round until it is over"
    return search(tunesmith.load_recipe(recipe), workspace=work, listen=heard.append), heard


def begun(heard: list[Event]) -> list[str]:
    """The pieces of work that were begun."""
    return [event.work for event in heard if isinstance(event, Started)]


def test_a_killed_search_goes_on_and_trains_nothing_twice(done: tuple[Search, list[Event]]) -> None:
    found, heard = done
    assert [trial.number for trial in found.outcome.trials] == [0, 1, 2, 3]
    trained = [work for work in begun(heard) if work.endswith("train")]
    assert trained == ["trial 2: train", "trial 3: train"], "one finalist is not tried under another seed; no round trains"
    assert any(isinstance(event, Ended) and event.work == "train" and event.reused for event in heard)


def test_the_test_rows_are_opened_once_by_the_round_for_both(done: tuple[Search, list[Event]], recipe: Path) -> None:
    found, heard = done
    assert found.round.report is not None and found.round.report["data"]["test_openings"] == 1
    work = recipe.parent / "work"
    [dataset] = (work / "datasets").glob("*/dataset.json")
    with Ledger.open(work / "tunesmith.db") as ledger:
        [opened] = ledger.test_openings(read_json(dataset)["hashes"]["test"])
    assert opened.round_id == found.round.id
    assert {"score fine-tuned on test", "score the recipe as it was on test"} <= set(begun(heard))


def test_the_gain_is_that_of_the_saved_answers(done: tuple[Search, list[Event]]) -> None:
    found, _ = done
    folder = found.round.folder
    ours, theirs = (
        [Prediction.from_json(value) for value in read_jsonl(file)]
        for file in (folder / "predictions" / "tuned.jsonl", folder / "looks" / "search" / "test.jsonl")
    )
    accuracy = measure("accuracy")
    assert found.gain is not None and found.gain["outcome"] in ("gain", "no gain shown")
    assert found.gain["difference"] == pytest.approx((accuracy.of(ours) or 0.0) - (accuracy.of(theirs) or 0.0))
    assert found.gain["low"] <= found.gain["difference"] <= found.gain["high"]
    shown = accuracy.shown_difference(found.gain["difference"], unit=False)
    told = f"is better in accuracy by {shown} points than" if found.gain["outcome"] == "gain" else "differs in accuracy by "
    assert told in found.sentence and "the recipe as it was" in found.sentence


def test_the_best_recipe_is_a_file_that_shows_the_same_round(done: tuple[Search, list[Event]], recipe: Path) -> None:
    found, _ = done
    best = tunesmith.load_recipe(found.best)
    assert best == with_settings(tunesmith.load_recipe(recipe), found.outcome.best.settings)
    text = found.best.read_text()
    rate = found.outcome.best.settings["train.learning_rate"]
    assert f"learning_rate: {rate}  # found by the search; before: 0.0001" in text and found.id in text
    shown = tunesmith.run(best, workspace=recipe.parent / "work")
    assert shown.id == found.round.id and shown.finished_before


def test_the_card_tells_of_the_search_and_the_ledger_of_where_the_model_comes_from(done: tuple[Search, list[Event]], recipe: Path) -> None:
    found, _ = done
    assert found.round.card is not None and found.round.report is not None
    page = found.round.card.read_text()
    for words in ("What the search found", found.sentence, "Accuracy on select of 4 trials", "train.learning_rate"):
        assert words in page
    piece = found.round.report["search"]
    assert [trial["value"] for trial in piece["trials"]] == [trial.measured.value for trial in found.outcome.trials]
    with Ledger.open(recipe.parent / "work" / "tunesmith.db") as ledger:
        [artefact] = ledger.artefacts(kind="search")
        assert artefact.round_id == found.round.id
        lineage = ledger.lineage(found.round.report["hashes"]["model"])
        assert (artefact.content_hash, "chosen by") in {(one.hash, one.relation) for one in lineage}


def test_the_same_search_is_shown_and_a_longer_one_goes_on_from_it(done: tuple[Search, list[Event]], recipe: Path) -> None:
    found, _ = done
    heard: list[Event] = []
    again = search(tunesmith.load_recipe(recipe), workspace=recipe.parent / "work", listen=heard.append)
    assert again.outcome.to_json() | {"seconds": 0} == found.outcome.to_json() | {"seconds": 0}
    assert again.round.id == found.round.id and again.round.finished_before
    assert not [work for work in begun(heard) if work.endswith("train") or work.startswith("score")]
    heard.clear()
    longer = search(tunesmith.load_recipe(recipe), workspace=recipe.parent / "work", trials=5, listen=heard.append)
    assert longer.id == found.id and len(longer.outcome.trials) == 5
    assert longer.outcome.trials[:4] == found.outcome.trials
    piece = (longer.round.report or {})["search"]
    assert piece["count"] == len(piece["trials"]) == 5, "its card tells of five trials, whether they found anything better or not"


def test_a_search_that_finds_nothing_better_shows_the_round_of_the_recipe_as_it_was(recipe: Path, tmp_path: Path) -> None:
    """And the round, made before, says that it passes over the search."""
    asked, heard = tunesmith.load_recipe(recipe), list[Event]()
    before = tunesmith.run(asked, workspace=tmp_path, listen=heard.append)
    assert [event for event in heard if isinstance(event, Said) and "passes over the recipe's search section" in event.text]
    heard.clear()
    found = search(asked, workspace=tmp_path, trials=1, listen=heard.append)
    assert found.round.id == before.id and found.round.finished_before and found.gain is None
    assert found.sentence == "Of 1 trials none did better on the select rows than the recipe as it was, whose round was finished before."
    assert not [work for work in begun(heard) if work == "trial 0: train" or work.startswith("score")], "its training was taken up"


def test_two_recipes_with_the_same_best_have_a_gain_each(recipe: Path, tmp_path: Path) -> None:
    """Each over the recipe that was searched from, and each card tells of its own search; asked for again, each shows its own round."""
    asked, found = tunesmith.load_recipe(recipe), list[Search]()
    assert asked.search is not None
    for own in (0.0001, 0.001, 0.0001):
        config = asked.search.model_copy(
            update={"trials": 3, "seeds": 1, "pruner": "none", "space": {"train.learning_rate": [0.0001, 0.001, 0.1]}}
        )
        one = asked.model_copy(update={"search": config, "train": asked.train.model_copy(update={"learning_rate": own})})
        found.append(search(one, workspace=tmp_path))
    first, other, again = found
    assert first.outcome.best.settings == other.outcome.best.settings == {"train.learning_rate": 0.1}, "of both the best is the same"
    for each in found:
        assert each.round.report is not None and each.round.report["search"]["id"] == each.id
        assert each.gain == each.round.report["search"]["gain"] is not None
    assert first.round.id != other.round.id and not other.round.finished_before
    assert (again.round.id, again.round.finished_before, again.gain) == (first.round.id, True, first.gain)


def test_what_is_said_without_a_gain_tells_a_recipe_that_diverged_from_one_that_was_kept() -> None:
    told: dict[str, Any] = {"count": 4, "as_it_was": {"diverged": None}}
    assert "none did better" in without_gain(told)
    sentence = without_gain(told | {"as_it_was": {"diverged": "Step 3 was refused."}})
    assert sentence == "What the search gained can't be told: the recipe as it was can't be trained. Step 3 was refused."


def test_a_recipe_that_names_nothing_to_search_is_told_how(recipe: Path, tmp_path: Path) -> None:
    plain = tunesmith.load_recipe(recipe).model_copy(update={"search": None})
    with pytest.raises(tunesmith.RecipeError, match="add a search section"):
        search(plain, workspace=tmp_path)
    with pytest.raises(tunesmith.RecipeError, match=r"search\.trials: "):
        search(tunesmith.load_recipe(recipe), workspace=tmp_path, trials=0)
