"""What a training will take, told before it: counted as the training counts, without weights, without the test rows, without a trace."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core.errors import MachineError, RecipeError
from tunesmith.core.progress import silent
from tunesmith.data.dataset import Sides
from tunesmith.models.forward import inner
from tunesmith.models.load import count_parameters, load_base, load_shape
from tunesmith.pipeline import estimating, expected, probing
from tunesmith.pipeline import probe as probe_program
from tunesmith.pipeline.bench import Bench, bench_of
from tunesmith.pipeline.estimating import Estimate, Rates, estimate, estimate_of, foretold, line
from tunesmith.pipeline.probing import Clock, Probed, asked_of, fitted, probe, trained_in
from tunesmith.pipeline.training import TrainingRun, read_steps
from tunesmith.pipeline.workload import Whole, Workload, workload
from tunesmith.pipeline.workspace import Workspace
from tunesmith.recipe import Recipe
from tunesmith.recipe import machine as machines
from tunesmith.recipe.machine import cpu_here, described


def recipe_of(data: Path, base: Path, **sections: Any) -> Recipe:
    train = {"max_steps": 6, "threads": 1, "batch_rows": 8, "token_budget": 96, "compile": "off"} | sections.pop("train", {})
    return Recipe.model_validate({"data": {"path": str(data)}, "base": {"path": str(base)}, "train": train} | sections)


def seen(recipe: Recipe, place: Path) -> Workload:
    """The workload of a recipe, by shapes alone."""
    bench = bench_of(recipe, Workspace(place), silent, "")
    bench.base = load_shape(recipe.base)
    bench.replay = ([], "text")
    return workload(bench, cpu_here())


METHODS: list[dict[str, Any]] = [
    {"method": {"name": "full"}},
    {"method": {"name": "lora", "rank": 4}},
    {"method": {"name": "pissa", "rank": 4}},
    {"method": {"name": "prompt"}},
    {"method": {"name": "prefix"}},
    {"method": {"name": "layers", "top_layers": 1}},
    {"method": {"name": "features", "head": "class"}},
    {"method": {"name": "full"}, "train": {"gradient_checkpointing": True, "share_prefixes": False}},
]


@pytest.mark.parametrize("sections", METHODS)
def test_steps_tokens_and_operations_are_those_that_the_training_reports(
    tiny_base: Path, colour_file: Path, tmp_path: Path, sections: dict[str, Any]
) -> None:
    recipe = recipe_of(colour_file, tiny_base, **sections)
    work = seen(recipe, tmp_path)
    bench = bench_of(recipe, Workspace(tmp_path), silent, "")
    run = TrainingRun(tmp_path / "run", recipe, load_base(recipe.base), bench.renderer, bench.material, silent)
    run.run()
    steps = read_steps(run.folder)
    assert work.whole.steps == len(steps) == 6
    assert work.whole.tokens_computed == sum(step["computed_tokens"] for step in steps)
    assert work.whole.tokens_in_rows == sum(step["rows_tokens"] for step in steps)
    assert [step.flops for step in work.steps] == pytest.approx([step["flops"] for step in steps])
    assert work.plan.learning.numbers == count_parameters(run.state.model)[1]
    assert work.whole.evaluations == len(run.state.progress.validation)
    assert work.decisions.layout == run.decisions.layout
    assert work.decisions.learning_rate == run.decisions.learning_rate


def test_shapes_hold_no_weight(tiny_base: Path) -> None:
    base = load_shape(recipe_of(Path("unused"), tiny_base).base)
    assert {p.device.type for p in base.model.parameters()} == {"meta"}
    assert count_parameters(base.model) == count_parameters(load_base(recipe_of(Path("unused"), tiny_base).base).model)


def test_of_a_long_run_some_steps_stand_for_the_rest_and_the_longest_row_is_among_them(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"prompt": f"say {'again ' * (60 if number == 77 else number % 7)}{number}", "answer": "yes"} for number in range(120)]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = recipe_of(data, tiny_base, train={"max_steps": None, "batch_rows": 2})
    whole = seen(recipe, tmp_path / "ws")
    assert len(whole.steps) == whole.feed.steps
    monkeypatch.setattr("tunesmith.pipeline.workload.MOST_STEPS", 12)
    some = seen(recipe, tmp_path / "ws")
    assert len(some.steps) <= 13 < len(whole.steps)
    assert some.whole.step_flops == pytest.approx(whole.whole.step_flops, rel=0.35)
    longest = max(one.tokens for one in whole.train)
    assert some.plan.load.longest == whole.plan.load.longest == longest
    assert longest <= some.plan.load.tokens <= whole.plan.load.tokens


@given(c=st.floats(0, 10), b=st.floats(1e-3, 10), works=st.lists(st.floats(1, 100), min_size=2, max_size=8))
def test_seconds_that_lie_on_a_line_give_the_line(c: float, b: float, works: list[float]) -> None:
    found_c, found_b = fitted([(work, c + b * work) for work in works])
    for work in works:
        assert found_c + found_b * work == pytest.approx(c + b * work, rel=1e-3)


@given(points=st.lists(st.tuples(st.floats(0, 1e15), st.floats(0, 1e5)), max_size=8))
def test_no_seconds_make_a_step_take_less_than_nothing(points: list[tuple[float, float]]) -> None:
    c, b = fitted(points)
    assert c >= 0
    assert b >= 0


STAGES = {
    name: Clock(taken, 2 * taken)
    for name, taken in {"load": 3, "setup": 1, "save": 0.5, "first": 6, "best": 2, "evaluate": 4, "restore": 1, "package": 1}.items()
}


def test_a_probe_counts_out_the_whole_training() -> None:
    steps = [(100.0, Clock(5, 10)), (50.0, Clock(3, 6))]  # a second a step and 0.04 for each operation
    found = Probed(None, 10, 20, STAGES, steps, evaluated=40.0)
    whole = Whole(100, 8000.0, 3, 80.0, 20.0, 50.0, 0, 0)
    told = trained_in(found, whole, Clock(7, 7), 60.0)
    expected = 3 + 1 + 7 + 100 + 0.04 * 8000 + 3 * 80 * 0.1 + 20 * 0.1 + 50 * 0.04 + (6 - 5) + 0.5 + 2 * 3 * 2 + 1 + 1
    assert told.cpu == pytest.approx(expected)
    assert told.wall == pytest.approx(2 * (expected - 7) + 7)
    every_step = trained_in(found, whole, Clock(), 0.0)
    assert every_step.cpu == pytest.approx(expected - 7 + 100 * 2), "a checkpoint after every step"


def test_what_a_cheap_evaluation_took_says_nothing_of_the_frozen_layers(
    tiny_base: Path, colour_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A head is evaluated on kept states at some seconds for hardly any operation: by that pace whole passes would take days."""
    recipe = recipe_of(colour_file, tiny_base, method={"name": "features", "head": "class"})
    work = seen(recipe, tmp_path / "ws")
    assert work.trunk[0] is not None and work.whole.before_flops > 0
    slow = Probed(None, 10, 20, STAGES, [(10.0, Clock(1, 1)), (5.0, Clock(0.5, 0.5))], evaluated=10.0)
    monkeypatch.setattr("tunesmith.pipeline.estimating.peak_flops", lambda *_: 1e9)
    told = estimating._training(work, slow, Clock())
    assert told is not None
    frozen = work.whole.before_flops / (1e9 * estimating.PEAK_SHARE["cpu"])
    without = trained_in(slow, replace(work.whole, before_flops=0.0), Clock(), recipe.train.checkpoint_minutes)
    assert told.cpu == pytest.approx(without.cpu + frozen)


