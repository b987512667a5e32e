"""Answers to prompts that come at any time: one thread runs the model, and rows join and leave between tokens.

A prompt waits for room, is run with those that came beside it, and joins the rows under way; an answer that has ended makes room at
once. What prompts begin with is kept and taken up again (`Prefixes`). An answer is that of its prompt alone, up to rounding in the last
bits of a logit, whatever else is asked beside it; rows of several adapters over one base (`models.shared`) go through it together.

Memory: keys and values of `most_tokens` tokens, and of the kept prefixes. A wait is bounded: where `most_waiting` prompts wait already,
the next is refused, and its asker decides when to come again.

Letters: R rows, V vocabulary.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from tunesmith.infer.generate import Generated, Line, Wanted, allowed, ends_of, families, finished
from tunesmith.infer.past import Prefixes
from tunesmith.infer.sampling import choose
from tunesmith.infer.stops import Stops
from tunesmith.infer.underway import Underway
from tunesmith.models.shared import choose as choose_adapters
from tunesmith.models.virtual import has_prefix, virtual_tokens
from tunesmith.tree.plan import shared_length

T = TypeVar("T")
PREFIX_BYTES = 2**28
"""256 MiB of kept prefixes."""
PREFILL = 2048
"""Prompt tokens that are read between two steps, so that answers under way go on while many come; one prompt is read always."""
GHOSTS = 0.25
"""Share of rows that may have ended before they are dropped: dropping copies the past of those that stay."""


class Full(Exception):
    """As many prompts wait as may."""


class Closed(Exception):
    """The engine takes no more prompts."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token of an answer, as it was made."""

    id: int
    logp: float | None = None
    """Natural log-probability under the model itself, where it was asked for."""
    likeliest: tuple[tuple[int, float], ...] = ()
    """The likeliest ids with theirs."""


Told = Callable[[Token], None]


@dataclass(eq=False)
class Asked:
    """A prompt on its way to an answer."""

    prompt: tuple[int, ...]
    wanted: Wanted
    told: Told
    """Called in the engine's thread with each token; must not wait."""
    top: int = 0
    """Likeliest tokens told beside each."""
    sample: int = 0
    """Which of several answers to the prompt: each draws from a stream of its own."""
    adapter: int = 0
    """Which of the adapters over a shared base answers."""
    answer: "Future[Generated]" = field(default_factory=Future)
    _left: bool = False
    _line: Line | None = None
    _stops: Stops | None = None
    _ends: frozenset[int] = frozenset()

    def leave(self) -> None:
        """Nobody waits for the answer any longer: it is dropped before the next token."""
        self._left = True

    @property
    def over(self) -> bool:
        """Whether nothing more is to be done for it."""
        return self._left or (self._line is not None and self._line.ended is not None)


