"""Which rows make up which step, and how a step is laid out. A pure function of the seed, so that it can be continued anywhere."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tunesmith.chat.render import Rendered
from tunesmith.core.seeds import derive_seed
from tunesmith.train.config import TrainConfig
from tunesmith.tree.plan import Ints, Layout, Pass, Sequence_, plan


@dataclass(frozen=True, slots=True)
class Example:
    """A row ready to train on."""

    row_id: str
    sequences: tuple[Sequence_, ...]
    """What goes through the model: one sequence; of a pair, the chosen answer's and the rejected one's."""
    target: Any = None
    """What a head is to say: a label's number, a 0/1 tuple over labels, a value, or (token, tag) pairs."""
    weight: float = 1.0
    """What the row counts, where rows are counted; token weights have it in them already."""
    wanted: bool = True
    """Whether its answer is one to give."""
    reference: tuple[float, ...] = ()
    """Summed log-probability of each sequence's answer under the frozen reference, where the objective measures from one."""
    contrast: Sequence_ | None = None
    """KTO: the same prompt with another row's answer. Never trained on."""
    contrast_reference: float = 0.0

    @property
    def sequence(self) -> Sequence_:
        """The only or the first sequence."""
        return self.sequences[0]

    @property
    def tokens(self) -> int:
        """Tokens of its sequences, one by one."""
        return sum(len(sequence.ids) for sequence in self.sequences)


@dataclass(frozen=True, slots=True)
class Batch:
    """One forward and backward pass of a step. Slot: one sequence of one member, member by member."""

    planned: Pass
    members: tuple[Example, ...]
    slot_S: Ints
    """The slot each supervised token belongs to."""
    slot_R: Ints
    """The slot of each row of the pass, in the pass's order."""

    @property
    def row_ids(self) -> tuple[str, ...]:
        """Whose rows these are."""
        return tuple(member.row_id for member in self.members)

    @property
    def rows_tokens(self) -> int:
        """Tokens of its rows one by one: what would be computed without sharing or padding."""
        return sum(member.tokens for member in self.members)

    @property
    def sequences(self) -> list[Sequence_]:
        """The sequences in the order of their slots."""
        return [sequence for member in self.members for sequence in member.sequences]


def example(rendered: Rendered, *, weight_by: str, weight: float = 1.0, wanted: bool = True) -> Example:
    """A rendered row with its weights: each supervised token counts 1, or each row counts 1, times the row's own weight."""
    return Example(rendered.row_id, (sequence_of(rendered, weight_by=weight_by, weight=weight),), weight=weight, wanted=wanted)


def sequence_of(rendered: Rendered, *, weight_by: str, weight: float = 1.0) -> Sequence_:
    """A rendered row's ids, its answer supervised."""
    start = max(1, rendered.answer_start)
    supervised = len(rendered.ids) - start
    each = weight if weight_by == "token" or supervised < 1 else weight / supervised
    weights = (0.0,) * (len(rendered.ids) - max(0, supervised)) + (each,) * max(0, supervised)
    return Sequence_(rendered.ids, weights)


def text_examples(rendered: Sequence[Rendered], *, max_tokens: int, weight_by: str, weights: Sequence[float] = ()) -> list[Example]:
    """Raw text in windows of `max_tokens`; each begins with the last token of the one before, so every token but the first is learnt.

    `weights`: of the rows, 1 each where absent; every window has its row's.
    """
    examples: list[Example] = []
    for row, weight in zip(rendered, weights or [1.0] * len(rendered), strict=True):
        for number, start in enumerate(range(0, max(1, len(row.ids) - 1), max_tokens - 1)):
            window = Rendered(f"{row.row_id}.{number}", row.ids[start : start + max_tokens], 0)
            examples.append(example(window, weight_by=weight_by, weight=weight))
    return examples


def contrasted(examples: Sequence[Example], seed: int) -> list[Example]:
    """KTO's mismatched answers: each row's prompt with the answer of the next row in a fixed random order.

    The partner is drawn once for the whole run, so that its likelihood under the reference can be known beforehand.
    """
    order = np.random.default_rng(seed).permutation(len(examples))
    made = list(examples)
    for place, index in enumerate(order):
        own, other = examples[index].sequence, examples[order[(place + 1) % len(order)]].sequence
        start, answer = _answer_start(own), _answer_start(other)
        mixed = Sequence_(own.ids[:start] + other.ids[answer:], own.weights[:start] + other.weights[answer:])
        made[index] = replace(examples[index], contrast=mixed)
    return made


def _answer_start(sequence: Sequence_) -> int:
    return next((place for place, weight in enumerate(sequence.weights) if weight), len(sequence.ids))


