"""Keys and values of tokens that were computed: with room to grow, and kept for prompts that begin alike.

A layer's past grows in a buffer that is made longer by half when it is full, so a step writes one token a row instead of copying all
of them. Prefixes are kept up to a bound of bytes, the least lately used go first.

Letters: R rows, H heads, T places, S tokens of a prefix, d width of a head.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from tunesmith.tree.plan import shared_length

SPARE = 32
"""Places made free at least when a buffer is made longer."""
WORTH = 16
"""Tokens that a kept prefix must share with a prompt to be taken up."""


class GrowingLayer(DynamicLayer):  # type: ignore[no-untyped-call]  # transformers' own hook on subclasses
    """A layer's past, [R, H, T, d], in buffers with room after it."""

    keys: Tensor
    values: Tensor
    _rooms: tuple[Tensor, Tensor] | None = None

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **settings: Any) -> tuple[Tensor, Tensor]:
        """Put the states of new tokens after the others; returns all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        used, added = self.get_seq_length(), key_states.shape[-2]
        if self._rooms is None or not self._still_mine() or self._rooms[0].shape[-2] < used + added:
            self._rooms = (self._room(self.keys, key_states, used), self._room(self.values, value_states, used))
        for room, new in zip(self._rooms, (key_states, value_states), strict=True):
            room[:, :, used : used + added] = new
        self.keys, self.values = (room[:, :, : used + added] for room in self._rooms)
        return self.keys, self.values

    def _still_mine(self) -> bool:
        """Whether keys and values are those in the buffers: whoever selects rows or moves places puts others there."""
        assert self._rooms is not None
        both = zip((self.keys, self.values), self._rooms, strict=True)
        return all(one.data_ptr() == room.data_ptr() and one.shape[0] == room.shape[0] for one, room in both)

    @staticmethod
    def _room(old: Tensor, new: Tensor, used: int) -> Tensor:
        rows, heads, added, width = new.shape
        made = new.new_empty(rows, heads, used + added + max(SPARE, used // 2), width)
        if used:
            made[:, :, :used] = old
        return made


def growing_cache() -> DynamicCache:
    """An empty past of full layers that grow in place; a window's own layers would forget what a longer row still needs."""
    cache = DynamicCache()
    cache.layer_class_to_replicate = GrowingLayer
    return cache


@dataclass(frozen=True, slots=True)
class Prefix:
    """What a prompt began with, computed."""

    ids: tuple[int, ...]
    layers: tuple[tuple[Tensor, Tensor], ...]
    """Keys and values of each layer, [1, H, S, d]."""

    @property
    def bytes(self) -> int:
        """What it holds in memory."""
        return sum(part.numel() * part.element_size() for layer in self.layers for part in layer)

    def cache(self, tokens: int) -> DynamicCache:
        """Its first tokens as the past of one row."""
        cache = growing_cache()
        for index, (keys, values) in enumerate(self.layers):
            cache.update(keys[:, :, :tokens], values[:, :, :tokens], index)
        return cache


class Prefixes:
    """Prefixes of prompts, kept for the next that begins alike. Used by one thread."""

    def __init__(self, most_bytes: int) -> None:
        """Keep up to so many bytes; 0 keeps none."""
        self.most_bytes = most_bytes
        self.bytes = 0
        self._kept: OrderedDict[tuple[int, ...], Prefix] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def longest(self, ids: Sequence[int]) -> tuple[Prefix, int] | None:
        """The kept prefix that shares most with some ids, and how many tokens it shares; None where too few to be worth it."""
        shared = {key: shared_length(key, ids) for key in self._kept}
        best = max(shared, key=lambda key: shared[key], default=None)
        if best is None or shared[best] < WORTH:
            return None
        self._kept.move_to_end(best)
        return self._kept[best], shared[best]

    def keep(self, ids: Sequence[int], cache: Any) -> None:
        """Keep the past of one row that holds just these ids; what is a beginning of it is dropped for it."""
        key = tuple(ids)
        if key in self._kept or len(key) < WORTH:
            return
        layers = tuple((layer.keys[:1].clone(), layer.values[:1].clone()) for layer in cache.layers)
        prefix = Prefix(key, layers)
        if prefix.bytes > self.most_bytes:
            return
        for other in [one for one in self._kept if key[: len(one)] == one]:
            self._drop(other)
        self._kept[key] = prefix
        self.bytes += prefix.bytes
        while self.bytes > self.most_bytes:
            self._drop(next(iter(self._kept)))

    def clear(self) -> None:
        """Forget all of them."""
        self._kept.clear()
        self.bytes = 0

    def _drop(self, key: tuple[int, ...]) -> None:
        self.bytes -= self._kept.pop(key).bytes


def joined(first: Any, second: Any, shift: int) -> DynamicCache:
    """The pasts of two sets of rows as one, ends together: the second's places begin `shift` later than the first's, or earlier if below 0."""
    made = growing_cache()
    for index, (one, other) in enumerate(zip(first.layers, second.layers, strict=True)):
        keys, values = (_stacked(one, other, name, shift) for name in ("keys", "values"))
        made.update(keys, values, index)
    return made


def _stacked(one: Any, other: Any, name: str, shift: int) -> Tensor:
    pad = torch.nn.functional.pad
    above, below = getattr(one, name), getattr(other, name)
    return torch.cat([pad(above, (0, 0, max(0, -shift), 0)), pad(below, (0, 0, max(0, shift), 0))])
