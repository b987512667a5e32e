"""Calibrators find what was planted, stay finite for anything, and come back from JSON as they were."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.score.planted_chances import planted, softmax
from tunesmith.core.errors import DataError
from tunesmith.score.calibrators import NAMES, from_json, kind
from tunesmith.score.calibrators.isotonic import Isotonic
from tunesmith.score.calibrators.logs import normalised
from tunesmith.score.calibrators.platt import Platt
from tunesmith.score.calibrators.temperature import GREATEST, LEAST, Temperature
from tunesmith.score.calibrators.vector import Vector


def loss(p: np.ndarray, truth: np.ndarray) -> float:
    return float(-np.log(p[np.arange(len(truth)), truth]).mean())


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_a_planted_temperature_is_found_to_a_twentieth(temperature: float, seed: int) -> None:
    found = Temperature.fit(*planted(2000, temperature, seed))
    assert found.temperature == pytest.approx(temperature, rel=0.05)


def test_a_temperature_keeps_every_order() -> None:
    logp, truth = planted(300, 3.0, 0)
    after = Temperature.fit(logp, truth).apply(logp)
    assert np.array_equal(np.argsort(logp, axis=1), np.argsort(after, axis=1))


def test_rows_that_are_all_right_are_not_told_as_certain() -> None:
    """Told 0.9 and right 50 times of 50: surer, yet not sure. All wrong: near even."""
    logp = np.log(np.tile([0.9, 0.1], (50, 1)))
    right, wrong = np.zeros(50, dtype=np.int64), np.ones(50, dtype=np.int64)
    assert 0.97 < Temperature.fit(logp, right).apply(logp)[0, 0] < 0.9999
    assert 0.5 < Temperature.fit(logp, wrong).apply(logp)[0, 0] < 0.6


def test_vector_scaling_finds_a_label_that_is_answered_too_often() -> None:
    """Label 0's log-odds were raised by 1 at temperature 2: offsets apart by 1/2 of that, weights 1/2."""
    logp, truth = planted(6000, 2.0, 3, labels=4)
    biased = np.log(softmax(logp + np.array([1.0, 0.0, 0.0, 0.0])))
    found = Vector.fit(biased, truth)
    assert np.mean(found.offset_C[1:]) - found.offset_C[0] == pytest.approx(0.5, abs=0.12)
    assert found.weight_C == pytest.approx([0.5] * 4, abs=0.06)
    assert loss(found.apply(biased), truth) < loss(Temperature.fit(biased, truth).apply(biased), truth) - 0.005


def test_vector_scaling_leaves_unseen_labels_at_the_temperature() -> None:
    logp, truth = planted(400, 3.0, 5, labels=8)
    seen = truth < 4
    found = Vector.fit(logp[seen], truth[seen])
    assert min(found.weight_C) > 0
    assert max(map(abs, found.offset_C)) < 10


def test_isotonic_finds_a_bend_that_no_temperature_has() -> None:
    """Told c, right with c squared when above a half: the curve meets it within 3 points in the middle of its range."""
    random = np.random.default_rng(1)
    told = random.uniform(0.5, 0.99, 8000)
    truth = (random.random(8000) < told**2).astype(np.int64)
    logp = np.log(np.column_stack([1 - told, told]))
    at = np.array([0.6, 0.7, 0.8, 0.9])
    after = Isotonic.fit(logp, truth).apply(np.log(np.column_stack([1 - at, at])))[:, 1]
    assert after == pytest.approx(at**2, abs=0.05)
    assert loss(Isotonic.fit(logp, truth).apply(logp), truth) < loss(Temperature.fit(logp, truth).apply(logp), truth) - 0.02


def test_platt_finds_slope_and_offset() -> None:
    random = np.random.default_rng(2)
    odds = random.normal(1, 2, 5000)
    truth = (random.random(5000) < 1 / (1 + np.exp(-(0.5 * odds - 0.7)))).astype(np.int64)
    found = Platt.fit(np.log(softmax(np.column_stack([np.zeros(5000), odds]))), truth)
    assert (found.slope, found.offset) == (pytest.approx(0.5, abs=0.04), pytest.approx(-0.7, abs=0.08))


def test_a_score_that_says_the_reverse_is_told_as_the_base_rate() -> None:
    odds = np.linspace(-3, 3, 400)
    found = Platt.fit(np.log(softmax(np.column_stack([np.zeros(400), odds]))), (odds < 0).astype(np.int64))
    assert found.slope == 0.0
    assert found.apply(np.zeros((1, 2)))[0, 1] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("name", ["temperature", "vector", "isotonic"])
