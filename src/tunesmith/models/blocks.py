"""How a flat tree of rows is cut for attention: each block of queries sees its ancestors and itself, and nothing else is computed.

A dense mask over T tokens costs T^2 pairs. Cut into blocks of neighbouring tokens, the tree costs little more than the
pairs that exist: in depth-first order, all that a block's tokens may attend to outside it are the ancestors of the
block's first token. Cutting itself costs a millisecond or two, more than a small pass has to win: that stays one block.

Letters: T tokens of the flat row, H heads, M blocks side by side, N queries and K keys of a block.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

BLOCK_PAIRS = 500
"""Pairs of tokens that cost as much as one more block: its share of the copies before and after the kernel."""
MOST_PADDED = 1.4
"""Pairs of a stack, padding included, over the pairs of its blocks: at most."""
LONGEST_BLOCK = 512
"""Queries of a block that has a mask of its own; a plain causal stretch is one block however long."""
MOST_KEPT = 2**16
"""Pairs of a stack that is computed by batched products and keeps its softmax; beyond, the flash kernel is faster, and keeps none."""
SMALL = 160
"""Tokens of a pass that is not cut: all its pairs cost less than finding out which exist."""


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
    """Blocks of like size side by side, padded to the largest: one batch of products for all of them."""

    queries: Tensor
    """Flat places, [M, N]; those of padding are 0."""
    keys: Tensor
    """Flat places, [M, K]; those of padding are 0 and masked."""
    real: Tensor
    """Which queries are no padding, [M, N]."""
    seen: Tensor
    """[M, N, K]; a padded query sees the first key, so that its softmax is a number."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where a stack's tokens are among the rows [T * H, d] of a pass whose heads are rows of their own: block by block, head by head."""

    queries: Tensor
    """[M * H * N]"""
    keys: Tensor
    """[M * H * K]"""
    real: Tensor
    """Which of `queries` are no padding, as indices."""
    padding: Tensor
    """The others."""
    made: Tensor
    """The rows of those that are no padding."""
    mask: Tensor
    """Additive; of a stack whose softmax is kept [M * H, N, K], else [M, 1, N, K]."""
    batch: tuple[int, ...]
    """[M * H] or [M, H]: how blocks and heads stand before queries and keys."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How one flat row is attended over: plain causal stretches, and stacks of the blocks that need a mask."""

    causal: tuple[Block, ...]
    stacks: tuple[Stack, ...]
    _places: dict[tuple[int, int, torch.dtype], Places] = field(default_factory=dict)

    def places(self, number: int, heads: int, dtype: torch.dtype) -> Places:
        """Those of a stack; made once for all layers."""
        if (number, heads, dtype) not in self._places:
            self._places[number, heads, dtype] = _spread(self.stacks[number], heads, dtype)
        return self._places[number, heads, dtype]


def _spread(stack: Stack, heads: int, dtype: torch.dtype) -> Places:
    (count, size), keys = stack.queries.shape, stack.keys.shape[1]
    head = torch.arange(heads)[:, None]
    queries = (stack.queries[:, None] * heads + head).view(-1)
    real = stack.real[:, None].expand(count, heads, size).reshape(-1)
    mask = torch.zeros(count, 1, size, keys, dtype=dtype).masked_fill_(~stack.seen[:, None], -torch.inf)
    batch: tuple[int, ...] = (count, heads)
    if stack.seen.numel() <= MOST_KEPT:
        batch, mask = (count * heads,), mask.expand(count, heads, size, keys).reshape(count * heads, size, keys)
    keys_MHK = (stack.keys[:, None] * heads + head).view(-1)
    return Places(queries, keys_MHK, real.nonzero()[:, 0], (~real).nonzero()[:, 0], queries[real], mask, batch)


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
    return Stack(queries.clamp(min=0), keys.clamp(min=0), queries >= 0, seen)


def lay_whole(ends: Tensor, depths: Tensor, window: int) -> Layout:
    """A small pass: one block of everything, causal where it is one row."""
    tokens = len(ends)
    if (not window or tokens <= window) and bool((depths == torch.arange(tokens)).all()):
        return Layout((Block(0, tokens, (), True),), ())
    return Layout((), (_stack([Block(0, tokens, (), False)], ends, depths, window),))


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
