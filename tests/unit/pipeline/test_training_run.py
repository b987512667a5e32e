"""What a run does around its loop: a sweep for the rate leaves no trace, and the deciding measure chooses what is kept."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tunesmith.chat.render import Renderer
from tunesmith.core.progress import silent
from tunesmith.core.rows import Message, Row
from tunesmith.models.load import load_base
from tunesmith.pipeline.material import Material
from tunesmith.pipeline.training import TrainingRun, training_report
from tunesmith.recipe import Recipe
from tunesmith.train.finder import RateCurve

COLOURS = ("red", "green", "blue")


def run_of(base: Path, folder: Path, **sections: Any) -> TrainingRun:
    rows = [
        Row(id=str(place), prompt=(Message("user", f"{COLOURS[place % 3]} thing {place}"),), answer=COLOURS[place % 3])
        for place in range(18)
    ]
    train = {"epochs": 2, "batch_rows": 4, "threads": 1, "learning_rate": 1e-2} | sections.pop("train", {})
    recipe = Recipe.model_validate({"data": {"path": "unused"}, "base": {"path": str(base)}, "train": train} | sections)
    loaded = load_base(recipe.base)
    folder.mkdir(exist_ok=True)
    return TrainingRun(
        folder, recipe, loaded, Renderer(loaded.tokenizer, max_tokens=64), Material(rows[:12], rows[12:], COLOURS, "classify"), silent
    )


def test_a_sweep_for_the_rate_unfreezes_nothing(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten steps of a sweep would have passed every clock of two; the level stays, and so does what learns, during it and after."""
    seen: list[tuple[int, int]] = []

    def sweep(loss_at: Any, *, low: float, high: float) -> RateCurve:
        for _ in range(10):
            loss_at(low)
            state = run.state
            seen.append((state.progress.level, sum(p.requires_grad for p in state.trainable().values())))
        return RateCurve((), (), (), 0.0, 0.0, False)

    run = TrainingRun.__new__(TrainingRun)
    monkeypatch.setattr("tunesmith.pipeline.training.find_rate", sweep)
    settings: dict[str, Any] = {"method": {"name": "full", "unfreeze": {"every_steps": 2}}, "train": {"learning_rate": "find"}}
    original = TrainingRun.__init__

    def begin(self: TrainingRun, *given: Any) -> None:
        nonlocal run
        run = self
        original(self, *given)

    monkeypatch.setattr(TrainingRun, "__init__", begin)
    made = run_of(tiny_base, tmp_path / "run", **settings)
    learning = sum(p.requires_grad for p in made.state.trainable().values())
    assert seen == [(0, learning)] * 10
    assert learning < len(made.state.names)
    assert made.state.progress.level == 0
    assert made.state.extras.unfreezing is not None


@pytest.mark.parametrize(
    ("sections", "chosen_by"),
    [
        ({"method": {"head": "class"}}, "accuracy"),
        ({"method": {"head": "class"}, "evaluate": {"metrics": ["macro_f1"]}}, "macro_f1"),
        ({"method": {"head": "class"}, "train": {"early_stopping": {"by": "loss"}}}, "loss"),
        ({}, "loss"),
    ],
)
def test_what_chooses_the_checkpoint(tiny_base: Path, tmp_path: Path, sections: dict[str, Any], chosen_by: str) -> None:
    torch.manual_seed(0)
    run = run_of(tiny_base, tmp_path / "run", **sections)
    run.run()
    report = training_report(run)
    assert report["chosen_by"] == chosen_by
    values = {item["step"]: (item["value"], -item["loss"]) for item in report["validation"]}
    if chosen_by == "loss":
        assert {value for value, _ in values.values()} == {None}
        assert report["chosen_step"] == max(values, key=lambda step: values[step][1])
    else:
        assert report["chosen_step"] == max(values, key=lambda step: values[step])
