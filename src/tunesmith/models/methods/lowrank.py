"""LoRA's linear layer as one operation: y = x W^T + b + s (x A^T) B^T with W frozen, forward and backward.

PEFT's own forward passes over the output three more times (a product, its scaling, a sum), and its backward as often over
what flows back. Here the update is added into the product with W as that stands in memory, the scale goes onto the r
columns between A and B, and only x and those columns are kept for the backward pass: x once, however many layers read
it. Values and gradients are PEFT's up to the order of sums.

Parameters, their names, saving, merging and switching adapters off stay PEFT's: the layer is its class with another
`forward`. Where anything but one plain adapter is at work, PEFT's own forward runs (`LowRankLinear.forward` has the rule).
A gradient of a gradient is refused.

Letters: T tokens, I inputs, O outputs, R rank.
"""

from typing import Any

import torch
import torch.nn.functional as F
from peft.tuners import lora
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from transformers.pytorch_utils import Conv1D

from tunesmith.models.products import FEWEST_ROWS, WideLinear, rounded

FEW_COLUMNS = 16
"""Below, MKL's product [T, N] x [N, R] takes up to four times as long as the same transposed."""

_onednn: Any = torch.ops.mkldnn  # asked only where a layer is a WideLinear: where torch carries it


def _product(x_TI: Tensor, weight_OI: Tensor, bias_O: Tensor | None, wide: bool) -> Tensor:
    """x W^T + b, by the library that the layer's own forward takes: [T, O]."""
    if not wide:
        return torch.mm(x_TI, weight_OI.t()) if bias_O is None else torch.addmm(bias_O, x_TI, weight_OI.t())
    rows = len(x_TI)
    missing = rounded(rows) - rows
    made: Tensor = _onednn._linear_pointwise(F.pad(x_TI, (0, 0, 0, missing)) if missing else x_TI, weight_OI, bias_O, "none", [], "")
    return made[:rows] if missing else made


def _thin(wide_TN: Tensor, columns_NR: Tensor, scale: float) -> Tensor:
    """s x C of few columns: [T, R]."""
    few = columns_NR.shape[1] < FEW_COLUMNS and not wide_TN.is_cuda
    made = torch.mm(columns_NR.t(), wide_TN.t()).t() if few else torch.mm(wide_TN, columns_NR)
    return made.mul_(scale)


class _Adapted(torch.autograd.Function):
    """x W^T + b + s (x A^T) B^T. x: [T, I], W: [O, I], b: [O] or None, A: [R, I], B: [O, R]; out: [T, O]. No gradient for W and b."""

    @staticmethod
    def forward(
        ctx: Any, x_TI: Tensor, weight_OI: Tensor, bias_O: Tensor | None, down_RI: Tensor, up_OR: Tensor, scale: float, wide: bool
    ) -> Tensor:
        inner_TR = _thin(x_TI, down_RI.t(), scale)
        made_TO = _product(x_TI, weight_OI, bias_O, wide)
        torch.addmm(made_TO, inner_TR, up_OR.t(), out=made_TO)  # in place; by this name it is seen where operations are counted
        ctx.save_for_backward(x_TI, weight_OI, down_RI, up_OR, inner_TR)
        ctx.scale, ctx.wide = scale, wide
        return made_TO

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_TO: Tensor) -> tuple[Tensor | None, ...]:
        x_TI, weight_OI, down_RI, up_OR, inner_TR = ctx.saved_tensors
        for_x, _, _, for_down, for_up, _, _ = ctx.needs_input_grad
        up_RO = torch.mm(inner_TR.t(), grad_TO) if for_up else None  # MKL's faster way round, ten times where R is 8
        back_TR = _thin(grad_TO, up_OR, ctx.scale) if for_x or for_down else None
        down = torch.mm(back_TR.t(), x_TI) if for_down and back_TR is not None else None
        x = None
        if for_x and back_TR is not None:
            x = _product(grad_TO, weight_OI.t(), None, ctx.wide)
            torch.addmm(x, back_TR, down_RI, out=x)
        return x, None, None, down, None if up_RO is None else up_RO.t(), None, None


def _untouched(module: nn.Module) -> bool:
    """Whether calling the module does no more than its class says."""
    hooks = module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
    return not hooks and "forward" not in vars(module)


class LowRankLinear(lora.Linear):
    """PEFT's LoRA layer, in one operation where one plain adapter is at work."""

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """See the module. PEFT's own forward runs where

        - no adapter, or several, or a merged one is at work, or one of another kind (DoRA), with dropout or with a bias;
        - the layer beneath learns, is no plain linear layer of 16 or 32 or 64 bits, or is listened to by a hook;
        - numbers of several types meet outside autocast, or autocast meets float64;
        - the call is compiled, or says more than x.
        """
        name = None if args or kwargs or torch.compiler.is_compiling() else self._plain_adapter()
        tensors = None if name is None else self._tensors(x, name)
        if name is None or tensors is None:
            made: Tensor = super().forward(x, *args, **kwargs)
            return made
        flat_TI = tensors[0]
        wide = isinstance(self.base_layer, WideLinear) and flat_TI.dtype == torch.float32 and not x.is_cuda and len(flat_TI) >= FEWEST_ROWS
        adapted: Tensor = _Adapted.apply(*tensors, float(self.scaling[name]), wide)  # type: ignore[no-untyped-call]
        return adapted.view(*x.shape[:-1], -1)

    def _plain_adapter(self) -> str | None:
        """The one adapter at work, where it is nothing but two matrices beside an ordinary layer that learns nothing."""
        names = [name for name in self.active_adapters if name in self.lora_A]
        if self.disable_adapters or self.merged or len(names) != 1 or names[0] in self.lora_variant:
            return None
        name: str = names[0]
        base, down, up, dropout = self.base_layer, self.lora_A[name], self.lora_B[name], self.lora_dropout[name]
        ordinary = type(base) in (nn.Linear, WideLinear, Conv1D) and not any(p.requires_grad for p in base.parameters())
        drops = dropout.training and getattr(dropout, "p", 0.0) > 0
        plain = ordinary and not drops and up.bias is None and down.bias is None
        return name if plain and all(_untouched(module) for module in (base, down, up, dropout)) else None

    def _tensors(self, x: Tensor, name: str) -> list[Any] | None:
        """x as [T, I], W as [O, I], b or None, A and B in one type; None where PEFT would work in several."""
        base, kind = self.base_layer, x.device.type
        weight_OI = base.weight.t() if isinstance(base, Conv1D) else base.weight
        tensors: list[Any] = [x.reshape(-1, x.shape[-1]), weight_OI, base.bias, self.lora_A[name].weight, self.lora_B[name].weight]
        types = {tensor.dtype for tensor in tensors if tensor is not None}
        if torch.is_autocast_enabled(kind):
            common = torch.get_autocast_dtype(kind)
            return None if types - {common, torch.float32} else [None if one is None else one.to(common) for one in tensors]
        return tensors if len(types) == 1 and types <= {torch.float64, torch.float32, torch.bfloat16, torch.float16} else None


def quicken(model: nn.Module) -> None:
    """Give a model's plain LoRA layers the forward pass above. Other kinds of adapters and of layers are left as they are."""
    for module in model.modules():
        if type(module) is lora.Linear:
            module.__class__ = LowRankLinear
