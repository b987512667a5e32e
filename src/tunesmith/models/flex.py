"""Attention over a flat tree of rows on CUDA: the tree's rule as a FlexAttention block mask, so that empty blocks are skipped.

The kernel is compiled once a process (about half a minute). The plan is the one models/attention.py describes.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import create_block_mask, flex_attention
from torch.utils.weak import WeakIdKeyDictionary

_MASKS: Any = WeakIdKeyDictionary()


def block_mask(planned: Tensor) -> Any:
    """The block mask of a plan tensor [1, 1, 3, T]; made once for all layers, kept as long as the tensor lives."""
    found: Any = _MASKS.get(planned)
    if found is None:
        ends_T, depths_T, window_T = planned[0, 0]
        window = int(window_T[0])

        def ancestor(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
            seen: Tensor = (key <= query) & (query < ends_T[key])
            return seen

        def near(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
            seen: Tensor = ancestor(batch, head, query, key) & (depths_T[query] - depths_T[key] < window)
            return seen

        tokens = len(ends_T)
        found = create_block_mask(near if window else ancestor, None, None, tokens, tokens, device=planned.device)
        _MASKS[planned] = found
    return found


@cache
def _kernel(compiled: bool) -> Any:
    return torch.compile(flex_attention, dynamic=True) if compiled else flex_attention


def flexed(query: Tensor, key: Tensor, value: Tensor, planned: Tensor, scale: float) -> Tensor:
    """softmax(q k^T scale + mask) v; q: [1, H, T, d], k and v with as many heads or fewer; out: [1, T, H, d].

    Compiled on CUDA. On CPU the forward alone, and slow: for showing that the mask is right.
    """
    attend = _kernel(query.is_cuda)
    made: Tensor = attend(query, key, value, block_mask=block_mask(planned), scale=scale, enable_gqa=query.shape[1] != key.shape[1])
    return made.transpose(1, 2).contiguous()
