"""Answers that look at no text: what a model that learned only the training rows' shares would say. Baselines to beat."""

from collections import Counter
from collections.abc import Sequence
from statistics import fmean, median

from tunesmith.core.rows import Row
from tunesmith.score.meanings import write_labels, write_number
from tunesmith.score.prediction import Prediction


def always_commonest(train: Sequence[Row], test: Sequence[Row]) -> list[Prediction]:
    """The commonest training label as the answer to every row."""
    counts = Counter(row.answer for row in train)
    label = min(counts, key=lambda one: (-counts[one], one))
    chances = {label: counts[label] / len(train) for label in sorted(counts)}
    return [Prediction(row_id=row.id, reference=row.answer, answer=label, confidence=chances[label], chances=chances) for row in test]


def always_same_labels(train: Sequence[Row], test: Sequence[Row]) -> list[Prediction]:
    """The commonest labels, as many as make the best micro F1 among training rows, as the answer to every row."""
    counts = Counter(label for row in train for label in row.labels or ())
    ordered = sorted(counts, key=lambda label: (-counts[label], label))
    true, both, best = counts.total(), 0, (0.0, 0)
    for size, label in enumerate(ordered, 1):
        both += counts[label]
        best = max(best, (2 * both / (true + size * len(train)), -size))
    labels = tuple(sorted(ordered[: -best[1]]))
    shown = write_labels(labels)
    return [Prediction(row_id=row.id, reference=row.answer, answer=shown, truth=row.labels or (), found=labels) for row in test]


def always_mean(train: Sequence[Row], test: Sequence[Row], *, middle: bool = False) -> list[Prediction]:
    """The mean of the training rows' numbers as the answer to every row; with `middle` their median."""
    values = [row.value for row in train if row.value is not None]
    value = float(median(values) if middle else fmean(values))
    return [Prediction(row_id=row.id, reference=row.answer, answer=write_number(value), truth=row.value, found=value) for row in test]
