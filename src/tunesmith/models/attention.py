"""Attention over a flat tree of rows, block by block (models/blocks.py).

Registered with transformers as an attention function of its own, so that every architecture that goes through
transformers' attention interface takes it unchanged; the plan travels where an attention mask would.

On CPU, blocks of few pairs are batched products whose softmax is kept for the way back: a half to two thirds of the
time of torch's flash kernel there, which is for long ones. On CUDA the same rule is a FlexAttention block mask
(models/flex.py).

Letters: T tokens of the flat row, H heads, d width of a head, M blocks side by side, N queries and K keys of a block.
"""

from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from tunesmith.models.blocks import SMALL, Layout, Places, cut, lay, lay_whole

NAME = "tunesmith_tree"

_forward: Any = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_backward: Any = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
_LAYOUTS: Any = WeakIdKeyDictionary()


def plan_tensor(ends_T: Tensor, depths_T: Tensor, window: int | None) -> Tensor:
    """What stands in for the attention mask: [1, 1, 3, T] of ends, depths and, in the first place of the third row, the window."""
    window_T = torch.zeros_like(ends_T)
    window_T[0] = window or 0
    return torch.stack([ends_T, depths_T, window_T])[None, None]


def layout_of(planned: Tensor) -> Layout:
    """The layout of a plan tensor; made once, kept as long as the tensor lives."""
    found: Layout | None = _LAYOUTS.get(planned)
    if found is None:
        ends, depths, window_T = planned[0, 0]
        window = int(window_T[0])
        small = len(ends) <= SMALL
        found = lay_whole(ends, depths, window) if small else lay(cut(ends.tolist(), depths.tolist(), window), ends, depths, window)
        _LAYOUTS[planned] = found
    return found


def _rows(of: Tensor) -> Tensor:
    """[1, H, T, d] with each head of each token a row: [T * H, d]."""
    return of.transpose(1, 2).reshape(-1, of.shape[3])


def _picked(rows: Tensor, places: Tensor, batch: tuple[int, ...]) -> Tensor:
    """Rows of some tokens by block and head: [M * H, N, d], or [M, H, N, d] as the kernel takes them."""
    return rows.index_select(0, places).view(*batch, -1, rows.shape[1])


