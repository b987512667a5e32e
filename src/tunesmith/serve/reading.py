"""Answers that are read off a model instead of written by it: a label by its likelihood or a head, label sets, numbers, spans.

A reader has two halves: `prepare` runs beside other requests and refuses what can't be read, `read` runs in the thread that has the model,
several prompts in one pass. What comes out is what evaluation saves for the same row. Costs one forward pass a prompt, and where a
label's words are scored, theirs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn

from tunesmith.chat.places import Placed, place
from tunesmith.core.errors import DataError
from tunesmith.core.rows import Message, Row
from tunesmith.infer.choices import probabilities, score_choices
from tunesmith.infer.head import label_probabilities, label_set, multilabel_probabilities, tag_labels, values
from tunesmith.models.heads import Headed
from tunesmith.score.meanings import write_labels, write_number, write_spans
from tunesmith.score.spans import bio_classes, spans_of
from tunesmith.serve.answers import Labelled, Piece
from tunesmith.serve.refusals import wrong
from tunesmith.serve.speaking import meaning_json
from tunesmith.serve.tuned import Tuned, too_long, unrenderable


@dataclass(frozen=True, slots=True)
class Read:
    """A prompt that is to be read."""

    ids: tuple[int, ...]
    text: str = ""
    """Its last user message, where spans are found in it."""
    placed: Placed | None = None


class Reader(Protocol):
    """Reads prompts of one task."""

    def prepare(self, messages: tuple[Message, ...]) -> Read:
        """A conversation, ready to be read. Refusal where it can't be."""

    def read(self, some: Sequence[Read]) -> list[Labelled]:
        """What each stands for; in the thread that has the model."""

    def said(self, found: Labelled) -> Piece:
        """It as an answer in chat."""


@dataclass(frozen=True, slots=True)
class _OfPrompts:
    """What readers of whole prompts have in common."""

    tuned: Tuned
    model: Any
    device: torch.device

    def prepare(self, messages: tuple[Message, ...]) -> Read:
        """See Reader."""
        return Read(self.tuned.rendered(messages))

    def said(self, found: Labelled) -> Piece:
        """See Reader."""
        told = meaning_json(found)
        return Piece(index=0, text=found.label, finish="stop", prompt_tokens=found.prompt_tokens, extra=told)


@dataclass(frozen=True, slots=True)
class Labels(_OfPrompts):
    """One label: by a head, or by the likelihood of its words."""

    def prepare(self, messages: tuple[Message, ...]) -> Read:
        """See Reader."""
        ids = self.tuned.rendered(messages)
        if not isinstance(self.model, Headed):
            self.tuned.label_ids(ids)
        return Read(ids)

    def read(self, some: Sequence[Read]) -> list[Labelled]:
        """See Reader."""
        prompts, labels = [one.ids for one in some], self.tuned.labels or ()
        if isinstance(self.model, Headed):
            chances_NC = label_probabilities(self.model, prompts, device=self.device)
        else:
            choices = [self.tuned.renderer.answer(label) for label in labels]
            chances_NC = probabilities(score_choices(self.model, prompts, choices, device=self.device))
        return [
            self.tuned.believed(dict(zip(labels, chances_C, strict=True)), len(one.ids))
            for one, chances_C in zip(some, chances_NC.tolist(), strict=True)
        ]

    def said(self, found: Labelled) -> Piece:
        """See Reader."""
        return self.tuned.label_said(found)


@dataclass(frozen=True, slots=True)
class Sets(_OfPrompts):
    """Every label that applies; sure of the set as of its least sure label."""

    def read(self, some: Sequence[Read]) -> list[Labelled]:
        """See Reader."""
        labels, made = self.tuned.bundle.labels or (), list[Labelled]()
        chances_NC = multilabel_probabilities(self.model, [one.ids for one in some], device=self.device)
        for one, chances_C in zip(some, chances_NC.tolist(), strict=True):
            held, sure = label_set(labels, chances_C)
            chances = dict(zip(labels, chances_C, strict=True))
            made.append(
                Labelled(label=write_labels(held), confidence=sure, abstains=False, chances=chances, prompt_tokens=len(one.ids), found=held)
            )
        return made


@dataclass(frozen=True, slots=True)
class Numbers(_OfPrompts):
    """A number, in the unit of the training rows."""

    def read(self, some: Sequence[Read]) -> list[Labelled]:
        """See Reader."""
        found = values(self.model, [one.ids for one in some], device=self.device).tolist()
        return [
            Labelled(label=write_number(value), confidence=None, abstains=False, prompt_tokens=len(one.ids), found=value)
            for one, value in zip(some, found, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Spans(_OfPrompts):
    """Spans of the last user message."""

    def prepare(self, messages: tuple[Message, ...]) -> Read:
        """See Reader."""
        row = Row(id="of the request", prompt=self.tuned.instructed(messages))
        if all(turn.role != "user" for turn in messages):
            raise wrong("messages", "The model finds spans in the last user message, and there is none: send one.")
        try:
            placed = place(self.tuned.renderer, row)
        except DataError as error:
            raise unrenderable(error) from None
        if placed.cut_tokens:
            raise too_long(len(placed.ids) + placed.cut_tokens, 0, self.tuned.renderer.max_tokens)
        return Read(placed.ids, row.text(), placed)

    def read(self, some: Sequence[Read]) -> list[Labelled]:
        """See Reader."""
        tags_NT = tag_labels(self.model, [one.ids for one in some], bio_classes(self.tuned.bundle.labels or ()), device=self.device)
        made = []
        for one, tags_T in zip(some, tags_NT, strict=True):
            assert one.placed is not None
            found = spans_of(one.text, one.placed.offsets_T, tags_T)
            shown = write_spans(one.text, found)
            made.append(Labelled(label=shown, confidence=None, abstains=False, prompt_tokens=len(one.ids), found=found))
        return made


_BY_KIND: dict[str, Any] = {"class": Labels, "multilabel": Sets, "regression": Numbers, "tags": Spans}


def reader_of(tuned: Tuned, model: nn.Module, device: torch.device) -> Reader | None:
    """What reads the answers of a model; None of one that writes them."""
    if isinstance(model, Headed):
        made: Reader = _BY_KIND[model.kind](tuned, model, device)
        return made
    return None if tuned.labels is None else Labels(tuned, model, device)
