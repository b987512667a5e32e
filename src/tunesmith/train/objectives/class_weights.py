"""Class weights as numbers: from the recipe's words and the counts of the training rows. Letters: C labels."""

from collections.abc import Mapping, Sequence
from typing import Literal

from tunesmith.core.errors import RecipeError
from tunesmith.data.quoting import nearest_label

Choice = Literal["balanced"] | Mapping[str, float]
"""As the recipe has it: `balanced`, or label -> weight, 1 for labels not named."""


def resolve_class_weights(choice: Choice, labels: Sequence[str], count_C: Sequence[int]) -> tuple[float, ...]:
    """Weights for labels that exclude each other, scaled to a mean of 1 over the training rows (or tagged tokens).

    Balanced: inverse to how often a label occurs, N / (K n_c) with K the labels that occur (King and Zeng, 2001). The
    scale keeps losses comparable with and without weights; over the whole training set the weighted loss is then the
    mean that divides by the sum of class weights. A label that does not occur has 1 where balanced.

    Args:
        choice: `objective.class_weights`.
        labels: in the order of the head's outputs.
        count_C: how often each occurs in the training rows.

    Raises:
        RecipeError: a label is named that is none.
    """
    occurring = sum(count > 0 for count in count_C)
    if not occurring:
        return (1.0,) * len(labels)
    rows = sum(count_C)
    if choice == "balanced":
        return tuple(rows / (occurring * count) if count else 1.0 for count in count_C)
    chosen = _by_label(choice, labels)
    mean = sum(weight * count for weight, count in zip(chosen, count_C, strict=True)) / rows
    return tuple(weight / mean for weight in chosen)


def resolve_positive_weights(choice: Choice, labels: Sequence[str], count_C: Sequence[int], rows: int) -> tuple[float, ...]:
    """Weights of having a label against not having it, for labels that may go together.

    Balanced: (rows without it) / (rows with it), so that both sides of a label weigh the same; 1 where one side is
    empty. A mapping is taken as it stands. Raises RecipeError as `resolve_class_weights` does.
    """
    if choice == "balanced":
        return tuple((rows - count) / count if 0 < count < rows else 1.0 for count in count_C)
    return _by_label(choice, labels)


def _by_label(choice: Choice, labels: Sequence[str]) -> tuple[float, ...]:
    assert not isinstance(choice, str)
    for label in choice:
        if label not in labels:
            raise RecipeError(
                f"objective.class_weights names the label {label!r}, which the rows don't have.{nearest_label(label, labels)}"
            )
    return tuple(float(choice.get(label, 1.0)) for label in labels)
