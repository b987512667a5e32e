"""LoRA's layer as one operation: PEFT's values and gradients, its own forward wherever more than one plain adapter is at work."""

import contextlib
import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners import lora
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode
from transformers.pytorch_utils import Conv1D

from tunesmith.models.config import BaseConfig, MethodConfig
from tunesmith.models.load import load_base
from tunesmith.models.methods import adapt, method
from tunesmith.models.methods.lowrank import LowRankLinear, quicken
from tunesmith.models.products import WideLinear, widen

IDS = torch.tensor([[5, 6, 7, 8, 9, 10, 11, 12]])


class One(nn.Module):
    """A model of one layer."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.layer(x)
        return made


def pair(layer: nn.Module, dtype: torch.dtype = torch.float64, **config: Any) -> tuple[Any, Any]:
    """PEFT's layer with random values, and the same as one operation."""
    asked = {"r": 3, "lora_alpha": 5, "fan_in_fan_out": isinstance(layer, Conv1D)} | config
    torch.manual_seed(3)
    theirs: Any = get_peft_model(One(layer.to(dtype)), LoraConfig(target_modules=["layer"], **asked), autocast_adapter_dtype=False)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.normal_()
    ours = copy.deepcopy(theirs)
    quicken(ours)
    return theirs, ours


def seen(model: Any, x: Tensor, within: Callable[[], Any] = contextlib.nullcontext) -> dict[str, Tensor]:
    """Output and gradients of a sum that weighs every output differently."""
    given_x = x.clone().requires_grad_()
    with within():
        made = model(given_x)
    (made.double() * torch.linspace(-1, 2, made.numel(), dtype=torch.float64).view_as(made)).sum().backward()
    grads = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert isinstance(given_x.grad, Tensor)
    return {"made": made.detach(), "x": given_x.grad, **grads}


def assert_same(theirs: dict[str, Tensor], ours: dict[str, Tensor], apart: float) -> None:
    assert set(theirs) == set(ours)
    for name, expected in theirs.items():
        assert ours[name].shape == expected.shape
        assert ours[name].dtype == expected.dtype
        assert (ours[name] - expected).norm() <= apart * expected.norm(), name


def is_one_operation(model: Any, x: Tensor) -> bool:
    """Whether a pass runs as one operation, by the node that autograd keeps of it."""
    node, found = model(x.clone().requires_grad_()).grad_fn, []
    while node is not None:
        found.append(type(node).__name__)
        node = node.next_functions[0][0] if node.next_functions else None
    return "_AdaptedBackward" in found


@settings(deadline=None, max_examples=60)
@given(
    shape=st.lists(st.integers(1, 9), min_size=1, max_size=2),
    width=st.integers(1, 40),
    outputs=st.integers(1, 40),
    rank=st.integers(1, 20),
    alpha=st.sampled_from([0.3, 1.0, 16.0]),
    bias=st.booleans(),
    transposed=st.booleans(),
    stabilised=st.booleans(),
)
def test_values_and_gradients_are_pefts(
    shape: list[int], width: int, outputs: int, rank: int, alpha: float, bias: bool, transposed: bool, stabilised: bool
) -> None:
    layer: nn.Module = Conv1D(outputs, width) if transposed else nn.Linear(width, outputs, bias=bias)  # type: ignore[no-untyped-call]
    theirs, ours = pair(layer, r=rank, lora_alpha=alpha, use_rslora=stabilised)
    x = torch.randn(*shape, width, dtype=torch.float64)
    found = seen(ours, x)
    assert {name.split(".")[-3] for name in found if "." in name} == {"lora_A", "lora_B"}
    assert_same(seen(theirs, x), found, 1e-12)
    assert is_one_operation(ours, x)


