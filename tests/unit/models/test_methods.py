"""Methods: what may change and only that, where it starts, and what is refused."""

from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from peft.tuners.lora import LoraLayer
from transformers import BloomConfig, BloomForCausalLM, GPT2Config, GPT2LMHeadModel, MixtralConfig, MixtralForCausalLM

from tunesmith.core.errors import RecipeError
from tunesmith.models.config import BaseConfig, MethodConfig, MethodName
from tunesmith.models.dropout import set_dropout
from tunesmith.models.load import load_base
from tunesmith.models.methods import _TABLE, adapt, method, method_name
from tunesmith.models.virtual import prefix_cache

IDS = torch.tensor([[5, 6, 7]])


def model_of(tiny_base: Path) -> Any:
    return load_base(BaseConfig(path=str(tiny_base))).model


def gpt2() -> Any:
    return GPT2LMHeadModel(GPT2Config(vocab_size=16, n_positions=16, n_embd=8, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0)).eval()


def bloom() -> Any:
    return BloomForCausalLM(BloomConfig(vocab_size=16, hidden_size=8, n_layer=1, n_head=2, hidden_dropout=0.1, attention_dropout=0.1))


def adapted(model: Any, new_ids: tuple[int, ...] = (), **settings: Any) -> Any:
    return adapt(model, MethodConfig(**settings), parameters=1, labels=3, seed=0, new_ids=new_ids).eval()


def trainable(model: Any) -> set[str]:
    return {name for name, p in model.named_parameters() if p.requires_grad}


def logits(model: Any) -> torch.Tensor:
    found: torch.Tensor = model(input_ids=IDS).logits
    return found[:, -3:]


def test_small_models_are_trained_in_full() -> None:
    assert method_name(MethodConfig(), 99_999_999) == "full"
    assert method_name(MethodConfig(), 100_000_000) == "lora"
    assert method_name(MethodConfig(name="lora"), 1) == "lora"


def test_every_method_is_in_the_table_under_its_own_name() -> None:
    assert set(_TABLE) == set(get_args(MethodName))
    for name in _TABLE:
        found = method(name)
        assert found.name == name
        assert found.summary
        assert found.default_rate(5e-4) >= 5e-4
        assert found.default_rate(1.0) == found.most_rate
    assert {name for name in _TABLE if not method(name).shares_prefixes} == {"prefix"}
    assert {name for name in _TABLE if method(name).saved_as == "weights"} == {"full", "bitfit", "layers"}
    with pytest.raises(RecipeError, match="Did you mean 'bitfit'"):
        method("bitfitt")


ALL: dict[str, dict[str, Any]] = {
    "full": {},
    "lora": {"rank": 2},
    "rslora": {"rank": 2},
    "dora": {"rank": 2},
    "pissa": {"rank": 2},
    "ia3": {},
    "bitfit": {},
    "prompt": {"virtual_tokens": 3},
    "prefix": {"virtual_tokens": 3},
    "layers": {"top_layers": 1},
    "features": {"head": "class"},
}
PARTS = {
    "lora": ("lora_A", "lora_B"),
    "rslora": ("lora_A", "lora_B"),
    "dora": ("lora_A", "lora_B", "lora_magnitude_vector"),
    "pissa": ("lora_A", "lora_B"),
    "ia3": ("ia3_l",),
    "bitfit": ("bias",),
    "prompt": ("prompt_encoder",),
    "prefix": ("prompt_encoder",),
    "layers": ("h.1.", "ln_f"),
    "features": ("head.linear",),
}


@pytest.mark.parametrize("name", list(PARTS))
def test_what_learns_and_only_that(name: str) -> None:
    """By name, and by what one optimiser step changes."""
    torch.manual_seed(2)
    model = adapted(gpt2(), name=name, **ALL[name])
    learning = trainable(model)
    assert all(any(part in one for part in PARTS[name]) for one in learning)
    assert all(any(part in one for one in learning) for part in PARTS[name])
    if name == "bitfit":
        assert learning == {one for one, _ in model.named_parameters() if one.endswith(".bias")}
    before = {one: p.detach().clone() for one, p in model.named_parameters()}
    made = model.head(model.trunk.transformer(IDS).last_hidden_state, torch.tensor([3])) if name == "features" else logits(model)
    made.log_softmax(-1)[..., 1].sum().backward()
    torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1.0).step()
    changed = {one for one, p in model.named_parameters() if not torch.equal(p, before[one])}
    assert changed <= learning
    if name not in ("lora", "rslora", "dora"):  # A has no gradient while B is zero
        assert changed == learning
    else:
        assert changed >= {one for one in learning if "lora_B" in one}