@dataclass(frozen=True, slots=True)
class Feed:
    """The steps of a run over its examples."""

    examples: Sequence[Example]
    config: TrainConfig
    seed: int
    layout: Layout
    """`tree` where prompts may be shared: the model takes it, and nothing random depends on the row."""
    replay: Sequence[Example] = ()
    """General rows, mixed in so that they are their share of all rows."""

    @property
    def _share(self) -> float:
        """Of the rows, those that are general ones."""
        return (self.config.regularise.replay.share or 0.1) if self.replay else 0.0

    def replayed_before(self, number: int) -> int:
        """General rows in the steps before step `number`, so many that they are their share of all rows, to within a row."""
        return math.floor((number - 1) * self.own_rows * self._share / (1 - self._share) + 1e-9)

    @property
    def own_rows(self) -> int:
        """Rows of the task in a step."""
        return max(1, self.config.batch_rows - round(self._share * self.config.batch_rows))

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps in one pass; the last one may hold fewer rows."""
        return math.ceil(len(self.examples) / self.own_rows)

    @property
    def steps(self) -> int:
        """Optimiser steps in all."""
        return steps_of(self.config, len(self.examples), self.own_rows)

    def rows(self, number: int) -> list[Example]:
        """The rows of step `number`, counted from 1."""
        epoch, place = divmod(number - 1, self.steps_per_epoch)
        order = np.random.default_rng(derive_seed(self.seed, "order", epoch)).permutation(len(self.examples))
        chosen = [self.examples[i] for i in order[place * self.own_rows : (place + 1) * self.own_rows]]
        return chosen + self._replayed(number)

    def _replayed(self, number: int) -> list[Example]:
        wanted = self.replayed_before(number + 1) - self.replayed_before(number)
        rounds, place = divmod(self.replayed_before(number), max(1, len(self.replay)))
        chosen: list[Example] = []
        while len(chosen) < wanted:
            order = np.random.default_rng(derive_seed(self.seed, "replay", rounds)).permutation(len(self.replay))
            chosen += [self.replay[i] for i in order[place : place + wanted - len(chosen)]]
            rounds, place = rounds + 1, 0
        return chosen

    def step(self, number: int, *, halvings: int = 0) -> list[Batch]:
        """The passes of step `number`; each halving halves the tokens of a pass, never the rows of the step."""
        return lay_out(self.rows(number), self.config, layout=self.layout, halvings=halvings)


def steps_of(config: TrainConfig, rows: int, own_rows: int | None = None) -> int:
    """Optimiser steps of a run over so many rows. `own_rows`: of the task in a step; all of a step's where absent."""
    wanted = max(1, round(config.epochs * math.ceil(rows / (own_rows or config.batch_rows))))
    return min(wanted, config.max_steps) if config.max_steps else wanted


def lay_out(examples: Sequence[Example], config: TrainConfig, *, layout: Layout, halvings: int = 0) -> list[Batch]:
    """Passes over some examples: `accumulate` parts where the recipe says so, each within the token budget."""
    parts = min((config.accumulate or 1) << halvings, len(examples)) if config.accumulate else 1
    bounds = [round(part * len(examples) / parts) for part in range(parts + 1)]
    batches: list[Batch] = []
    for low, high in itertools.pairwise(bounds):
        batches += batches_of(examples[low:high], max(1, config.token_budget >> halvings), layout)
    return batches


def batches_of(examples: Sequence[Example], token_budget: int, layout: Layout) -> list[Batch]:
    """Passes within a token budget; the sequences of an example share one."""
    units = [index for index, item in enumerate(examples) for _ in item.sequences]
    sequences = [sequence for item in examples for sequence in item.sequences]
    return [_batch(examples, units, planned) for planned in plan(sequences, token_budget=token_budget, layout=layout, units=units)]


def _batch(examples: Sequence[Example], units: Sequence[int], planned: Pass) -> Batch:
    members = list(dict.fromkeys(units[row] for row in planned.rows_R))
    slots: dict[int, int] = {}
    first_of = {unit: row for row, unit in reversed(list(enumerate(units)))}
    start = 0
    for unit in members:
        for turn in range(len(examples[unit].sequences)):
            slots[first_of[unit] + turn] = start + turn
        start += len(examples[unit].sequences)
    slot_S = np.array([slots[row] for row in planned.row_S.tolist()], dtype=np.int64)
    slot_R = np.array([slots[row] for row in planned.rows_R.tolist()], dtype=np.int64)
    return Batch(planned, tuple(examples[unit] for unit in members), slot_S, slot_R)
