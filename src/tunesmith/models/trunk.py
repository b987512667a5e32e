"""The frozen trunk, computed once: states that enter the lowest layer that learns, kept in a memory-mapped file.

Where the lowest layers don't change, what they make of a row is the same in every epoch and every search trial. Their
states are computed once over a prefix tree of all rows, so that shared prompts are computed and kept once, and put back
in place of the layers in every step. What is above sees the same numbers; loss and gradient are those of the uncached run.

Costs a file of 2 or 4 bytes x width x distinct tokens, whose size is known before it is written. Dropout inside the
frozen layers would be lost: callers leave the cache off where there is any.

Letters: N distinct tokens of all rows, T tokens of a flat pass, D width.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tunesmith.models.forward import PassTensors, hidden_states, layout_of_rows, rows_of, takes_tree, to_tensors, tokens_added
from tunesmith.models.layers import decoder_layers
from tunesmith.models.virtual import virtual_states
from tunesmith.tree.plan import Ints, Pass, Sequence_, plan

BUDGET = 512
"""Tokens computed at once while the cache is made."""

_TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class _Reached(Exception):
    """The layer whose input was wanted has been called."""

    def __init__(self, states: Tensor) -> None:
        super().__init__()
        self.states = states


@dataclass(frozen=True, slots=True)
class TrunkPlan:
    """What would be computed and kept, before anything is."""

    passes: tuple[Pass, ...]
    rows: tuple[tuple[int, ...], ...]
    """Distinct rows, in the order they were planned."""
    tokens: int
    width: int
    dtype: str
    pooled: bool = False
    """Only one state a row is kept: what a head that learns nothing by pooling will look at."""

    @property
    def kept(self) -> int:
        """States in the file."""
        return len(self.rows) if self.pooled else self.tokens

    @property
    def mib(self) -> float:
        """Size of the file."""
        return self.kept * self.width * _TYPES[self.dtype].itemsize / 2**20


def plan_trunk(model: nn.Module, rows: Sequence[Sequence_], *, width: int, dtype: str = "float32", pooled: bool = False) -> TrunkPlan:
    """The passes over all distinct rows. Real tokens only: padding of models that take no tree is computed and not kept."""
    distinct = tuple(sorted({row.ids for row in rows}))
    bare = [Sequence_(ids, (0.0,) * len(ids)) for ids in distinct]
    passes = tuple(plan(bare, token_budget=BUDGET, layout=layout_of_rows(model)))
    return TrunkPlan(passes, distinct, sum(len(np.unique(one.path_N)) for one in passes), width, dtype, pooled)


class TrunkCache:
    """States of every distinct token of some rows, in a file, by row and place."""

    def __init__(self, planned: TrunkPlan, layer: int, states: Tensor, device: torch.device) -> None:
        self.layer, self.device, self.pooled = layer, device, planned.pooled
        """The first layer that is run; the number of layers where none is."""
        self._states, self._places = states, _places(planned)

    @classmethod
    def make(
        cls,
        model: nn.Module,
        planned: TrunkPlan,
        layer: int,
        file: Path,
        *,
        device: torch.device,
        pool: Callable[[Tensor, Tensor], Tensor] | None = None,
        advanced: Callable[[int], None] = lambda done: None,
    ) -> "TrunkCache":
        """Compute and write; the file is the caller's to name and to remove.

        Args:
            model: in the state whose lowest layers are frozen; it is left as it was.
            planned: of the rows that will be trained on or measured.
            layer: the first layer that learns, counted from 0; the number of layers where only a head does, in which case
                the last hidden states are kept.
            file: where the states go.
            device: where the model is.
            pool: of a pooled plan, the head's own: states [R, L, D] and lengths [R] -> [R, D].
            advanced: told how many rows are done.
        """
        kept = _mapped(planned, file)
        start, done = 0, 0
        training = model.training
        model.eval()
        for one in planned.passes:
            tensors = to_tensors(one, device)
            states = states_into(model, tensors, layer)
            if planned.pooled:
                assert pool is not None, "a pooled plan is made with the head's pooling"
                with torch.no_grad():
                    found = pool(rows_of(states, tensors), tensors.lengths_R)
            else:
                found = states[torch.from_numpy(np.unique(one.path_N)).to(device)]
            kept[start : start + len(found)] = found.to("cpu", kept.dtype)
            start, done = start + len(found), done + len(one.rows_R)
            advanced(done)
        model.train(training)
        return cls(planned, layer, kept, device)

    @classmethod
    def open(cls, planned: TrunkPlan, layer: int, file: Path, *, device: torch.device) -> "TrunkCache":
        """Take up a file that `make` wrote to its end, of the same model, layer and rows."""
        return cls(planned, layer, _mapped(planned, file), device)

    def states(self, rows: Sequence[Sequence_], order_R: Ints, planned: Pass) -> Tensor:
        """The states of a pass: [B, T, D], some row's first where the pass has padding.

        Args:
            rows: sequences the cache was made of.
            order_R: which of them each row of the pass is.
            planned: the pass.
        """
        places = np.zeros(planned.ids_BT.size, dtype=np.int64)
        places[planned.path_N] = np.concatenate([self._places[rows[index].ids] for index in order_R])
        made: Tensor = self._states[torch.from_numpy(places)].to(self.device)
        return made.view(*planned.ids_BT.shape, -1)

    def row_states(self, rows: Sequence[Sequence_], order_R: Ints) -> Tensor:
        """Of a pooled plan, the state of each row: [R, D]."""
        places = np.concatenate([self._places[rows[index].ids] for index in order_R])
        return self._states[torch.from_numpy(places)].to(self.device)


def allocate(file: Path, planned: TrunkPlan) -> None:
    """Take the room on disk beforehand: a full disk is an OSError here, and would be a crash in the middle of a mapped write."""
    with file.open("wb") as opened:
        size = planned.kept * planned.width * _TYPES[planned.dtype].itemsize
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(opened.fileno(), 0, size)
        else:
            opened.truncate(size)


def _mapped(planned: TrunkPlan, file: Path) -> Tensor:
    mapped: Tensor = torch.from_file(str(file), shared=True, size=planned.kept * planned.width, dtype=_TYPES[planned.dtype])
    return mapped.view(planned.kept, planned.width)


def _places(planned: TrunkPlan) -> dict[tuple[int, ...], Ints]:
    """Where in the file each distinct row's tokens are, or its one state."""
    if planned.pooled:
        order = [row for one in planned.passes for row in one.rows_R]
        return {planned.rows[row]: np.array([place]) for place, row in enumerate(order)}
    places: dict[tuple[int, ...], Ints] = {}
    start = 0
    for one in planned.passes:
        flat = np.unique(one.path_N)
        for row, path in zip(one.rows_R, np.split(one.path_N, np.cumsum(one.lengths_R)[:-1]), strict=True):
            places[planned.rows[row]] = start + np.searchsorted(flat, path)
        start += len(flat)
    return places


