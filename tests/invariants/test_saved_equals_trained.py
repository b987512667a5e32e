"""What is loaded from a folder is what was trained: the same logits, for every method and head. And what is merged is what was adapted.

Each model is changed at random where the method lets it change, as training would, before it is saved.
"""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from tunesmith.core.errors import RecipeError
from tunesmith.models.config import BaseConfig, MethodConfig
from tunesmith.models.forward import project, row_states, takes_tree, to_tensors, token_logps
from tunesmith.models.heads import Headed
from tunesmith.models.load import load_base
from tunesmith.models.merge import merged
from tunesmith.models.methods import adapt, method
from tunesmith.models.package import Bundle, load_model, save_model
from tunesmith.tree.plan import Sequence_, plan

METHODS: dict[str, dict[str, Any]] = {
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
ARCHITECTURES = ("llama", "llama, tied", "qwen2", "qwen3, mixed", "mistral", "gemma3_text", "gpt2", "gpt_neox", "phi", "olmo2", "mixtral")
WITHOUT_BIASES = {"llama", "llama, tied", "qwen3, mixed", "mistral", "gemma3_text", "olmo2", "mixtral"}
IDS = torch.tensor([[5, 6, 7, 8, 9, 10, 11, 12], [20, 21, 22, 23, 24, 25, 26, 3]])
BaseOf = Callable[[str], Path]


@pytest.fixture(scope="module")
def base_of(tmp_path_factory: pytest.TempPathFactory, architectures: ModuleType) -> BaseOf:
    """A tiny base of that architecture as a folder, with a tokenizer of fifty words."""
    made: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp("bases") / name.replace(", ", "-")
            model = architectures.build(name)
            if name in ("gpt2", "gpt_neox"):
                del model.config.num_key_value_heads  # these have no such thing, and PEFT would believe it
            model.save_pretrained(made[name])
            words = Tokenizer(models.WordLevel({f"w{n}": n for n in range(50)}, unk_token="w0"))
            words.pre_tokenizer = pre_tokenizers.Whitespace()
            PreTrainedTokenizerFast(tokenizer_object=words, eos_token="w1", unk_token="w0").save_pretrained(made[name])
        return made[name]

    return folder


def trained(base: BaseConfig, config: MethodConfig, *, seed: int = 0) -> tuple[nn.Module, Any]:
    """A model of that method after random changes to all that is trainable, and its tokenizer."""
    loaded = load_base(base, seed=seed)
    model = adapt(loaded.model, config, parameters=1, labels=3, seed=4, new_ids=loaded.new_ids)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.1 * torch.randn_like(parameter)
    return model.eval(), loaded.tokenizer


def outputs(model: nn.Module, ids: Tensor = IDS) -> Tensor:
    """Logits of the language model, or of the head where there is one."""
    with torch.no_grad():
        if isinstance(model, Headed):
            rows = [Sequence_(tuple(row), (0.0,) * len(row)) for row in ids.tolist()]
            (one,) = plan(rows, token_budget=10**6, layout="padded")
            tensors = to_tensors(one, torch.device("cpu"))
            made: Tensor = model.head(row_states(model.trunk, tensors), tensors.lengths_R)
            return made
        wrapped: Any = model
        logits: Tensor = wrapped(input_ids=ids).logits
        return logits[:, -ids.shape[1] :]  # without those of virtual tokens


def saved_and_loaded(folder: Path, model: nn.Module, tokenizer: Any, base: BaseConfig, name: str, seed: int = 0) -> nn.Module:
    bundle = Bundle(
        task="classify",
        method=name,
        max_tokens=64,
        base=base.model_dump(mode="json"),
        base_seed=seed,
        head=isinstance(model, Headed),
    )
    folder.mkdir()
    save_model(folder, model, tokenizer, bundle)
    return load_model(folder)[0]


@pytest.mark.parametrize("name", list(METHODS))
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_method(base_of: BaseOf, tmp_path: Path, architecture: str, name: str) -> None:
    if (name == "bitfit" and architecture in WITHOUT_BIASES) or (name in ("dora", "pissa") and architecture == "mixtral"):
        pytest.skip("refused: no biases, or experts that take no such adapter")
    base = BaseConfig(path=str(base_of(architecture)))
    model, tokenizer = trained(base, MethodConfig(name=name, **METHODS[name]))
    before = outputs(model)
    fresh = load_base(base).model
    if name != "features":
        assert (before - outputs(fresh)).abs().max() > 1e-2  # the changes show
    loaded = saved_and_loaded(tmp_path / "model", model, tokenizer, base, name)
    if name == "pissa":  # kept as what it adds to the base: the same sum, in another order
        assert torch.allclose(outputs(loaded), before, atol=2e-5, rtol=1e-5)
    else:
        assert torch.equal(outputs(loaded), before)
    assert torch.equal(outputs(model), before)  # saving changed nothing
    files = {path.name for path in (tmp_path / "model").iterdir()}
    assert ("config.json" in files) == (method(name).saved_as == "weights")


HEADS = [
    ("class", "mean"),
    ("class", "attention"),
    ("class", "last"),
    ("multilabel", "attention"),
    ("regression", "mean"),
    ("tags", "mean"),
]


@pytest.mark.parametrize("name", ["full", "lora", "ia3", "features"])
@pytest.mark.parametrize(("kind", "pool"), HEADS)
def test_every_head(base_of: BaseOf, tmp_path: Path, kind: Any, pool: Any, name: Any) -> None:
    base = BaseConfig(path=str(base_of("llama")))
    model, tokenizer = trained(base, MethodConfig(name=name, head=kind, pool=pool, head_dropout=0.25))
    loaded: Any = saved_and_loaded(tmp_path / "model", model, tokenizer, base, name)
    assert torch.equal(outputs(loaded), outputs(model))
    assert (loaded.kind, loaded.pool, loaded.head.dropout.p) == (kind, pool, 0.25)


def test_adapters_on_random_weights_come_back_over_the_same_ones(base_of: BaseOf, tmp_path: Path) -> None:
    base = BaseConfig(path=str(base_of("llama")), random_weights=True)
    model, tokenizer = trained(base, MethodConfig(name="lora"), seed=7)
    assert torch.equal(outputs(saved_and_loaded(tmp_path / "a", model, tokenizer, base, "lora", seed=7)), outputs(model))
    assert not torch.equal(outputs(saved_and_loaded(tmp_path / "b", model, tokenizer, base, "lora", seed=8)), outputs(model))


@pytest.mark.parametrize("name", ["full", "lora", "dora", "pissa", "layers"])
@pytest.mark.parametrize("architecture", ["llama", "llama, tied", "gpt2", "gemma3_text"])
def test_new_tokens(base_of: BaseOf, tmp_path: Path, architecture: str, name: str) -> None:
    """Their rows are trained, kept and merged; the ids are those of the tokenizer beside the model."""
    words = [f"<new{n}>" for n in range(20)]  # past the 11 unused rows
    base = BaseConfig(path=str(base_of(architecture)), new_tokens=words)
    settings = {"freeze": ["*.0.*"]} if name == "layers" else METHODS[name]
    model, tokenizer = trained(base, MethodConfig(name=name, **settings))
    ids = tokenizer("w5 <new0> w6 <new19>", return_tensors="pt", add_special_tokens=False)["input_ids"]
    assert ids.tolist() == [[5, 50, 6, 69]]
    before = outputs(model, ids)
    assert before.shape[-1] >= 70
    loaded = saved_and_loaded(tmp_path / "model", model, tokenizer, base, name)
    assert torch.allclose(outputs(loaded, ids), before, atol=2e-5 if name == "pissa" else 0, rtol=0)
    if name != "layers":
        assert torch.allclose(project(model, torch.ones(2, 32)), project(loaded, torch.ones(2, 32)), atol=1e-5)
    trainable = adapt_fresh(base, MethodConfig(name=name, **settings))
    untouched = [50 + number for number in range(20)]
    assert not torch.allclose(outputs(model, ids)[..., untouched], outputs(trainable, ids)[..., untouched], atol=1e-3)
    whole = merged(model)
    assert torch.allclose(outputs(whole, ids), before, atol=1e-4, rtol=1e-5)


def adapt_fresh(base: BaseConfig, config: MethodConfig) -> nn.Module:
    loaded = load_base(base)
    return adapt(loaded.model, config, parameters=1, labels=3, seed=4, new_ids=loaded.new_ids).eval()


@pytest.mark.parametrize("name", ["lora", "rslora", "dora", "pissa", "ia3"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_merged_equals_adapted(base_of: BaseOf, architecture: str, name: str) -> None:
    base = BaseConfig(path=str(base_of(architecture)))
    plain = {"targets": ["q_proj", "v_proj"]} if architecture == "mixtral" and name in ("dora", "pissa") else {}
    model, _ = trained(base, MethodConfig(name=name, **METHODS[name] | plain))
    before = outputs(model)
    whole = merged(model)
    assert not any("lora" in part or "ia3" in part for part, _ in whole.named_modules())
    difference = (outputs(whole) - before).norm() / before.norm()
    assert difference < 1e-5
    assert not torch.equal(before, outputs(load_base(base).model))


def test_merging_leaves_the_head_and_what_has_no_adapter(base_of: BaseOf) -> None:
    base = BaseConfig(path=str(base_of("llama")))
    model, _ = trained(base, MethodConfig(name="lora", head="class"))
    before = outputs(model)
    assert torch.allclose(outputs(merged(model)), before, atol=1e-5)
    whole, _ = trained(base, MethodConfig(name="full"))
    assert merged(whole) is whole
    virtual, _ = trained(base, MethodConfig(name="prompt"))
    with pytest.raises(RecipeError, match="can't be merged"):
        merged(virtual)


@pytest.mark.parametrize("name", ["prompt", "prefix"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_virtual_tokens_are_what_peft_makes_of_them(base_of: BaseOf, architecture: str, name: Any) -> None:
    """Log-probabilities and the gradient of the virtual tokens, from the engine's passes and from PEFT's own forward pass."""
    model: Any = trained(BaseConfig(path=str(base_of(architecture))), MethodConfig(name=name, virtual_tokens=3))[0]
    (encoder,) = [p for p in model.parameters() if p.requires_grad]
    ids = [(5, 6, 7, 8, 9, 10, 11), (5, 6, 7, 22), (30,), (5, 6, 7, 8, 31, 32)]
    rows = [Sequence_(row, (0.0,) + (1.0,) * (len(row) - 1)) for row in ids]
    expected = torch.zeros(())
    for row in ids[:2] + ids[3:]:
        logits = model(input_ids=torch.tensor([row])).logits[0, -len(row) : -1]
        expected = expected + logits.log_softmax(-1)[torch.arange(len(row) - 1), torch.tensor(row[1:])].sum()
    (gradient,) = torch.autograd.grad(expected, encoder)
    assert gradient.norm() > 0
    assert takes_tree(model) == (name == "prompt")
    for layout in ("tree", "padded") if name == "prompt" else ("padded",):
        found = sum(token_logps(model, to_tensors(one, torch.device("cpu"))).sum() for one in plan(rows, token_budget=99, layout=layout))
        assert isinstance(found, Tensor)
        assert found.item() == pytest.approx(expected.item(), rel=1e-5)
        assert (torch.autograd.grad(found, encoder)[0] - gradient).norm() / gradient.norm() < 1e-4


def test_saving_asks_no_hub(base_of: BaseOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PEFT would ask whether the vocabulary is the base's; a machine without a network must not wait for that."""
    import peft.utils.save_and_load

    def asked(*args: object) -> None:
        raise AssertionError("the hub was asked")

    monkeypatch.setattr(peft.utils.save_and_load, "check_file_exists_on_hf_hub", asked)
    for name in ("lora", "prompt"):
        base = BaseConfig(path=str(base_of("llama")), random_weights=True)
        model, tokenizer = trained(base, MethodConfig(name=name))
        adapted: Any = model
        adapted.peft_config["default"].base_model_name_or_path = "someone/somewhere"
        saved_and_loaded(tmp_path / name, model, tokenizer, base, name)
