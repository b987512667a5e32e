"""What the machine can do, and what was asked of it: measured matrix-product rate, counted operations."""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

PEAK_TFLOPS = {"H100": 989.0, "H200": 989.0, "A100": 312.0, "L40S": 362.0, "L4": 121.0, "RTX 4090": 165.0, "B200": 2250.0}
"""Dense bf16 peaks by a piece of the device's name, from the vendor's data sheets."""


def matmul_gflops(device: str) -> float:
    """The rate to hold figures against, in GFLOP/s: the fastest fp32 product of a few shapes on CPU; a GPU's stated bf16
    peak where the device is known, else its fastest bf16 product."""
    if device == "cuda":
        name = torch.cuda.get_device_name()
        stated = [rate for piece, rate in PEAK_TFLOPS.items() if piece in name]
        if stated:
            return stated[0] * 1000
        return max(_rate(size, size, size, torch.bfloat16, device) for size in (4096, 8192))
    shapes = ((1024, 384, 1024), (2048, 384, 1024), (2048, 1024, 384), (1536, 1536, 1536))
    products = (torch.matmul, _by_onednn) if torch.backends.mkldnn.is_available() else (torch.matmul,)
    return max(_rate(*sizes, torch.float32, device, product) for sizes in shapes for product in products)


def _by_onednn(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """The other library that torch brings for products on a CPU."""
    found: torch.Tensor = torch.ops.mkldnn._linear_pointwise(left, right.T, None, "none", [], "")
    return found


def _rate(
    rows: int,
    inner: int,
    columns: int,
    dtype: torch.dtype,
    device: str,
    product: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = torch.matmul,
) -> float:
    left, right = torch.randn(rows, inner, dtype=dtype, device=device), torch.randn(inner, columns, dtype=dtype, device=device)
    best = 0.0
    until = time.perf_counter() + 0.7
    while time.perf_counter() < until:
        started = time.perf_counter()
        for _ in range(3):
            product(left, right)
        if device == "cuda":
            torch.cuda.synchronize()
        best = max(best, 3 * 2 * rows * inner * columns / (time.perf_counter() - started) / 1e9)
    return best


def _attention(query: Any, key: Any, value: Any, *rest: Any, **named: Any) -> int:
    return sdpa_flop_count(query, key, value)


def _attention_backward(grad: Any, query: Any, key: Any, value: Any, *rest: Any, **named: Any) -> int:
    return sdpa_backward_flop_count(grad, query, key, value)


def _linear(left: Any, right: Any, *rest: Any, **named: Any) -> int:
    """Shapes [..., I] and [O, I]."""
    rows = 1
    for size in left[:-1]:
        rows *= size
    return 2 * rows * right[0] * right[1]


def count_flops(work: Callable[[], Any]) -> int:
    """Operations of matrix products and attention while `work` runs; compiled code is run uncompiled so that it is seen."""
    aten: Any = torch.ops.aten
    mapping = {
        aten._scaled_dot_product_flash_attention_for_cpu: _attention,
        aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
        torch.ops.mkldnn._linear_pointwise: _linear,
    }
    counter = FlopCounterMode(display=False, custom_mapping=mapping)
    with torch.compiler.set_stance("force_eager"), counter:
        work()
    return int(counter.get_total_flops())