def test_a_probe_takes_the_heaviest_pass_first_and_validates_on_few_rows(tiny_base: Path, colour_file: Path, tmp_path: Path) -> None:
    work = seen(recipe_of(colour_file, tiny_base), tmp_path)
    asked = asked_of(work)
    heaviest = asked.groups[0][-1].planned
    every = [batch.planned for step in work.steps for batch in step.passes]
    assert not [one for one in every if one.tokens > heaviest.tokens and len(one.from_P) > len(heaviest.from_P)]
    assert len(asked.groups[0]) == 2, "gradients are there already when the heaviest pass is made"
    assert 0 < len(asked.select) <= len(work.select)
    assert 0 < asked.evaluation_flops <= work.whole.evaluation_flops


def test_what_attention_keeps_counts_where_the_heaviest_pass_is_looked_for(
    tiny_base: Path, colour_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = seen(recipe_of(colour_file, tiny_base), tmp_path)
    lightest = min((batch for step in work.steps for batch in step.passes), key=lambda batch: batch.planned.tokens)
    monkeypatch.setattr("tunesmith.pipeline.workload.kept_softmax", lambda planned: 10**9 if planned is lightest.planned else 0)
    plan, step, batch = work.peak
    assert batch is lightest
    assert any(one is batch for one in step.passes)
    assert plan.load.softmax == 10**9


def test_the_test_side_is_never_read(tiny_base: Path, colour_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipe_of(colour_file, tiny_base)
    read = Sides.__getitem__
    sides: list[str] = []
    bench_of(recipe, Workspace(tmp_path), silent, "")  # prepared before
    monkeypatch.setattr(Sides, "__getitem__", lambda self, side: (sides.append(side), read(self, side))[1])
    estimate(recipe, probe=False, workspace=tmp_path)
    assert set(sides) == {"train", "select"}


def test_an_estimate_leaves_the_prepared_dataset_and_nothing_else(tiny_base: Path, colour_file: Path, tmp_path: Path) -> None:
    recipe = recipe_of(colour_file, tiny_base)
    bench_of(recipe, Workspace(tmp_path), silent, "")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    estimate(recipe, probe=False, workspace=tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_described_machine_is_held_against_and_what_is_not_known_is_said(tiny_base: Path, colour_file: Path, tmp_path: Path) -> None:
    recipe = recipe_of(colour_file, tiny_base, train={"precision": "fp32"})
    found = estimate(recipe, machine=described("2x24GB"), workspace=tmp_path, rates=Rates(price_hour=2.0, watts=300))
    assert found.fits
    assert (found.seconds, found.energy_wh, found.money, found.probe) == (None, None, None, None)
    assert any("one of the 2 GPUs" in note for note in found.notes)
    assert any("assumed" in note for note in found.notes)
    fast = estimate(recipe, machine=described("l4"), workspace=tmp_path, rates=Rates(price_hour=3600.0))
    assert fast.seconds is not None
    assert fast.money == pytest.approx(fast.seconds)
    assert fast.energy_wh == pytest.approx(fast.seconds * 72 / 3600)
    small = estimate(recipe, machine=described("1x512MB"), workspace=tmp_path)
    assert not small.fits
    assert small.surely_too_large
    assert small.advice is not None
    assert "no setting and no base makes it fit" in small.advice and "take a machine with" in small.advice
    assert json.loads(json.dumps(small.to_json(), allow_nan=False))["fits"] is False


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        (600, "no setting makes it fit: take a base of about 32 million parameters, or a machine with 0.8 GiB, which holds it with base.dtype: bfloat16."),
        (500, "no setting and no base makes it fit, as libraries and rows alone take 0.5 GiB: take a machine with 0.8 GiB, which"),
    ],
)  # fmt: skip
def test_what_no_setting_makes_fit_is_told_by_what_hangs_on_the_base_and_rounded_up(
    monkeypatch: pytest.MonkeyPatch, limit: int, told: str
) -> None:
    monkeypatch.setattr(estimating, "fitting", lambda *_, **__: None)
    monkeypatch.setattr(estimating, "least", lambda *_, **__: ("base.dtype: bfloat16", 720 * 2**20, 500 * 2**20))
    work: Any = SimpleNamespace(plan=SimpleNamespace(parameters=88_000_000))
    assert estimating._advice(work, limit * 2**20, 1.0).startswith(told)


def test_a_search_section_is_passed_over_and_that_is_said(tiny_base: Path, colour_file: Path, tmp_path: Path) -> None:
    told: list[Any] = []
    plain, searched = recipe_of(colour_file, tiny_base), recipe_of(colour_file, tiny_base, search={"space": {"train.max_steps": [1, 9]}})
    found = estimate(searched, probe=False, workspace=tmp_path, listen=told.append)
    assert (found.steps, found.tokens) == ((other := estimate(plain, probe=False, workspace=tmp_path)).steps, other.tokens)
    assert any("its search section is passed over" in getattr(event, "text", "") for event in told)


def test_a_price_in_the_recipe_is_taken_where_none_is_given(tiny_base: Path, colour_file: Path, tmp_path: Path) -> None:
    recipe = recipe_of(colour_file, tiny_base, evaluate={"prices": {"hour": 36.0}})
    found = estimate(recipe, probe=False, workspace=tmp_path)
    assert found.price_hour == 36.0
    assert found.seconds is not None
    assert found.money == pytest.approx(found.seconds / 100)


def told_of(work_bench: Bench, found: Probed | None, monkeypatch: pytest.MonkeyPatch) -> Estimate:
    monkeypatch.setattr(estimating, "probe", lambda work, seconds: found)
    monkeypatch.setattr(estimating, "available_bytes", lambda: None)
    return estimate_of(work_bench, probing=True)


@pytest.fixture
def bench(tiny_base: Path, colour_file: Path, tmp_path: Path) -> Bench:
    recipe = recipe_of(colour_file, tiny_base)
    made = bench_of(recipe, Workspace(tmp_path), silent, "")
    made.base = load_shape(recipe.base)
    return made


def test_memory_is_what_the_probe_had_and_its_parts_still_sum_to_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    calculated = estimate_of(bench, probing=False)
    for peak in (2**33, 2**29, 2**28):
        found = told_of(bench, Probed(None, 2**28, peak, STAGES, [(1.0, Clock(1, 1))]), monkeypatch)
        assert found.memory == sum(found.parts.values())
        assert peak <= found.memory <= peak + calculated.parts["rows"]


def test_a_probe_that_was_killed_says_that_it_does_not_fit(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    found = told_of(bench, Probed("first", 2**28, 2**29), monkeypatch)
    assert not found.fits
    assert found.advice is not None
    assert any("killed" in note and "first" in note for note in found.notes)


def test_a_probe_that_fails_for_another_reason_leaves_the_arithmetic(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    found = told_of(bench, None, monkeypatch)
    assert found.fits
    assert found.memory == estimate_of(bench, probing=False).memory
    assert any("by arithmetic" in note for note in found.notes)


@pytest.mark.parametrize(("code", "killed"), [(-9, "the start"), (77, "the start"), (1, None), (0, None)])
def test_how_a_probe_ended_is_read_off_its_process(bench: Bench, monkeypatch: pytest.MonkeyPatch, code: int, killed: str | None) -> None:
    monkeypatch.setattr(probing.subprocess, "run", lambda command, **rest: subprocess.CompletedProcess(command, code))
    found = probe(workload(bench, cpu_here()))
    assert (found.killed_at if found else None) == killed
    assert not list((bench.workspace.cache / "passing").glob("*")), "what passed is gone"


def test_a_refused_allocation_is_not_called_a_kill(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimating, "available_bytes", lambda: None)
    said: dict[int, str] = {}
    for code in (-9, 77):
        monkeypatch.setattr(probing.subprocess, "run", lambda command, code=code, **rest: subprocess.CompletedProcess(command, code))
        said[code] = " ".join(estimate_of(bench, probing=True).notes)
    assert "were killed, most likely for want of memory" in said[-9]
    assert "refused" not in said[-9]
    assert "were refused an allocation of memory" in said[77]


def test_a_probe_ends_with_whoever_asked_for_it_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "out" / "deep").mkdir(parents=True)
    program = "import sys, threading; from pathlib import Path; from tunesmith.pipeline.probe import follow\n"
    program += "threading.Thread(target=follow, args=(Path(sys.argv[1]),), daemon=True).start(); threading.Event().wait()"
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "out")], stdin=subprocess.PIPE) as asked:
        assert asked.stdin is not None
        asked.stdin.close()
        assert asked.wait(timeout=120) == 1
    assert not (tmp_path / "out").exists()


