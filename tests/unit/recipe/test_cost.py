"""The arithmetic of a training: exact where tensors can be counted, and never less for more."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, GPT2Config, GPTNeoXConfig, LlamaConfig, MixtralConfig, Qwen2Config, Qwen3Config

from tunesmith.models.config import MethodConfig
from tunesmith.models.forward import LOGITS_AT_ONCE
from tunesmith.models.methods import adapt
from tunesmith.pipeline.shapes import learning_of
from tunesmith.recipe import cost
from tunesmith.recipe.architecture import Architecture, absurd, architecture_of
from tunesmith.recipe.cost import Learning, Load, Plan, energy_wh, money, optimizer_bytes, seconds_of
from tunesmith.recipe.fitting import changes, fitting, least
from tunesmith.train.config import TrainConfig
from tunesmith.train.optimizers import build_optimizers

SHAPE: dict[str, Any] = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
CONFIGS: dict[str, Any] = {
    "llama": LlamaConfig(**SHAPE, tie_word_embeddings=False),
    "llama-tied-biased": LlamaConfig(**SHAPE, tie_word_embeddings=True, attention_bias=True, mlp_bias=True),
    "qwen2": Qwen2Config(**SHAPE, tie_word_embeddings=True),
    "qwen3": Qwen3Config(**SHAPE, head_dim=16, tie_word_embeddings=False),
    "mixtral": MixtralConfig(**SHAPE, num_local_experts=4),
    "gpt2": GPT2Config(vocab_size=96, n_positions=64, n_embd=32, n_layer=3, n_head=4),
    "neox": GPTNeoXConfig(
        vocab_size=96, hidden_size=32, intermediate_size=80, num_hidden_layers=3, num_attention_heads=4, tie_word_embeddings=False
    ),
}
WHOLE = Architecture(layers=8, hidden=384, heads=6, kv_heads=6, head_width=64, intermediate=1024, vocabulary=4096, tied=False)


def built(name: str) -> nn.Module:
    torch.manual_seed(0)
    model: nn.Module = AutoModelForCausalLM.from_config(CONFIGS[name])
    return model


def planned(architecture: Architecture = WHOLE, *, tokens: int = 1024, places: int = 64, longest: int = 128, **rest: Any) -> Plan:
    numbers = architecture.learning(rest.get("method", "full"))
    settings = {"method": "full", "optimizer": "adamw", "learning": Learning(numbers=numbers)} | rest
    load = Load(tokens=tokens, places=places, longest=longest)
    return Plan(architecture=architecture, parameters=architecture.parameters, load=load, **settings)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_tells_how_many_weights_its_model_has(name: str) -> None:
    model = built(name)
    unique = {id(p): p for p in model.parameters()}
    assert architecture_of(CONFIGS[name].to_dict()).parameters == sum(p.numel() for p in unique.values())


def test_a_config_without_measures_is_no_architecture() -> None:
    with pytest.raises(ValueError, match="has none of num_attention_heads"):
        architecture_of({"hidden_size": 3})


def test_rows_take_no_memory_of_a_gpu() -> None:
    assert planned(device="cuda", rows=2**40).memory() == planned(device="cuda").memory()
    assert planned(rows=2**30).memory().rows == 2**30


@pytest.mark.parametrize("kind", ["gpt_neo", "mpt", "xglm", "codegen", "bloom"])
def test_families_that_name_their_measures_otherwise_are_understood(kind: str) -> None:
    config = AutoConfig.for_model(kind)
    told = architecture_of(config.to_dict(), config.attribute_map)
    assert (told.layers, told.heads) == (config.num_hidden_layers, config.num_attention_heads)
    assert told.hidden == config.hidden_size


@pytest.mark.parametrize("value", [[8, 8], {"a": 8}, "8", float("inf"), -8])
def test_a_measure_that_is_no_number_is_no_architecture(value: Any) -> None:
    with pytest.raises(ValueError, match="config has no"):
        architecture_of({**SHAPE, "num_attention_heads": value})


@pytest.mark.parametrize(
    ("changed", "absurdity"),
    [
        ({}, None),
        ({"num_hidden_layers": 200_000}, "num_hidden_layers is 200,000"),
        ({"text_config": {"n_layer": 10**12}}, "n_layer is"),
        ({"num_experts": 10**9}, "num_experts is"),
        ({"hidden_size": 10**8, "vocab_size": 10**8}, "weights"),
        ({"hidden_size": "x"}, None),
    ],
)
def test_numbers_that_no_model_has_are_named(changed: dict[str, Any], absurdity: str | None) -> None:
    found = absurd(SHAPE | changed)
    assert found is None if absurdity is None else absurdity in (found or "")


@pytest.mark.parametrize("name", ["llama", "qwen3"])
@pytest.mark.parametrize(
    "method",
    [
        {"name": "full"},
        {"name": "lora", "rank": 3},
        {"name": "rslora", "rank": 5},
        {"name": "dora", "rank": 3},
        {"name": "ia3"},
        {"name": "prompt", "virtual_tokens": 7},
        {"name": "layers", "top_layers": 2},
        {"name": "features", "head": "class"},
    ],
)
def test_a_config_tells_how_many_numbers_a_method_trains(name: str, method: dict[str, Any]) -> None:
    config = MethodConfig(**method)
    adapted = adapt(built(name), config, parameters=1, labels=5, seed=0)
    told = architecture_of(CONFIGS[name].to_dict()).learning(
        method["name"],
        rank=config.rank,
        virtual_tokens=config.virtual_tokens,
        top_layers=config.top_layers,
        outputs=5 if config.head else 0,
    )
    assert told == sum(p.numel() for p in adapted.parameters() if p.requires_grad)


@pytest.mark.parametrize("optimizer", ["adamw", "lion", "sgd", "muon", "adafactor"])
@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_bytes_of_an_optimiser_are_those_it_holds_after_a_step(optimizer: Any, method: Any) -> None:
    model = adapt(built("llama"), MethodConfig(name=method, **({"rank": 3} if method == "lora" else {})), parameters=1, labels=None, seed=0)
    told = optimizer_bytes(optimizer, learning_of(model))
    optimizers = build_optimizers(model, TrainConfig(optimizer=optimizer), 1e-3)
    for p in model.parameters():
        p.grad = torch.ones_like(p) if p.requires_grad else None
    held = 0
    for one in optimizers:
        one.step()
        values = [value for state in one.state.values() for value in state.values() if isinstance(value, torch.Tensor)]
        held += sum(value.numel() * value.element_size() for value in values)
    assert told == held


def test_logits_are_chunked_as_the_forward_pass_chunks_them() -> None:
    assert cost.LOGITS_AT_ONCE == LOGITS_AT_ONCE
    assert planned(tokens=10**6, places=10**6).logits() == 12 * LOGITS_AT_ONCE


def test_the_parts_of_memory_sum_to_its_peak() -> None:
    held = planned().memory()
    assert sum(held.parts().values()) == held.total
    assert held.weights == held.gradients == 4 * WHOLE.parameters
    assert held.optimizer == 8 * WHOLE.parameters


sizes = st.integers(1, 4096)


@given(tokens=sizes, more=sizes, places=sizes, layers=st.integers(1, 48), method=st.sampled_from(["full", "lora"]), rank=st.integers(1, 64))
def test_longer_or_larger_never_needs_less(tokens: int, more: int, places: int, layers: int, method: str, rank: int) -> None:
    def total(architecture: Architecture, tokens: int, rank: int, **load: Any) -> int:
        learning = Learning(numbers=architecture.learning(method, rank=rank))
        plan = planned(architecture, tokens=tokens, places=places, longest=1, method=method, learning=learning)
        return replace(plan, load=replace(plan.load, **load)).memory().total

    shape = replace(WHOLE, layers=layers)
    found = total(shape, tokens, rank)
    assert total(shape, tokens + more, rank) >= found
    assert total(replace(shape, layers=layers + 1), tokens, rank) > found
    assert total(replace(shape, hidden=768, head_width=128), tokens, rank) > found
    assert total(replace(shape, vocabulary=2 * shape.vocabulary), tokens, rank) >= found
    assert total(shape, tokens, rank + more) >= found
    assert total(shape, tokens, rank, alone=True) <= found


def test_what_saves_memory_saves_it() -> None:
    plan = planned()
    whole = plan.memory().total
    assert replace(plan, checkpointing=True).memory().total < whole
    assert plan.within(256).memory().total < whole
    assert plan.by_lora().memory().total < whole
    assert plan.by_lora().halved().memory().total < plan.by_lora().memory().total
    assert replace(plan, learning=replace(plan.learning, lowest=8, numbers=100)).activations() < plan.activations() / 4
    assert replace(plan, optimizer="lion").memory().total < whole


def test_a_run_that_needs_a_little_less_gets_smaller_passes_and_one_that_needs_much_less_other_weights() -> None:
    plan = planned(tokens=4096, longest=128)
    assert str(fitting(plan, plan.memory().total - 1)).startswith("train.token_budget: 2048 would fit (")
    adapters = replace(plan, method="lora", learning=plan.by_lora().learning)
    smallest = adapters.within(128).memory().total
    assert str(fitting(adapters, smallest)).startswith("train.token_budget: 128 would fit (")
    assert str(fitting(adapters, smallest - 1)).startswith("train.gradient_checkpointing: true")
    named, floor, fixed = least(plan)
    assert "method.name: lora" in named and str(fitting(plan, floor)).startswith(f"{named} would fit (")
    assert 480 * 2**20 <= fixed < floor
    assert fitting(plan, floor - 1) is None


@given(limit=st.integers(2**20, 2**31), tokens=st.integers(64, 8192), longest=st.integers(2, 8192), factor=st.floats(0.5, 3))
def test_a_change_that_is_named_fits_and_none_is_named_where_none_does(limit: int, tokens: int, longest: int, factor: float) -> None:
    plan = planned(tokens=max(tokens, longest), longest=longest, copies={"train.regularise.ema": 10**8})
    told = fitting(plan, limit, factor=factor)
    known = {name: round(changed.memory().total * factor) for name, changed in changes(plan)}
    if told is None:
        assert min(known.values()) > limit
    else:
        assert known[told.partition(" would fit")[0]] <= limit


def test_what_is_not_known_makes_nothing_known() -> None:
    assert energy_wh(7200, 250) == 500
    assert energy_wh(None, 250) is None
    assert energy_wh(1, None) is None
    assert money(1800, 3.0) == 1.5
    assert money(None, 3.0) is None
    assert seconds_of(1e12, 1e12, 0.5) == 2
    assert seconds_of(1e12, None, 0.5) is None
