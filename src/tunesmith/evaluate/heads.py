"""Answers of a task head: label sets, numbers and spans. One forward pass a row; the one label of a class head is `Answerer`'s."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch

from tunesmith.chat.places import Placed, place
from tunesmith.chat.render import Renderer
from tunesmith.core.progress import Listener, silent
from tunesmith.core.rows import Row, Span
from tunesmith.evaluate.running import answer_all, arithmetic
from tunesmith.evaluate.systems import Messages, own_prompt
from tunesmith.infer.choices import Scale
from tunesmith.infer.head import label_set, multilabel_probabilities, tag_labels, values
from tunesmith.models.heads import Headed
from tunesmith.score.meanings import write_labels, write_number, write_spans
from tunesmith.score.prediction import Meaning, Prediction
from tunesmith.score.spans import agreement, bio_classes, spans_of

Item = TypeVar("Item")
Made = TypeVar("Made")
Found = tuple[Meaning, str, float | None]
"""What an answer stands for, how it is shown, its confidence."""


@dataclass(frozen=True, slots=True)
class HeadAnswerer:
    """A model with a head, ready to answer rows of its task."""

    model: Headed
    renderer: Renderer
    device: torch.device
    labels: tuple[str, ...] | None
    """The labels, or the labels of spans, in the order of the head's outputs; None for numbers."""
    precision: str = "fp32"
    scale: Scale | None = None
    """None: a head's outputs need none."""

    def answer(
        self, rows: Sequence[Row], messages: Messages = own_prompt, *, work: str = "score", listen: Listener = silent
    ) -> list[Prediction]:
        """One prediction a row, in the order of `rows`; spans are found in the row's text under its own prompt.

        Raises:
            DataError: a row that can't be rendered, or whose text can't be followed through the template.
        """
        self.model.eval()
        if self.model.kind == "tags":
            return self._tagged(rows, work, listen)
        prompts = [self.renderer.prompt(messages(row)).ids for row in rows]
        some = self._sets if self.model.kind == "multilabel" else self._numbers
        made, each = answer_all(prompts, self._in_precision(some), key=lambda prompt: prompt, work=work, listen=listen)
        truths = [row.labels or () if self.model.kind == "multilabel" else row.value for row in rows]
        return [
            Prediction(
                row_id=row.id,
                reference=row.answer,
                answer=shown,
                confidence=confidence,
                prompt_tokens=len(prompt),
                seconds=each,
                truth=truth,
                found=found,
            )
            for row, prompt, truth, (found, shown, confidence) in zip(rows, prompts, truths, made, strict=True)
        ]

    def under_each_scale(
        self, rows: Sequence[Row], messages: Messages, *, work: str, listen: Listener = silent
    ) -> list[tuple["HeadAnswerer", list[Prediction]]]:
        """Itself with its predictions: a head has one scale."""
        return [(self, self.answer(rows, messages, work=work, listen=listen))]

    def room(self, row: Row) -> int:
        """None: nothing is generated."""
        return 0

    def _in_precision(self, some: Callable[[Sequence[Item]], list[Made]]) -> Callable[[Sequence[Item]], list[Made]]:
        def made(items: Sequence[Item]) -> list[Made]:
            with arithmetic(self.device, self.precision):
                return some(items)

        return made

    def _sets(self, prompts: Sequence[tuple[int, ...]]) -> list[Found]:
        """Every label from the threshold on; sure of the set as of its least sure label."""
        assert self.labels is not None
        chances_NC = multilabel_probabilities(self.model, prompts, device=self.device)
        found: list[Found] = []
        for chance_C in chances_NC:
            held, sure = label_set(self.labels, chance_C)
            found.append((held, write_labels(held), sure))
        return found

    def _numbers(self, prompts: Sequence[tuple[int, ...]]) -> list[Found]:
        return [(float(value), write_number(float(value)), None) for value in values(self.model, prompts, device=self.device)]

    def _tagged(self, rows: Sequence[Row], work: str, listen: Listener) -> list[Prediction]:
        assert self.labels is not None
        classes = bio_classes(self.labels)
        placed = [place(self.renderer, row) for row in rows]

        def tags(items: Sequence[Placed]) -> list[tuple[str, ...]]:
            return tag_labels(self.model, [one.ids for one in items], classes, device=self.device)

        made, each = answer_all(placed, self._in_precision(tags), key=lambda one: one.ids, work=work, listen=listen)
        return [
            replace(spanned(row, spans_of(row.text(), one.offsets_T, tags_T)), prompt_tokens=len(one.ids), seconds=each)
            for row, one, tags_T in zip(rows, placed, made, strict=True)
        ]


def spanned(row: Row, found: tuple[Span, ...]) -> Prediction:
    """The prediction of a row's spans, with the words whose tag is right."""
    text, truth = row.text(), row.tags or ()
    right, words = agreement(text, truth, found)
    return Prediction(
        row_id=row.id,
        reference=row.answer,
        answer=write_spans(text, found),
        truth=truth,
        found=found,
        words=words,
        words_right=right,
    )