def test_what_a_killed_probe_left_is_removed_by_the_next_command(tiny_base: Path, colour_file: Path, tmp_path: Path) -> None:
    recipe = recipe_of(colour_file, tiny_base)
    bench_of(recipe, Workspace(tmp_path), silent, "")
    old = Workspace(tmp_path).cache / "passing" / "tmpdead"
    old.mkdir(parents=True)
    (old / "order.json").write_text("{}")
    os.utime(old, (0, 0))
    bench_of(recipe, Workspace(tmp_path), silent, "")
    assert not old.exists()


def on_a_gpu(found: Probed | None, memory: int) -> Estimate:
    machine = described("1x24GB")
    nothing: dict[str, Any] = dict.fromkeys(("advice", "training", "watts", "energy_wh", "price_hour", "money"))
    counts: dict[str, Any] = dict.fromkeys(("steps", "tokens", "tokens_in_rows"), 1)
    known: dict[str, Any] = {"parts": {}, "stages": {}, "notes": (), "fits": False, "limit": machine.memory, "memory": memory}
    return Estimate(machine=machine, probe=found, **known, **counts, **nothing)


def test_on_a_gpu_a_probe_that_came_to_its_end_makes_no_refusal_stricter() -> None:
    little_too_much = int(1.1 * described("1x24GB").memory)
    assert not on_a_gpu(None, little_too_much).surely_too_large
    assert not on_a_gpu(Probed(None, 1, 2), little_too_much).surely_too_large
    assert on_a_gpu(Probed("first", 1, 2), little_too_much).surely_too_large
    assert on_a_gpu(None, 2 * little_too_much).surely_too_large


