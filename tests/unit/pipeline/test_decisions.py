"""What sharing would change falls back by itself, and says why in one line."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tunesmith.core.errors import MachineError
from tunesmith.core.progress import Event, Said
from tunesmith.models.config import BaseConfig
from tunesmith.models.load import Base, load_base
from tunesmith.models.methods import method
from tunesmith.pipeline.decisions import Decisions, decide, layout_for, not_reproducible
from tunesmith.recipe import Recipe

CPU = torch.device("cpu")


def recipe_of(**sections: Any) -> Recipe:
    return Recipe.model_validate({"data": {"path": "unused"}} | sections)


@pytest.fixture(scope="module")
def base(tiny_base: Path) -> Base:
    return load_base(BaseConfig(path=str(tiny_base)))


@pytest.mark.parametrize(
    ("sections", "why"),
    [
        ({"train": {"dropout": 0.1}}, "dropout is above 0"),
        ({"method": {"name": "lora", "dropout": 0.1}}, "dropout is above 0"),
        ({"train": {"regularise": {"neftune": 5}}}, "neftune's noise"),
        ({"method": {"name": "prefix"}}, "prefix hands the model a past"),
    ],
)
def test_padded_where_sharing_would_change_the_run(base: Base, sections: dict[str, Any], why: str) -> None:
    recipe = recipe_of(**sections)
    heard: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, Said):
            heard.append(event.text)

    decisions = decide(recipe, base, "generate", listen)
    assert decisions.layout == "padded"
    (said,) = heard
    assert why in said
    assert "\n" not in said
    assert said.endswith("rows are padded instead.")
    assert said in decisions.reasons


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"model_type": "bloom"}, "bloom models don't take a tree mask"),
        ({"model_type": "mamba"}, "mamba models don't take a tree mask"),
        ({"model_type": "mixtral", "output_router_logits": True}, "router's auxiliary loss"),
    ],
)
def test_architectures_that_rows_must_not_share(base: Base, config: dict[str, Any], why: str) -> None:
    model = SimpleNamespace(config=SimpleNamespace(_attn_implementation="sdpa", **config), device=CPU)
    layout, said = layout_for(recipe_of(), SimpleNamespace(model=model), method("full"), CPU)  # type: ignore[arg-type]
    assert layout == "padded"
    assert why in said


def test_the_usual_rate_goes_by_the_steps_that_the_rows_make_and_a_named_one_by_nothing(base: Base) -> None:
    def rate(rows: int | None, **train: Any) -> float:
        return decide(recipe_of(train=train), base, "generate", lambda event: None, rows=rows).learning_rate

    assert rate(None) == rate(768) < rate(192)  # three epochs of 16 rows a step: 144 steps, and 36
    assert rate(192) == pytest.approx(2 * rate(768), rel=0.05)  # rates are told in two digits
    assert rate(192) == rate(10_000, max_steps=36) == rate(96, epochs=6)
    assert rate(16, learning_rate=0.02) == 0.02


def test_the_tree_is_the_default_and_can_be_turned_off(base: Base) -> None:
    for name in ("full", "lora", "prompt", "ia3", "layers"):
        recipe = recipe_of(method={"name": name} | ({"top_layers": 1} if name == "layers" else {}))
        assert layout_for(recipe, base, method(name), CPU) == ("tree", "")
    assert layout_for(recipe_of(train={"share_prefixes": False}), base, method("full"), CPU) == ("apart", "")
    assert layout_for(recipe_of(train={"share_prefixes": False, "dropout": 0.1}), base, method("full"), CPU) == ("padded", "")


@pytest.mark.parametrize(
    ("task", "judged", "expected"),
    [
        ("classify", False, "class"),  # by the embedded base
        ("text", False, "text"),
        ("prefer", False, "dpo"),
        ("prefer", True, "kto"),
        ("regress", False, "regression"),
    ],
)
def test_the_objective_follows_the_task(base: Base, task: str, judged: bool, expected: str) -> None:
    assert decide(recipe_of(), base, task, lambda event: None, judged=judged).objective == expected


def test_a_round_is_not_continued_on_another_kind_of_device() -> None:
    begun = Decisions("full", "sft", 1e-3, "fp32", 1, "tree", "cuda")
    with pytest.raises(MachineError, match="begun on cuda and would go on on cpu"):
        not_reproducible(begun, CPU)
    not_reproducible(begun, torch.device("cuda"))