@pytest.mark.parametrize("name", [name for name in ALL if name not in ("prompt", "prefix", "bitfit")])
def test_a_method_starts_as_the_base(tiny_base: Path, name: str) -> None:
    before = logits(model_of(tiny_base))
    model = adapted(model_of(tiny_base), name=name, **ALL[name])
    found = logits(getattr(model, "trunk", model))
    if name in ("dora", "pissa"):
        assert torch.allclose(found, before, atol=1e-6)
    else:
        assert torch.equal(found, before)


def test_virtual_tokens_start_as_tokens(tiny_base: Path) -> None:
    """Prompt tuning with embeddings of the vocabulary, prefix tuning with what the base makes of tokens."""
    base = model_of(tiny_base)
    table = base.get_input_embeddings().weight
    model = adapted(base, name="prompt", virtual_tokens=3)
    rows = [int((table == row).all(dim=1).nonzero()[0, 0]) for row in model.prompt_encoder["default"].embedding.weight]
    expected = model_of(tiny_base)(input_ids=torch.tensor([rows + IDS[0].tolist()])).logits[:, -3:]
    assert torch.allclose(logits(model), expected, atol=1e-6)
    torch.manual_seed(0)
    drawn = torch.randint(4096, (1, 3))
    prefixed = adapted(model_of(tiny_base), name="prefix", virtual_tokens=3)
    expected = model_of(tiny_base)(input_ids=torch.cat([drawn, IDS], dim=1)).logits[:, -3:]
    assert torch.allclose(logits(prefixed), expected, atol=1e-6)


def test_prefixes_are_not_lost_in_recomputed_layers(tiny_base: Path) -> None:
    """transformers would leave the past out without a word."""
    model = adapted(model_of(tiny_base), name="prefix", virtual_tokens=3)
    model.get_base_model().gradient_checkpointing_enable()
    assert prefix_cache(model, 2) is not None
    model.train()
    with pytest.raises(RecipeError, match="gradient_checkpointing: false"):
        prefix_cache(model, 2)


def test_pissa_begins_with_the_largest_directions(tiny_base: Path) -> None:
    whole = model_of(tiny_base).model.layers[0].mlp.up_proj.weight
    model = adapted(model_of(tiny_base), name="pissa", rank=2)
    layer = model.get_base_model().model.layers[0].mlp.up_proj
    left, values, right = torch.linalg.svd(whole)
    principal = left[:, :2] * values[:2] @ right[:2]
    assert torch.allclose(layer.lora_B["default"].weight @ layer.lora_A["default"].weight, principal, atol=1e-6)
    assert torch.allclose(layer.base_layer.weight, whole - principal, atol=1e-6)


def test_rslora_keeps_its_scale_over_ranks(tiny_base: Path) -> None:
    def scale(**settings: Any) -> float:
        return float(adapted(model_of(tiny_base), **settings).get_base_model().model.layers[0].mlp.up_proj.scaling["default"])

    assert scale(name="rslora", rank=16) == scale(name="lora", rank=16) == 2.0
    assert scale(name="rslora", rank=4) == 4.0
    assert scale(name="lora", rank=4) == 2.0
    assert scale(name="lora", rank=4, alpha=3) == 0.75


