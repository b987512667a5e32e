"""Matrix products in float32 on CPUs whose wide vectors torch's own library leaves idle.

torch hands float32 products to Intel's MKL, which on other makers' CPUs keeps to 256-bit vectors. oneDNN, which torch
carries too, uses AVX-512 whoever made it: 2.2 to 2.4 times the rate where vectors are as wide in silicon (AMD Zen 5),
in the same float32, summed in another order. Linear layers are sent there, forward and backward. The choice hangs on the
machine alone, never on a clock: the same run gives the same bits again.

oneDNN writes machine code for each shape it meets, half a MiB and half a millisecond apiece. So rows come in few sizes
(`rounded`), and only so many shapes are kept. A flat pass is best rounded as a whole, beforehand (models/forward.py);
a small product that comes otherwise is padded here.

Left as they are: other types, autocast, GPUs, CPUs where MKL does its best, and products of a few rows.

Letters: T tokens, I inputs, O outputs.
"""

import os
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEWEST_ROWS = 16
"""Below, padding would be most of the product."""
MOST_PADDED = 2**20
"""Numbers of a result that is padded; a larger one is cheaper to write code for than to copy."""
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "192")  # read at the process's first product; its own 1024 would be 500 MiB

_CPU = Path("/proc/cpuinfo")
_backends: Any = torch.backends
_linear: Any = torch.ops.mkldnn._linear_pointwise if _backends.mkldnn.is_available() else None


@cache
def wide_vectors_idle() -> bool:
    """Whether this CPU has AVX-512 that MKL will not use: it has, and Intel did not make it. Known on Linux; elsewhere no."""
    if _linear is None or not _backends.mkl.is_available() or _backends.cpu.get_cpu_capability() != "AVX512":
        return False
    try:
        lines = _CPU.read_text().splitlines()
    except OSError:
        return False
    return any(line.startswith("vendor_id") and "GenuineIntel" not in line for line in lines)


def rounded(rows: int) -> int:
    """The next of few sizes: at most 32 of them between one power of two and the next, and none closer than 16."""
    step = max(16, (1 << rows.bit_length() >> 1) // 32)
    return -(-rows // step) * step


@torch.library.custom_op("tunesmith::product", mutates_args=())
def _opaque(x_TI: Tensor, weight_OI: Tensor, bias_O: Tensor | None) -> Tensor:
    """oneDNN's product as compiled layers take it: a whole that the compiler doesn't look into."""
    made: Tensor = _linear(x_TI, weight_OI, bias_O, "none", [], "")
    return made


@_opaque.register_fake
def _(x_TI: Tensor, weight_OI: Tensor, bias_O: Tensor | None) -> Tensor:
    return x_TI.new_empty(x_TI.shape[0], weight_OI.shape[0])


def _multiply(x_TI: Tensor, weight_OI: Tensor, bias_O: Tensor | None = None) -> Tensor:
    """x W^T + b: [T, O]."""
    made: Tensor = _opaque(x_TI, weight_OI, bias_O) if torch.compiler.is_compiling() else _linear(x_TI, weight_OI, bias_O, "none", [], "")
    return made


class _Product(torch.autograd.Function):
    """x W^T + b. x: [T, I] of a rounded T, W: [O, I], b: [O] or None; out: [T, O]."""

    @staticmethod
    def forward(ctx: Any, x_TI: Tensor, weight_OI: Tensor, bias_O: Tensor | None) -> Tensor:
        ctx.save_for_backward(x_TI, weight_OI)
        return _multiply(x_TI, weight_OI, bias_O)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x_TI, weight_OI = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        return (
            _multiply(grads[0], weight_OI.t()) if wanted[0] else None,
            _multiply(grads[0].t(), x_TI.t()) if wanted[1] else None,
            grads[0].sum(0) if wanted[2] else None,
        )


class WideLinear(nn.Linear):
    """A linear layer whose products go to oneDNN."""

    def forward(self, x: Tensor) -> Tensor:
        """x W^T + b: [..., I] -> [..., O]."""
        rows = x.numel() // x.shape[-1]
        plain = x.dtype != torch.float32 or self.weight.dtype != torch.float32 or x.is_cuda or rows < FEWEST_ROWS
        if plain or torch.is_autocast_enabled("cpu"):
            return F.linear(x, self.weight, self.bias)
        x_TI = x.reshape(rows, -1)
        missing = rounded(rows) - rows if rows * self.out_features <= MOST_PADDED else 0
        if missing:
            x_TI = F.pad(x_TI, (0, 0, 0, missing))
        made: Tensor = _Product.apply(x_TI, self.weight, self.bias)  # type: ignore[no-untyped-call]
        return (made[:rows] if missing else made).view(*x.shape[:-1], -1)


def widen(model: nn.Module) -> None:
    """Send the products of a model's linear layers to oneDNN where that is faster; names, weights and gradients stay theirs."""
    if wide_vectors_idle():
        for module in model.modules():
            if type(module) is nn.Linear:
                module.__class__ = WideLinear
