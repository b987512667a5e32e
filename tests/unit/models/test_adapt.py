"""Methods: what may change, and what of the architecture is set."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft.tuners.lora import LoraLayer
from transformers import BloomConfig, BloomForCausalLM, GPT2Config, GPT2LMHeadModel

from tunesmith.core.errors import RecipeError
from tunesmith.models.adapt import adapt, method_name, set_dropout
from tunesmith.models.config import BaseConfig, MethodConfig
from tunesmith.models.load import count_parameters, load_base


def model_of(tiny_base: Path) -> Any:
    return load_base(BaseConfig(path=str(tiny_base))).model


def test_small_models_are_trained_in_full() -> None:
    assert method_name(MethodConfig(), 99_999_999) == "full"
    assert method_name(MethodConfig(), 100_000_000) == "lora"
    assert method_name(MethodConfig(name="lora"), 1) == "lora"


def test_lora_trains_its_adapters_alone_and_starts_as_the_base(tiny_base: Path) -> None:
    model = model_of(tiny_base)
    ids = torch.tensor([[5, 6, 7]])
    before = model(ids).logits
    adapted: Any = adapt(model, MethodConfig(name="lora", rank=2), parameters=1, labels=None, seed=0)
    assert torch.equal(adapted(ids).logits, before)
    names = [name for name, p in adapted.named_parameters() if p.requires_grad]
    assert names
    assert all("lora_" in name for name in names)
    assert len(names) == 2 * 2 * 7


def test_unknown_targets_are_answered_with_the_layers_there_are(tiny_base: Path) -> None:
    with pytest.raises(RecipeError, match=r"\['query'\] name no layer.*down_proj.*q_proj"):
        adapt(model_of(tiny_base), MethodConfig(name="lora", targets=["query"]), parameters=1, labels=None, seed=0)


def test_a_head_needs_labels(tiny_base: Path) -> None:
    with pytest.raises(RecipeError, match="needs labels"):
        adapt(model_of(tiny_base), MethodConfig(name="full", head="class"), parameters=1, labels=None, seed=0)
    model = adapt(model_of(tiny_base), MethodConfig(name="full", head="class"), parameters=1, labels=3, seed=0)
    total, trainable = count_parameters(model)
    assert total == trainable


def test_first_values_follow_the_seed(tiny_base: Path) -> None:
    def head(seed: int) -> torch.Tensor:
        made: Any = adapt(model_of(tiny_base), MethodConfig(name="full", head="class"), parameters=1, labels=3, seed=seed)
        weight: torch.Tensor = made.head.linear.weight
        return weight

    assert torch.equal(head(1), head(1))
    assert not torch.equal(head(1), head(2))


def outputs_differ(model: Any) -> bool:
    ids = torch.tensor([[5, 6, 7, 8]])
    model.train()
    torch.manual_seed(0)
    first = model(ids).logits
    return not torch.equal(first, model(ids).logits)


@pytest.mark.parametrize(
    "model",
    [
        GPT2LMHeadModel(GPT2Config(vocab_size=16, n_positions=16, n_embd=8, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0)),
        BloomForCausalLM(BloomConfig(vocab_size=16, hidden_size=8, n_layer=1, n_head=2, hidden_dropout=0.1, attention_dropout=0.1)),
    ],
    ids=["gpt2", "bloom"],
)
def test_dropout_is_what_the_recipe_says(model: Any) -> None:
    """Also where it says none and the architecture brings some."""
    assert outputs_differ(model)
    assert set_dropout(model, 0.0)
    assert not outputs_differ(model)
    assert set_dropout(model, 0.5)
    assert outputs_differ(model)


def test_adapters_keep_their_own_dropout(tiny_base: Path) -> None:
    model: Any = adapt(model_of(tiny_base), MethodConfig(name="lora", rank=2, dropout=0.3), parameters=1, labels=None, seed=0)
    set_dropout(model, 0.0)
    rates = {float(layer.lora_dropout["default"].p) for layer in model.modules() if isinstance(layer, LoraLayer)}
    assert rates == {0.3}
    assert outputs_differ_with_weights(model)


def outputs_differ_with_weights(model: Any) -> bool:
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.fill_(0.1)
    return outputs_differ(model)