def _attend(inputs: list[Tensor], mask: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Attention of a stack over its q, k and v, and what the way back needs: the softmax, or the kernel's sums."""
    q, k, v = inputs
    if mask.dim() == 3:
        softmax = torch.softmax(torch.baddbmm(mask, q, k.transpose(1, 2), alpha=scale), dim=-1)
        return torch.bmm(softmax, v), softmax
    made, sums = _forward(q, k, v, 0.0, False, attn_mask=mask, scale=scale)
    return made, sums


def _attend_back(inputs: list[Tensor], made: Tensor | None, kept: Tensor, mask: Tensor, scale: float) -> Any:
    """Gradients of q, k and v from that of the result, q, k and v; `made`, the result, for the kernel alone."""
    grad, q, k, v = inputs
    if mask.dim() == 3:
        inner = torch._softmax_backward_data(torch.bmm(grad, v.transpose(1, 2)), kept, -1, kept.dtype).mul_(scale)
        return torch.bmm(inner, k), torch.bmm(inner.transpose(1, 2), q), torch.bmm(kept.transpose(1, 2), grad)
    return _backward(grad, q, k, v, made, kept, 0.0, False, attn_mask=mask, scale=scale)


class _BlockAttention(torch.autograd.Function):
    """softmax(q k^T scale + mask) v over a layout. q, k, v: [1, H, T, d]; out: [1, T, H, d]."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, layout: Layout, scale: float) -> Tensor:
        heads, tokens, width = q.shape[1:]
        out = torch.empty(1, tokens, heads, width, dtype=q.dtype)
        kept: list[Tensor] = []
        for block in layout.causal:
            here = slice(block.start, block.end)
            made, sums = _forward(q[:, :, here], k[:, :, here], v[:, :, here], 0.0, True, scale=scale)
            out[:, here] = made.transpose(1, 2)
            kept.append(sums)
        rows = [_rows(x) for x in (q, k, v)] if layout.stacks else []
        for number in range(len(layout.stacks)):
            at = layout.places(number, heads, q.dtype)
            inputs = [_picked(x, where, at.batch) for x, where in zip(rows, (at.queries, at.keys, at.keys), strict=True)]
            made, back = _attend(inputs, at.mask, scale)
            _put(out.view(-1, width), at, made)
            kept.append(back)
        ctx.save_for_backward(q, k, v, out, *kept)
        ctx.layout, ctx.scale = layout, scale
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, out, *kept = ctx.saved_tensors
        layout: Layout = ctx.layout
        heads, tokens, width = q.shape[1:]
        grad = grads[0].transpose(1, 2)
        made = [torch.zeros(1, tokens, heads, width, dtype=q.dtype) for _ in range(3)]
        for number, block in enumerate(layout.causal):
            here = slice(block.start, block.end)
            parts = (x[:, :, here] for x in (grad, q, k, v, out.transpose(1, 2)))
            found = _backward(*parts, kept[number], 0.0, True, scale=ctx.scale)
            for whole, part in zip(made, found, strict=True):
                whole[:, here] += part.transpose(1, 2)
        rows = [_rows(x) for x in (grad, q, k, v)] if layout.stacks else []
        for number, back in enumerate(kept[len(layout.causal) :]):
            at = layout.places(number, heads, q.dtype)
            inputs = [_picked(x, where, at.batch) for x, where in zip(rows, (at.queries, at.queries, at.keys, at.keys), strict=True)]
            inputs[0].view(-1, width).index_fill_(0, at.padding, 0.0)  # nothing flows back from what was never read
            attended = _picked(out.view(-1, width), at.queries, at.batch) if at.mask.dim() == 4 else None
            found = _attend_back(inputs, attended, back, at.mask, ctx.scale)
            _put(made[0].view(-1, width), at, found[0])
            for whole, part in zip(made[1:], found[1:], strict=True):
                whole.view(-1, width).index_add_(0, at.keys, part.reshape(-1, width))
        return (*(whole.transpose(1, 2) for whole in made), None, None)


def _put(rows: Tensor, at: Places, made: Tensor) -> None:
    """What was made for each query of a stack into its row."""
    flat = made.reshape(-1, rows.shape[1])
    rows.index_copy_(0, at.made, flat.index_select(0, at.real) if len(at.padding) else flat)


@torch.compiler.disable  # type: ignore[untyped-decorator]
def tree_attention(
    module: torch.nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Any, scaling: float | None = None, **rest: Any
) -> tuple[Tensor, None]:
    """transformers' attention function: over the blocks where a plan stands for the mask, torch's own otherwise."""
    if not isinstance(attention_mask, Tensor) or attention_mask.dtype != torch.int64:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **rest)
    if rest.get("dropout") or any(rest.get(name) is not None for name in ("softcap", "s_aux")):
        raise TypeError("attention over a tree has no dropout, no cap on its scores and no sinks: such rows are laid out padded")
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    if query.is_cuda:
        from tunesmith.models.flex import flexed

        return flexed(query, key, value, attention_mask, scale), None
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = repeat_kv(key, groups), repeat_kv(value, groups)
    if torch.is_autocast_enabled("cpu"):  # as torch's own attention there: everything in the type of autocast
        query, key, value = (x.to(torch.get_autocast_dtype("cpu")) for x in (query, key, value))
    with torch.autocast("cpu", enabled=False):
        made: Tensor = _BlockAttention.apply(query, key, value, layout_of(attention_mask), scale)  # type: ignore[no-untyped-call]
    return made, None


AttentionInterface.register(NAME, tree_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