@pytest.mark.parametrize("rows", [5, 16, 83, 96])
@pytest.mark.parametrize("kind", [nn.Linear, WideLinear])
def test_in_float32_to_rounding(rows: int, kind: type[nn.Linear]) -> None:
    """Also with the base's product from the other library, whose rows come in few sizes."""
    theirs, ours = pair(nn.Linear(48, 80), torch.float32, r=16)
    base = ours.base_model.model.layer.base_layer
    base.__class__ = kind
    x = torch.randn(1, rows, 48)
    assert_same(seen(theirs, x), seen(ours, x), 3e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_under_autocast_no_further_from_exact_than_peft(dtype: torch.dtype) -> None:
    theirs, ours = pair(nn.Linear(48, 80), dtype)
    for model in (theirs, ours):  # adapters stay wide beside a narrow base, as PEFT puts them on
        for name, parameter in model.named_parameters():
            if "lora" in name:
                parameter.data = parameter.data.float()
    torch.manual_seed(0)
    exact = seen(copy.deepcopy(theirs).double(), x := torch.randn(2, 9, 48, dtype=dtype).double())
    with torch.autocast("cpu", torch.bfloat16):
        assert is_one_operation(ours, x.to(dtype))
    found = [seen(model, x.to(dtype), lambda: torch.autocast("cpu", torch.bfloat16)) for model in (theirs, ours)]
    for name, value in exact.items():
        assert found[0][name].dtype == found[1][name].dtype
        far, near = ((one[name].double() - value).norm() / value.norm() for one in found)
        assert near <= max(1.2 * far, 4e-3), name


def test_a_place_that_asks_for_no_gradient_gets_none() -> None:
    _, ours = pair(nn.Linear(8, 6))
    x = torch.randn(4, 8, dtype=torch.float64)
    with FlopCounterMode(display=False) as below:
        ours(x).sum().backward()
    with FlopCounterMode(display=False) as whole:
        ours(x.requires_grad_()).sum().backward()
    assert whole.get_total_flops() - below.get_total_flops() == 2 * 4 * (8 * 6 + 8 * 3)
    assert below.get_total_flops() == 2 * 4 * (8 * 6 + 2 * 8 * 3 + 3 * 6 * 3)  # forward, and backward for A and B alone


def test_x_is_kept_once_and_outputs_not_at_all() -> None:
    """What three layers that read one x keep for the backward pass: x once, and r columns each."""
    layers = [pair(nn.Linear(64, 64))[1] for _ in range(3)]
    x = torch.randn(50, 64, dtype=torch.float64, requires_grad=True)
    kept: dict[int, int] = {}

    def pack(one: Tensor) -> Tensor:
        kept[one.data_ptr()] = one.numel()
        return one

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda one: one):
        made = [layer(x) for layer in layers]
    weights = {p.data_ptr() for layer in layers for p in layer.parameters()}
    assert len(made) == 3
    assert sum(size for place, size in kept.items() if place not in weights) == 50 * 64 + 3 * 50 * 3


def test_layers_that_are_computed_again_give_the_same() -> None:
    theirs, ours = pair(nn.Linear(8, 6))
    x = torch.randn(4, 8, dtype=torch.float64)
    again = seen(Again(ours), x)
    assert_same(seen(theirs, x), {name.removeprefix("inside."): value for name, value in again.items()}, 1e-12)


class Again(nn.Module):
    """A model that is computed again in the backward pass."""

    def __init__(self, inside: nn.Module) -> None:
        super().__init__()
        self.inside = inside

    def forward(self, x: Tensor) -> Any:
        return checkpoint(self.inside, x, use_reentrant=False)


def _two_adapters(model: Any) -> None:
    if "other" not in model.peft_config:
        model.add_adapter("other", LoraConfig(r=2, target_modules=["layer"], init_lora_weights=False))
    model.base_model.set_adapter(["default", "other"])


def _hooked(model: Any) -> None:
    model.base_model.model.layer.base_layer.register_forward_hook(lambda module, args, made: made * 2)


def _learning(model: Any) -> None:
    model.base_model.model.layer.base_layer.weight.requires_grad_()


OTHERWISE: dict[str, tuple[dict[str, Any], Callable[[Any], Any]]] = {
    "two adapters": ({}, _two_adapters),
    "merged": ({}, lambda model: model.merge_adapter()),
    "switched off": ({}, lambda model: model.base_model.disable_adapter_layers()),
    "dropout": ({"lora_dropout": 0.5}, lambda model: model.train()),
    "dora": ({"use_dora": True}, lambda model: None),
    "bias of the adapter": ({"lora_bias": True}, lambda model: None),
    "a hook": ({}, _hooked),
    "weights that learn": ({}, _learning),
}


