"""With what a search begins: its own point where that can be a trial, else why not; what the shortest trial takes."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tunesmith.core.progress import Event, Said
from tunesmith.pipeline import estimating
from tunesmith.pipeline.probing import Clock
from tunesmith.recipe import Recipe
from tunesmith.search.beginning import Beginning

LENGTHS = {"train.epochs": [1, 2], "train.batch_rows": [16, 128]}


def beginning(space: dict[str, Any], train: dict[str, Any], *, task: str = "classify", rows: int = 240, **search: Any) -> Beginning:
    recipe = Recipe.model_validate({"data": {"path": "rows.jsonl"}, "train": train, "search": {"space": space} | search})
    assert recipe.search is not None
    bench: Any = SimpleNamespace(dataset=SimpleNamespace(task=task), sides={"train": [None] * rows})
    return Beginning(recipe, recipe.search, bench)


def first(begin: Beginning, own: dict[str, Any]) -> tuple[list[Any], list[str]]:
    told: list[Event] = []
    points = begin.first(own, told.append)
    return points, [event.text for event in told if isinstance(event, Said)]


def test_two_settings_that_shorten_together_are_counted_together() -> None:
    assert beginning(LENGTHS, {"epochs": 2, "batch_rows": 16}).steps == 2
    assert beginning({"train.batch_rows": [16, 128], "train.max_steps": [1, 9]}, {}).steps == 1
    assert beginning({"method.rank": [4, 8]}, {"epochs": 2, "batch_rows": 16}).steps == 30
    assert beginning(LENGTHS, {}, task="text").steps is None


def test_own_settings_that_take_more_steps_than_there_are_give_way_to_the_shortest_trial() -> None:
    own = {"train.epochs": 2, "train.batch_rows": 16, "method.rank": 8}
    assert first(beginning(LENGTHS | {"method.rank": [4, 8, 16]}, {}, task="text", steps=5), own) == ([own], [])
    begin = beginning(LENGTHS | {"method.rank": [4, 8, 16]}, {"epochs": 2, "batch_rows": 16}, steps=5)
    points, told = first(begin, own)
    assert points == [{"train.epochs": 1, "train.batch_rows": 128, "method.rank": 8}]
    assert told == ["The recipe's own settings are none of the trials: they take 30 steps, and search.steps is 5."]
    assert first(beginning(LENGTHS, {"epochs": 2, "batch_rows": 16}, steps=30), {"train.epochs": 2, "train.batch_rows": 16}) == (
        [{"train.epochs": 2, "train.batch_rows": 16}],
        [],
    )


@pytest.mark.parametrize(("search", "begun"), [({}, []), ({"steps": 100}, [{"train.epochs": 1, "train.batch_rows": 128}])])
def test_own_settings_outside_of_the_space_are_told(search: dict[str, Any], begun: list[Any]) -> None:
    points, told = first(beginning(LENGTHS, {"epochs": 3, "batch_rows": 16}, **search), {"train.epochs": 3, "train.batch_rows": 16})
    assert points == begun
    assert told == ["The recipe's own settings are none of the trials: train.epochs 3 lies outside of search.space."]


def test_a_setting_that_hangs_on_another_is_no_reason_where_it_is_not_searched() -> None:
    space = {"method.name": ["lora", "full"], "method.rank": {"choices": [4, 8], "when": {"method.name": ["lora"]}}}
    assert first(beginning(space, {}), {"method.name": "full", "method.rank": 16}) == ([{"method.name": "full"}], [])


@pytest.mark.parametrize(
    ("wall", "space", "taken"),
    [
        (200.0, {"method.rank": [4, 8]}, 200.0),
        (119.0, {"method.rank": [4, 8]}, None),
        (200.0, {"train.epochs": [1, 3]}, None),  # a third of it is less than what there is
        (1200.0, {"train.epochs": [1, 3]}, 400.0),
        (None, {"method.rank": [4, 8]}, None),
    ],
)
def test_time_is_refused_only_where_arithmetic_says_more_than_twice_of_it(
    wall: float | None, space: dict[str, Any], taken: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = None if wall is None else Clock(wall, wall)
    monkeypatch.setattr(estimating, "estimate_of", lambda *_, **__: SimpleNamespace(training=training))
    begin = beginning(space, {"epochs": 3, "batch_rows": 16}, minutes=1)
    assert begin.seconds(tmp_path / "study") == (None if taken is None else pytest.approx(taken))
    assert begin.seconds(tmp_path) is None, "a search that has begun knows better"


def test_no_figure_is_no_reason_to_refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def odd(*_: Any, **__: Any) -> None:
        raise ValueError("a model that nobody knows")

    monkeypatch.setattr(estimating, "estimate_of", odd)
    assert beginning({"method.rank": [4, 8]}, {}, minutes=1).seconds(tmp_path / "study") is None
    assert beginning({"method.rank": [4, 8]}, {}).seconds(tmp_path / "study") is None
