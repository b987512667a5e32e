"""Whether what a learning curve foretells holds: planted power laws, their answers simulated, the package's own curve over them.

`curve-coverage`: four points (10, 25, 50, 100% of 600 rows), 200 and 1,000 test rows, two thirds of them as hard for every model; how often
the 95% interval holds the accuracy that twice the rows truly give. The figure is the worst setting. Told beside it: the same of those
curves alone that were called rising. `curve-false-rise`: how often a flat curve is called rising.
"""

from collections.abc import Callable
from functools import cache
from itertools import product
from typing import Any

import numpy as np

from tunesmith.evaluate.learning_curve import LearningCurve, learning_curve
from tunesmith.score.measures import measure
from tunesmith.score.prediction import Prediction
from tunesmith.score.resampling import Resamples

DRAWS, RESAMPLES = 200, 300
SIZES, ROWS, HARD = (200, 1000), (60, 150, 300, 600), 0.67
LAWS = {"floor 10%": (0.1, 0.2, 0.5), "no floor": (0.0, 0.3, 0.4), "fast": (0.2, 0.05, 1.0), "slow": (0.05, 0.3, 0.3)}
FLAT = (0.3, 0.0, 1.0)


def cases() -> dict[str, Callable[[], dict[str, Any]]]:
    """Name -> what measures it."""
    return {"curve-coverage": coverage, "curve-false-rise": false_rise}


def _law(rows: int, law: tuple[float, float, float]) -> float:
    floor, rest, exponent = law
    return floor + rest * (rows / ROWS[-1]) ** -exponent


@cache
def _pair(place: int) -> tuple[Prediction, Prediction]:
    return tuple(Prediction(row_id=str(place), reference="a", answer=answer) for answer in "ab")  # type: ignore[return-value]


def _curves(law: tuple[float, float, float], test_rows: int) -> list[LearningCurve]:
    made = []
    for seed in range(DRAWS):
        random = np.random.default_rng([seed, test_rows])
        shared, hard = random.random(test_rows), random.random(test_rows) < HARD
        answered = {}
        for rows in ROWS:
            wrong = np.where(hard, shared, random.random(test_rows)) < _law(rows, law)
            answered[rows] = [_pair(place)[int(one)] for place, one in enumerate(wrong)]
        made.append(learning_curve(measure("accuracy"), answered, Resamples(rows=test_rows, count=RESAMPLES, seed=seed)))
    return made


def coverage() -> dict[str, Any]:
    """How often the interval of twice the rows holds the truth."""
    told: dict[str, Any] = {}
    for (name, law), test_rows in product(LAWS.items(), SIZES):
        curves = _curves(law, test_rows)
        truth = 1 - _law(2 * ROWS[-1], law)
        held = [one.ahead[0].value.low <= truth <= one.ahead[0].value.high for one in curves]
        rising = [one for one, curve in zip(held, curves, strict=True) if curve.outcome == "rising"]
        width = np.mean([one.ahead[0].value.high - one.ahead[0].value.low for one in curves])
        told[f"{name}, {test_rows} test rows"] = {
            "covered": float(np.mean(held)),
            "covered where rising": float(np.mean(rising)) if rising else None,
            "called rising": len(rising) / DRAWS,
            "width": round(float(width), 3),
        }
    values = [one["covered"] for one in told.values()]
    return {
        "case": "curve-coverage",
        "value": min(values),
        "unit": "share of 95% intervals that hold what twice the rows give, worst setting",
        "spread": [min(values), max(values)],
        "repeats": DRAWS,
        "ours": told,
    }


def false_rise() -> dict[str, Any]:
    """How often a flat curve is called rising."""
    told = {}
    for test_rows in SIZES:
        outcomes = [one.outcome for one in _curves(FLAT, test_rows)]
        told[f"{test_rows} test rows"] = {kind: outcomes.count(kind) / DRAWS for kind in ("rising", "flat", "unclear")}
    values = [one["rising"] for one in told.values()]
    return {
        "case": "curve-false-rise",
        "value": max(values),
        "unit": "share of flat curves called rising",
        "spread": [min(values), max(values)],
        "repeats": DRAWS,
        "ours": told,
    }
