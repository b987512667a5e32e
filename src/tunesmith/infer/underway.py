"""Rows under way through a model: what all of them begin with is computed once, and each step adds a token to each.

The rows of a batch end at the same place, padded on the left. The tokens that all of them share are run once, as one
row; their keys and values are then laid out for every row, moved by its padding, and each row is fed its last tokens, as
many as the longest row has of its own. So a row's places are neighbours always: windows and positions that count from
key to key hold as they do for a row alone. A shorter row is fed again some tokens that are shared, in the place of
padding.

Rows under way may be joined by others: the ends come together, and who is shorter gets more padding. Others may also go on
in place of rows that have ended, which copies nothing of those that stay. What earlier prompts began with can be taken up
from `Prefixes` instead of being computed.

A model whose layers keep a state instead of keys is run row by row, whole, at each step: right, and slow.

Letters: R rows, T places, W tokens fed to each row, S shared tokens, V vocabulary, H heads, d width of a head.
"""

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.infer.past import Prefixes, growing_cache
from tunesmith.models.forward import inner, project
from tunesmith.models.products import widen
from tunesmith.models.shared import choose
from tunesmith.models.virtual import prefix_cache, virtual_states, virtual_tokens
from tunesmith.tree.plan import shared_length


class Underway:
    """Prompts and what is put after them; `logits_RV` are those of each row's next token."""

    logits_RV: Tensor

    def __init__(
        self,
        model: nn.Module,
        prompts: Sequence[Sequence[int]],
        device: torch.device,
        prefixes: Prefixes | None = None,
        adapter: int = 0,
    ) -> None:
        """Run the prompts. None may be empty; under prefix tuning all must be of one length, and `prefixes` are not looked at.

        Of a base that several adapters share, all of them are of the one whose number is `adapter`; rows of others may join.
        """
        self.model, self.device = model, device
        self._adapters = [adapter] * len(prompts)
        language_model: Any = inner(model)
        widen(language_model)
        self._decoder: Any = language_model.get_decoder()
        self._positions = "position_ids" in inspect.signature(self._decoder.forward).parameters
        self._virtual = virtual_states(model)
        lead = () if self._virtual is None else range(-len(self._virtual), 0)  # virtual tokens count below 0
        rows = [(*lead, *prompt) for prompt in prompts]
        self._whole = rows if language_model._is_stateful else None
        self._cache: Any = growing_cache()
        self._prefixes = prefixes
        if self._whole is None:
            self._start(rows)
        else:
            self.logits_RV = self._alone()

    def _start(self, rows: list[tuple[int, ...]]) -> None:
        past = prefix_cache(self.model, 1)
        ahead = 0 if past is None else virtual_tokens(self.model)
        self._cache = past or self._cache
        longest, shortest = max(map(len, rows)), min(map(len, rows))
        shared = min(shared_length(min(rows), max(rows)), shortest - 1)
        if shared:
            self._run_shared(rows[0][:shared], ahead)
        padding_R = torch.tensor([longest - len(row) for row in rows], device=self.device)
        self._lay_out(padding_R)
        ids_RT = torch.zeros(len(rows), longest, dtype=torch.long)
        for line, row in enumerate(rows):
            ids_RT[line, longest - len(row) :] = torch.tensor(row)
        places = torch.arange(ahead + longest, device=self.device)
        self._real_RT = (places >= padding_R[:, None]).long()
        positions_RW = (places[ahead + shared :] - padding_R[:, None]).clamp(min=0)
        self._next_R = ahead + longest - padding_R
        self.logits_RV = self._run(ids_RT[:, shared:].to(self.device), positions_RW, self._real_RT)

    def _run_shared(self, ids: tuple[int, ...], ahead: int) -> None:
        """What all rows begin with, as one row, from where a kept prefix ends."""
        kept = None if self._prefixes is None or ahead else self._prefixes.longest(ids, self._adapters[0])
        known = 0 if kept is None else kept[1]
        if kept is not None:
            self._cache = kept[0].cache(known)
        if known < len(ids):
            places = torch.arange(ahead + len(ids), device=self.device)
            self._run(torch.tensor([ids[known:]], device=self.device), places[None, ahead + known :], torch.ones_like(places)[None])
        if self._prefixes is not None and not ahead:
            self._prefixes.keep(ids, self._cache, self._adapters[0])

    def _lay_out(self, padding_R: Tensor) -> None:
        """The one row in the cache as the past of every row, behind its padding."""
        for layer in self._cache.layers:
            if layer.get_seq_length() > 0:
                places_RS = (torch.arange(layer.keys.shape[2], device=self.device) - padding_R[:, None]).clamp(min=0)
                layer.keys = layer.keys[0][:, places_RS].transpose(0, 1).contiguous()  # [H, R, S, d] -> [R, H, S, d]
                layer.values = layer.values[0][:, places_RS].transpose(0, 1).contiguous()

    def _run(self, ids_RW: Tensor, positions_RW: Tensor, real_RT: Tensor) -> Tensor:
        """Logits after the last token fed to each row."""
        choose(self.model, self._adapters)
        inputs: dict[str, Any] = {"attention_mask": real_RT, "past_key_values": self._cache, "use_cache": True}
        if self._positions:
            inputs["position_ids"] = positions_RW
        return project(self.model, self._decoder(**self._embedded(ids_RW), **inputs).last_hidden_state[:, -1])

    def _embedded(self, ids_RW: Tensor) -> dict[str, Tensor]:
        if self._virtual is None:
            return {"input_ids": ids_RW}
        embedded = inner(self.model).get_input_embeddings()(ids_RW.clamp(min=0))
        learnt = self._virtual[(ids_RW + len(self._virtual)).clamp(max=len(self._virtual) - 1)]
        return {"inputs_embeds": torch.where(ids_RW[..., None] < 0, learnt, embedded)}

    def _alone(self) -> Tensor:
        """Every row whole, one by one: [R, V]."""
        assert self._whole is not None
        choose(self.model, self._adapters[:1])
        fed = (self._embedded(torch.tensor([row], device=self.device)) for row in self._whole)
        return torch.cat([project(self.model, self._decoder(**one, use_cache=False).last_hidden_state[:, -1]) for one in fed])

    def step(self, tokens_R: Sequence[int]) -> None:
        """Put a token after each row."""
        if self._whole is not None:
            self._whole = [(*row, token) for row, token in zip(self._whole, tokens_R, strict=True)]
            self.logits_RV = self._alone()
            return
        self._real_RT = torch.cat([self._real_RT, self._real_RT.new_ones(len(self._real_RT), 1)], dim=1)
        fed_R1 = torch.tensor(tokens_R, device=self.device)[:, None]
        self.logits_RV = self._run(fed_R1, self._next_R[:, None], self._real_RT)
        self._next_R = self._next_R + 1

    def join(self, other: "Underway") -> None:
        """Let other rows of the same model go on with these, after them."""
        self.logits_RV = torch.cat([self.logits_RV, other.logits_RV])
        self._adapters = [*self._adapters, *other._adapters]
        if self._whole is not None:
            assert other._whole is not None
            self._whole = [*self._whole, *other._whole]
            return
        shift = self._room_for(other)
        self._real_RT = torch.cat([self._real_RT, torch.nn.functional.pad(other._real_RT, (shift, 0))])
        self._next_R = torch.cat([self._next_R, other._next_R])
        for layer, new in self._layers(other):
            layer.add(new)

    def replace(self, rows: Sequence[int], other: "Underway") -> None:
        """Let the first of other rows of the same model go on in place of these, as many as are named."""
        count = len(rows)
        chosen = torch.tensor(list(rows), device=self.device)
        self.logits_RV = self.logits_RV.index_copy(0, chosen, other.logits_RV[:count])
        for row, adapter in zip(rows, other._adapters, strict=False):
            self._adapters[row] = adapter
        if self._whole is not None:
            assert other._whole is not None
            for row, ids in zip(rows, other._whole, strict=False):
                self._whole[row] = ids
            return
        shift = self._room_for(other)
        self._real_RT = self._real_RT.index_copy(0, chosen, torch.nn.functional.pad(other._real_RT[:count], (shift, 0)))
        self._next_R = self._next_R.index_copy(0, chosen, other._next_R[:count])
        for layer, new in self._layers(other):
            layer.put(chosen, new)
        if idle := self._idle():
            self._real_RT = self._real_RT[:, idle:]
            for layer, _ in self._layers(other):
                layer.leave(idle)

    def _layers(self, other: "Underway") -> list[tuple[Any, Any]]:
        """Both sides' layers that hold a past."""
        return [(ours, new) for ours, new in zip(self._cache.layers, other._cache.layers, strict=True) if new.get_seq_length() > 0]

    def _room_for(self, other: "Underway") -> int:
        """Make these as long as others where they are shorter; returns how much longer they are."""
        shift = self._real_RT.shape[1] - other._real_RT.shape[1]
        if shift < 0:
            self._real_RT = torch.nn.functional.pad(self._real_RT, (-shift, 0))
            for layer, _ in self._layers(other):
                layer.pad(-shift)
        return max(0, shift)

    def _idle(self) -> int:
        """Places that are padding in every row."""
        return int(self._real_RT.argmax(dim=1).min()) if len(self._real_RT) else 0

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows, in this order; a row named twice goes on as two."""
        chosen = torch.tensor(list(rows), device=self.device)
        self.logits_RV = self.logits_RV[chosen]
        self._adapters = [self._adapters[row] for row in rows]
        if self._whole is not None:
            self._whole = [self._whole[row] for row in rows]
            return
        self._real_RT, self._next_R = self._real_RT[chosen], self._next_R[chosen]
        idle = self._idle()
        self._real_RT = self._real_RT[:, idle:]
        for layer in self._cache.layers:
            if layer.get_seq_length() > 0:
                layer.keys, layer.values = (part[chosen, :, idle:] for part in (layer.keys, layer.values))

    @property
    def places(self) -> int:
        """Places that each row takes, padding included; under a state instead of keys, tokens of the longest."""
        return max(map(len, self._whole)) if self._whole is not None else self._real_RT.shape[1]
