"""Ways that go with what a recipe sets, priced by the arithmetic of estimate, and the advised recipe reads back as itself."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tunesmith.data.config import Task
from tunesmith.recipe import Recipe, load_recipe, parse_recipe
from tunesmith.recipe.architecture import Architecture
from tunesmith.recipe.cost import PEAK_SHARE
from tunesmith.recipe.machine import Machine, described
from tunesmith.search.advice.bases import Candidate
from tunesmith.search.advice.order import Option
from tunesmith.search.advice.pricing import price_of, with_measured_peak
from tunesmith.search.advice.rows import RowsLook
from tunesmith.search.advice.ways import Way, possible, ways_of
from tunesmith.search.advice.written import recipe_text, seen_from

Base = Callable[..., Candidate]
PLAIN = Recipe.model_validate({"data": {"path": "rows.jsonl"}})


@pytest.mark.parametrize("task", list(Task))
@pytest.mark.parametrize("parameters", [7_000_000, 3 * 10**9])
def test_every_way_goes_with_its_task(base: Base, task: Task, parameters: int) -> None:
    one = base(parameters=parameters)
    found = list(possible(PLAIN, task, one, judged=False))
    assert [way for way, _ in found] == list(ways_of(task, one))
    assert all((made.method.name, made.method.head, made.base.dtype) == (way.method, way.head, way.dtype) for way, made in found)
    assert len(found) == (3 if task is Task.CLASSIFY else 2)


def test_large_bases_are_held_as_they_are_stored_where_adapters_learn(base: Base) -> None:
    large = base(parameters=3 * 10**9)
    assert {way.method: way.dtype for way in ways_of(Task.GENERATE, large)} == {"full": "float32", "lora": "bfloat16"}
    assert {way.dtype for way in ways_of(Task.GENERATE, base(parameters=3 * 10**9, narrow=False))} == {"float32"}
    assert {way.dtype for way in ways_of(Task.CLASSIFY, base())} == {"float32"}


def test_what_the_recipe_sets_rules_ways_out(base: Base) -> None:
    asked = Recipe.model_validate({"data": {"path": "rows.jsonl"}, "objective": {"name": "sft"}})
    assert [way.head for way, _ in possible(asked, Task.CLASSIFY, base(), judged=False)] == ["tokens"]


def test_settings_of_the_method_stay_where_the_method_does(base: Base) -> None:
    asked = Recipe.model_validate(
        {"data": {"path": "rows.jsonl"}, "method": {"name": "lora", "rank": 4}, "base": {"path": "small", "revision": "v1"}}
    )
    ranks = {way.method: made.method.rank for way, made in possible(asked, Task.GENERATE, base(), judged=False)}
    assert ranks == {"full": 16, "lora": 4}
    assert {made.base.revision for _, made in possible(asked, Task.GENERATE, base(), judged=False)} == {"v1"}
    assert {made.base.revision for _, made in possible(asked, Task.GENERATE, base(path="other"), judged=False)} == {None}


def priced(option: Option, way: Way, look: RowsLook, machine: Machine) -> Any:
    return price_of(option.base, way, option.recipe, option.reading, look, machine)


def test_what_learns_costs_memory_and_time(option: Callable[..., Option], look: Callable[..., RowsLook], machine: Machine) -> None:
    one = option(parameters=10**9)
    shape = Architecture(layers=24, hidden=2048, heads=16, kv_heads=8, head_width=128, intermediate=5632, vocabulary=32000, tied=True)
    one = replace(one, base=replace(one.base, architecture=shape, body=9 * 10**8))
    full, lora, features = (priced(one, Way(method, "class", "float32"), look(), machine) for method in ("full", "lora", "features"))
    assert full.memory > 16 * one.base.parameters > lora.memory > features.memory > 4 * one.base.parameters
    assert full.seconds == pytest.approx(2 * 9e8 * 1000 * 3 * 40 * 3 / (PEAK_SHARE["cpu"] * 100e9))
    assert full.seconds > lora.seconds > features.seconds
    assert (full.fits, features.fits) == (False, True)
    assert "method.name: lora" in full.change
    assert priced(one, Way("full", "class", "float32"), look(), described("1x80GB")).fits


def test_time_is_of_the_mean_row_and_of_the_output_layer_where_text_is_learnt(
    option: Callable[..., Option], look: Callable[..., RowsLook], machine: Machine
) -> None:
    """Nine rows in ten are short: the median tells an eighth of what is read."""
    one = option(tokens=20, tokens_mean=168.0, answer_mean=6.0)
    head, text = (priced(one, Way("full", kind, "float32"), look(), machine) for kind in ("class", "tokens"))
    speed = PEAK_SHARE["cpu"] * 100e9
    assert head.seconds == pytest.approx(2 * one.base.body * 168 * 1000 * 3 * 3 / speed)
    assert text.seconds - head.seconds == pytest.approx(2 * 4096 * 320 * 6 * 1000 * 3 * 3 / speed)


def test_of_a_base_whose_measures_are_not_known_neither_memory_nor_time_is(
    option: Callable[..., Option], look: Callable[..., RowsLook], machine: Machine
) -> None:
    one = replace(option(), base=replace(option().base, architecture=None))
    price = priced(one, Way("full", "class", "float32"), look(), machine)
    assert (price.memory, price.seconds, price.fits) == (None, None, True)
    large = replace(one, base=replace(one.base, parameters=10**10))
    assert not priced(large, Way("full", "class", "float32"), look(), machine).fits


def test_a_cpu_is_measured_and_what_is_known_is_left_alone(machine: Machine) -> None:
    here = with_measured_peak(replace(machine, flops=None))
    assert here.flops is not None
    assert 1e8 < here.flops < 1e15
    assert with_measured_peak(machine) is machine
    gpu = described("1x24GB")
    assert with_measured_peak(gpu) is gpu


@pytest.mark.parametrize(
    "sections",
    [
        {},
        {"method": {"name": "lora", "head": "tokens", "rank": 8}, "base": {"path": "Some/Base", "dtype": "bfloat16"}, "seed": 7},
        {"data": {"path": "rows.jsonl", "anonymise": {}, "split": {"by": "user"}}, "evaluate": {"few_shot": [0]}},
        {"train": {"regularise": {"replay": {"path": "general.jsonl", "share": 0.2}}}},
    ],
)
def test_the_written_recipe_reads_back_as_itself(sections: dict[str, Any]) -> None:
    recipe = Recipe.model_validate({"data": {"path": "rows.jsonl"}} | sections)
    text = recipe_text(recipe, ["A reason: with # and ' and a line\nbreak", "x" * 500])
    assert parse_recipe(text) == recipe
    assert text.startswith("# A tunesmith recipe, written by `tunesmith advise`.")


def test_paths_hold_from_where_the_recipe_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "one").mkdir(parents=True)
    (tmp_path / "rows.jsonl").write_text("")
    recipe = Recipe.model_validate({"data": {"path": "rows.jsonl"}, "base": {"path": "models/one"}})
    out = tmp_path / "deep" / "er" / "advised.yaml"
    out.parent.mkdir(parents=True)
    out.write_text(recipe_text(seen_from(recipe, out.parent)))
    found = load_recipe(out)
    assert Path(found.data.path).samefile(tmp_path / "rows.jsonl")
    assert Path(found.base.path).samefile(tmp_path / "models" / "one")
    hub = Recipe.model_validate({"data": {"path": "sample"}, "base": {"path": "Some/Base"}})
    assert seen_from(hub, Path("elsewhere")) == hub
