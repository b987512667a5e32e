"""Trials train what a round of the same settings trains, share what can be shared, keep what is worth keeping, and never see test."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunesmith.core.errors import RecipeError
from tunesmith.core.files import read_json
from tunesmith.core.hashing import digest_folder
from tunesmith.core.progress import Event, silent
from tunesmith.evaluate.ready import load_ready
from tunesmith.models.load import base_hash
from tunesmith.models.trunk import TrunkCache
from tunesmith.pipeline import material, workspace
from tunesmith.pipeline import training as pipeline_training
from tunesmith.pipeline.bench import bench_of
from tunesmith.pipeline.decisions import decide
from tunesmith.pipeline.one_training import STAGE, TRAIN_VERSION, making_of, training_inputs
from tunesmith.pipeline.workspace import Stages, Workspace
from tunesmith.recipe import Recipe
from tunesmith.search.measuring import answered
from tunesmith.search.training import PipelineTrainer
from tunesmith.search.trial import BUDGET, Point

WEIGHTS = ("*.safetensors",)
LABELS = ("red", "green", "blue")
TRAIN = {"epochs": 1, "batch_rows": 16, "threads": 1, "learning_rate": 0.01, "evaluations_per_epoch": 4, "compile": "off"}
EVALUATE = {"few_shot": [0], "linear_floor": False, "resamples": 200, "forgetting": {"enabled": False}, "calibrate": {"enabled": False}}
HEAD = {"name": "features", "head": "class"}
SPACE = {"train.learning_rate": [0.001, 0.01, 0.1], "method.head_dropout": [0.0, 0.1]}


class Killed(BaseException):
    """A kill, as seen from inside."""


class Search:
    """A recipe over the colour rows in a workspace of its own, and trainers for it."""

    def __init__(self, base: Path, rows: Path, folder: Path) -> None:
        self.base, self.rows, self.folder, self.heard = base, rows, folder, list[Event]()

    def recipe(self, **sections: Any) -> Recipe:
        """The recipe, with these settings in its sections."""
        given: dict[str, dict[str, Any]] = {
            "data": {"path": str(self.rows), "rows": 60},
            "base": {"path": str(self.base)},
            "train": TRAIN,
            "evaluate": EVALUATE,
            "method": HEAD,
            "search": {"space": SPACE},
        }
        return Recipe.model_validate({name: given.get(name, {}) | sections.get(name, {}) for name in (*given, *sections)})

    def trainer(self, recipe: Recipe | None = None, **more: Any) -> PipelineTrainer:
        place = Workspace(self.folder / "work")
        return PipelineTrainer(
            recipe=recipe or self.recipe(), workspace=place, folder=self.folder / "search", listen=self.heard.append, **more
        )


@pytest.fixture
def search(tiny_base: Path, colour_file: Path, tmp_path: Path) -> Search:
    """With its own workspace."""
    return Search(tiny_base, colour_file, tmp_path)


def never(point: Point) -> bool:
    """Ends no trial."""
    return False


def into(told: list[Point]) -> Callable[[Point], bool]:
    """Ends no trial, and keeps what it is told."""

    def keep(point: Point) -> bool:
        told.append(point)
        return False

    return keep


def at(share: float) -> Callable[[Point], bool]:
    """Ends a trial at a share of its length."""
    return lambda point: point.share >= share


def models(search: Search) -> list[str]:
    """The trials whose models are kept."""
    return sorted(path.parent.parent.name.split("-")[0] for path in (search.folder / "search").glob("trials/*/made/model"))


@pytest.mark.parametrize("method", [HEAD, {"name": "lora", "rank": 4}], ids=["head", "labels as text"])
def test_a_trial_has_the_weights_of_a_training_that_nobody_listens_to_and_is_handed_to_the_round(
    search: Search, method: dict[str, Any]
) -> None:
    recipe = search.recipe(method=method | {"head": method.get("head")}, search={"space": {"train.learning_rate": [0.01, 0.02]}})
    trainer = search.trainer(recipe)
    measured = trainer.train(0, {"train.learning_rate": 0.02}, recipe.seed, never)
    assert measured.value is not None and measured.steps == measured.curve[-1].step
    assert [point.share for point in measured.curve] == [point.step / measured.steps for point in measured.curve]
    [made] = (search.folder / "search").glob("trials/0000-*/made/model")
    rate = recipe.train.model_copy(update={"learning_rate": 0.02})
    alone = search.folder / "alone"
    alone.mkdir()
    bench = bench_of(recipe.model_copy(update={"train": rate}), Workspace(search.folder / "work"), silent, base_hash(recipe.base))
    making_of(bench, silent).into(alone, search.folder / "working")
    assert digest_folder(alone / "model", WEIGHTS) == digest_folder(made, WEIGHTS), "as if nobody had listened"
    handed = trainer.hand_over({"train.learning_rate": 0.02})
    assert handed is not None and digest_folder(handed / "model") == digest_folder(alone / "model")
    with trainer.workspace.ledger() as ledger:
        stages = Stages(trainer.workspace, ledger, None, silent)
        assert stages.found(STAGE, TRAIN_VERSION, training_inputs(bench)) == handed, "where a round looks for it"


def test_what_is_the_same_for_all_trials_is_made_once(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    made: dict[str, int] = {"states": 0, "examples": 0}
    make_states, make_examples = TrunkCache.make, material.make_examples

    def states(*given: Any, **named: Any) -> Any:
        made["states"] += 1
        return make_states(*given, **named)

    def examples(*given: Any) -> Any:
        made["examples"] += 1
        return make_examples(*given)

    monkeypatch.setattr(TrunkCache, "make", states)
    monkeypatch.setattr(pipeline_training, "make_examples", examples)
    trainer = search.trainer()
    for number, rate in enumerate((0.001, 0.01, 0.1)):
        assert trainer.train(number, {"train.learning_rate": rate}, 0, never).value is not None
    assert made == {"states": 1, "examples": 2}, "the rows to train on and those of select"
    again = search.trainer()
    again.train(3, {"train.learning_rate": 0.01, "method.head_dropout": 0.1}, 0, never)
    assert made["states"] == 1, "another process finds them on disk"
    trainer.clear()
    assert list((search.folder / "search").rglob("trunk*")) == []


def test_a_trial_that_is_ended_early_leaves_no_model_and_no_checkpoint(search: Search) -> None:
    measured = search.trainer().train(0, {"train.learning_rate": 0.1}, 0, at(0.5))
    assert measured.pruned and measured.value == measured.curve[-1].value
    assert [point.share for point in measured.curve][-1] == 0.5 and measured.steps == measured.curve[-1].step
    assert list((search.folder / "search").rglob("*.safetensors")) == []


def test_only_the_best_models_are_kept_and_that_of_the_recipe_as_it_is(search: Search) -> None:
    trainer = search.trainer(keep=1)
    values = [trainer.train(number, {"train.learning_rate": rate}, 0, never).value for number, rate in enumerate((0.01, 1e-7, 0.1))]
    assert values[2] is not None and values[2] == max(value for value in values if value is not None)
    assert models(search) == ["0000", "0002"], "the first is the recipe as it is, whose rate is 0.01"
    trainer.train(3, {"train.learning_rate": 0.1}, 1, never)
    assert models(search) == ["0000", "0002"], "no round takes up a training under another seed"


def test_a_killed_trial_goes_on_to_the_same_weights_and_tells_its_evaluations_again(search: Search) -> None:
    settings = {"train.learning_rate": 0.02}
    whole, weights = Search(search.base, search.rows, search.folder / "whole"), list[str]()
    uninterrupted = whole.trainer().train(0, settings, 0, never)
    told: list[Point] = []

    def kill(point: Point) -> bool:
        told.append(point)
        if point.share >= 0.5:
            raise Killed
        return False

    with pytest.raises(Killed):
        search.trainer().train(0, settings, 0, kill)
    first, told = told, []
    gone_on = search.trainer().train(0, settings, 0, into(told))
    assert told[: len(first)] == first and tuple(told) == gone_on.curve == uninterrupted.curve
    assert (gone_on.value, gone_on.steps) == (uninterrupted.value, uninterrupted.steps)
    for one in (search, whole):
        [made] = (one.folder / "search").glob("trials/0000-*/made/model")
        weights.append(digest_folder(made, WEIGHTS))
    assert weights[0] == weights[1]


def test_a_trial_that_goes_on_under_other_libraries_begins_anew(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(point: Point) -> bool:
        raise Killed

    with pytest.raises(Killed):
        search.trainer().train(0, {"train.learning_rate": 0.02}, 0, kill)
    [points] = (search.folder / "search").glob("trials/0000-*/training/points.json")
    points.write_text(json.dumps({"curve": [[1, 0.1, 7.0]], "seconds": 0.0, "start": None}))
    monkeypatch.setattr(workspace, "library_versions", lambda: {"torch": "another"})
    measured = search.trainer().train(0, {"train.learning_rate": 0.02}, 0, never)
    assert measured.value is not None and measured.value < 7 and measured.curve[0].share > 0.1


def test_a_trial_that_ended_before_its_search_was_killed_is_not_trained_again(search: Search) -> None:
    first = search.trainer().train(0, {"train.learning_rate": 0.02}, 0, never)
    search.heard.clear()
    assert search.trainer().train(0, {"train.learning_rate": 0.02}, 0, at(0.1)) == first
    assert search.heard == []


def test_a_trial_that_a_budget_cut_is_gone_on_with_where_it_stopped(search: Search) -> None:
    """Also where the search was killed before it wrote down that it was cut: then it is cut again, at no steps."""
    settings, told = {"train.learning_rate": 0.02}, list[Point]()
    whole = Search(search.base, search.rows, search.folder / "whole").trainer().train(0, settings, 0, never)
    cut = search.trainer().train(0, settings, 0, lambda point: BUDGET if point.share >= 0.5 else False)
    assert cut.pruned and cut.curve[-1].share == 0.5
    assert list((search.folder / "search").glob("trials/0000-*/training/**/*.safetensors")), "its checkpoint is kept"
    search.heard.clear()
    assert search.trainer().train(0, settings, 0, lambda _: BUDGET).curve == cut.curve
    assert search.heard == []
    gone_on = search.trainer().train(0, settings, 0, into(told))
    assert (gone_on.value, gone_on.steps, gone_on.curve) == (whole.value, whole.steps, whole.curve)
    assert not gone_on.pruned and tuple(told) == whole.curve
    assert list((search.folder / "search").glob("trials/0000-*/training/**/*.safetensors")) == []


def test_a_search_that_refuses_its_budget_at_an_evaluation_is_refused_and_its_trial_goes_on_later(search: Search) -> None:
    def refuse(point: Point) -> bool:
        raise RecipeError("search: 1 minutes is too little for one trial")

    with pytest.raises(RecipeError, match="too little for one trial"):
        search.trainer().train(0, {"train.learning_rate": 0.02}, 0, refuse)
    later = search.trainer().train(0, {"train.learning_rate": 0.02}, 0, never)
    assert later.value is not None and later.diverged is None


def test_the_rate_that_the_machine_decides_on_is_that_of_the_recipe_that_leaves_it_open(search: Search) -> None:
    recipe = search.recipe(train={"learning_rate": None})
    trainer, bench = search.trainer(recipe), bench_of(recipe, Workspace(search.folder / "work"), silent, base_hash(recipe.base))
    rate = decide(recipe, bench.base, "classify", silent, rows=len(bench.sides["train"])).learning_rate
    own = {"train.learning_rate": rate, "method.head_dropout": 0.1}
    assert trainer.as_written(own) == {"method.head_dropout": 0.1}
    assert trainer.key_of(own | {"method.head_dropout": 0.0}) == trainer.key_of({}), "no model is compared with itself"
    assert trainer.key_of({"train.learning_rate": rate * 2, "method.head_dropout": 0.0}) != trainer.key_of({})
    assert search.trainer().as_written(own) == own, "a recipe that names a rate is left as it is"


def test_the_same_training_is_taken_up_from_the_cache_and_from_another_trial(search: Search) -> None:
    recipe = search.recipe()
    told: list[Point] = []
    trainer = search.trainer(recipe)
    trainer.model_of({})
    measured = trainer.train(0, {"train.learning_rate": 0.01}, 0, into(told))
    elsewhere = Search(search.base, search.rows, search.folder / "elsewhere").trainer().train(0, {"train.learning_rate": 0.01}, 0, never)
    assert (measured.steps, measured.value, measured.curve) == (0, elsewhere.value, elsewhere.curve)
    assert tuple(told) == measured.curve
    assert trainer.train(1, {"train.learning_rate": 0.01, "method.head_dropout": 0.0}, 0, never).steps == 0


def test_training_that_comes_to_nothing_is_said_and_ends_no_search(search: Search) -> None:
    trainer = search.trainer()
    lost = trainer.train(0, {"train.learning_rate": 1e38, "train.optimizer": "sgd"}, 0, never)
    assert lost.value is None and lost.diverged is not None and not lost.pruned
    refused = trainer.train(1, {"train.learning_rate": -1.0}, 0, never)
    assert refused.value is None and (refused.diverged or "").startswith("Refused: ")
    assert models(search) == []


def test_the_test_rows_are_sealed_and_move_nothing(search: Search, tmp_path: Path, colour_rows: list[dict[str, str]]) -> None:
    """Two searches over the same rows but for those of test come to the same; and whoever asks for these is stopped."""
    found = []
    for name, turned in (("one", {}), ("other", {"red": "blue", "blue": "green", "green": "red"})):
        test = tmp_path / name / "test.jsonl"
        test.parent.mkdir()
        test.write_text("".join(json.dumps({**row, "label": turned.get(row["label"], row["label"])}) + "\n" for row in colour_rows[200:]))
        train = tmp_path / name / "rows.jsonl"
        train.write_text("".join(json.dumps(row) + "\n" for row in colour_rows[:80]))
        one = Search(search.base, train, tmp_path / name)
        trainer = one.trainer(one.recipe(data={"path": str(train), "test_path": str(test), "rows": None}))
        found.append([trainer.train(number, {"train.learning_rate": rate}, 0, never) for number, rate in enumerate((0.01, 0.1))])
    assert [(one.value, one.curve) for one in found[0]] == [(one.value, one.curve) for one in found[1]]
    with pytest.raises(AssertionError, match="never looks at the test rows"):
        trainer.home.sides["test"]
    with trainer.workspace.ledger() as ledger:
        assert ledger.test_openings(trainer.home.dataset.side_hash("test")) == []


def test_a_search_by_loss_is_refused_where_trials_would_have_other_losses(search: Search) -> None:
    recipe = search.recipe(
        method={"name": "full", "head": None}, data={"task": "generate"}, search={"space": {"objective.label_smoothing": [0.0, 0.1]}}
    )
    with pytest.raises(RecipeError, match=r"objective\.label_smoothing changes what a loss means"):
        _ = search.trainer(recipe).compared
    named = search.recipe(
        method={"name": "full", "head": None},
        data={"task": "generate"},
        evaluate={"metrics": ["exact_match"]},
        search={"space": {"objective.label_smoothing": [0.0, 0.1]}},
    )
    assert search.trainer(named).compared.name == "exact_match"


THINGS = ("car", "house", "boat", "shirt", "door", "cup", "chair", "hat", "lamp", "book", "bag", "coat", "fence", "wall")
TASKS: dict[str, tuple[dict[str, Any], Callable[[int, str], dict[str, Any]], str]] = {
    "spans": (
        {"task": "tag"},
        lambda number, colour: {"text": f"Send {number} {colour} {THINGS[number % 14]}", "spans": [[6 + len(str(number)), 6 + len(str(number) + colour), "colour"]]},
        "span_f1",
    ),
    "judged pairs": (
        {"task": "prefer"},
        lambda number, colour: {"prompt": f"{THINGS[number % 14]} {number}", "chosen": f"It is {colour}.", "rejected": f"No {number % 7}!"},
        "preference_accuracy",
    ),
    "written answers": (
        {"task": "generate"},
        lambda number, colour: {"prompt": f"{colour} {THINGS[number % 14]} {number}", "completion": f"a {THINGS[number % 14]} in {colour}"},
        "loss",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TASKS)
def test_of_any_task_the_value_heard_in_training_is_that_of_the_model_that_was_kept(search: Search, name: str) -> None:
    data, row, compared = TASKS[name]
    path = search.folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row(number, LABELS[number % 3])) + "\n" for number in range(90)))
    data = data | {"path": str(path), "rows": None, "dedup": {"near": False}}
    recipe = search.recipe(data=data, method={"name": "full", "head": None}, search={"space": {"train.learning_rate": [0.001, 0.01]}})
    trainer = search.trainer(recipe)
    measured = trainer.train(0, {"train.learning_rate": 0.001}, 0, never)
    assert trainer.compared.name == compared and measured.value is not None
    [made] = (search.folder / "search").glob("trials/0000-*/made")
    training = read_json(made / "training.json")
    if trainer.compared.measure is None:
        kept = {one["step"]: one["loss"] for one in training["validation"]}[training["chosen_step"]]
        assert measured.value == -kept
    else:
        model = load_ready(made / "model").model
        bench = trainer.home.with_recipe(recipe)
        assert measured.value == pytest.approx(answered(model, bench, trainer.sample, trainer.compared.measure))
