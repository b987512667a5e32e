"""What answers: a model with its renderer, on rows, as saved predictions with their cost."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import nn

from tunesmith.chat.render import Renderer
from tunesmith.core.errors import DataError
from tunesmith.core.progress import Advanced, Ended, Listener, Started, silent
from tunesmith.core.rows import Message, Row
from tunesmith.evaluate.meant import Meant
from tunesmith.evaluate.running import answer_all, arithmetic
from tunesmith.evaluate.written import Sure, draw, write
from tunesmith.infer.choices import Scale, probabilities, row_logps, scales, score_choices
from tunesmith.infer.generate import Wanted
from tunesmith.infer.head import label_probabilities
from tunesmith.infer.sampling import Sampling
from tunesmith.models.heads import Headed
from tunesmith.score.prediction import Prediction
from tunesmith.score.style import Style
from tunesmith.train.batches import text_examples
from tunesmith.tree.plan import Floats, answer_only

SAMPLED_AT_ONCE = 16
"""Rows whose samples are drawn between two reports of progress."""
Messages = Callable[[Row], tuple[Message, ...]]


class Answer(NamedTuple):
    """What a model says to a prompt."""

    text: str
    confidence: float | None
    tokens: int
    chances: dict[str, float] | None = None


def _prediction(row: Row, answer: Answer, prompt_tokens: int, seconds: float) -> Prediction:
    return Prediction(
        row_id=row.id,
        reference=row.answer,
        answer=answer.text,
        confidence=answer.confidence,
        chances=answer.chances,
        prompt_tokens=prompt_tokens,
        answer_tokens=answer.tokens,
        seconds=seconds,
    )


def held_against(predictions: Sequence[Prediction], style: Style | None) -> list[Prediction]:
    """The same answers, each with the rules of a style guide that it keeps."""
    return [one if style is None else replace(one, kept=style.kept(one.answer)) for one in predictions]


def own_prompt(row: Row) -> tuple[Message, ...]:
    """The row's prompt as it stands."""
    return row.prompt


class Answers(Protocol):
    """What answers rows: by text or by a label's likelihood, by a head, by weighing two answers."""

    @property
    def renderer(self) -> Renderer:
        """Renders its prompts."""

    @property
    def scale(self) -> Scale | None:
        """How the scores of labels are made comparable; None: as they are."""

    def answer(self, rows: Sequence[Row], messages: Messages = ..., *, work: str = ..., listen: Listener = ...) -> list[Prediction]:
        """One prediction a row, in their order."""

    def under_each_scale(
        self, rows: Sequence[Row], messages: Messages, *, work: str, listen: Listener = ...
    ) -> Sequence[tuple["Answers", list[Prediction]]]:
        """Itself under each way of scaling, with its predictions."""

    def room(self, row: Row) -> int:
        """Tokens that an answer to the row may take."""


