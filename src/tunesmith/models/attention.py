"""Attention over a flat tree of rows, in blocks: each block of queries sees its ancestors and itself, and nothing else is computed.

A dense mask over T tokens costs T^2 pairs. Cut into blocks of neighbouring tokens, the tree costs little more than the
pairs that exist: in depth-first order, all that a block's tokens may attend to outside it are the ancestors of the
block's first token. Registered with transformers as an attention function of its own, so that every architecture that
goes through transformers' attention interface takes it unchanged; the plan travels where an attention mask would.

On CPU the blocks run through torch's own flash kernel. On CUDA the same rule is a FlexAttention block mask
(models/flex.py).

Letters: T tokens of the flat row, H heads, d width of a head, M blocks side by side, N queries and K keys of a block.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakIdKeyDictionary
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

NAME = "tunesmith_tree"
BLOCK_PAIRS = 500
"""Pairs of tokens that cost as much as one more block: its share of the copies before and after the kernel."""
MOST_PADDED = 1.4
"""Pairs of a stack, padding included, over the pairs of its blocks: at most."""
LONGEST_BLOCK = 512
"""Queries of a block that has a mask of its own; a plain causal stretch is one block however long."""


@dataclass(frozen=True, slots=True)
class Block:
    """Queries [start, end) and what they may see."""

    start: int
    end: int
    ancestors: tuple[tuple[int, int], ...]
    """Runs of flat places, outside the block, that its tokens may attend to."""
    causal: bool
    """No ancestors outside and every token sees all before it: the kernel's own causal mode, no mask needed."""

    @property
    def keys(self) -> int:
        """Tokens that its queries may see, itself included."""
        return self.end - self.start + sum(high - low for low, high in self.ancestors)


