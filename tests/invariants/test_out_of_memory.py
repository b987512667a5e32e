"""Running out of memory changes how a step is divided, never what it is: the batch stays, the update stays."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tunesmith.chat.render import Renderer
from tunesmith.core.errors import DivergedError, MachineError
from tunesmith.core.progress import Event, Said
from tunesmith.core.rows import Message, Row
from tunesmith.models.load import load_base
from tunesmith.pipeline import extras, training
from tunesmith.pipeline.material import Material
from tunesmith.pipeline.memory import Need, memory_kills, memory_limit, need_of, refuse_without_memory
from tunesmith.pipeline.training import TrainingRun, read_steps
from tunesmith.recipe import Recipe
from tunesmith.train import loop
from tunesmith.train.reading import Read

COLOURS = ("red", "green", "blue")
ROWS = [
    Row(id=f"{place:04}", prompt=(Message("user", f"number {place}: a {COLOURS[place % 3]} thing"),), answer=COLOURS[place % 3])
    for place in range(22)
]


def begun(folder: Path, base: Path, heard: list[str] | None = None, **settings: Any) -> TrainingRun:
    """A run of a few steps, with no more than a step's checkpoint between two of them."""
    train = {
        "epochs": 2,
        "batch_rows": 8,
        "learning_rate": 1e-2,
        "threads": 1,
        "checkpoint_minutes": 0,
        "early_stopping": {"patience": None},
    }
    recipe = Recipe.model_validate(
        {"data": {"path": "unused"}, "base": {"path": str(base)}, "method": {"name": "full"}, "train": train | settings}
    )
    loaded = load_base(recipe.base)
    folder.mkdir(exist_ok=True)

    def listen(event: Event) -> None:
        if isinstance(event, Said) and heard is not None:
            heard.append(event.text)

    material = Material(ROWS[:16], ROWS[16:], COLOURS, "classify")
    return TrainingRun(folder, recipe, loaded, Renderer(loaded.tokenizer, max_tokens=64), material, listen)


def weights_of(model: Any) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def same(left: Tensor, right: Tensor) -> None:
    """To 1e-6 of their norm: Adam divides by a tiny root, which makes much of rounding in single values."""
    assert (left - right).norm() / right.norm() < 1e-6


