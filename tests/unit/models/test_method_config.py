"""The method section refuses what would be ignored, in one sentence that names the way out."""

import re
from typing import Any

import pytest
from pydantic import ValidationError

from tunesmith.models.config import MethodConfig, UnfreezeConfig


def refused(**settings: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        MethodConfig(**settings)
    (error,) = caught.value.errors()
    message = str(error["msg"])
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("settings", "way_out"),
    [
        ({"name": "full", "rank": 8}, "full ignores rank: remove it, or set method.name to lora, rslora, dora or pissa"),
        ({"name": "ia3", "alpha": 8}, "ia3 ignores alpha"),
        ({"name": "prefix", "dropout": 0.1}, "prefix ignores dropout"),
        ({"name": "layers", "top_layers": 1, "targets": ["q_proj"]}, "layers ignores targets"),
        ({"name": "lora", "virtual_tokens": 4}, "lora ignores virtual_tokens: remove it, or set method.name to prompt or prefix"),
        ({"name": "full", "top_layers": 2}, "ignores top_layers: remove it, or set method.name to layers"),
        ({"name": "bitfit", "freeze": ["*"]}, "ignores freeze"),
        ({"train_only": ["*"]}, r"the default methods \(full, lora\) ignore train_only"),
        ({"name": "prompt", "layer_decay": 0.9}, "prompt ignores layer_decay"),
        ({"name": "lora", "unfreeze": {"every_steps": 3}}, "ignores unfreeze: remove it, or set method.name to full or layers"),
        ({"head": "tokens", "pool": "last"}, "tokens ignores pool"),
        ({"head": "tags", "pool": "last"}, "tags ignores pool: remove it, or set method.head to class, multilabel or regression"),
        ({"head": "tokens", "head_dropout": 0.1}, "tokens ignores head_dropout"),
        ({"name": "features", "head": "tokens"}, "features trains nothing but a head"),
        ({"name": "layers"}, "set top_layers, train_only or freeze"),
    ],
)
def test_what_would_be_ignored_is_refused(settings: dict[str, Any], way_out: str) -> None:
    assert re.search(way_out, refused(**settings))


@pytest.mark.parametrize(
    "settings",
    [
        {"rank": 8, "alpha": 4},
        {"name": "full", "unfreeze": {"every_epochs": 1}, "layer_decay": 0.4},
        {"name": "layers", "freeze": ["*norm*"], "top_layers": 2, "unfreeze": {"when_stalled": True, "layers_at_a_time": 2}},
        {"name": "ia3", "layer_decay": 0.5},
        {"name": "features", "head": "tags", "head_dropout": 0.2},
        {"name": "lora", "head": "regression", "pool": "attention"},
        {"name": "features", "head": None, "pool": "last"},
    ],
)
def test_what_is_used_is_taken(settings: dict[str, Any]) -> None:
    assert MethodConfig.model_validate(MethodConfig(**settings).model_dump()) == MethodConfig(**settings)


@pytest.mark.parametrize("clocks", [{}, {"every_steps": 2, "every_epochs": 1}, {"every_steps": 2, "when_stalled": True}])
def test_unfreezing_goes_by_one_clock(clocks: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="one clock"):
        UnfreezeConfig(**clocks)


def test_the_scales_of_the_family() -> None:
    config = MethodConfig(rank=16)
    assert [config.scale(name) for name in ("lora", "dora", "pissa", "rslora")] == [32.0, 32.0, 16.0, 8.0]
    assert MethodConfig(name="pissa", alpha=3).scale("pissa") == 3
