"""Keys and values of tokens that were computed: with room to grow, and kept for prompts that begin alike.

A layer's past is a window into a buffer. A step writes one token a row at its end, rows that have ended are written over by others, and
places that nobody looks at any longer are left behind at its beginning; only when the buffer is full are those in the window copied, into
one longer by half. Prefixes are kept up to a bound of bytes, the least lately used go first.

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
    _shown: tuple[Tensor, Tensor] | None = None
    """Keys and values as they were last shown: whoever selects rows or moves places puts others there."""
    _begin: int = 0
    """Where in the buffers the window begins."""

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **settings: Any) -> tuple[Tensor, Tensor]:
        """Put the states of new tokens after the others; returns all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.keys, self.values = key_states[:, :, :0], value_states[:, :, :0]
        used, added = self.get_seq_length(), key_states.shape[-2]
        rooms = self._with_room(added=added)
        end = self._begin + used
        for room, new in zip(rooms, (key_states, value_states), strict=True):
            room[: len(new), :, end : end + added] = new
        self._show(len(key_states), used + added)
        return self.keys, self.values

    def put(self, rows_N: Tensor, other: "GrowingLayer") -> None:
        """Let the first of other rows, no longer than these, go on in place of some: their ends together with all ends."""
        used, theirs = self.get_seq_length(), other.get_seq_length()
        rooms = self._with_room()
        end = self._begin + used
        for room, new in zip(rooms, (other.keys, other.values), strict=True):
            room[rows_N, :, : end - theirs] = 0  # who was there may have left what is no number, and zero times that is none
            room[rows_N, :, end - theirs : end] = new[: len(rows_N)]
        self._show(len(self.keys), used)

    def add(self, other: "GrowingLayer") -> None:
        """Let other rows, no longer than these, go on after them, ends together."""
        rows, more = len(self.keys), len(other.keys)
        self._with_room(rows=more)
        self._show(rows + more, self.get_seq_length())
        self.put(torch.arange(rows, rows + more, device=self.keys.device), other)

    def pad(self, places: int) -> None:
        """More places before those of every row; what they hold means nothing."""
        self._with_room(before=places)
        self._begin -= places
        self._show(len(self.keys), self.get_seq_length() + places)

    def leave(self, places: int) -> None:
        """Forget the first places of every row."""
        self._with_room()
        self._begin += places
        self._show(len(self.keys), self.get_seq_length() - places)

    def _show(self, rows: int, places: int) -> None:
        assert self._rooms is not None
        keys, values = (room[:rows, :, self._begin : self._begin + places] for room in self._rooms)
        self.keys, self.values = self._shown = keys, values

    def _with_room(self, *, rows: int = 0, added: int = 0, before: int = 0) -> tuple[Tensor, Tensor]:
        """Buffers that hold keys and values, with room for more rows, for more places behind them and before them."""
        used, all_rows = self.get_seq_length(), len(self.keys) + rows
        mine = self._rooms is not None and self._shown is not None and self.keys is self._shown[0] and self.values is self._shown[1]
        if not mine or self._rooms is None or before > self._begin:
            fits = False
        else:
            fits = all_rows <= len(self._rooms[0]) and self._begin + used + added <= self._rooms[0].shape[-2]
        if not fits or self._rooms is None:
            room_rows = max(all_rows, 2 * len(self.keys)) if rows else all_rows
            places = before + used + added + max(SPARE, used // 2)
            self._rooms = _room(self.keys, room_rows, places, before), _room(self.values, room_rows, places, before)
            self._begin = before
        return self._rooms


def _room(old_RHTd: Tensor, rows: int, places: int, before: int) -> Tensor:
    """A buffer with some states in it, the first of them after so many places."""
    held, heads, used, width = old_RHTd.shape
    made = old_RHTd.new_empty(rows, heads, places, width)
    made[:held, :, :before] = 0
    made[:held, :, before : before + used] = old_RHTd
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


Key = tuple[int, tuple[int, ...]]
"""An adapter's number, 0 where there are none, and ids."""


class Prefixes:
    """Prefixes of prompts, kept for the next that begins alike. Used by one thread."""

    def __init__(self, most_bytes: int) -> None:
        """Keep up to so many bytes; 0 keeps none."""
        self.most_bytes = most_bytes
        self.bytes = 0
        self._kept: OrderedDict[Key, Prefix] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def longest(self, ids: Sequence[int], adapter: int = 0) -> tuple[Prefix, int] | None:
        """The kept prefix that shares most with some ids, and how many tokens it shares; None where too few to be worth it.

        What one of several adapters over a base computed is no other's.
        """
        shared = {key: shared_length(key[1], ids) for key in self._kept if key[0] == adapter}
        best = max(shared, key=lambda key: shared[key], default=None)
        if best is None or shared[best] < WORTH:
            return None
        self._kept.move_to_end(best)
        return self._kept[best], shared[best]

    def keep(self, ids: Sequence[int], cache: Any, adapter: int = 0) -> None:
        """Keep the past of one row that holds just these ids; what is a beginning of it is dropped for it."""
        key = (adapter, tuple(ids))
        if key in self._kept or len(ids) < WORTH:
            return
        layers = tuple((layer.keys[:1].clone(), layer.values[:1].clone()) for layer in cache.layers)
        prefix = Prefix(key[1], layers)
        if prefix.bytes > self.most_bytes:
            return
        for other in [one for one in self._kept if one[0] == adapter and key[1][: len(one[1])] == one[1]]:
            self._drop(other)
        self._kept[key] = prefix
        self.bytes += prefix.bytes
        while self.bytes > self.most_bytes:
            self._drop(next(iter(self._kept)))

    def clear(self) -> None:
        """Forget all of them."""
        self._kept.clear()
        self.bytes = 0

    def _drop(self, key: Key) -> None:
        self.bytes -= self._kept.pop(key).bytes