def test_what_was_tried_on_a_gpu_to_the_end_fits(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = replace(described("1x24GB"), memory=1)
    monkeypatch.setattr(estimating, "_here", lambda: gpu)
    found = told_of(bench, Probed(None, 1, 2, STAGES, [(1.0, Clock(1, 1))]), monkeypatch)
    assert found.memory > found.limit
    assert found.fits
    assert not told_of(bench, None, monkeypatch).fits


def test_both_sides_of_a_probe_have_one_word_for_no_memory() -> None:
    assert probe_program.NO_MEMORY == probing.NO_MEMORY


def test_no_step_is_tried_where_memory_is_short(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimating, "available_bytes", lambda: 2**20)
    monkeypatch.setattr(estimating, "probe", lambda *given, **rest: pytest.fail("it would be killed"))
    assert any("No step was tried" in note for note in estimate_of(bench, probing=True).notes)


def test_a_round_that_can_not_fit_is_refused_with_the_change_that_would_make_it_fit(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    need = estimate_of(bench, probing=False).memory
    heard: list[Any] = []
    foretold(bench, heard.append)
    assert "of training" in heard[-1].text
    assert not heard[-1].warning
    monkeypatch.setattr(machines, "memory_limit", lambda: need - 1)
    foretold(bench, heard.append)
    assert heard[-1].warning, "by arithmetic alone it may fit yet: it is told, not refused"
    monkeypatch.setattr(expected, "ERROR", 0.0)
    with pytest.raises(MachineError, match=r"needs about .* GiB, and this machine has .* GiB for it: train\.token_budget: \d+ would fit"):
        foretold(bench, heard.append)


def test_a_recipe_that_nothing_can_be_told_of_is_left_to_its_training(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*given: Any, **rest: Any) -> Mapping[str, Any]:
        raise RecipeError("in its own words")

    monkeypatch.setattr(estimating, "workload", refused)
    heard: list[Any] = []
    foretold(bench, heard.append)
    assert heard == []


@pytest.mark.parametrize(
    ("measures", "told"),
    [
        ({"num_attention_heads": None}, "No estimate: What a llama model takes can't be told"),
        ({"num_hidden_layers": [1, 2]}, "No estimate: "),
    ],
)
def test_a_model_whose_config_tells_too_little_is_trained_without_an_estimate(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, measures: dict[str, Any], told: str
) -> None:
    config: Any = inner(bench.base.model).config
    known = config.to_dict()
    monkeypatch.setattr(type(config), "to_dict", lambda self: known | measures)
    heard: list[Any] = []
    foretold(bench, heard.append)
    assert [one.text[: len(told)] for one in heard] == [told]


def test_no_failure_of_an_estimate_stops_a_run(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: Any, **rest: Any) -> Mapping[str, Any]:
        raise KeyError("a strange model")

    monkeypatch.setattr(estimating, "workload", broken)
    heard: list[Any] = []
    foretold(bench, heard.append)
    assert [one.text for one in heard] == ["No estimate: what this training takes could not be told (KeyError)."]


def test_telling_leaves_the_random_state_as_it_was(bench: Bench) -> None:
    import torch

    torch.manual_seed(5)
    before = torch.get_rng_state()
    told = estimate_of(bench, probing=False)
    assert torch.equal(torch.get_rng_state(), before)
    assert line(told).startswith("Expected by arithmetic: about ")