def test_layers_by_count_and_by_pattern(tiny_base: Path) -> None:
    tied = "model.embed_tokens.weight"
    found = trainable(adapted(model_of(tiny_base), name="layers", top_layers=1))
    assert found == {one for one, _ in model_of(tiny_base).named_parameters() if ".1." in one or one == "model.norm.weight"}
    assert trainable(adapted(model_of(tiny_base), name="layers", train_only=["*norm*"])) == {
        one for one, _ in model_of(tiny_base).named_parameters() if "norm" in one
    }
    assert trainable(adapted(model_of(tiny_base), name="layers", top_layers=1, train_only=["*.mlp.*"], freeze=["*up_proj*"])) == {
        "model.layers.1.mlp.gate_proj.weight",
        "model.layers.1.mlp.down_proj.weight",
    }
    frozen = {one for one, p in adapted(model_of(tiny_base), name="layers", freeze=["lm_head.*"]).named_parameters() if not p.requires_grad}
    assert frozen == {tied}  # it goes by both of its names


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"name": "lora", "targets": ["query"]}, r"\['query'\] name no layer.*down_proj.*q_proj"),
        ({"name": "bitfit"}, r"this llama model has none: set method.name: layers with train_only: \['\*norm\*'\]"),
        ({"name": "layers", "top_layers": 3}, "top_layers 3 is more than the 2 layers"),
        ({"name": "layers", "train_only": ["*.mpl.*"]}, r"train_only '\*.mpl.\*' matches no parameter.*The nearest is model"),
        ({"name": "layers", "train_only": ["*norm*"], "freeze": ["*"]}, "leave nothing to train"),
        ({"name": "pissa", "rank": 33}, r"rank 33 is more than the (16|32) singular directions"),
        ({"rank": 8}, r"full ignores rank.*\(a model of 1 parameters gets full by default\)"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(tiny_base: Path, settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence) as caught:
        adapted(model_of(tiny_base), **settings)
    assert "\n" not in str(caught.value)


def test_the_default_is_judged_by_what_it_turns_out_to_be(tiny_base: Path) -> None:
    adapt(model_of(tiny_base), MethodConfig(rank=2), parameters=10**9, labels=None, seed=0)
    with pytest.raises(RecipeError, match=r"lora ignores unfreeze.*1,000,000,000 parameters gets lora"):
        adapt(model_of(tiny_base), MethodConfig(unfreeze={"every_steps": 2}), parameters=10**9, labels=None, seed=0)


@pytest.mark.parametrize("settings", [{"name": "dora"}, {"name": "pissa"}, {"name": "lora", "dropout": 0.1}])
def test_experts_take_plain_lora_alone(settings: dict[str, Any]) -> None:
    shape = {"vocab_size": 16, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = MixtralForCausalLM(MixtralConfig(**shape, num_key_value_heads=2, num_local_experts=2))
    with pytest.raises(RecipeError, match=r"experts of mixtral models.*q_proj"):
        adapted(model, rank=2, **settings)


@pytest.mark.parametrize("name", ["ia3", "bitfit", "prompt", "prefix", "features"])
def test_rows_that_would_not_learn_are_refused(name: str) -> None:
    with pytest.raises(RecipeError, match=f"method.name: {name} would not train them"):
        adapted(gpt2(), (15,), name=name, **ALL[name])


def test_new_rows_learn_beside_adapters_and_only_they(tiny_base: Path) -> None:
    base = load_base(BaseConfig(path=str(tiny_base), new_tokens=["<a>", "<b>"]))
    model = adapted(base.model, base.new_ids, name="lora", rank=2)
    rows = {one: p for one, p in model.named_parameters() if p.requires_grad and "lora" not in one}
    assert [p.shape for p in rows.values()] == [(2, 32)]
    model(input_ids=torch.tensor([[4096, 5, 4097]])).logits[..., 7].sum().backward()
    assert all(p.grad.abs().min() > 0 for p in rows.values())
    with pytest.raises(RecipeError, match="leave the embeddings frozen"):
        adapted(load_base(BaseConfig(path=str(tiny_base), new_tokens=["<a>"])).model, (4096,), name="layers", top_layers=1)


def outputs_differ(model: Any) -> bool:
    ids = torch.tensor([[5, 6, 7, 8]])
    model.train()
    torch.manual_seed(0)
    first = model(ids).logits
    return not torch.equal(first, model(ids).logits)


@pytest.mark.parametrize("make", [gpt2, bloom])
def test_dropout_is_what_the_recipe_says(make: Any) -> None:
    """Also where it says none and the architecture brings some."""
    model = make()
    assert outputs_differ(model)
    assert set_dropout(model, 0.0)
    assert not outputs_differ(model)
    assert set_dropout(model, 0.5)
    assert outputs_differ(model)


def test_adapters_and_heads_keep_their_own_dropout(tiny_base: Path) -> None:
    model = adapted(model_of(tiny_base), name="lora", rank=2, dropout=0.3, head="class", head_dropout=0.2)
    assert set_dropout(model, 0.0)
    rates = {float(layer.lora_dropout["default"].p) for layer in model.modules() if isinstance(layer, LoraLayer)}
    assert rates == {0.3}
    assert model.head.dropout.p == 0.2
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.fill_(0.1)
    assert outputs_differ(model.trunk)