def caches_trunk(model: nn.Module) -> bool:
    """Whether a layer's states can be put back in this architecture: those whose layers hand on states alone."""
    return takes_tree(model) and virtual_states(model) is None


@torch.no_grad()
def states_into(model: nn.Module, tensors: PassTensors, layer: int) -> Tensor:
    """States that enter a layer, flat: [B * T, D]; the last hidden states for a layer above the last."""
    layers: Any = decoder_layers(model)
    if layer >= len(layers):
        return hidden_states(model, tensors)

    def stop(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        raise _Reached(args[0] if args else kwargs["hidden_states"])

    handle = layers[layer].register_forward_pre_hook(stop, with_kwargs=True)
    try:
        hidden_states(model, tensors)
    except _Reached as reached:
        tokens = tensors.ids_BT.shape[1]
        return reached.states[:, :tokens].reshape(-1, reached.states.shape[-1])
    finally:
        handle.remove()
    raise AssertionError("a decoder that does not call its layers")


@contextlib.contextmanager
def grafted(model: nn.Module, layer: int, states_BTD: Tensor) -> Iterator[None]:
    """Within, the layers below `layer` hand on these states instead of computing them."""
    layers: Any = decoder_layers(model)[:layer]
    for below in layers:
        below.forward = lambda hidden, *args, **kwargs: states_BTD
    try:
        yield
    finally:
        for below in layers:
            del below.forward


def states_from(model: nn.Module, tensors: PassTensors, layer: int, states_BTD: Tensor, *, read: Tensor | None = None) -> Tensor:
    """As `hidden_states`, taking up from cached states that enter `layer`."""
    if layer >= len(decoder_layers(model)):
        flat = states_BTD.reshape(-1, states_BTD.shape[-1])
        return flat if read is None else flat[read]
    with grafted(model, layer, F.pad(states_BTD, (0, 0, 0, tokens_added(model, tensors)))):
        return hidden_states(model, tensors, read=read)
