"""From a model's answers to confidences that can be believed, stored and applied."""

import json
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from tests.unit.score.planted_chances import planted, softmax, told
from tunesmith.core.errors import DataError, RecipeError
from tunesmith.evaluate.calibration import Calibration, applied, calibrate, changes
from tunesmith.evaluate.calibration_wording import shown_confidence
from tunesmith.evaluate.config import CalibrateConfig
from tunesmith.score.calibrators.temperature import Temperature
from tunesmith.score.chances import chances_of
from tunesmith.score.measures import measure
from tunesmith.score.prediction import Prediction
from tunesmith.section import descriptions


def rows_of(rows: int, temperature: float, seed: int, **how: float) -> list[Prediction]:
    logp, truth = planted(rows, temperature, seed, **how)  # type: ignore[arg-type]
    return told(np.exp(logp), truth)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_model_three_times_too_sure_is_set_right(seed: int) -> None:
    found = calibrate(rows_of(2000, 3.0, seed), CalibrateConfig(methods=["temperature", "vector"]))
    assert isinstance(found.calibrator, Temperature)
    assert found.calibrator.temperature == pytest.approx(3.0, rel=0.05)
    assert found.measured is not None
    assert found.measured.before.ece > 0.2 and found.measured.after.ece < 2.5 * found.measured.after.by_chance
    assert found.measured.after.nll < found.measured.before.nll and found.measured.after.brier < found.measured.before.brier
    assert found.measured.changed == 0
    fresh = rows_of(2000, 3.0, seed + 100)
    after = applied(fresh, found)
    assert changes(fresh, after) == ()
    assert measure("ece").of(after) == pytest.approx(found.measured.after.ece, abs=0.03)
    assert measure("nll").of(after) == pytest.approx(found.measured.after.nll, rel=0.1)
    assert found.sentences[0].startswith(
        f"Confidences are corrected by a temperature of {found.calibrator.temperature:.2f}, found on 2,000 rows: "
    )


def test_a_calibrated_model_is_left_as_it_is() -> None:
    rows = rows_of(2000, 1.0, 1)
    found = calibrate(rows)
    assert found.calibrator.name == "identity"
    assert found.sentences[0].startswith("Confidences are left as they are: on 2,000 rows no correction was better beyond doubt;")
    after = applied(rows, found)
    assert [one.answer for one in after] == [one.answer for one in rows]
    assert [one.confidence for one in after] == pytest.approx([one.confidence for one in rows])


def test_shuffled_labels_give_near_prior_probabilities() -> None:
    logp, _ = planted(2000, 2.0, 3, labels=3)
    truth = np.random.default_rng(0).choice(3, 2000, p=[0.6, 0.3, 0.1])
    rows = told(np.exp(logp), truth)
    found = calibrate(rows)
    after = applied(rows, found)
    mean = [float(np.mean([(one.chances or {})[label] for one in after])) for label in ("l0", "l1", "l2")]
    assert mean == pytest.approx([0.6, 0.3, 0.1], abs=0.03)
    assert np.quantile([one.confidence for one in after], 0.95) < 0.75
    assert found.threshold is None
    assert any("No confidence can be promised" in sentence for sentence in found.sentences)


def test_a_correction_that_changes_answers_says_so() -> None:
    logp, truth = planted(1500, 1.0, 3, labels=3)
    rows = told(softmax(logp + np.array([1.5, 0.0, 0.0])), truth)
    found = calibrate(rows, CalibrateConfig(methods=["temperature", "vector"]))
    assert found.calibrator.name == "vector"
    assert found.measured is not None and found.measured.changed > 50
    assert any(f"changes the answer of {found.measured.changed:,} of 1,500 rows" in sentence for sentence in found.sentences)
    after = applied(rows, found)
    turned = changes(rows, after)
    assert len(turned) == pytest.approx(found.measured.changed, rel=0.2)
    for one in after:
        assert one.chances is not None and one.confidence == pytest.approx(max(one.chances.values()))
        assert one.chances[one.answer] == pytest.approx(one.confidence)
    assert (measure("accuracy").of(after) or 0) > (measure("accuracy").of(rows) or 0) + 0.03


def test_the_threshold_keeps_its_promise_after_calibration() -> None:
    """60 models three times too sure, 200 rows each: the answers given to 4,000 fresh rows are wrong too often in few."""
    fresh, config, given, broken = rows_of(4000, 3.0, 77, spread=5.0), CalibrateConfig(risk=0.1), 0, 0
    before = chances_of(fresh)
    assert before is not None
    for seed in range(60):
        found = calibrate(rows_of(200, 3.0, 1000 + seed, spread=5.0), config)
        if found.threshold is not None:
            after = before.replaced(found.calibrator.apply(before.logp_RC))
            kept = after.confidence_R >= found.threshold.confidence
            given, broken = given + 1, broken + bool((~after.right_R[kept]).mean() > 0.1)
    assert given >= 20
    assert broken <= 60 * 0.05


def test_answers_are_given_from_the_threshold_on() -> None:
    found = calibrate(rows_of(1000, 3.0, 5, spread=4.0))
    assert found.threshold is not None and 0 < found.threshold.coverage < 1
    sure = Prediction(row_id="r", reference="a", answer="a", confidence=found.threshold.confidence)
    assert found.gives(sure) and not found.gives(replace(sure, confidence=found.threshold.confidence - 1e-6))
    assert not found.gives(replace(sure, confidence=None))
    assert any("are wrong in at most 5% of cases, at 95% certainty" in sentence for sentence in found.sentences)
    assert not replace(found, threshold=None).gives(sure)
    asked_nothing = calibrate(rows_of(100, 3.0, 5), CalibrateConfig(risk=None))
    assert asked_nothing.threshold is None and asked_nothing.gives(replace(sure, confidence=0.0))


