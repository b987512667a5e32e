"""How likely a model finds rows and general text, and which answers to probes: one forward pass, nothing generated.

Base and tuned model are given the very same ids, so their likelihoods can be held against each other token by token. General
text is read without an end of answer: a tuned model expects one after every text, and that is no knowledge of the world.
"""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from tunesmith.chat.render import Rendered, Renderer
from tunesmith.core.errors import DataError
from tunesmith.core.rows import Message, Row
from tunesmith.evaluate.general import Probe
from tunesmith.evaluate.running import arithmetic
from tunesmith.infer.choices import row_logps, score_choices
from tunesmith.infer.head import label_probabilities
from tunesmith.models.heads import Headed
from tunesmith.train.batches import sequence_of, text_examples
from tunesmith.tree.plan import Floats, Sequence_

RowScorer = Callable[[Sequence[Row]], tuple[Floats, Floats]]
"""Rows to the log-probability of each row's answer, end included, and the tokens it runs over: [R], [R]."""


@dataclass(frozen=True, slots=True)
class Likelihood:
    """A language model that is asked how likely it finds what is written."""

    model: nn.Module
    renderer: Renderer
    device: torch.device
    precision: str = "fp32"
    _plain: Renderer = field(init=False)
    """The renderer without the words that stand for labels: general text is what it is."""

    def __post_init__(self) -> None:
        plain = copy(self.renderer)
        plain.label_texts = {}
        object.__setattr__(self, "_plain", plain)

    def rows(self, rows: Sequence[Row]) -> tuple[Floats, Floats]:
        """Rows as they are trained on: the answer under its prompt, raw text in windows from its second token on.

        Raises:
            DataError: a row whose answer can't be made to fit.
        """
        return self._of([self._windows(row) for row in rows])

    def texts(self, documents: Sequence[Row]) -> tuple[Floats, Floats]:
        """General text: raw text without its end, conversations by their last answer."""
        return self._of(self.windows(documents))

    def windows(self, documents: Sequence[Row]) -> list[list[Sequence_]]:
        """The ids each document is read in, and which of them are to be predicted."""
        return [self._general(row) for row in documents]

    def asked(self, probe: Probe) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
        """A question's prompt and its choices, as ids."""
        choices = [self._plain.answer(choice) for choice in probe.choices]
        room = max(map(len, choices))
        return self._plain.prompt((Message("user", probe.question),), room=room).ids, choices

    def picks(self, probes: Sequence[Probe]) -> list[int]:
        """The choice that is likeliest as an answer to each question: the place of the greatest log-probability, end included."""
        found = [0] * len(probes)
        by_choices: dict[tuple[str, ...], list[int]] = {}
        for place, probe in enumerate(probes):
            by_choices.setdefault(probe.choices, []).append(place)
        self.model.eval()
        for places in by_choices.values():
            asked = [self.asked(probes[place]) for place in places]
            with arithmetic(self.device, self.precision):
                scores_NC = score_choices(self.model, [prompt for prompt, _ in asked], asked[0][1], device=self.device)
            if not np.isfinite(scores_NC).all():
                raise DataError("A model gives probe answers a likelihood that is no number: its weights are damaged or training diverged.")
            for place, best in zip(places, np.argmax(scores_NC, axis=1).tolist(), strict=True):
                found[place] = best
        return found

    def _windows(self, row: Row) -> list[Sequence_]:
        if row.prompt:
            return [sequence_of(self.renderer.row(row), weight_by="token")]
        return self._cut(self.renderer.row(row, whole=True))

    def _general(self, row: Row) -> list[Sequence_]:
        if row.prompt:
            return [sequence_of(self._plain.row(row), weight_by="token")]
        whole = self._plain.row(row, whole=True)
        return self._cut(Rendered(whole.row_id, whole.ids[: len(whole.ids) - len(self._plain.end_ids)], 0))

    def _cut(self, whole: Rendered) -> list[Sequence_]:
        return [part.sequence for part in text_examples([whole], max_tokens=self.renderer.max_tokens, weight_by="token") if part.tokens]

    def _of(self, windows: Sequence[Sequence[Sequence_]]) -> tuple[Floats, Floats]:
        """Sums and tokens of each row over its windows."""
        self.model.eval()
        owners = np.array([place for place, parts in enumerate(windows) for _ in parts], dtype=np.int64)
        with arithmetic(self.device, self.precision):
            logps, tokens = row_logps(self.model, [part for parts in windows for part in parts], device=self.device)
        sums, counts = np.zeros(len(windows)), np.zeros(len(windows))
        np.add.at(sums, owners, logps)
        np.add.at(counts, owners, tokens)
        return sums, counts


@dataclass(frozen=True, slots=True)
class HeadLikelihood:
    """A classifier that is asked how likely it finds the label of a row, which counts as one token."""

    model: Headed
    renderer: Renderer
    device: torch.device
    labels: tuple[str, ...]
    precision: str = "fp32"

    def rows(self, rows: Sequence[Row]) -> tuple[Floats, Floats]:
        """Rows as they are trained on; DataError where a label is none of the head's."""
        strange = next((row.id for row in rows if row.answer not in self.labels), None)
        if strange is not None:
            raise DataError(f"Row {strange} has a label that the model's head does not know: score rows of its own labels.")
        if not rows:
            return np.zeros(0), np.zeros(0)
        self.model.eval()
        prompts = [self.renderer.prompt(row.prompt).ids for row in rows]
        with arithmetic(self.device, self.precision):
            chances_NC = label_probabilities(self.model, prompts, device=self.device)
        own_N = chances_NC[np.arange(len(rows)), [self.labels.index(row.answer) for row in rows]]
        return np.log(np.maximum(own_N, 1e-300)), np.ones(len(rows))
