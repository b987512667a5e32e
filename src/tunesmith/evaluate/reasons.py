"""Why a model answered a row as it did, in words: which number is explained, and what each word of the row's text did to it.

Labels and outputs of a head are set against the other answer that matters: of a wrong answer the right one, of a right one the
runner-up. A generated answer is explained by its own log-probability, as far as `answer_tokens` go; a regression head by its value.
Costs what `evaluate.attribution` says, for each row.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from tunesmith.chat.places import Placed, place
from tunesmith.chat.render import Renderer
from tunesmith.core.errors import DataError, MachineError
from tunesmith.core.rows import Row
from tunesmith.evaluate.attribution import Aim, answer_lead, attribute, head_lead, mean_embedding
from tunesmith.evaluate.explain_config import ExplainConfig
from tunesmith.infer.head import multilabel_probabilities
from tunesmith.models.embedded import takes_embeddings
from tunesmith.models.heads import Headed
from tunesmith.score.prediction import Prediction
from tunesmith.score.words import pieces_of

TEXTS = 500
"""Training texts whose tokens the blank is the mean of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """What the words of one row did; plain values, to be kept as JSON."""

    figure: str = ""
    """What is explained, for people: `log-probability of "a" less that of "b"`."""
    words: tuple[tuple[str, float | None], ...] = ()
    """The text in pieces; None for what no token stands for."""
    blank: float = 0.0
    """The figure with the text blanked."""
    whole: float = 0.0
    """The figure as it is."""
    missed: float | None = None
    """How far the words miss `whole - blank`, as a share of it; None where the text changes nothing."""
    steps: int = 0
    fails: str | None = None
    """Why the words are not to be believed, in a sentence; None where they are."""


def blank_of(model: nn.Module, renderer: Renderer, rows: Sequence[Row], device: torch.device) -> torch.Tensor:
    """What stands for a blanked token: the mean embedding of the tokens of training texts, [D]. DataError where they hold none."""
    trunk = model.trunk if isinstance(model, Headed) else model
    return mean_embedding(trunk, [renderer.tokenizer.encode(row.text(), add_special_tokens=False) for row in rows[:TEXTS]], device)


@dataclass(frozen=True, slots=True)
class Explainer:
    """A tuned model that is asked why."""

    model: nn.Module
    renderer: Renderer
    device: torch.device
    labels: tuple[str, ...] | None
    config: ExplainConfig
    blank_D: torch.Tensor
    """What stands for a blanked token (`blank_of`)."""

    def reason(self, row: Row, answered: Prediction, *, room: int) -> Reason:
        """What the words of a row did to its answer; `room`: tokens that were left free for the answer."""
        trunk = self.model.trunk if isinstance(self.model, Headed) else self.model
        if not takes_embeddings(trunk):
            return Reason(fails="This architecture takes ids alone, no embeddings, so no path can be followed through it.")
        try:
            placed = place(self.renderer, row, room=room)
        except (DataError, MachineError) as error:
            return Reason(fails=str(error))
        inside = [offset is not None for offset in placed.offsets_T]
        if not any(inside):
            return Reason(fails="No token of the prompt stands for the row's own text.")
        self.model.eval()
        figure, aim = self._aim(placed, answered)
        found = attribute(trunk, aim, placed.ids, inside, self.blank_D, self.config)
        if not all(map(math.isfinite, (found.blank, found.whole, *found.value_T))):
            return Reason(fails="The model gives figures that are no numbers here: its weights are damaged or training diverged.")
        missed = found.missed if found.missed < 1e9 else None
        fails = None
        if missed is None or not missed <= self.config.tolerance:
            gap = "the text changes nothing in all" if missed is None else f"they miss it by {missed:.0%}"
            fails = f"Not attributable: the words do not add up to what the text changed ({gap}, at {found.steps} steps)."
        words = pieces_of(row.text(), placed.offsets_T, found.value_T)
        return Reason(
            figure=figure, words=tuple((piece.text, piece.value) for piece in words), blank=found.blank, whole=found.whole, missed=missed, steps=found.steps, fails=fails
        )  # fmt: skip

    def _aim(self, placed: Placed, answered: Prediction) -> tuple[str, Aim]:
        if isinstance(self.model, Headed):
            return self._head_aim(self.model, placed, answered)
        answer = self.renderer.answer(answered.answer)
        if self.labels is None:
            kept = answer[: self.config.answer_tokens]
            first = "" if len(kept) == len(answer) else f" (its first {len(kept)} tokens)"
            return f"log-probability of the answer{first}", answer_lead(self.model, kept, None)
        other = self._other(answered)
        if other is None:
            return f"log-probability of “{answered.answer}”", answer_lead(self.model, answer, None)
        lead = answer_lead(self.model, answer, self.renderer.answer(other))
        return f"log-probability of “{answered.answer}” less that of “{other}”", lead

    def _head_aim(self, model: Headed, placed: Placed, answered: Prediction) -> tuple[str, Aim]:
        if model.kind == "regression":
            return "the value", head_lead(model, 0, None)
        labels = self.labels or ()
        if model.kind == "multilabel":
            label = self._telling(model, placed, answered)
            return f"logit of “{labels[label]}”", head_lead(model, label, None)
        other = self._other(answered)
        own = labels.index(answered.answer)
        if other is None:
            return f"logit of “{answered.answer}”", head_lead(model, own, None)
        return f"logit of “{answered.answer}” less that of “{other}”", head_lead(model, own, labels.index(other))

    def _other(self, answered: Prediction) -> str | None:
        """The label an answer is set against: the right one, or the runner-up; None of a single label."""
        labels = self.labels or ()
        if answered.reference != answered.answer and answered.reference in labels:
            return answered.reference
        chances = answered.chances or {}
        others = [label for label in labels if label != answered.answer]
        return max(others, key=lambda label: chances.get(label, 0.0), default=None)

    def _telling(self, model: Headed, placed: Placed, answered: Prediction) -> int:
        """Of a set of labels, the one to explain: the surest of those that are wrong, else of those given, else of all."""
        chances_C = multilabel_probabilities(model, [placed.ids], device=self.device)[0]
        labels = self.labels or ()
        given, true = (set(map(str, side)) if isinstance(side, tuple) else set() for side in (answered.found, answered.truth))
        asked = [number for number, label in enumerate(labels) if label in (given ^ true or given)] or list(range(len(labels)))
        return max(asked, key=lambda number: abs(float(chances_C[number]) - 0.5))
