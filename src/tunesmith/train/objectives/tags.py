"""Cross-entropy over the labels of single tokens: entities, parts of speech, spans."""

from dataclasses import dataclass
from typing import ClassVar

from tunesmith.train.objectives import LossSum
from tunesmith.train.objectives.inputs import TagInputs
from tunesmith.train.objectives.label_class import LabelLoss


@dataclass(frozen=True, slots=True, kw_only=True)
class Tags(LabelLoss):
    """One label for each supervised token, with `LabelLoss`. Divided by the sum of token weights: class weights are not in it."""

    inputs: ClassVar[str] = "tags"
    needs: ClassVar[frozenset[str]] = frozenset()

    def __call__(self, x: TagInputs) -> LossSum:
        return LossSum.of(self.loss(x.logits_SC, x.tag_S), x.weight_S)
