"""`tunesmith estimate`: what a round will take, before it runs; and `tunesmith run`, which says it first and stops where it can't fit."""

import json
from pathlib import Path
from typing import Any

import pytest

from tunesmith.pipeline import expected
from tunesmith.recipe import machine as machines


def test_a_few_steps_are_tried_and_the_table_is_told(
    command: Any, write_recipe: Any, tiny_base: Path, colour_file: Path, tmp_path: Path
) -> None:
    recipe = write_recipe(tmp_path, colour_file, tiny_base)
    said = command("estimate", recipe, "-w", tmp_path / "ws", "--price-hour", "2", "--watts", "90", "--json")
    assert said.code == 0, said.err
    told = said.json()
    assert told["probed"]
    assert told["memory"] == sum(told["parts"].values())
    assert told["steps"] == 4
    assert told["energy_wh"] == pytest.approx(told["seconds"] * 90 / 3600)
    assert told["money"] == pytest.approx(told["seconds"] * 2 / 3600)
    assert not (tmp_path / "ws" / "rounds").exists()
    assert not (tmp_path / "ws" / "tunesmith.db").exists()


def test_the_table_for_people(command: Any, write_recipe: Any, tiny_base: Path, colour_file: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, colour_file, tiny_base)
    said = command("estimate", recipe, "-w", tmp_path / "ws", "--no-probe")
    assert said.code == 0, said.err
    for words in (
        "at its peak",
        "it fits",
        "evaluate",
        "tokens computed",
        "Energy: unknown (name the watts",
        "Money: unknown",
        "By arithmetic",
    ):
        assert words in said.out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--machine", "abacus"], 2, "is not known"),
        (["--machine", "1x512MB"], 3, "take a machine with"),
        (["--price-hour", "-1"], 2, "--price-hour"),
        (["--set", "train.batch_rows=0"], 2, "batch_rows"),
    ],
)
def test_what_can_not_be_is_refused_in_a_sentence(
    command: Any, write_recipe: Any, tiny_base: Path, colour_file: Path, tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    recipe = write_recipe(tmp_path, colour_file, tiny_base)
    said = command("estimate", recipe, "-w", tmp_path / "ws", "--no-probe", *arguments)
    assert said.code == code
    assert words in said.err
    assert "Traceback" not in said.err


def test_a_run_that_can_not_fit_stops_before_it_trains_and_names_the_change(
    command: Any, write_recipe: Any, tiny_base: Path, colour_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = write_recipe(tmp_path, colour_file, tiny_base, train={"batch_rows": 32, "max_steps": 2, "threads": 1})
    need = json.loads(command("estimate", recipe, "-w", tmp_path / "ws", "--no-probe", "--json").out)["memory"]
    monkeypatch.setattr(machines, "memory_limit", lambda: need - 2**18)
    monkeypatch.setattr(expected, "ERROR", 0.0)
    said = command("run", recipe, "-w", tmp_path / "ws")
    assert said.code == 3
    assert "would fit (" in said.errors[0]
    assert not list((tmp_path / "ws" / "rounds").glob("*/training"))