def fail_above(tokens: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A GPU that holds passes of at most so many tokens; returns the sizes it was given."""
    original, seen = loop.read, []

    def limited(state: Any, batch: Any, *rest: Any) -> Read:
        seen.append(batch.planned.tokens)
        if batch.planned.tokens > tokens and torch.is_grad_enabled():
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return original(state, batch, *rest)

    monkeypatch.setattr(loop, "read", limited)
    return seen


def test_the_step_is_redone_in_smaller_passes(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = weights_of(begun(tmp_path / "whole", tiny_base).run())
    seen = fail_above(60, monkeypatch)
    run = begun(tmp_path / "small", tiny_base)
    divided = weights_of(run.run())
    assert max(seen) > 60, "it did run out"
    steps = read_steps(tmp_path / "small")
    assert [step["rows"] for step in steps] == [8] * 4, "the batch is unchanged"
    assert steps[-1]["halvings"] == run.state.progress.halvings > 0
    same(divided, whole)


@pytest.mark.parametrize("settings", [{"compile": "auto"}, {"learning_rate": "find"}, {"compile": "off"}], ids=str)
def test_probes_and_validation_divide_too(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    """The steps that only measure run out first: what they learn about memory is kept."""
    for module in (loop, extras):
        original = module.read

        def limited(state: Any, batch: Any, *rest: Any, original: Any = original) -> Read:
            if batch.planned.tokens > 60:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return original(state, batch, *rest)

        monkeypatch.setattr(module, "read", limited)
    run = begun(tmp_path / "a", tiny_base, **settings)
    run.run()
    assert run.state.progress.halvings > 0
    assert run.state.step == run.feed.steps


def test_probes_run_as_training_does(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    for module in (loop, extras):
        original = module.read
        monkeypatch.setattr(
            module, "read", lambda state, *rest, original=original: seen.append(state.model.training) or original(state, *rest)
        )
    begun(tmp_path / "a", tiny_base, learning_rate="find")
    assert seen
    assert all(seen)


def test_what_does_not_fit_at_all_is_said(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_above(0, monkeypatch)
    with pytest.raises(MachineError, match=r"Step 1 does not fit the GPU's memory.*gradient_checkpointing"):
        begun(tmp_path / "none", tiny_base).run()


def test_dropout_is_drawn_again_alike(tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The random state goes back to where the step began."""
    run = begun(tmp_path / "a", tiny_base)
    before = torch.get_rng_state()
    original, failed = loop.take_step, []

    def once(*args: Any) -> Any:
        torch.rand(3)
        if not failed:
            failed.append(torch.get_rng_state())
            raise torch.OutOfMemoryError("CUDA out of memory.")
        failed.append(torch.get_rng_state())
        return original(*args)

    monkeypatch.setattr(loop, "take_step", once)
    loop.next_step(run.state, run.feed, run.objective)
    assert torch.equal(failed[0], failed[1])
    assert not torch.equal(failed[0], before)


def test_a_round_the_kernel_killed_goes_on_halved(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kills = {"counter": 3}
    monkeypatch.setattr(training, "memory_kills", lambda: dict(kills))
    whole = weights_of(begun(tmp_path / "whole", tiny_base).run())

    class Killed(Exception):
        pass

    def killed_at(folder: Path, step: int) -> None:
        run = begun(folder, tiny_base)
        log = run._log

        def die(report: Any) -> None:
            log(report)
            if report.step == step:
                raise Killed

        monkeypatch.setattr(run, "_log", die)
        with pytest.raises(Killed):
            run.run()

    for name, more in (("by hand", 0), ("for memory", 1)):
        kills["counter"] = 3
        killed_at(tmp_path / name, 3)
        kills["counter"] += more
        heard: list[str] = []
        again = begun(tmp_path / name, tiny_base, heard)
        found = weights_of(again.run())
        assert again.state.progress.halvings == more
        assert any("for want of memory" in text and "at most 512 tokens" in text for text in heard) == bool(more)
        if more:
            same(found, whole)
        else:
            assert torch.equal(found, whole), "any other kill changes nothing, bit for bit"


def test_each_kill_halves_again_until_there_is_nothing_left_to_halve(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At one step, with an evaluated checkpoint of the same step beside: 512, 256 ... 16 tokens, then one sentence; run again, a last try."""
    kills = {"counter": 3}
    monkeypatch.setattr(training, "memory_kills", lambda: dict(kills))

    class Killed(Exception):
        pass

    def die(*_: Any) -> Any:
        raise Killed

    heard: list[str] = []
    with monkeypatch.context() as deadly:
        deadly.setattr(loop, "take_step", die)
        for _ in range(1 + loop.MOST_HALVINGS):
            with pytest.raises(Killed):
                begun(tmp_path / "a", tiny_base, heard).run()
            kills["counter"] += 1
    said = [text for text in heard if "for want of memory" in text]
    assert [int(text.split()[-2]) for text in said] == [512, 256, 128, 64, 32, 16]
    with pytest.raises(
        MachineError, match=r"^The kernel killed this round .* even in passes of 16 tokens: set train.gradient_checkpointing"
    ):
        begun(tmp_path / "a", tiny_base).run()
    run = begun(tmp_path / "a", tiny_base)
    run.run()
    assert (run.state.step, run.state.progress.halvings) == (run.feed.steps, loop.MOST_HALVINGS), "not killed since: it goes on"


def test_going_back_after_a_divergence_keeps_the_halved_passes(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = begun(tmp_path / "a", tiny_base)
    run.run()
    run.state.progress.halvings = 3
    run._go_back(DivergedError(step=4, loss=float("nan"), grad_norm=1.0))
    assert (run.state.progress.halvings, run.state.progress.restarts) == (3, 1)
    again = begun(tmp_path / "a", tiny_base)
    again._continue()
    assert again.state.progress.halvings == 3


def test_what_can_not_fit_is_refused_before_the_first_step(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "memory_limit", lambda: 2**20)
    with pytest.raises(MachineError, match=r"Training needs at least .* GiB .*: .*"):
        begun(tmp_path / "a", tiny_base)
    assert not (tmp_path / "a" / "anchor").exists()


@pytest.mark.parametrize(
    ("need", "advice"),
    [
        (Need(10, 10, 100), "lower train.token_budget from 2048"),
        (Need(10, 100, 0), "method.name: lora"),
        (Need(100, 1, 0), "take a smaller base"),
    ],
)
def test_the_change_that_would_make_it_fit(need: Need, advice: str) -> None:
    with pytest.raises(MachineError, match=advice):
        refuse_without_memory(need, 50, budget=2048)
    refuse_without_memory(need, 200, budget=2048)


def test_the_lower_bound_is_below_what_a_run_takes() -> None:
    """Of a 17 million parameter Llama in full with AdamW: weights, gradients and two moments are 16 bytes a weight."""
    need = need_of(
        parameters=17_000_000,
        trainable=17_000_000,
        optimizer="adamw",
        weight_bytes=4,
        tokens=2048,
        width=384,
        layers=8,
        checkpointing=False,
    )
    assert need.weights + need.learning == 16 * 17_000_000
    assert 2**27 < need.activations < 2**30
    less = need_of(
        parameters=17_000_000, trainable=10**5, optimizer="adamw", weight_bytes=4, tokens=2048, width=384, layers=8, checkpointing=True
    )
    assert less.total < need.total / 3


def test_the_machine_says_what_it_has() -> None:
    assert memory_limit() > 2**28
    assert all(count >= 0 for count in memory_kills().values())
