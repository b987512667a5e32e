"""`tunesmith advise`: rows in, a ranking with reasons and a recipe that runs out; what can't be is one sentence and an exit code."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tunesmith
from tunesmith.data.dataset import Sides
from tunesmith.recipe import load_recipe

MACHINE = "cpu 16GB 8 cores"
Command = Callable[..., Any]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One workspace, so that the rows are prepared once."""
    return tmp_path_factory.mktemp("advise") / "ws"


@pytest.fixture
def no_test_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads a row of the test side fails."""
    each = Sides.each

    def guarded(self: Sides, side: str) -> Any:
        assert side != "test", "a test row was read"
        return each(self, side)

    monkeypatch.setattr(Sides, "each", guarded)


@pytest.mark.usefixtures("no_test_rows")
def test_rows_in_and_a_recipe_out_that_checks(
    command: Command, colour_file: Path, tiny_base: Path, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "there" / "advised.yaml"
    said = command(
        "advise", colour_file, "--base", tiny_base, "--base", "embedded", "--machine", MACHINE, "-w", workspace, "-o", out, "--json"
    )
    assert said.code == 0, said.err
    told = said.json()
    assert [option["base"] for option in told["options"]] == ["embedded", str(tiny_base)] * 3 or {
        option["base"] for option in told["options"]
    } == {"embedded", str(tiny_base)}
    assert len(told["options"]) == 6
    first = told["options"][0]
    assert (first["key"], first["method"], first["head"]) == (told["advised"], "full", "class")
    assert all(option["because"] and option["memory"] > 4 * option["parameters"] for option in told["options"])
    assert told["rows"]["linear_floor"]["value"] > 0.5
    assert told["machine"]["flops"] is None
    assert first["seconds"] is None
    recipe = load_recipe(out)
    assert (recipe.base.path, recipe.method.name, recipe.method.head) == (first["base"], "full", "class")
    monkeypatch.undo()
    assert command("check", out, "-w", workspace).code == 0


@pytest.mark.usefixtures("no_test_rows")
def test_a_probe_ranks_by_what_it_saw_and_is_shown_again(
    command: Command, write_recipe: Callable[..., Path], colour_file: Path, tiny_base: Path, workspace: Path, tmp_path: Path
) -> None:
    recipe = write_recipe(tmp_path / "mine", colour_file, tiny_base)
    asked = ("advise", recipe, "--base", tiny_base, "--probe", 600, "-w", workspace, "--force", "-o", tmp_path / "advised.yaml")
    said = command(*asked)
    assert said.code == 0, said.err
    assert "Probe: accuracy on" in said.out
    assert "the probe saw accuracy" in said.out
    again = command(*asked, "--json")
    assert again.code == 0, again.err
    probed = again.json()["probe"]
    assert "taken from an earlier round" in again.err
    assert [one["name"] in said.out for one in probed["placed"]] == [True, True, True]
    assert probed["placed"][0]["key"] == again.json()["advised"]
    values = [one["value"] for one in probed["placed"] if one["rung"] == 1]
    assert values == sorted(values, reverse=True)


def test_a_recipe_is_advised_on_with_what_it_sets(
    command: Command, colour_file: Path, tiny_base: Path, workspace: Path, tmp_path: Path
) -> None:
    """Its seed, its epochs and its instruction stay; paths hold although the file lies elsewhere."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "rows.jsonl").write_bytes(colour_file.read_bytes())
    mine = {
        "seed": 3,
        "data": {"path": "rows.jsonl", "instruction": "Name the colour."},
        "base": {"path": str(tiny_base)},
        "train": {"epochs": 5},
    }
    (folder / "recipe.yaml").write_text(json.dumps(mine))
    out = tmp_path / "elsewhere" / "advised.yaml"
    advice = tunesmith.advise(folder / "recipe.yaml", bases=[str(tiny_base)], machine=MACHINE, workspace=workspace)
    advice.write(out)
    found = load_recipe(out)
    assert (found.seed, found.train.epochs, found.data.instruction) == (3, 5, "Name the colour.")
    assert Path(found.data.path).samefile(folder / "rows.jsonl")
    assert json.loads(json.dumps(advice.to_json(), allow_nan=False))["advised"] == advice.best.key
    assert "# Advised: " in out.read_text()


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (("--machine", "cpu 2MB 1 core"), 3, "None of 3 options fits a CPU with 2 MB and 1 core. The nearest is"),
        (("--machine", "a toaster"), 2, "a toaster"),
        (("--max-size", "1kB"), 2, "No base here keeps to what is asked of size"),
        (("--max-size", "big"), 2, "write a size above 0"),
        (("--licence", "mit"), 2, "its card tells no licence"),
        (("--context", "513"), 2, "it reads 512 tokens at once, and 513 are asked for"),
        (("--latency-ms", "0"), 2, "no answer takes that"),
        (("--probe", "0"), 2, "--probe is 0"),
        (("--base", "./nowhere"), 2, "is not a folder with a model"),
    ],
)
def test_what_can_not_be_is_one_sentence(
    command: Command, colour_file: Path, tiny_base: Path, workspace: Path, tmp_path: Path, options: tuple[str, ...], code: int, told: str
) -> None:
    out = tmp_path / "advised.yaml"
    machine = () if "--machine" in options else ("--machine", MACHINE)
    said = command("advise", colour_file, "--base", tiny_base, *machine, *options, "-w", workspace, "-o", out)
    assert (said.code, len(said.errors)) == (code, 1), said.err
    assert told in said.errors[0]
    assert not out.exists()


def test_rows_that_are_not_there_or_empty_and_a_file_in_the_way(command: Command, tiny_base: Path, workspace: Path, tmp_path: Path) -> None:
    empty, out = tmp_path / "empty.jsonl", tmp_path / "advised.yaml"
    empty.write_text("")
    for data in (empty, tmp_path / "nowhere.jsonl"):
        said = command("advise", data, "--base", tiny_base, "-w", workspace, "-o", out)
        assert (said.code in (2, 3), len(said.errors)) == (True, 1), said.err
    out.write_text("mine")
    said = command("advise", "sample", "-w", workspace, "-o", out)
    assert (said.code, out.read_text()) == (2, "mine")
    assert "overwrite it with --force" in said.errors[0]
