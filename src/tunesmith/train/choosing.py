"""What a head's validation pass says beside its loss: the answers that the deciding measure counts, from the same outputs.

Costs a comparison of each row's outputs; the model is not run again. Answers are what they are in evaluation: the label
with the highest output, the labels with a probability of one half or more, the value. Spans need a row's text, which a pass
does not have: of them, and of answers as text, the loss alone is known. Letters: R rows, C labels.
"""

from collections.abc import Callable, Sequence
from typing import Any

from tunesmith.score.prediction import Prediction
from tunesmith.train.objectives.inputs import LabelInputs, MultiLabelInputs, ValueInputs

ANSWERED = frozenset({"labels", "multilabels", "values"})
"""The kinds of inputs (`Objective.inputs`) that hold answers."""


def answers(inputs: Any, row_ids: Sequence[str]) -> list[Prediction]:
    """One prediction a row, its labels named by their places; empty for inputs that hold no answers."""
    made = next((make for kind, make in _TABLE.items() if isinstance(inputs, kind)), None)
    return [] if made is None else made(inputs, row_ids)


def _labels(x: LabelInputs, row_ids: Sequence[str]) -> list[Prediction]:
    told = zip(row_ids, x.label_R.tolist(), x.logits_RC.argmax(dim=-1).tolist(), strict=True)
    return [Prediction(row_id=row_id, reference=str(label), answer=str(found)) for row_id, label, found in told]


def _multilabels(x: MultiLabelInputs, row_ids: Sequence[str]) -> list[Prediction]:
    told = zip(row_ids, (x.target_RC > 0.5).tolist(), (x.logits_RC >= 0).tolist(), strict=True)
    return [Prediction(row_id=row_id, reference="", answer="", truth=_held(has_C), found=_held(found_C)) for row_id, has_C, found_C in told]


def _held(has_C: Sequence[bool]) -> tuple[str, ...]:
    return tuple(str(place) for place, held in enumerate(has_C) if held)


def _values(x: ValueInputs, row_ids: Sequence[str]) -> list[Prediction]:
    told = zip(row_ids, x.target_R.tolist(), x.value_R.tolist(), strict=True)
    return [Prediction(row_id=row_id, reference="", answer="", truth=target, found=value) for row_id, target, value in told]


_TABLE: dict[type, Callable[[Any, Sequence[str]], list[Prediction]]] = {
    LabelInputs: _labels,
    MultiLabelInputs: _multilabels,
    ValueInputs: _values,
}
