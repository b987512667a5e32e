"""What can't fit, or would be of no use, is refused before it is built; shapes alone say so."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from tunesmith.chat.render import Renderer
from tunesmith.core.errors import MachineError, RecipeError
from tunesmith.core.progress import silent
from tunesmith.core.rows import Message, Row
from tunesmith.models.config import BaseConfig, MethodConfig
from tunesmith.models.load import count_parameters, load_base
from tunesmith.models.methods import adapt
from tunesmith.pipeline import training
from tunesmith.pipeline.counts import (
    adapted_sizes,
    learning_at_least,
    refuse_useless_rank,
    refuse_what_cant_be_adapted,
    refuse_what_cant_fit,
)
from tunesmith.pipeline.material import Material
from tunesmith.pipeline.training import TrainingRun
from tunesmith.recipe import Recipe

SIDES = {(32, 32), (16, 32), (80, 32), (32, 80)}


def llama() -> LlamaForCausalLM:
    shape = {"vocab_size": 96, "hidden_size": 32, "intermediate_size": 80, "num_hidden_layers": 2, "num_attention_heads": 4}
    return LlamaForCausalLM(LlamaConfig(**shape, num_key_value_heads=2, tie_word_embeddings=False))  # type: ignore[arg-type]


def gpt2() -> GPT2LMHeadModel:
    return GPT2LMHeadModel(GPT2Config(vocab_size=96, n_positions=64, n_embd=32, n_layer=2, n_head=2))


def recipe_of(**sections: Any) -> Recipe:
    return Recipe.model_validate({"data": {"path": "unused"}} | sections)


@pytest.mark.parametrize("make", [llama, gpt2])
@pytest.mark.parametrize("settings", [{"name": "lora", "rank": 3}, {"name": "rslora", "rank": 5}, {"name": "full"}])
def test_what_will_learn_is_counted_as_what_does(make: Any, settings: dict[str, Any]) -> None:
    model, config = make(), MethodConfig(**settings)
    told = learning_at_least(model, settings["name"], config)
    adapted = adapt(model, config, parameters=1, labels=None, seed=0)
    assert told == count_parameters(adapted)[1]


def test_named_targets_are_counted_alone() -> None:
    model, config = llama(), MethodConfig(name="lora", rank=2, targets=["q_proj", "mlp.down_proj"])
    assert set(adapted_sizes(model, config)) == {(32, 32), (32, 80)}
    assert learning_at_least(model, "lora", config) == count_parameters(adapt(model, config, parameters=1, labels=None, seed=0))[1]
    assert set(adapted_sizes(llama(), MethodConfig(name="lora"))) == SIDES


def test_a_rank_that_no_matrix_has_is_refused_with_the_largest_useful_one() -> None:
    for rank in (33, 100_000):
        with pytest.raises(
            RecipeError, match=r"no matrix that lora adapts here has a rank above 32: set method\.rank to 32 or less"
        ) as caught:
            refuse_useless_rank(llama(), "lora", MethodConfig(name="lora", rank=rank))
        assert str(caught.value).startswith(f"method.rank is {rank:,}, and")
    refuse_useless_rank(llama(), "lora", MethodConfig(name="lora", rank=32))
    refuse_useless_rank(llama(), "lora", MethodConfig(name="lora", rank=99, targets=["nothing"]))  # said by the method, in its words
    refuse_useless_rank(llama(), "full", MethodConfig())
    with pytest.raises(RecipeError, match="above 16"):
        refuse_useless_rank(llama(), "dora", MethodConfig(name="dora", rank=17, targets=["k_proj"]))


def test_adapters_that_cannot_fit_are_told_which_rank_would() -> None:
    """Weights and activations take W, adapters of rank 32 take A: with W + A / 2 to be had, half the rank fits, and does."""
    model = llama()
    recipe = recipe_of(method={"name": "lora", "rank": 32}, train={"token_budget": 1})
    learning = learning_at_least(model, "lora", recipe.method)
    base = 4 * sum(p.numel() for p in model.parameters()) + 1 * 32 * 2 * 16 * 4
    limit = base + learning * 12 // 2
    with pytest.raises(MachineError, match=r"adapters of rank 32 needs at least .* lower method\.rank to 16 or less\.$"):
        refuse_what_cant_fit(model, recipe, "lora", learning, {}, limit)
    refuse_what_cant_fit(model, recipe, "lora", learning // 2, {}, limit)
    with pytest.raises(MachineError, match=r"lower method\.rank and train\.token_budget, or take a smaller base\.$"):
        refuse_what_cant_fit(model, recipe, "lora", learning, {}, base - 1)


def test_copies_of_weights_count() -> None:
    model = llama()
    recipe = recipe_of(method={"name": "full"}, train={"token_budget": 1})
    numbers = sum(p.numel() for p in model.parameters())
    limit = numbers * 16 + 32 * 2 * 16 * 4
    refuse_what_cant_fit(model, recipe, "full", numbers, {}, limit)
    with pytest.raises(
        MachineError, match=r"which keeps copies of weights\), .* do without train\.regularise\.ema, set method\.name: lora"
    ):
        refuse_what_cant_fit(model, recipe, "full", numbers, {"train.regularise.ema": 4}, limit)


class Built(Exception):
    """Building began."""


@pytest.fixture
def never_built(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def build(*args: object, **settings: object) -> nn.Module:
        raise Built

    monkeypatch.setattr(training, "adapt", build)
    yield


def run_of(tiny_base: Path, folder: Path, **sections: Any) -> TrainingRun:
    rows = [Row(id=str(place), prompt=(Message("user", f"thing {place}"),), answer=("red", "blue")[place % 2]) for place in range(8)]
    recipe = recipe_of(base={"path": str(tiny_base)}, **sections)
    base = load_base(recipe.base)
    material = Material(rows[:6], rows[6:], ("red", "blue"), "classify")
    return TrainingRun(folder, recipe, base, Renderer(base.tokenizer, max_tokens=64), material, silent)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"name": "bitfit"}, "trains biases, and this llama model has none"),
        ({"name": "lora", "rank": 100_000}, "no matrix that lora adapts here has a rank above"),
        ({"name": "dora", "targets": ["nonsense"]}, "name no layer of this model"),
        ({"name": "layers", "top_layers": 99}, "is more than the 2 layers of this model"),
        ({"name": "layers", "train_only": ["zzz*"]}, "matches no parameter of this model"),
    ],
)
def test_a_method_that_does_not_fit_the_base_is_refused_on_shapes_as_it_would_be_in_the_run(
    tiny_base: Path, tmp_path: Path, settings: dict[str, Any], said: str
) -> None:
    config = MethodConfig.model_validate(settings)
    with pytest.raises(RecipeError, match=said) as early:
        refuse_what_cant_be_adapted(load_base(BaseConfig(path=str(tiny_base))), config, None)
    with pytest.raises(RecipeError) as late:
        run_of(tiny_base, tmp_path, method=settings)
    assert str(early.value) == str(late.value)


@pytest.mark.parametrize("name", ["full", "lora", "rslora", "dora", "pissa", "ia3", "prompt", "prefix", "layers", "features"])
def test_a_method_that_fits_is_tried_without_touching_base_or_random_state(tiny_base: Path, name: str) -> None:
    base = load_base(BaseConfig(path=str(tiny_base), new_tokens=["<new>"] if name == "lora" else []))
    before, state = {key: value.clone() for key, value in base.model.state_dict().items()}, torch.get_rng_state()
    learnt = [p.requires_grad for p in base.model.parameters()]
    needed: dict[str, dict[str, Any]] = {"layers": {"top_layers": 1}, "features": {"head": "class"}}
    settings = needed.get(name, {})
    refuse_what_cant_be_adapted(base, MethodConfig.model_validate({"name": name} | settings), 3)
    after = base.model.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in before)
    assert learnt == [p.requires_grad for p in base.model.parameters()]
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.usefixtures("never_built")
@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU says itself what does not fit")
def test_refused_before_building(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecipeError, match=r"^method\.rank is 100,000, and no matrix that lora adapts"):
        run_of(tiny_base, tmp_path, method={"name": "lora", "rank": 100_000})
    with pytest.raises(Built):
        run_of(tiny_base, tmp_path, method={"name": "lora", "rank": 4})
    monkeypatch.setattr(training, "memory_limit", lambda: 2**16)
    with pytest.raises(MachineError, match="needs at least"):
        run_of(tiny_base, tmp_path, method={"name": "full"})


@pytest.mark.usefixtures("never_built")
@pytest.mark.parametrize(
    ("train", "copies"),
    [
        ({}, {}),
        ({"kl": 0.1}, {"train.regularise.kl": 4}),
        ({"ema": 0.9}, {"train.regularise.ema": 4}),
        ({"l2_sp": 0.1, "interpolate": True}, {"train.regularise.l2_sp": 8}),
        ({"interpolate": True}, {"train.regularise.interpolate": 4}),
        ({"kl": 0.1, "ema": 0.9}, {"train.regularise.kl": 4, "train.regularise.ema": 4}),
    ],
)
def test_every_copy_is_counted(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, train: dict[str, Any], copies: dict[str, int]
) -> None:
    """In bytes a number, of all the model's: full fine-tuning in float32."""
    seen: list[dict[str, int]] = []

    def keep(model: nn.Module, recipe: Recipe, method: str, learning: int, held: dict[str, int], limit: int) -> None:
        seen.append({setting: size // learning for setting, size in held.items()})

    monkeypatch.setattr(training, "refuse_what_cant_fit", keep)
    monkeypatch.setattr(training, "device_here", lambda: torch.device("cpu"))
    with pytest.raises(Built):
        run_of(tiny_base, tmp_path, method={"name": "full"}, train={"regularise": train})
    assert seen[:1] == [copies]


@pytest.mark.usefixtures("never_built")
def test_a_teacher_counts_before_it_is_loaded(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, int]] = []
    monkeypatch.setattr(training, "refuse_what_cant_fit", lambda *given: seen.append(given[4]))
    with pytest.raises(Built):
        run_of(tiny_base, tmp_path, method={"name": "full"}, objective={"name": "distill", "teacher": str(tiny_base)})
    (file,) = tiny_base.glob("*.safetensors")
    assert seen == [{"objective.name: distill": file.stat().st_size}]