@dataclass(frozen=True, slots=True)
class Answerer:
    """A model ready to answer rows of a task."""

    model: nn.Module
    renderer: Renderer
    device: torch.device
    labels: tuple[str, ...] | None
    """The label set, for classification; None: answers are generated."""
    max_new_tokens: int = 128
    precision: str = "fp32"
    meant: Meant | None = None
    """How generated answers are understood, where they stand for something else than their words; None: they are texts."""
    scale: Scale | None = None
    """How the scores of labels are made comparable; None: sums of log-probabilities, as the model was trained."""
    wanted: Wanted | None = None
    """How answers are generated; None: the likeliest token always, up to `max_new_tokens`."""
    sure: Sure | None = None
    """What the confidence of a generated answer is made from; None: it has none."""
    style: Style | None = None
    """What written answers are held against; None: nothing."""

    def answer(
        self, rows: Sequence[Row], messages: Messages = own_prompt, *, work: str = "score", listen: Listener = silent
    ) -> list[Prediction]:
        """One prediction a row, in the order of `rows`.

        Raises:
            DataError: a prompt that leaves no room for an answer.
        """
        self.model.eval()
        prompts = [self._prompt(messages(row)) for row in rows]
        plain = replace(self, sure=None) if self.sure is not None and self.sure.samples else self  # see `evaluate.written`
        made, each = answer_all(prompts, self._answer_some, key=lambda prompt: prompt, work=work, listen=listen, timed=plain._answer_some)
        predictions = [_prediction(row, one, len(prompt), each) for row, one, prompt in zip(rows, made, prompts, strict=True)]
        if self.meant is not None:
            return [self._understood(row, one) for row, one in zip(rows, predictions, strict=True)]
        return held_against(self._with_likelihood(rows, prompts, predictions), self.style) if self.labels is None else predictions

    def samples(self, rows: Sequence[Row], sampling: Sampling, *, work: str, listen: Listener = silent) -> list[list[str]]:
        """Drawn answers to each row, `sampling.samples` of them, in the order of `rows`; stops and constraints hold for these too."""
        self.model.eval()
        started, made = time.monotonic(), list[list[str]]()
        listen(Started(work, len(rows)))
        wanted = replace(self._asked(), sampling=sampling)
        for start in range(0, len(rows), SAMPLED_AT_ONCE):
            prompts = [self._prompt(row.prompt) for row in rows[start : start + SAMPLED_AT_ONCE]]
            with arithmetic(self.device, self.precision):
                made += draw(self.model, prompts, wanted, self.renderer, self.device)
            listen(Advanced(work, len(made)))
        listen(Ended(work, time.monotonic() - started))
        return made

    def _asked(self) -> Wanted:
        """How answers are generated."""
        return self.wanted or Wanted(end_ids=tuple(self.renderer.end_ids), max_new_tokens=self.max_new_tokens)

    def _understood(self, row: Row, one: Prediction) -> Prediction:
        """A generated answer as what it stands for."""
        assert self.meant is not None
        found, shown = self.meant.understood(one.answer)
        return replace(one, answer=shown, truth=self.meant.truth(row), found=found)

    def room(self, row: Row) -> int:
        """Tokens that an answer to the row may take."""
        if self.labels is None:
            return self.max_new_tokens
        return max(len(self.renderer.answer(label)) for label in self.labels)

    def under_each_scale(
        self, rows: Sequence[Row], messages: Messages, *, work: str, listen: Listener = silent
    ) -> list[tuple["Answerer", list[Prediction]]]:
        """Itself under each way of scaling label scores, with its answers to `rows`; the model runs once.

        The scales are made from the prompts alone: no row's own answer is looked at. Generated answers have one scale.
        """
        if self.labels is None:
            return [(self, self.answer(rows, messages, work=work, listen=listen))]
        started = time.monotonic()
        listen(Started(work, len(rows)))
        choices = [self.renderer.answer(label) for label in self.labels]
        prompts = [self._prompt(messages(row)) for row in rows]
        scores_NC = score_choices(self.model, prompts, choices, device=self.device, advanced=lambda done: listen(Advanced(work, done)))
        seconds = time.monotonic() - started
        listen(Ended(work, seconds))
        lengths_C = np.array([len(choice) for choice in choices], dtype=np.float64)
        found: list[tuple[Answerer, list[Prediction]]] = []
        for scale in scales(scores_NC, lengths_C):
            chances_NC = probabilities(scale(scores_NC))
            made = self._labelled(chances_NC, choices)
            predictions = [
                _prediction(row, one, len(prompt), seconds / len(rows)) for row, one, prompt in zip(rows, made, prompts, strict=True)
            ]
            found.append((replace(self, scale=scale), predictions))
        return found

    def _prompt(self, messages: tuple[Message, ...]) -> tuple[int, ...]:
        room = (
            max(len(self.renderer.answer(label)) for label in self.labels)
            if self.labels
            else min(self.max_new_tokens, self.renderer.max_tokens // 2)
        )
        return self.renderer.prompt(messages, room=room).ids

    def _answer_some(self, prompts: Sequence[tuple[int, ...]]) -> list[Answer]:
        """Answers to some prompts."""
        with arithmetic(self.device, self.precision):
            return self._made(prompts)

    def _made(self, prompts: Sequence[tuple[int, ...]]) -> list[Answer]:
        if self.labels is None:
            return [Answer(*one) for one in write(self.model, prompts, self._asked(), self.renderer, self.device, sure=self.sure)]
        choices = [self.renderer.answer(label) for label in self.labels]
        if isinstance(self.model, Headed):
            chances_NC = label_probabilities(self.model, prompts, device=self.device)
        else:
            scores_NC = score_choices(self.model, prompts, choices, device=self.device)
            chances_NC = probabilities(self.scale(scores_NC) if self.scale else scores_NC)
        return self._labelled(chances_NC, choices)

    def _labelled(self, chances_NC: Floats, choices: Sequence[Sequence[int]]) -> list[Answer]:
        """The likeliest label of each row."""
        assert self.labels is not None
        best = np.argmax(chances_NC, axis=1)
        told = [dict(zip(self.labels, chances, strict=True)) for chances in chances_NC.tolist()]
        return [Answer(self.labels[c], told[n][self.labels[c]], len(choices[c]), told[n]) for n, c in enumerate(best)]

    def _with_likelihood(
        self, rows: Sequence[Row], prompts: Sequence[tuple[int, ...]], predictions: Sequence[Prediction]
    ) -> list[Prediction]:
        """Add the reference's log-probability, for perplexity; an answer is cut where it would pass the context."""
        sequences = []
        for row, prompt in zip(rows, prompts, strict=True):
            reference = self.renderer.answer(row.answer)[: max(1, self.renderer.max_tokens - len(prompt))]
            sequences.append(answer_only((*prompt, *reference), len(prompt)))
        sums, counts = row_logps(self.model, sequences, device=self.device)
        return [
            replace(prediction, reference_logprob=float(total), reference_tokens=int(count))
            for prediction, total, count in zip(predictions, sums, counts, strict=True)
        ]

    def read_texts(self, rows: Sequence[Row], *, work: str = "score", listen: Listener = silent) -> list[Prediction]:
        """Raw text: nothing is answered, its likelihood is measured, long documents in windows of the context as in training."""
        started = time.monotonic()
        listen(Started(work, len(rows)))
        if not rows:
            raise DataError("There is no text to measure: the test side holds no rows.")
        windows = [
            text_examples([self.renderer.row(row, whole=True)], max_tokens=self.renderer.max_tokens, weight_by="token") for row in rows
        ]
        owners = np.array([index for index, parts in enumerate(windows) for _ in parts])
        logps, tokens = row_logps(self.model, [part.sequence for parts in windows for part in parts], device=self.device)
        sums, counts = np.bincount(owners, logps, len(rows)), np.bincount(owners, tokens, len(rows))
        each = (time.monotonic() - started) / len(rows)
        listen(Ended(work, time.monotonic() - started))
        return [
            Prediction(row_id=row.id, reference="", answer="", seconds=each, reference_logprob=float(total), reference_tokens=int(count))
            for row, total, count in zip(rows, sums, counts, strict=True)
        ]
