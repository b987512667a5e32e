"""Which parameter is how deep, whatever an architecture calls it and whatever is wrapped around it."""

from typing import Any

import pytest
import torch
from torch import nn
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    FalconConfig,
    FalconForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PhiConfig,
    PhiForCausalLM,
)  # fmt: skip

from tunesmith.core.errors import MachineError
from tunesmith.models.config import MethodConfig
from tunesmith.models.layers import (
    decoder_layers,
    depth_of,
    first_layer_to_run,
    layer_count,
    lowest_frozen,
    rates_by_depth,
    unfreeze_levels,
)  # fmt: skip
from tunesmith.models.methods import adapt

_SMALL = {"vocab_size": 16, "hidden_size": 8, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 12}
_GPT = {"vocab_size": 16, "n_embd": 8, "n_layer": 3, "n_head": 2, "n_positions": 16}
MODELS: dict[str, Any] = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**_SMALL, tie_word_embeddings=False)),
    "llama, tied": lambda: LlamaForCausalLM(LlamaConfig(**_SMALL, tie_word_embeddings=True)),
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(**_GPT)),
    "gpt_neox": lambda: GPTNeoXForCausalLM(GPTNeoXConfig(**_SMALL)),
    "phi": lambda: PhiForCausalLM(PhiConfig(**_SMALL)),
    "bloom": lambda: BloomForCausalLM(BloomConfig(vocab_size=16, hidden_size=8, n_layer=3, n_head=2)),
    "falcon": lambda: FalconForCausalLM(FalconConfig(vocab_size=16, hidden_size=8, num_hidden_layers=3, num_attention_heads=2)),
}


def adapted(architecture: str, /, **settings: Any) -> nn.Module:
    return adapt(MODELS[architecture](), MethodConfig(**settings), parameters=1, labels=2, seed=0)


@pytest.mark.parametrize("name", list(MODELS))
def test_depths_go_from_the_embeddings_to_the_output(name: str) -> None:
    model = MODELS[name]()
    assert layer_count(model) == len(decoder_layers(model)) == 3
    depths = depth_of(model)
    assert set(depths) == {name for name, _ in model.named_parameters()}
    assert set(depths.values()) == {0, 1, 2, 3, 4}
    named = dict(model.named_parameters())
    entry, leave = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    by_identity = {id(named[key]): depth for key, depth in depths.items()}
    assert by_identity[id(entry)] == 0
    assert by_identity[id(leave)] == (0 if leave is entry else 4)
    for key, depth in depths.items():
        numbers = [int(part) for part in key.split(".") if part.isdigit()]
        assert numbers == [depth - 1] if numbers else depth in (0, 4)
        if "wpe" in key or "word_embeddings_layernorm" in key:
            assert depth == 0
        if "ln_f" in key or "final_layer" in key or key == "model.norm.weight":
            assert depth == 4


@pytest.mark.parametrize("name", list(MODELS))
def test_wrappers_change_no_depth(name: str) -> None:
    plain = depth_of(MODELS[name]())
    wrapped = depth_of(adapted(name, name="lora", rank=2, head="class", pool="attention"))
    assert wrapped["head.linear.weight"] == wrapped["head.query"] == 4
    kept = {key.removeprefix("trunk.base_model.model.").replace(".base_layer", ""): depth for key, depth in wrapped.items()}
    assert {key: kept[key] for key in plain} == plain
    adapters = [(key, depth) for key, depth in wrapped.items() if "lora" in key]
    assert {depth for _, depth in adapters} == {1, 2, 3}
    assert all(f".{depth - 1}." in key for key, depth in adapters)


@pytest.mark.parametrize(
    ("settings", "frozen", "first"),
    [
        ({"name": "full"}, 0, 0),
        ({"name": "lora", "rank": 2}, 1, 0),
        ({"name": "layers", "top_layers": 1}, 3, 2),
        ({"name": "layers", "top_layers": 2, "head": "class"}, 2, 1),
        ({"name": "layers", "train_only": ["model.norm.weight"]}, 4, 2),
        ({"name": "layers", "train_only": ["*.1.mlp*"]}, 2, 1),
        ({"name": "features", "head": "class"}, 4, 3),
        ({"name": "prompt"}, 0, 0),
        ({"name": "prefix"}, 0, 0),
    ],
)
def test_what_never_changes(settings: dict[str, Any], frozen: int, first: int) -> None:
    """The states that enter the first layer to run are the same after a step on everything that learns."""
    model: Any = adapted("llama", **settings)
    assert lowest_frozen(model) == frozen
    assert first_layer_to_run(model) == first
    if settings["name"] in ("prompt", "prefix"):
        return
    before = entering(model, first)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 1
    after = entering(model, first)
    assert torch.equal(before, after) == (first > 0 or settings["name"] == "lora")


def entering(model: Any, layer: int) -> torch.Tensor:
    """States that enter a layer; the last hidden states where there is none."""
    trunk = getattr(model, "trunk", model)
    language_model = trunk.get_base_model() if hasattr(trunk, "get_base_model") else trunk
    seen: list[torch.Tensor] = []
    layers = decoder_layers(model)
    if layer < len(layers):
        handle = layers[layer].register_forward_pre_hook(lambda module, args, kwargs: seen.append(args[0]), with_kwargs=True)
    with torch.no_grad():
        last = language_model.get_decoder()(input_ids=torch.tensor([[3, 4, 5]])).last_hidden_state
    if not seen:
        return last  # type: ignore[no-any-return]
    handle.remove()
    return seen[0]


def test_nothing_trainable() -> None:
    model = MODELS["llama"]().requires_grad_(False)
    assert (lowest_frozen(model), first_layer_to_run(model)) == (5, 3)


def test_rates_fall_with_depth() -> None:
    model = adapted("gpt2", name="full", head="class")
    rates = rates_by_depth(model, 0.5)
    assert rates["head.linear.weight"] == rates["trunk.transformer.ln_f.weight"] == 1
    assert rates["trunk.transformer.h.2.ln_1.weight"] == 0.5
    assert rates["trunk.transformer.h.0.ln_1.weight"] == 0.125
    assert rates["trunk.transformer.wte.weight"] == 0.0625
    assert set(rates_by_depth(model, 1.0).values()) == {1.0}


@pytest.mark.parametrize(("at_once", "groups"), [(1, [{3, 4}, {2}, {1}, {0}]), (2, [{2, 3, 4}, {1}, {0}]), (9, [{1, 2, 3, 4}, {0}])])
def test_levels_open_from_the_top(at_once: int, groups: list[set[int]]) -> None:
    model = adapted("llama", name="full", head="class")
    depths = depth_of(model)
    levels = unfreeze_levels(model, at_once)
    assert [{depths[name] for name in level} for level in levels] == groups
    assert sorted(name for level in levels for name in level) == sorted(name for name, _ in model.named_parameters())


def test_levels_hold_what_the_method_trains() -> None:
    model = adapted("llama", name="layers", top_layers=2, freeze=["*norm*"])
    levels = unfreeze_levels(model)
    assert len(levels) == 2
    assert {name for level in levels for name in level} == {name for name, p in model.named_parameters() if p.requires_grad}


def test_layers_that_can_not_be_found() -> None:
    model: Any = MODELS["llama"]()
    model.config.num_hidden_layers = 7
    with pytest.raises(MachineError, match="llama models are not kept as one list"):
        layer_count(model)
