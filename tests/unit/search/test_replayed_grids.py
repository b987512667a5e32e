"""A measured grid stands in for training: what benchmarks/searching makes of rows, settings and lines, without training anything."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.recipe import Recipe
from tunesmith.search.trial import Measured, Point

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
CURVE = [(0, 3.0, 0.1), (10, 2.0, 0.5), (20, 1.5, 0.4), (30, 1.2, 0.6), (40, 1.1, 0.6)]


@pytest.fixture(scope="module")
def searching() -> Iterator[SimpleNamespace]:
    """The benchmark's modules by name."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        from searching import grid, rows, spaces, table

        yield SimpleNamespace(grid=grid, rows=rows, spaces=spaces, table=table)
    finally:
        sys.path.remove(str(BENCHMARKS))


def trained(rate: float, *, value: float | None = 0.6, fresh: float | None = 0.55, curve: list[Any] | None = None) -> dict[str, Any]:
    """One training of a grid over a rate."""
    return {
        "settings": {"train.learning_rate": rate},
        "seed": 0,
        "steps": 40,
        "of_steps": 40,
        "curve": CURVE if curve is None else curve,
        "kept": 40,
        "value": value,
        "fresh": fresh,
        "fresh_error": 0.02,
        "seconds": 8.0,
    }


def table_of(searching: SimpleNamespace, *trainings: dict[str, Any]) -> Any:
    return searching.table.Table("planted", {"train.learning_rate": [1e-3, 1e-2]}, list(trainings))


def test_a_trial_hears_every_evaluation_but_the_look_before_the_first_step(searching: SimpleNamespace) -> None:
    heard: list[Point] = []
    trainer = searching.table.TableTrainer(table_of(searching, trained(1e-3)))
    told = trainer.train(0, {"train.learning_rate": 0.001}, 5, lambda point: bool(heard.append(point)))
    assert [(point.step, point.share, point.value) for point in heard] == [(10, 0.25, 0.5), (20, 0.5, 0.5), (30, 0.75, 0.6), (40, 1.0, 0.6)]
    assert told == Measured(value=0.6, steps=40, seconds=8.0, curve=tuple(heard))


def test_a_trial_that_is_ended_costs_the_steps_until_then_and_keeps_the_best_until_then(searching: SimpleNamespace) -> None:
    trainer = searching.table.TableTrainer(table_of(searching, trained(1e-3)))
    told = trainer.train(0, {"train.learning_rate": 1e-3}, 0, lambda point: point.step == 20)
    assert (told.value, told.steps, told.seconds, told.pruned, told.diverged) == (0.5, 20, 4.0, True, None)
    told = trainer.train(1, {"train.learning_rate": 1e-3}, 0, lambda point: point.step == 40)
    assert (told.value, told.steps, told.pruned) == (0.6, 40, False)  # there was nothing left to end


def test_a_training_without_a_measure_is_compared_by_its_loss_and_one_that_diverged_has_no_value(searching: SimpleNamespace) -> None:
    losses = [(step, loss, None) for step, loss, _ in CURVE]
    points: list[float] = []
    trainer = searching.table.TableTrainer(
        table_of(searching, trained(1e-3, value=-1.1, curve=losses), trained(1e-2, value=None, fresh=None))
    )
    trainer.train(0, {"train.learning_rate": 1e-3}, 0, lambda point: bool(points.append(point.value)))
    assert points == [-2.0, -1.5, -1.2, -1.1]
    told = trainer.train(1, {"train.learning_rate": 0.01}, 0, lambda point: False)
    assert told.value is None and told.diverged


def test_settings_that_are_no_point_of_the_grid_are_a_bug(searching: SimpleNamespace) -> None:
    with pytest.raises(KeyError):
        searching.table.TableTrainer(table_of(searching, trained(1e-3))).train(0, {"train.learning_rate": 0.005}, 0, lambda point: False)


def test_the_grid_returns_the_highest_on_select_and_the_lower_loss_between_equals(searching: SimpleNamespace) -> None:
    worse_loss = [*CURVE[:-1], (40, 1.3, 0.6)]
    table = table_of(searching, trained(1e-2, fresh=0.7, curve=worse_loss), trained(1e-3, fresh=0.5), trained(1e-1, value=0.5, fresh=0.9))
    assert table.best["fresh"] == 0.5 and table.highest["fresh"] == 0.9 and table.steps == 120


@given(labels=st.integers(2, 5), rows=st.integers(12, 30), seed=st.integers(0, 3))
def test_no_text_stands_on_two_sides(labels: int, rows: int, seed: int) -> None:
    sys.path.insert(0, str(BENCHMARKS))
    from searching.rows import labelled, written

    sys.path.remove(str(BENCHMARKS))
    pairs = [(f"text {seed} {number} of {label}", f"label {label}") for label in range(labels) for number in range(rows)]
    made = labelled(pairs, [], [], labels=labels, sizes=(4, 3, 5))
    assert [len(side) for side in (made.train, made.select, made.fresh)] == [4 * labels, 3 * labels, 5 * labels]
    texts = [row.text() for side in (made.train, made.select, made.fresh) for row in side]
    assert len(set(texts)) == len(texts)
    references = [(f"input {number // 3}", f"reference {number}") for number in range(3 * rows)]
    sides = written(references, sizes=(9, 6, 12), references=(2, 3, 2))
    asked = [{row.text() for row in side} for side in (sides.train, sides.select, sides.fresh)]
    assert not (asked[0] & asked[1] or asked[0] & asked[2] or asked[1] & asked[2])


def test_every_point_of_every_grid_is_a_recipe(searching: SimpleNamespace) -> None:
    for name, base in searching.spaces.BASES.items():
        points = list(searching.spaces.points(name))
        assert len(points) == len({json.dumps(point) for point in points}) == 64
        for point in points:
            made = searching.spaces.sections(base, point)
            Recipe.model_validate({"data": {"path": "grid"}, **made})
    assert searching.spaces.BASES["banking77"]["method"]["top_layers"] == 6  # sections() changed copies


def test_a_line_that_was_cut_short_is_measured_again(searching: SimpleNamespace, tmp_path: Path) -> None:
    file = tmp_path / "lines.jsonl"
    file.write_text(json.dumps(trained(1e-3)) + "\n" + json.dumps(trained(1e-2))[:50])
    lines = searching.grid.Lines(file)
    assert [one["settings"]["train.learning_rate"] for one in lines.found.values()] == [1e-3]
    lines.found.clear()
    assert file.read_text().endswith("\n")  # what is added next begins a line of its own


def test_the_measured_tables_hold_whole_grids_and_no_text(searching: SimpleNamespace) -> None:
    for name in searching.rows.NAMES:
        table = searching.table.Table.newest(name)
        points = {searching.table.key_of(point) for point in searching.spaces.points(name)}
        assert set(table.grid) == points and table.space == searching.spaces.SPACES[name]
        kinds = {type(value) for one in table.trainings for key, value in one.items() if key not in ("settings", "curve")}
        assert str not in kinds
        assert all(one["steps"] == one["of_steps"] for one in table.grid.values() if not one["diverged"])
