"""How likely a model finds the answers that people judged: both of a pair under one prompt, or single ones.

Nothing is generated. The two answers of a pair share their prompt's computation where the architecture allows it; the cost
is one forward pass over prompts and answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from tunesmith.chat.render import Renderer
from tunesmith.core.progress import Listener, silent
from tunesmith.core.rows import Message, Row
from tunesmith.evaluate.running import answer_all, arithmetic
from tunesmith.evaluate.systems import Messages, own_prompt
from tunesmith.infer.choices import Scale, row_logps
from tunesmith.score.prediction import Prediction
from tunesmith.tree.plan import answer_only

Judged = tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]
"""A prompt and its answers, as ids."""
WANTED, UNWANTED = "wanted", "unwanted"


@dataclass(frozen=True, slots=True)
class PairAnswerer:
    """A model ready to weigh the answers of rows."""

    model: nn.Module
    renderer: Renderer
    device: torch.device
    precision: str = "fp32"
    scale: Scale | None = None
    """None: likelihoods are taken as they are."""

    def answer(
        self, rows: Sequence[Row], messages: Messages = own_prompt, *, work: str = "score", listen: Listener = silent
    ) -> list[Prediction]:
        """One prediction a row, in the order of `rows`: log-probabilities, and the answer that is the likelier one.

        Raises:
            DataError: a prompt that leaves no room for its longer answer.
        """
        self.model.eval()
        items = [self._item(row, messages(row)) for row in rows]
        made, each = answer_all(items, self._weighed, key=lambda item: item[0], work=work, listen=listen)
        return [_prediction(row, item, found, each) for row, item, found in zip(rows, items, made, strict=True)]

    def under_each_scale(
        self, rows: Sequence[Row], messages: Messages, *, work: str, listen: Listener = silent
    ) -> list[tuple["PairAnswerer", list[Prediction]]]:
        """Itself with its predictions: a likelihood has one scale."""
        return [(self, self.answer(rows, messages, work=work, listen=listen))]

    def room(self, row: Row) -> int:
        """Tokens that an answer to the row may take."""
        return max(len(self.renderer.answer(text)) for text in _answers(row))

    def _item(self, row: Row, messages: tuple[Message, ...]) -> Judged:
        answers = tuple(self.renderer.answer(text) for text in _answers(row))
        return self.renderer.prompt(messages, room=max(map(len, answers))).ids, answers

    def _weighed(self, items: Sequence[Judged]) -> list[list[float]]:
        """The log-probability of each answer of each item."""
        sequences = [answer_only((*prompt, *answer), len(prompt)) for prompt, answers in items for answer in answers]
        with arithmetic(self.device, self.precision):
            sums, _ = row_logps(self.model, sequences, device=self.device)
        left = iter(sums.tolist())
        return [[next(left) for _ in answers] for _, answers in items]


def _answers(row: Row) -> tuple[str, ...]:
    return (row.answer,) if row.rejected is None else (row.answer, row.rejected)


def _prediction(row: Row, item: Judged, sums: Sequence[float], seconds: float) -> Prediction:
    prompt, answers = item
    found = Prediction(
        row_id=row.id,
        reference=row.answer,
        answer="",
        prompt_tokens=len(prompt),
        answer_tokens=len(answers[0]),
        seconds=seconds,
        reference_logprob=sums[0],
        reference_tokens=len(answers[0]),
    )
    if row.rejected is None:
        return replace(found, reference=WANTED if row.wanted else UNWANTED, truth=row.wanted)
    likelier = row.answer if sums[0] > sums[1] else row.rejected
    return replace(found, answer=likelier, rejected_logprob=sums[1], rejected_tokens=len(answers[1]))


def longer_answer(train: Sequence[Row], test: Sequence[Row]) -> tuple[str, list[Prediction]]:
    """A floor: always the longer answer of a pair, or always the shorter, whichever training rows prefer. Its name and its answers.

    Its log-probabilities are stand-ins: 1 and 0 by length in characters, equal where these are.
    """
    longer = 2 * sum(len(row.answer) > len(row.rejected or "") for row in train) >= len(train)
    sign = 1.0 if longer else -1.0
    made = []
    for row in test:
        margin = sign * (len(row.answer) - len(row.rejected or ""))
        taken = row.answer if margin > 0 else row.rejected or ""
        sums = (float(margin > 0), float(margin < 0))
        made.append(
            Prediction(
                row_id=row.id,
                reference=row.answer,
                answer=taken,
                reference_logprob=sums[0],
                rejected_logprob=sums[1],
            )
        )
    return f"Always the {'longer' if longer else 'shorter'} answer", made
