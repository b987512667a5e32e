"""Models whose calibration is known: labels are drawn from probabilities, and others are told."""

import numpy as np

from tunesmith.score.chances import Chances
from tunesmith.score.prediction import Prediction


def told(p: np.ndarray, truth: np.ndarray) -> list[Prediction]:
    """Predictions that tell these probabilities [R, C]; labels are l0, l1, ..."""
    return [
        Prediction(
            row_id=str(row),
            reference=f"l{label}",
            answer=f"l{int(chances.argmax())}",
            confidence=float(chances.max()),
            chances={f"l{place}": float(chance) for place, chance in enumerate(chances)},
        )
        for row, (chances, label) in enumerate(zip(p, truth, strict=True))
    ]


def chances(p: np.ndarray, truth: np.ndarray) -> Chances:
    """The same as an array."""
    return Chances(tuple(f"l{place}" for place in range(p.shape[1])), False, p, truth, p.argmax(axis=1))


def planted(rows: int, temperature: float, seed: int, *, labels: int = 6, spread: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities [R, C] of a model too sure by `temperature`, and labels [R]: divided by it they are the truth."""
    random = np.random.default_rng(seed)
    true = softmax(random.normal(0, spread, (rows, labels)))
    truth = (true.cumsum(axis=1) < random.random((rows, 1))).sum(axis=1).clip(max=labels - 1)
    return np.log(softmax(np.log(true) * temperature)), truth


def softmax(scores: np.ndarray) -> np.ndarray:
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)