def test_few_rows_get_a_temperature_alone_and_are_told() -> None:
    found = calibrate(rows_of(150, 3.0, 2))
    assert found.calibrator.name == "temperature"
    assert found.measured is not None and list(found.measured.losses) == ["identity", "temperature"]
    assert "Only a temperature was tried: 150 rows are under 200." in found.sentences
    asked = calibrate(rows_of(250, 3.0, 2), CalibrateConfig(methods=["isotonic", "temperature"]))
    assert "Not tried on 250 rows: isotonic (from 1,000 on)." in asked.sentences


def test_texts_are_calibrated_by_their_confidence() -> None:
    """Sure at c in log-odds, right at half of that less 1; answers stay what they are."""
    random = np.random.default_rng(6)
    odds = random.normal(1, 2, 900)
    right = random.random(900) < 1 / (1 + np.exp(-(0.5 * odds - 1)))
    rows = [
        Prediction(row_id=str(row), reference="yes", answer="Yes"[: 3 if hit else 2].lower(), confidence=float(1 / (1 + np.exp(-one))))
        for row, (one, hit) in enumerate(zip(odds, right, strict=True))
    ]
    found = calibrate(rows)
    assert found.calibrator.name == "platt" and found.judged
    after = applied(rows, found)
    assert [one.answer for one in after] == [one.answer for one in rows]
    assert (measure("ece").of(after) or 0) < 0.06 < (measure("ece").of(rows) or 0)
    assert calibrate(rows[:2]).rows == 2


def test_it_goes_through_json_and_applies_the_same() -> None:
    rows = rows_of(1200, 3.0, 8, labels=3)
    for methods in (["identity"], ["temperature"], ["vector"], ["isotonic"]):
        found = calibrate(rows, CalibrateConfig(methods=methods))
        written = json.dumps(found.to_json(), allow_nan=False)
        again = Calibration.from_json(json.loads(written))
        assert applied(rows, again) == applied(rows, found)
        assert (again.threshold, again.sentences, again.measured) == (found.threshold, found.sentences, None)
        assert {"before", "after", "losses", "aurc", "curve"} <= set(found.to_json()["measured"])


@pytest.mark.parametrize(
    "odd",
    [
        {"version": 2},
        {"labels": []},
        {"labels": ["b", "a"]},
        {"labels": ["a", 1]},
        {"judged": True},
        {"judged": None},
        {"rows": 0},
        {"rows": True},
        {"risk": 2.0},
        {"risk": "0.05"},
        {"threshold": {}},
        {"calibrator": None},
        {"calibrator": {"name": "vector", "weights": [1.0], "offsets": [0.0]}},
    ],
)
def test_a_stored_calibration_that_cant_be_meant_is_refused(odd: dict[str, object]) -> None:
    sound = calibrate(rows_of(60, 3.0, 8)).to_json()
    Calibration.from_json(sound)
    with pytest.raises(DataError, match="calibrat"):
        Calibration.from_json(sound | odd)


def test_answers_of_another_kind_or_label_set_are_refused() -> None:
    found = calibrate(rows_of(60, 3.0, 8))
    assert applied([], found) == []
    with pytest.raises(DataError, match="for answers with probabilities of labels"):
        applied([Prediction(row_id="r", reference="a", answer="a", confidence=0.5)], found)
    with pytest.raises(DataError, match="other labels"):
        applied(rows_of(3, 1.0, 1, labels=4), found)
    with pytest.raises(DataError, match="nothing to calibrate"):
        calibrate([Prediction(row_id="r", reference="a", answer="a")])
    with pytest.raises(DataError, match="no rows"):
        calibrate([])


def test_references_outside_the_labels_are_told_and_count_as_wrong() -> None:
    rows = rows_of(300, 3.0, 8)
    found = calibrate([replace(one, reference="never seen") if place < 30 else one for place, one in enumerate(rows)])
    assert any("reference of 30 rows is none of the labels" in sentence for sentence in found.sentences)
    with pytest.raises(DataError, match="among the labels"):
        calibrate([replace(one, reference="never seen") for one in rows])


def test_rows_of_one_group_count_for_less() -> None:
    """Every row five times: no surer than once."""
    rows = [replace(one, row_id=f"{one.row_id}-{copy}") for one in rows_of(100, 1.0, 8, spread=5.0) for copy in range(5)]
    groups = [str(place // 5) for place in range(500)]
    blind, aware = calibrate(rows, CalibrateConfig(risk=0.1)), calibrate(rows, CalibrateConfig(risk=0.1), groups=groups)
    assert blind.threshold is not None
    assert aware.threshold is None or aware.threshold.coverage < blind.threshold.coverage


def test_settings_are_checked() -> None:
    for wrong in ({"risk": 0.0}, {"risk": 1.0}, {"folds": 1}, {"methods": ["temprature"]}, {"method": "auto"}):
        with pytest.raises(ValidationError):
            CalibrateConfig.model_validate(wrong)
    with pytest.raises(RecipeError, match="platt knows right and wrong only, and the answers are 6 labels"):
        calibrate(rows_of(300, 1.0, 1), CalibrateConfig(methods=["platt"]))
    assert set(descriptions(CalibrateConfig)) == set(CalibrateConfig.model_fields)


def test_a_confidence_near_one_is_not_rounded_to_it() -> None:
    assert [shown_confidence(value) for value in (0.834, 0.9997, 0.0, 0.99999999)] == ["0.83", "0.9997", "0.00", "0.99999999"]