def test_shuffled_labels_give_the_prior(name: str) -> None:
    """Probabilities that say nothing end near the labels' shares; a temperature, which knows no shares, near even ones."""
    logp, _ = planted(3000, 3.0, 6, labels=3)
    truth = np.random.default_rng(0).choice(3, 3000, p=[0.6, 0.3, 0.1])
    after = kind(name).fit(logp, truth).apply(logp)
    prior = np.full(3, 1 / 3) if name == "temperature" else np.array([0.6, 0.3, 0.1])
    assert after.mean(axis=0) == pytest.approx(prior, abs=0.03)
    assert np.quantile(np.abs(after - prior).max(axis=1), 0.9) < 0.12


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_anything_gives_probabilities_that_survive_json(name: str, data: st.DataObject) -> None:
    labels = 2 if name == "platt" else data.draw(st.integers(1, 4))
    rows = data.draw(st.integers(1, 12))
    number = st.one_of(st.floats(-1e4, 0), st.just(0.0), st.just(-np.inf), st.floats(-3, 0))
    logp = np.array(data.draw(st.lists(st.lists(number, min_size=labels, max_size=labels), min_size=rows, max_size=rows)))
    logp[:, 0] = np.where(np.isneginf(logp).all(axis=1), 0.0, logp[:, 0])
    truth = np.array(data.draw(st.lists(st.integers(0, labels - 1), min_size=rows, max_size=rows)))
    found = kind(name).fit(logp, truth)
    after = found.apply(logp)
    assert np.isfinite(after).all() and (after >= 0).all() and (after <= 1).all()
    assert after.sum(axis=1) == pytest.approx(np.ones(rows))
    again = from_json(json.loads(json.dumps(found.to_json(), allow_nan=False)))
    assert again == found
    assert np.array_equal(again.apply(logp), after)
    assert found.labels() in (None, labels)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", ["one class only", "all wrong and certain", "one row"])
def test_hostile_rows_leave_a_chance_to_every_label(name: str, case: str) -> None:
    rows = 1 if case == "one row" else 1200
    logp = np.tile([0.0, -np.inf], (rows, 1)) if case == "all wrong and certain" else np.log(np.tile([0.7, 0.3], (rows, 1)))
    truth = np.ones(rows, dtype=np.int64) if case == "all wrong and certain" else np.zeros(rows, dtype=np.int64)
    after = kind(name).fit(logp, truth).apply(np.log([[0.5, 0.5], [0.99, 0.01]]))
    assert np.isfinite(after).all() and (after > 0).all()


def test_zeros_are_taken_for_very_little() -> None:
    assert normalised(np.array([[0.0, -np.inf], [-5000.0, -5001.0]])) == pytest.approx(
        np.array([[0.0, -100.0], [-0.31326, -1.31326]]), abs=1e-5
    )


@pytest.mark.parametrize(
    "odd", [np.array([[np.nan, 0.0]]), np.array([[np.inf, 0.0]]), np.full((1, 2), -np.inf), np.zeros((1, 0)), np.zeros(3)]
)
def test_what_are_no_log_probabilities_is_refused(odd: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"score it anew|one row per answer"):
        Temperature.fit(odd, np.zeros(len(odd), dtype=np.int64))


def test_no_rows_labels_out_of_range_and_other_widths_are_refused() -> None:
    logp = np.log(np.full((3, 2), 0.5))
    with pytest.raises(DataError, match="no rows"):
        Vector.fit(np.zeros((0, 2)), np.zeros(0, dtype=np.int64))
    with pytest.raises(DataError, match="from 0 to 1"):
        Temperature.fit(logp, np.array([0, 1, 2]))
    for name in ("vector", "isotonic", "platt"):
        with pytest.raises(DataError, match="given 3"):
            kind(name).fit(logp, np.array([0, 1, 0])).apply(np.zeros((1, 3)))


@pytest.mark.parametrize(
    "stored",
    [
        None,
        [],
        {},
        {"name": "temprature"},
        {"name": ["temperature"]},
        {"name": "temperature"},
        {"name": "temperature", "temperature": 0.0},
        {"name": "temperature", "temperature": -1.0},
        {"name": "temperature", "temperature": float("nan")},
        {"name": "temperature", "temperature": "3"},
        {"name": "temperature", "temperature": True},
        {"name": "temperature", "temperature": 1e9},
        {"name": "temperature", "temperature": 10**400},
        {"name": "vector", "weights": [1.0], "offsets": [0.0, 0.0]},
        {"name": "vector", "weights": [-1.0], "offsets": [0.0]},
        {"name": "vector", "weights": [], "offsets": []},
        {"name": "platt", "slope": 1.0},
        {"name": "platt", "slope": -1.0, "offset": 0.0},
        {"name": "isotonic", "floor": 0.001, "curves": []},
        {"name": "isotonic", "floor": 0.0, "curves": [[[0.1], [0.1]]]},
        {"name": "isotonic", "floor": 0.001, "curves": [[[0.1, 0.1], [0.1, 0.2]]]},
        {"name": "isotonic", "floor": 0.001, "curves": [[[0.1, 0.2], [0.2, 0.1]]]},
        {"name": "isotonic", "floor": 0.001, "curves": [[[0.1, 1.2], [0.1, 0.2]]]},
        {"name": "isotonic", "floor": 0.001, "curves": [[0.1, 0.2, 0.3]]},
    ],
)
def test_stored_calibrators_that_cant_be_meant_are_refused(stored: object) -> None:
    with pytest.raises(DataError):
        from_json(stored)


def test_temperatures_stay_within_bounds_that_can_be_read_back() -> None:
    certain = np.tile([0.0, -np.inf], (100_000, 1))
    for label in (0, 1):
        found = Temperature.fit(certain, np.full(100_000, label))
        assert LEAST <= found.temperature <= GREATEST
        assert from_json(found.to_json()) == found
