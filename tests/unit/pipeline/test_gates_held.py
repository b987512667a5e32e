"""Every bound of a recipe has its gate: what nobody measured does not hold, and what can't be measured is told before training."""

import pytest

from tunesmith.data.config import Task
from tunesmith.evaluate.config import GatesConfig
from tunesmith.evaluate.verdict import Judgement, System, judge
from tunesmith.pipeline.calibrating import FEWEST, unmeasurable
from tunesmith.pipeline.looks import Found, with_findings
from tunesmith.recipe import Recipe
from tunesmith.score.prediction import Prediction


def _judged(gates: GatesConfig) -> Judgement:
    right = [Prediction(row_id=f"{n}", reference="a", answer="a") for n in range(30)]
    systems = [
        System(key="zero-shot", name="Base, zero-shot", kind="baseline", predictions=right),
        System(key="tuned", name="Fine-tuned", kind="tuned", predictions=right),
    ]
    return judge(systems, task=Task.CLASSIFY, metrics=["accuracy"], resamples=200, seed=0, gates=gates)


@pytest.mark.parametrize("name", sorted(GatesConfig.model_fields))
def test_a_bound_that_nobody_measured_does_not_hold(name: str) -> None:
    """Every bound of the recipe has its gate: also where no look found anything, or one found nothing to measure."""
    bounds = GatesConfig.model_validate({name: 0.5})
    for findings in ({}, {"calibration": None, "bias": Found(piece={})}):
        gates = with_findings(_judged(bounds), findings, bounds).gates
        assert [(gate.name, gate.bound, gate.holds) for gate in gates] == [(name, 0.5, False)]
        assert (gates[0].value is None) is (name != "gain")
    assert with_findings(_judged(GatesConfig()), {}, GatesConfig()).gates == ()


@pytest.mark.parametrize(("rows", "told"), [(0, True), (FEWEST - 1, True), (FEWEST, False)])
def test_too_few_rows_to_calibrate_are_told_before_training(rows: int, told: bool) -> None:
    bound = Recipe.model_validate({"data": {"path": "rows.jsonl"}, "gates": {"calibration_error": 0.0}})
    found = unmeasurable(bound, rows)
    assert (found is not None and f"there are {rows} calibrate rows" in found) is told
    assert unmeasurable(Recipe.model_validate({"data": {"path": "rows.jsonl"}}), rows) is None
