"""How near a planted temperature is found: a model three times too sure, 2,000 rows, 20 seeds.

Each seed draws scores of 10 labels for 2,000 rows (normal, spread 1.5), answers from their softmax, and tells the softmax of
three times the scores. The calibration stage sees these probabilities and answers as it sees any model's. The figure is the
median over seeds of |found / 3 - 1|; beside it how many seeds pass the bound, and what the stage chose.

    .venv/bin/python benchmarks/evaluate_cases/temperature.py
"""

import json
from collections import Counter
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

PLANTED = 3.0
ROWS, LABELS, SPREAD = 2000, 10, 1.5
SEEDS = range(20)
TO_REACH = 0.05


def cases() -> dict[str, Callable[[], dict[str, Any]]]:
    """Name -> what measures it."""
    return {"temperature-error": _measure}


def _measure() -> dict[str, Any]:
    runs = [_run(seed) for seed in SEEDS]
    errors = [run["error"] for run in runs]
    return {
        "case": "temperature-error",
        "value": round(median(errors), 4),
        "unit": "relative error",
        "spread": [round(min(errors), 4), round(max(errors), 4)],
        "repeats": len(runs),
        "to_reach": TO_REACH,
        "ours": {
            "planted": PLANTED,
            "found": [round(run["temperature"], 4) for run in runs],
            "within": sum(error <= TO_REACH for error in errors),
            "chosen": dict(Counter(run["chosen"] for run in runs)),
            "ece_before": round(median(run["ece_before"] for run in runs), 4),
            "ece_after": round(median(run["ece_after"] for run in runs), 4),
            "ece_by_chance": round(median(run["ece_by_chance"] for run in runs), 4),
        },
    }


def _run(seed: int) -> dict[str, Any]:
    """Calibrate one planted model with everything that fits allowed; where no temperature is chosen, the error counts in full."""
    from tunesmith.evaluate.calibration import calibrate

    found = calibrate(_planted(seed), seed=seed)
    temperature = getattr(found.calibrator, "temperature", 1.0 if found.calibrator.name == "identity" else 0.0)
    assert found.measured is not None
    return {
        "temperature": temperature,
        "error": abs(temperature / PLANTED - 1),
        "chosen": found.calibrator.name,
        "ece_before": found.measured.before.ece,
        "ece_after": found.measured.after.ece,
        "ece_by_chance": found.measured.after.by_chance,
    }


def _planted(seed: int) -> list[Any]:
    from tunesmith.score.prediction import Prediction

    random = np.random.default_rng(seed)
    scores = random.normal(0, SPREAD, (ROWS, LABELS))
    true, told = _softmax(scores), _softmax(PLANTED * scores)
    truth = (true.cumsum(axis=1) < random.random((ROWS, 1))).sum(axis=1).clip(max=LABELS - 1)
    names = [f"label {place}" for place in range(LABELS)]
    return [
        Prediction(
            row_id=str(row),
            reference=names[truth[row]],
            answer=names[told[row].argmax()],
            confidence=float(told[row].max()),
            chances=dict(zip(names, told[row].tolist(), strict=True)),
        )
        for row in range(ROWS)
    ]


def _softmax(scores: np.ndarray) -> np.ndarray:
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    made: np.ndarray = raised / raised.sum(axis=1, keepdims=True)
    return made


if __name__ == "__main__":
    print(json.dumps([measure() for measure in cases().values()]))
