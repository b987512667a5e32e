"""Folds keep labels in proportion and groups whole; the plainest calibrator that does the job is chosen."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.score.planted_chances import planted, softmax
from tunesmith.core.errors import DataError
from tunesmith.score.calibrators.temperature import Temperature
from tunesmith.score.crossfit import candidates, choose, dealt, out_of_fold

ALL = ("isotonic", "vector", "temperature", "identity")


def test_how_many_rows_allow_what() -> None:
    assert candidates(199, judged=False) == ("identity", "temperature")
    assert candidates(200, judged=False) == ("identity", "temperature", "vector")
    assert candidates(1000, judged=False) == ("identity", "temperature", "vector", "isotonic")
    assert candidates(1000, judged=True) == ("identity", "temperature", "platt", "isotonic")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=80), st.integers(2, 7), st.integers(0, 3))
def test_folds_hold_each_label_in_proportion(labels: list[int], folds: int, seed: int) -> None:
    label = np.array(labels)
    fold = dealt(label, folds, seed=seed)
    assert np.array_equal(fold, dealt(label, folds, seed=seed))
    for one in set(labels):
        counts = [Counter(fold[label == one].tolist())[place] for place in range(folds)]
        assert max(counts) - min(counts) <= 1
    sizes = np.bincount(fold, minlength=folds)
    assert sizes.max() - sizes.min() <= 1


def test_folds_depend_on_the_seed_and_keep_groups_whole() -> None:
    label = np.arange(60) % 3
    assert not np.array_equal(dealt(label, 5, seed=0), dealt(label, 5, seed=1))
    groups = [str(row // 4) for row in range(60)]
    fold = dealt(label, 5, groups=groups)
    assert all(len({int(fold[row]) for row in range(60) if groups[row] == name}) == 1 for name in groups)


def test_no_row_is_judged_by_a_calibrator_that_saw_it() -> None:
    """Turning a row's own label round leaves its own out-of-fold probabilities where they are."""
    logp, truth = planted(60, 3.0, 0, labels=2)
    fold = dealt(truth, 5)
    turned = truth.copy()
    turned[7] = 1 - turned[7]
    before, after = out_of_fold("temperature", logp, truth, fold), out_of_fold("temperature", logp, turned, fold)
    assert np.array_equal(before[fold == fold[7]], after[fold == fold[7]])
    assert not np.allclose(before[fold != fold[7]], after[fold != fold[7]])


def test_a_model_too_sure_gets_a_temperature() -> None:
    found = choose(ALL, *planted(1000, 3.0, 2))
    assert isinstance(found.calibrator, Temperature)
    assert list(found.losses) == ["identity", "temperature", "vector", "isotonic"]
    assert found.losses["temperature"] < found.losses["identity"] - 0.1


@pytest.mark.parametrize("seed", range(4))
def test_a_calibrated_model_is_left_alone(seed: int) -> None:
    """Or as good as: a correction within a twentieth of none."""
    found = choose(ALL, *planted(2000, 1.0, seed)).calibrator
    assert found.name == "identity" or (isinstance(found, Temperature) and found.temperature == pytest.approx(1.0, rel=0.05))


def test_a_label_answered_too_often_gets_vector_scaling() -> None:
    logp, truth = planted(1500, 1.0, 3, labels=3)
    assert choose(ALL[1:], np.log(softmax(logp + np.array([1.5, 0.0, 0.0]))), truth).calibrator.name == "vector"


def test_a_bend_gets_isotonic() -> None:
    random = np.random.default_rng(4)
    told = random.uniform(0.02, 0.98, 3000)
    truth = (random.random(3000) < np.where(told > 0.5, 0.9, 0.1)).astype(np.int64)
    assert choose(ALL, np.log(np.column_stack([1 - told, told])), truth).calibrator.name == "isotonic"


def test_rows_of_an_unknown_label_are_not_fitted_on() -> None:
    logp, truth = planted(400, 3.0, 5)
    some = choose(("temperature",), logp[:300], truth[:300]).calibrator
    unknown = np.where(np.arange(400) < 300, truth, -1)
    assert choose(("temperature",), logp, unknown).calibrator == some
    with pytest.raises(DataError, match="among the labels"):
        choose(("temperature",), logp, np.full(400, -1))


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_a_row_or_two_are_enough_not_to_fail(rows: int) -> None:
    found = choose(("identity", "temperature"), *planted(rows, 3.0, 1))
    assert np.isfinite(found.p_NC).all()
    assert found.p_NC.sum(axis=1) == pytest.approx(np.ones(rows))
