"""Which rows make up which step, and how a step is laid out. A pure function of the seed, so that it can be continued anywhere."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tunesmith.chat.render import Rendered
from tunesmith.core.seeds import derive_seed
from tunesmith.train.config import TrainConfig
from tunesmith.tree.plan import Pass, Sequence_, plan


@dataclass(frozen=True, slots=True)
class Batch:
    """One forward and backward pass of a step, with the ids of its rows and, for a head, their labels."""

    planned: Pass
    row_ids: tuple[str, ...]
    labels_R: tuple[int, ...] | None
    rows_tokens: int
    """Tokens of its rows one by one: what would be computed without sharing or padding."""


@dataclass(frozen=True, slots=True)
class Example:
    """A row ready to train on."""

    row_id: str
    sequence: Sequence_
    label: int | None = None


def example(rendered: Rendered, *, weight_by: str, label: int | None = None) -> Example:
    """A rendered row with its weights: each supervised token counts 1, or each row counts 1."""
    start = max(1, rendered.answer_start)
    supervised = len(rendered.ids) - start
    weight = 1.0 if weight_by == "token" or supervised < 1 else 1.0 / supervised
    weights = (0.0,) * (len(rendered.ids) - max(0, supervised)) + (weight,) * max(0, supervised)
    return Example(rendered.row_id, Sequence_(rendered.ids, weights), label)


def text_examples(rendered: Sequence[Rendered], *, max_tokens: int, weight_by: str) -> list[Example]:
    """Raw text in windows of `max_tokens`; each begins with the last token of the one before, so every token but the first is learnt."""
    examples: list[Example] = []
    for row in rendered:
        for number, start in enumerate(range(0, max(1, len(row.ids) - 1), max_tokens - 1)):
            window = Rendered(f"{row.row_id}.{number}", row.ids[start : start + max_tokens], 0)
            examples.append(example(window, weight_by=weight_by))
    return examples


@dataclass(frozen=True, slots=True)
class Feed:
    """The steps of a run over its examples."""

    examples: Sequence[Example]
    config: TrainConfig
    seed: int
    share: bool
    """Whether prompts may be shared: the model takes a tree, and nothing random depends on the row."""

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps in one pass; the last one may hold fewer rows."""
        return math.ceil(len(self.examples) / self.config.batch_rows)

    @property
    def steps(self) -> int:
        """Optimiser steps in all."""
        wanted = max(1, round(self.config.epochs * self.steps_per_epoch))
        return min(wanted, self.config.max_steps) if self.config.max_steps else wanted

    def step(self, number: int) -> list[Batch]:
        """The passes of step `number`, counted from 1."""
        epoch, place = divmod(number - 1, self.steps_per_epoch)
        order = np.random.default_rng(derive_seed(self.seed, "order", epoch)).permutation(len(self.examples))
        rows = self.config.batch_rows
        return lay_out([self.examples[i] for i in order[place * rows : (place + 1) * rows]], self.config, share=self.share)


def lay_out(examples: Sequence[Example], config: TrainConfig, *, share: bool) -> list[Batch]:
    """Passes over some examples: `accumulate` parts where the recipe says so, each within the token budget."""
    parts = min(config.accumulate or 1, len(examples))
    bounds = [round(part * len(examples) / parts) for part in range(parts + 1)]
    batches: list[Batch] = []
    for low, high in itertools.pairwise(bounds):
        part = examples[low:high]
        heads = bool(part) and part[0].label is not None
        for planned in plan([item.sequence for item in part], token_budget=config.token_budget, share=share and not heads):
            members = [part[index] for index in planned.rows_R]
            labels = tuple(item.label for item in members if item.label is not None) if heads else None
            rows_tokens = sum(len(item.sequence.ids) for item in members)
            batches.append(Batch(planned, tuple(item.row_id for item in members), labels, rows_tokens))
    return batches
