"""Products sent to oneDNN are torch's own products to rounding, and so are their gradients."""

import copy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tunesmith.models import products
from tunesmith.models.products import WideLinear, rounded, wide_vectors_idle, widen

needs_onednn = pytest.mark.skipif(products._linear is None, reason="this torch was built without oneDNN")


def test_sizes_are_few_and_near() -> None:
    """At most 32 to a doubling; nothing is enlarged by more than 15 rows or a thirty-second."""
    sizes = [rounded(rows) for rows in range(1, 4097)]
    assert all(0 <= size - rows <= max(15, rows // 32) for rows, size in enumerate(sizes, 1))
    assert all(rounded(size) == size for size in sizes)
    assert len({size for size in sizes if 1024 < size <= 2048}) == 32


@needs_onednn
@pytest.mark.parametrize("shape", [(64, 24), (37, 24), (1, 37, 24), (3, 16, 24), (7, 24), (0, 24)])
@pytest.mark.parametrize("bias", [True, False])
def test_product_and_gradients(shape: tuple[int, ...], bias: bool) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(24, 40, bias=bias)
    x = torch.randn(shape, requires_grad=True)
    upstream = torch.randn(*shape[:-1], 40)
    wide = copy.deepcopy(layer)
    wide.__class__ = WideLinear
    made, expected = wide(x), layer.double()(x.double()).float()
    torch.testing.assert_close(made, expected, rtol=1e-5, atol=1e-5)
    ours = torch.autograd.grad(made, [x, *wide.parameters()], upstream)
    plain = torch.autograd.grad(expected, [x, *layer.parameters()], upstream)
    for one, other in zip(ours, plain, strict=True):
        torch.testing.assert_close(one, other.to(one.dtype), rtol=1e-5, atol=1e-5)


@needs_onednn
def test_gradients_that_come_transposed_or_expanded() -> None:
    """What autograd hands back need not lie in order."""
    layer, x = nn.Linear(24, 24), torch.randn(32, 24)
    wide = copy.deepcopy(layer)
    wide.__class__ = WideLinear
    for read in (lambda made: made.sum(), lambda made: (made.t() @ torch.ones(32, 3)).sum()):
        for one in (layer, wide):
            one.zero_grad()
            read(one(x)).backward()
        torch.testing.assert_close(wide.weight.grad, layer.weight.grad, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(wide.bias.grad, layer.bias.grad, rtol=1e-5, atol=1e-5)


def test_other_types_and_few_rows_are_torchs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = nn.Linear(8, 8)
    layer.__class__ = WideLinear
    monkeypatch.setattr(products._Product, "apply", lambda *args: pytest.fail("sent to oneDNN"))
    assert layer(torch.randn(products.FEWEST_ROWS - 1, 8)).shape == (products.FEWEST_ROWS - 1, 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.randn(64, 8)).dtype == torch.bfloat16
    assert layer.double()(torch.randn(64, 8, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize("vendor, wide", [("AuthenticAMD", True), ("GenuineIntel", False)])
def test_the_machine_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vendor: str, wide: bool) -> None:
    told = tmp_path / "cpuinfo"
    told.write_text(f"processor\t: 0\nvendor_id\t: {vendor}\nflags\t: avx512f\n")
    monkeypatch.setattr(products, "_CPU", told)
    monkeypatch.setattr(products, "_linear", object())
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: True)
    for capability, expected in (("AVX512", wide), ("AVX2", False)):
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda found=capability: found)
        assert wide_vectors_idle.__wrapped__() is expected


def test_widening_keeps_names_and_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "wide_vectors_idle", lambda: True)
    model = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
    before = {name: tensor.data_ptr() for name, tensor in model.named_parameters()}
    widen(model)
    assert {name: tensor.data_ptr() for name, tensor in model.named_parameters()} == before
    assert isinstance(model[0], nn.Linear)
    x = torch.randn(2, 4)
    assert torch.equal(model[0](x), F.linear(x, model[0].weight, model[0].bias))
