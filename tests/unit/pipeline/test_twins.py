"""Twins: trained as the round itself is, gone when measured, kept as figures; one that diverges is said to and fails nothing."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tunesmith.chat.render import Renderer
from tunesmith.core.errors import DivergedError
from tunesmith.core.files import read_json, write_json
from tunesmith.core.hashing import digest_folder
from tunesmith.core.progress import Event, Said, Started
from tunesmith.core.rows import Message, Row
from tunesmith.data.config import Task
from tunesmith.data.dataset import Dataset
from tunesmith.models.load import load_base
from tunesmith.models.package import Bundle
from tunesmith.pipeline.evaluation import Sides
from tunesmith.pipeline.looks.look import Tuned
from tunesmith.pipeline.making import Making
from tunesmith.pipeline.material import Material
from tunesmith.pipeline.twins import KIND, Twins, trainings, trainings_told
from tunesmith.pipeline.workspace import Stages, Workspace
from tunesmith.recipe import Recipe

COLOURS = ("red", "green", "blue")
ROWS = [
    Row(id=f"{place:02}", prompt=(Message("user", f"{COLOURS[place % 3]} thing {place}"),), answer=COLOURS[place % 3])
    for place in range(18)
]


def recipe_of(base: Path | str = "embedded", **sections: Any) -> Recipe:
    train = {"max_steps": 3, "batch_rows": 4, "threads": 1, "learning_rate": 1e-2}
    return Recipe.model_validate({"data": {"path": "unused"}, "base": {"path": str(base)}, "train": train} | sections)


@pytest.fixture
def heard() -> list[Event]:
    """What was said."""
    return []


@pytest.fixture
def twins(tiny_base: Path, tmp_path: Path, heard: list[Event]) -> Iterator[Twins]:
    """Of a round on 12 rows of three colours."""
    recipe = recipe_of(tiny_base, train={"max_steps": 3, "batch_rows": 4, "threads": 1, "learning_rate": 1e-2, "track": ["tensorboard"]})
    loaded = load_base(recipe.base)
    making = Making(
        recipe=recipe,
        renderer=Renderer(loaded.tokenizer, max_tokens=64),
        material=Material(ROWS[:12], ROWS[12:15], COLOURS, "classify"),
        bundle=lambda method: Bundle(
            task="classify", method=method, max_tokens=64, labels=COLOURS, base=recipe.base.model_dump(mode="json")
        ),
        listen=heard.append,
    )
    sides = {"train": ROWS[:12], "select": ROWS[12:15], "calibrate": [], "test": ROWS[15:]}
    place = Workspace(tmp_path / "work")
    with place.ledger() as ledger:
        yield Twins(
            making=making,
            inputs={"dataset": "d", "base": "b"},
            folder=tmp_path / "round" / "twins",
            dataset=_dataset(sides),
            judged=Sides(sides["train"], sides["select"], sides["test"], COLOURS, "classify"),
            metric="accuracy",
            stages=Stages(place, ledger, None, heard.append),  # type: ignore[arg-type]
        )


def _dataset(sides: dict[str, list[Row]]) -> Dataset:
    made: Dataset = object.__new__(Dataset)
    for name, value in (("id", "d" * 64), ("sides", sides), ("task", Task.CLASSIFY)):
        object.__setattr__(made, name, value)
    return made


def test_a_twin_of_the_rounds_own_rows_and_seed_has_the_rounds_own_weights(twins: Twins, tmp_path: Path) -> None:
    """Bit for bit; and it is marked, and gone when it has been measured."""
    own = tmp_path / "own"
    own.mkdir()
    untracked = twins.making.recipe.train.model_copy(update={"track": []})
    round_own = Making(
        recipe=twins.making.recipe.model_copy(update={"train": untracked}),
        renderer=twins.making.renderer,
        material=twins.making.material,
        bundle=twins.making.bundle,
        listen=twins.making.listen,
    )
    round_own.into(own, tmp_path / "working")
    seen: dict[str, Any] = {}

    def measure(twin: Tuned, out: Path) -> None:
        [folder] = twins.folder.glob("*/made/model")
        seen.update(weights=digest_folder(folder, ("*.safetensors",)), mark=twin.bundle.twin)
        write_json(out / "figures.json", {"rows": 12})

    out = twins.measured("alike", measure, asks={})
    assert out is not None
    assert seen == {"weights": digest_folder(own / "model", ("*.safetensors",)), "mark": "alike"}
    assert read_json(out / "figures.json") == {"rows": 12}
    assert read_json(out / "twin.json")["rows"] == 12
    assert not list(twins.folder.iterdir()) and not list(out.rglob("*.safetensors"))

    def never(twin: Tuned, folder: Path) -> None:
        raise AssertionError("it is measured once")

    assert twins.measured("alike", never, asks={}) == out
    other = twins.measured("alike", measure, asks={}, seed=7)
    assert other != out and seen["weights"] != digest_folder(own / "model", ("*.safetensors",))
    assert [one.path for one in twins.stages.ledger.artefacts(kind=KIND)] == [str(out), str(other)]
    assert not twins.stages.ledger.artefacts(kind="model")


def test_its_answers_are_to_the_test_rows_and_its_work_has_its_name(twins: Twins, heard: list[Event]) -> None:
    found = twins.answers("6 rows", rows=ROWS[:6])
    assert found is not None
    assert [one.row_id for one in found] == [row.id for row in ROWS[15:]]
    started = [event.work for event in heard if isinstance(event, Started)]
    assert "twin 6 rows: train" in started and "twin 6 rows: score fine-tuned on test" in started
    assert not [work for work in started if not work.startswith("twin 6 rows: ")]
    assert not list(twins.folder.rglob("*tfevents*"))  # shown to no tracker


class Unsteady(Making):
    """Training that diverges."""

    def into(self, out: Path, working: Path) -> None:
        raise DivergedError(step=3, loss=float("nan"), grad_norm=float("nan"))


def test_a_twin_that_diverges_is_left_out_and_not_tried_again(twins: Twins, heard: list[Event]) -> None:
    fields = {name: getattr(twins.making, name) for name in ("recipe", "renderer", "material", "bundle", "listen")}
    unsteady = Twins(
        making=Unsteady(**fields),
        **{name: getattr(twins, name) for name in ("inputs", "folder", "dataset", "judged", "metric", "stages")},
    )
    assert unsteady.answers("seed 2", seed=5) is None
    assert any(isinstance(event, Said) and event.warning and event.text.startswith("Twin (seed 2): ") for event in heard)
    assert twins.answers("seed 2", seed=5) is None  # though this one would not have


def test_how_often_a_recipe_trains() -> None:
    assert trainings(recipe_of()) == 1 and trainings_told(recipe_of()) is None
    asked = {"learning_curve": {"enabled": True}, "seeds": 3, "memorisation": {"canaries": {}}}
    told = trainings_told(recipe_of(evaluate=asked))
    assert trainings(recipe_of(evaluate=asked)) == 7
    assert told is not None
    assert re.match(
        r"7 trainings in all, about 4\.[89] times the work of one: the round's own; 3 twins on 10, 25, 50% of the rows, 2 from other seeds, 1 with",
        told,
    )