class Continuous:
    """A model that answers prompts as they come. Threads may share it."""

    def __init__(
        self,
        model: nn.Module,
        device: torch.device,
        *,
        most_rows: int = 64,
        most_tokens: int = 65_536,
        most_waiting: int = 256,
        bf16: bool = False,
    ) -> None:
        """Begin.

        Args:
            model: a causal language model, with a head or without, or one that several adapters share.
            device: where it is.
            most_rows: answers made at the same time.
            most_tokens: rows times places at most, answers included; a prompt that needs more alone is still answered, alone.
            most_waiting: prompts that may wait.
            bf16: run it under autocast to bfloat16.
        """
        self.bf16 = bf16
        self.model, self.device = model.eval(), device
        self.most_rows, self.most_tokens, self.most_waiting = most_rows, most_tokens, most_waiting
        self._users = 1
        self._waiting: deque[Asked] = deque()
        self._errands: deque[tuple[Callable[[], Any], Future[Any], int]] = deque()
        self._rows: list[Asked] = []
        self._underway: Underway | None = None
        self._prefixes = Prefixes(PREFIX_BYTES)
        self.give_way: Callable[[], None] | None = None
        """Called in the engine's thread before each step: it may wait, so that others use the machine first."""
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name="answers", daemon=True)
        self._thread.start()

    def shared(self) -> "Continuous":
        """Itself, for one more model over the same base: it ends when all that share it have closed it."""
        with self._changed:
            if self._closing:
                raise Closed
            self._users += 1
        return self

    def counts(self, adapter: int) -> tuple[int, int]:
        """Prompts of one adapter that have no row yet, and its answers in the making."""
        waiting, rows = tuple(self._waiting), tuple(self._rows)
        return sum(one.adapter == adapter for one in waiting), sum(one.adapter == adapter and not one.over for one in rows)

    @property
    def waiting(self) -> int:
        """Prompts that have no row yet."""
        return len(self._waiting)

    @property
    def answering(self) -> int:
        """Answers in the making."""
        return sum(not row.over for row in self._rows)

    def ask(self, asked: Asked) -> None:
        """Put a prompt in the queue.

        Raises:
            Full: `most_waiting` prompts wait.
            Closed: `close` was called.
            ValueError: a prompt without tokens.
        """
        if not asked.prompt:
            raise ValueError("a prompt without tokens can't be continued")
        with self._changed:
            if self._closing:
                raise Closed
            if len(self._waiting) >= self.most_waiting:
                raise Full
            self._waiting.append(asked)
            self._changed.notify()

    def run(self, errand: Callable[[], T], adapter: int = 0) -> "Future[T]":
        """Run something else on the model's thread, between two tokens, under one adapter: label scoring, embeddings."""
        future: Future[T] = Future()
        with self._changed:
            if self._closing:
                raise Closed
            if len(self._errands) >= self.most_waiting:
                raise Full
            self._errands.append((errand, future, adapter))
            self._changed.notify()
        return future

    def close(self, *, drain: bool = True) -> None:
        """Take no more; finish what was taken, or with `drain` False fail it. Of several models that share it, the last one ends it."""
        with self._changed:
            self._users -= 1
            if self._users > 0:
                return
            self._closing = True
            if not drain:
                for one in (*self._waiting, *self._rows):
                    one.leave()
            self._changed.notify()
        self._thread.join()

    def _serve(self) -> None:
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            while self._wait():
                if self.give_way is not None:
                    self.give_way()
                self._do_errands()
                try:
                    self._admit()
                    self._advance()
                except Exception as error:  # out of memory, a bug: those under way are told, the next are answered
                    self._fail(error)

    def _wait(self) -> bool:
        with self._changed:
            while not (self._waiting or self._errands or self._rows or self._closing):
                self._changed.wait()
            return bool(self._waiting or self._errands or self._rows)

    def _do_errands(self) -> None:
        while self._errands:
            errand, future, adapter = self._errands.popleft()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                choose_adapters(self.model, (adapter,))
                future.set_result(errand())
            except Exception as error:
                future.set_exception(error)

    def _admit(self) -> None:
        """Give rows to prompts that wait, as far as there is room for them."""
        taken = self._take()
        if not taken:
            return
        try:
            self._let_go()
            for adapter in sorted({one.adapter for one in taken}):  # what prompts share is shared within an adapter alone
                own = [one for one in taken if one.adapter == adapter]
                for family in families([one.prompt for one in own]):
                    self._begin([own[index] for index in family])
        except Exception as error:  # those not yet begun stand in no list any longer: they are told here
            for one in taken:
                if not one.answer.done():
                    one.answer.set_exception(error)
            raise

    def _take(self) -> list[Asked]:
        taken: list[Asked] = []
        lengths = [self._need(row) for row in self._rows if not row.over]
        prefill = 0
        while self._waiting:
            first = self._waiting[0]
            if first._left:
                self._waiting.popleft()
                first.answer.cancel()
                continue
            need = self._need(first)
            most = max([need, *lengths])
            room = len(lengths) < self.most_rows and most * (len(lengths) + 1) <= self.most_tokens
            last = taken[-1] if taken and taken[-1].adapter == first.adapter else None  # adapters share nothing
            new = len(first.prompt) - (shared_length(last.prompt, first.prompt) if last else 0)  # read once for all who share it
            if lengths and (not room or (taken and prefill + new > PREFILL)):
                break
            if has_prefix(self.model) and (lengths or taken):
                break  # a learnt past can't be moved behind padding: one prompt at a time
            taken.append(self._waiting.popleft())
            lengths.append(need)
            prefill += new
        return taken

    def _need(self, asked: Asked) -> int:
        return len(asked.prompt) + asked.wanted.max_new_tokens + virtual_tokens(self.model)

    def _begin(self, some: list[Asked]) -> None:
        """Run prompts that begin alike, and let them go on in place of those that have ended, or beside the others."""
        for one in some:
            rule = one.wanted.rule
            one._line = Line(0, one.sample, one.wanted.sampling.stream(one.prompt, one.sample), rule.begin() if rule else None)
            one._stops = Stops(one.wanted.tokenizer, one.wanted.stops) if one.wanted.stops else None
            one._ends = ends_of(one.wanted)
        places = [index for index, row in enumerate(self._rows) if row.over][: len(some)]
        for place, one in zip(places, some, strict=False):
            self._rows[place] = one
        self._rows += some[len(places) :]  # before anything can fail: whoever is here is told
        made = Underway(self.model, [one.prompt for one in some], self.device, self._prefixes, some[0].adapter)
        if self._underway is None:
            self._underway = made
            return
        if places:
            self._underway.replace(places, made)
        if len(places) < len(some):
            if places:
                made.keep(range(len(places), len(some)))
            self._underway.join(made)

    def _advance(self) -> None:
        """One token for every row."""
        if self._underway is None:
            return
        tokens = self._choose(self._underway.logits_RV)
        self._hand_out()
        live = [index for index, row in enumerate(self._rows) if not row.over]
        if not live:
            self._rows, self._underway = [], None
            return
        if len(live) < (1 - GHOSTS) * len(self._rows):
            tokens = [tokens[index] for index in live]
            self._drop_ended()
        self._underway.step(tokens)

    def _choose(self, logits_RV: Tensor) -> list[int]:
        """The next token of each row, told to whoever waits for it."""
        lines = [row._line for row in self._rows if row._line is not None]
        open_RV = allowed(logits_RV, lines)
        kinds: dict[Any, list[int]] = {}
        for index, row in enumerate(self._rows):
            kinds.setdefault(row.wanted.sampling, []).append(index)
        tokens = [0] * len(self._rows)
        for sampling, indices in kinds.items():
            chosen = choose(open_RV[indices], sampling, [lines[index].stream for index in indices]).tolist()
            for index, token in zip(indices, chosen, strict=True):
                tokens[index] = token
        told = self._told(logits_RV, tokens)
        for index, row in enumerate(self._rows):
            line = lines[index]
            if not row.over:
                line.take(tokens[index], row.wanted, row._stops, row._ends)
                line.logps += [] if told[index].logp is None else [told[index].logp or 0.0]
                row.told(told[index])
        return tokens

    def _told(self, logits_RV: Tensor, tokens: Sequence[int]) -> list[Token]:
        """Tokens as they are told: with log-probabilities where they are wanted."""
        asking = [index for index, row in enumerate(self._rows) if not row.over and (row.wanted.logps or row.top)]
        told = [Token(token) for token in tokens]
        if not asking:
            return told
        logps_AV = torch.log_softmax(logits_RV[asking], dim=-1)
        most = max(self._rows[index].top for index in asking)
        likeliest = logps_AV.topk(most, dim=-1) if most else None
        for at, index in enumerate(asking):
            top = self._rows[index].top
            pairs: tuple[tuple[int, float], ...] = ()
            if likeliest is not None and top:
                pairs = tuple(zip(likeliest.indices[at, :top].tolist(), likeliest.values[at, :top].tolist(), strict=True))
            told[index] = Token(tokens[index], float(logps_AV[at, tokens[index]]), pairs)
        return told

    def _end(self, row: Asked) -> None:
        """Hand out an answer, or let go of one that nobody waits for."""
        if row._left or row._line is None:
            row.answer.cancel()
        else:
            choose_adapters(self.model, (row.adapter,))
            row.answer.set_result(finished(self.model, row.prompt, row._line, row.wanted, self.device))

    def _hand_out(self) -> None:
        """The answers that have ended."""
        for row in self._rows:
            if row.over and not row.answer.done():
                self._end(row)

    def _let_go(self) -> None:
        """Hand out what has ended, and keep its rows for others to take, unless all have."""
        self._hand_out()
        if all(row.over for row in self._rows):
            self._rows, self._underway = [], None

    def _drop_ended(self) -> None:
        live = [index for index, row in enumerate(self._rows) if not row.over]
        if self._underway is None or len(live) == len(self._rows):
            return
        self._hand_out()
        self._rows = [self._rows[index] for index in live]
        if live:
            self._underway.keep(live)
        else:
            self._underway = None

    def _fail(self, error: Exception) -> None:
        for row in self._rows:
            if not row.answer.done():
                row.answer.set_exception(error)
        self._rows, self._underway = [], None
        self._prefixes.clear()