@dataclass(frozen=True, slots=True)
class Stack:
    """Blocks of like size side by side, padded to the largest: one call of the kernel for all of them."""

    queries: Tensor
    """Flat places, [M * N]; those of padding are 0 and not `real`."""
    real: Tensor
    """Which of `queries` are no padding, as indices."""
    places: Tensor
    """The flat places of those."""
    keys: Tensor
    """Flat places, [M * K]; those of padding are 0 and masked."""
    seen: Tensor
    """[M, 1, N, K]; a padded query sees the first key, so that its softmax is a number."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """M blocks, N queries, K keys."""
        return self.seen.shape[0], self.seen.shape[2], self.seen.shape[3]


@dataclass(frozen=True, slots=True)
class Layout:
    """How one flat row is attended over: plain causal stretches, and stacks of the blocks that need a mask."""

    causal: tuple[Block, ...]
    stacks: tuple[Stack, ...]
    masks: dict[tuple[int, torch.dtype], Tensor] = field(default_factory=dict)

    def mask(self, number: int, dtype: torch.dtype) -> Tensor:
        """Additive mask of a stack, [M, 1, N, K]."""
        if (number, dtype) not in self.masks:
            seen = self.stacks[number].seen
            self.masks[number, dtype] = torch.zeros(seen.shape, dtype=dtype).masked_fill_(~seen, -torch.inf)
        return self.masks[number, dtype]


def lay(blocks: Sequence[Block], ends: Tensor, depths: Tensor, window: int) -> Layout:
    """Causal stretches by themselves; of the others, neighbours in size together while little of the stack is padding."""
    masked = sorted((block for block in blocks if not block.causal), key=lambda block: (block.keys, block.end - block.start))
    groups: list[list[Block]] = []
    for block in masked:
        together = [*groups[-1], block] if groups else [block]
        padded = len(together) * max(b.end - b.start for b in together) * max(b.keys for b in together)
        if groups and padded <= MOST_PADDED * sum((b.end - b.start) * b.keys for b in together):
            groups[-1].append(block)
        else:
            groups.append([block])
    return Layout(tuple(block for block in blocks if block.causal), tuple(_stack(group, ends, depths, window) for group in groups))


def _stack(group: list[Block], ends: Tensor, depths: Tensor, window: int) -> Stack:
    queries = nn.utils.rnn.pad_sequence([torch.arange(b.start, b.end) for b in group], batch_first=True, padding_value=-1)
    own = [torch.cat([torch.arange(low, high) for low, high in (*b.ancestors, (b.start, b.end))]) for b in group]
    keys = nn.utils.rnn.pad_sequence(own, batch_first=True, padding_value=-1)
    q, k = queries[:, :, None], keys[:, None, :]
    seen = (k >= 0) & (k <= q) & (q < ends[k.clamp(min=0)])
    if window:
        seen &= depths[q.clamp(min=0)] - depths[k.clamp(min=0)] < window
    seen[:, :, 0] |= queries < 0
    flat = queries.reshape(-1)
    real = (flat >= 0).nonzero()[:, 0]
    return Stack(flat.clamp(min=0), real, flat[real], keys.reshape(-1).clamp(min=0), seen[:, None])


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
        found = _LAYOUTS[planned] = lay(cut(ends.tolist(), depths.tolist(), window), ends, depths, window)
    return found


def cut(ends: list[int], depths: list[int], window: int) -> tuple[Block, ...]:
    """Cut a flat row into blocks: two neighbouring runs share one where the pairs wasted cost less than another call."""
    starts = [0, *(place for place in range(1, len(ends)) if depths[place] != depths[place - 1] + 1)]
    bounds = [*starts[1:], len(ends)]
    blocks: list[tuple[int, int]] = []
    for start, end in zip(starts, bounds, strict=True):
        length, above = end - start, depths[start]
        if blocks:
            first, last = blocks[-1]
            size, before = last - first, depths[first]
            apart = size * (before + size) + length * (above + length) + BLOCK_PAIRS
            if (size + length) * (before + size + length) <= apart and size + length <= LONGEST_BLOCK:
                blocks[-1] = (first, end)
                continue
        if depths[start] == 0 and not window:
            blocks.append((start, end))  # a plain causal stretch: the kernel skips what lies above the diagonal by itself
        else:
            blocks.extend((low, min(low + LONGEST_BLOCK, end)) for low in range(start, end, LONGEST_BLOCK))
    return tuple(_block(start, end, ends, depths, window) for start, end in blocks)


def _block(start: int, end: int, ends: list[int], depths: list[int], window: int) -> Block:
    """The block with the runs of its ancestors: going up from its first token, the nearest earlier token of each lesser depth."""
    chain = all(depths[place] == depths[place - 1] + 1 for place in range(start + 1, end))
    runs: list[list[int]] = []
    depth, place = depths[start], start - 1
    lowest = max(0, min(depths[start:end]) - window + 1) if window else 0  # a later branch may leave higher up, and see higher
    while depth > lowest:
        while depths[place] != depth - 1 or ends[place] <= start:
            place -= 1
        if runs and runs[-1][0] == place + 1:
            runs[-1][0] = place
        else:
            runs.append([place, place + 1])
        depth, place = depth - 1, place - 1
    within = not window or end - start <= window
    return Block(start, end, tuple((low, high) for low, high in reversed(runs)), chain and not runs and within and depths[start] == 0)


def _rows(of: Tensor) -> Tensor:
    """[1, H, T, d] as one row a token: [T, H * d]."""
    return of.transpose(1, 2).reshape(of.shape[2], -1)


def _picked(rows: Tensor, places: Tensor, count: int, heads: int) -> Tensor:
    """Rows of some tokens as the kernel takes them: [M, H, N, d]."""
    return rows.index_select(0, places).view(count, len(places) // count, heads, -1).transpose(1, 2)


def _unpicked(made: Tensor) -> Tensor:
    """The reverse: [M, H, N, d] as rows [M * N, H * d]."""
    return made.transpose(1, 2).reshape(made.shape[0] * made.shape[2], -1)


class _BlockAttention(torch.autograd.Function):
    """softmax(q k^T scale + mask) v over a layout. q, k, v: [1, H, T, d]; out: [1, T, H, d]."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, layout: Layout, scale: float) -> Tensor:
        heads, tokens = q.shape[1], q.shape[2]
        out = torch.empty(1, tokens, heads, q.shape[3], dtype=q.dtype)
        sums: list[Tensor] = []
        for block in layout.causal:
            here = slice(block.start, block.end)
            made, lse = _forward(q[:, :, here], k[:, :, here], v[:, :, here], 0.0, True, scale=scale)
            out[:, here] = made.transpose(1, 2)
            sums.append(lse)
        rows = [_rows(x) for x in (q, k, v)] if layout.stacks else []
        for number, stack in enumerate(layout.stacks):
            count, mask = stack.shape[0], layout.mask(number, q.dtype)
            picked = [_picked(x, at, count, heads) for x, at in zip(rows, (stack.queries, stack.keys, stack.keys), strict=True)]
            made, lse = _forward(*picked, 0.0, False, attn_mask=mask, scale=scale)
            out.view(tokens, -1).index_copy_(0, stack.places, _unpicked(made).index_select(0, stack.real))
            sums.append(lse)
        ctx.save_for_backward(q, k, v, out, *sums)
        ctx.layout, ctx.scale = layout, scale
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, out, *sums = ctx.saved_tensors
        layout: Layout = ctx.layout
        heads, tokens = q.shape[1], q.shape[2]
        grad = grads[0].transpose(1, 2)
        made = [torch.zeros(1, tokens, heads, q.shape[3], dtype=q.dtype) for _ in range(3)]
        for number, block in enumerate(layout.causal):
            here = slice(block.start, block.end)
            parts = (x[:, :, here] for x in (grad, q, k, v, out.transpose(1, 2)))
            found = _backward(*parts, sums[number], 0.0, True, scale=ctx.scale)
            for whole, part in zip(made, found, strict=True):
                whole[:, here] += part.transpose(1, 2)
        rows = [_rows(x) for x in (grad, q, k, v)] if layout.stacks else []
        for number, stack in enumerate(layout.stacks):
            count, padded = stack.shape[0], len(stack.queries) != len(stack.real)
            upstream = rows[0].index_select(0, stack.queries)
            if padded:  # nothing flows back from what was never read
                upstream = torch.zeros_like(upstream).index_copy_(0, stack.real, upstream.index_select(0, stack.real))
            found = _backward(
                upstream.view(count, len(stack.queries) // count, heads, -1).transpose(1, 2),
                *(_picked(x, at, count, heads) for x, at in zip(rows[1:], (stack.queries, stack.keys, stack.keys), strict=True)),
                _picked(out.view(tokens, -1), stack.queries, count, heads),
                sums[len(layout.causal) + number],
                0.0,
                False,
                attn_mask=layout.mask(number, q.dtype),
                scale=ctx.scale,
            )
            made[0].view(tokens, -1).index_copy_(0, stack.places, _unpicked(found[0]).index_select(0, stack.real))
            for whole, part in zip(made[1:], found[1:], strict=True):
                whole.view(tokens, -1).index_add_(0, stack.keys, _unpicked(part))
        return (*(whole.transpose(1, 2) for whole in made), None, None)


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
    made: Tensor = _BlockAttention.apply(query, key, value, layout_of(attention_mask), scale)  # type: ignore[no-untyped-call]
    return made, None


AttentionInterface.register(NAME, tree_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