@pytest.mark.parametrize("what", OTHERWISE)
def test_where_more_than_one_plain_adapter_is_at_work_pefts_forward_runs(what: str) -> None:
    config, change = OTHERWISE[what]
    theirs, ours = pair(nn.Linear(8, 6), **config)
    x = torch.randn(4, 8, dtype=torch.float64)
    torch.manual_seed(0)
    change(theirs)
    torch.manual_seed(0)
    change(ours)
    assert not is_one_operation(ours, x)
    torch.manual_seed(1)
    expected = seen(theirs, x)
    torch.manual_seed(1)
    assert_same(expected, seen(ours, x), 0.0)


def test_dropout_is_no_hindrance_where_nothing_is_dropped() -> None:
    theirs, ours = pair(nn.Linear(8, 6), lora_dropout=0.5)
    x = torch.randn(4, 8, dtype=torch.float64)
    assert is_one_operation(ours.eval(), x)
    assert_same(seen(theirs.eval(), x), seen(ours, x), 1e-12)


def test_an_adapter_switched_off_for_a_while_leaves_the_base() -> None:
    _, ours = pair(nn.Linear(8, 6))
    x = torch.randn(4, 8, dtype=torch.float64)
    with ours.disable_adapter():
        assert torch.equal(ours(x), ours.base_model.model.layer.base_layer(x))
    assert is_one_operation(ours, x)


def test_a_gradient_of_a_gradient_is_refused_and_not_wrong() -> None:
    _, ours = pair(nn.Linear(8, 6))
    x = torch.randn(4, 8, dtype=torch.float64, requires_grad=True)
    (grad,) = torch.autograd.grad(ours(x).pow(2).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("name", ["lora", "rslora", "pissa"])
def test_what_is_saved_is_read_by_plain_peft(tiny_base: Path, tmp_path: Path, name: str) -> None:
    """The same names, the same logits, and merged the same weights, without a line of ours."""
    config = MethodConfig.model_validate({"name": name, "rank": 4})
    model: Any = adapt(load_base(BaseConfig(path=str(tiny_base))).model, config, parameters=1, labels=None, seed=0)
    quick = [module for module in model.modules() if isinstance(module, lora.Linear)]
    assert quick
    assert all(type(module) is LowRankLinear for module in quick)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.1 * torch.randn_like(parameter)
    expected = model.eval()(input_ids=IDS).logits
    method(name).save(model, tmp_path)
    assert {one.name for one in tmp_path.iterdir()} >= {"adapter_config.json", "adapter_model.safetensors"}
    plain: Any = PeftModel.from_pretrained(load_base(BaseConfig(path=str(tiny_base))).model, str(tmp_path)).eval()
    assert not any(isinstance(module, LowRankLinear) for module in plain.modules())
    assert torch.allclose(plain(input_ids=IDS).logits, expected, atol=1e-5)
    whole, theirs = model.merge_and_unload().state_dict(), plain.merge_and_unload().state_dict()
    assert set(whole) == set(theirs)
    assert all(torch.allclose(whole[key], theirs[key], atol=1e-6) for key in theirs)


def test_a_compiled_layer_is_pefts() -> None:
    """Traced without a break, so that the compiler sees ordinary operations alone."""
    theirs, ours = pair(nn.Linear(8, 6))
    x = torch.randn(4, 8, dtype=torch.float64)
    compiled: Any = torch.compile(ours, backend="eager", fullgraph=True)
    assert torch.equal(compiled(x), theirs(x))


def test_only_plain_layers_are_changed() -> None:
    model: Any = get_peft_model(
        nn.ModuleDict({"rows": nn.Embedding(5, 4), "layer": nn.Linear(4, 4)}), LoraConfig(target_modules=["rows", "layer"])
    )
    quicken(model)
    widen(model)
    inside = model.base_model.model
    assert type(inside["rows"]) is lora.Embedding
    assert type(inside["layer"]) is LowRankLinear
