"""A model three times too sure of itself, through the steps a round takes: found, set right, and told in figures, gate and verdict."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tunesmith.core.progress import silent
from tunesmith.core.rows import Message, Row
from tunesmith.data.config import Task
from tunesmith.evaluate.config import GatesConfig
from tunesmith.evaluate.systems import Answerer
from tunesmith.evaluate.verdict import System, judge
from tunesmith.pipeline.calibrating import calibration_of, corrected, found_on_test
from tunesmith.pipeline.looks import with_findings
from tunesmith.recipe import Recipe
from tunesmith.score.prediction import Prediction

PLANTED, LABELS, ROWS, BOUND = 3.0, 6, 2000, 0.1


def _softmax(scores: np.ndarray) -> np.ndarray:
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    made: np.ndarray = raised / raised.sum(axis=1, keepdims=True)
    return made


class Sure(Answerer):
    """Knows each row's true chances, and tells the softmax of `times` their logarithms."""

    def __init__(self, times: float) -> None:
        nothing: Any = None
        super().__init__(nothing, nothing, torch.device("cpu"), tuple(f"label {place}" for place in range(LABELS)))
        object.__setattr__(self, "times", times)

    def answer(self, rows: Sequence[Row], *_: Any, **__: Any) -> list[Prediction]:
        names = [f"label {place}" for place in range(LABELS)]
        told = _softmax(vars(self)["times"] * np.log(np.array([row.fields["chances"] for row in rows])))
        return [
            Prediction(
                row_id=row.id,
                reference=row.answer,
                answer=names[one.argmax()],
                confidence=float(one.max()),
                chances=dict(zip(names, one.tolist(), strict=True)),
            )
            for row, one in zip(rows, told, strict=True)
        ]


def _rows(name: str, seed: int) -> list[Row]:
    """Rows whose labels are drawn from chances of their own."""
    random = np.random.default_rng(seed)
    chances = _softmax(random.normal(0, 1.5, (ROWS, LABELS)))
    truth = (chances.cumsum(axis=1) < random.random((ROWS, 1))).sum(axis=1).clip(max=LABELS - 1)
    return [
        Row(id=f"{name} {n}", prompt=(Message("user", f"{n}"),), answer=f"label {truth[n]}", fields={"chances": chances[n]})
        for n in range(ROWS)
    ]


@pytest.mark.parametrize(("times", "temperature"), [(PLANTED, PLANTED), (1.0, 1.0)])
def test_its_temperature_is_found_and_the_gate_holds_once_it_is_set_right(times: float, temperature: float, tmp_path: Path) -> None:
    recipe = Recipe.model_validate({"data": {"path": "rows.jsonl"}, "gates": {"calibration_error": BOUND}})
    model, test = Sure(times), _rows("test", 1)
    found = calibration_of(model, _rows("calibrate", 0), "accuracy", recipe, tmp_path / "calibrate.jsonl", None, silent)
    assert found is not None
    assert getattr(found.calibrator, "temperature", 1.0) == pytest.approx(temperature, rel=0.05)
    tuned = corrected(tmp_path / "tuned.jsonl", lambda: model.answer(test), found)
    told = found_on_test(found, tmp_path / "tuned.jsonl", "accuracy", None, recipe.gates.calibration_error)
    assert told is not None
    before, after = told.piece["test"]["before"], told.piece["test"]["after"]
    assert (before["ece"] > 0.2) is (times == PLANTED) and after["ece"] < 0.05
    base = [Prediction(row_id=one.row_id, reference=one.reference, answer="label 0") for one in tuned]
    systems = [
        System(key="zero-shot", name="Base, zero-shot", kind="baseline", predictions=base),
        System(key="tuned", name="Fine-tuned", kind="tuned", predictions=tuned),
    ]
    judged = judge(systems, task=Task.CLASSIFY, metrics=["accuracy"], resamples=200, seed=0, gates=GatesConfig())
    verdict = with_findings(judged, {"calibration": told}, recipe.gates).to_json()["verdict"]
    assert verdict["outcome"] == "gain"  # being too sure changes no answer
    assert [(gate["name"], gate["holds"]) for gate in verdict["gates"]] == [("calibration_error", True)]


def test_left_as_it_is_the_gate_refuses_it(tmp_path: Path) -> None:
    asked = {"data": {"path": "rows.jsonl"}, "evaluate": {"calibrate": {"methods": ["identity"]}}}
    recipe = Recipe.model_validate(asked)
    model, test = Sure(PLANTED), _rows("test", 1)
    found = calibration_of(model, _rows("calibrate", 0), "accuracy", recipe, tmp_path / "calibrate.jsonl", None, silent)
    corrected(tmp_path / "tuned.jsonl", lambda: model.answer(test), found)
    told = found_on_test(found, tmp_path / "tuned.jsonl", "accuracy", None, BOUND)
    assert told is not None and [(gate.name, gate.holds) for gate in told.gates] == [("calibration_error", False)]
    assert told.gates[0].value > 0.2
