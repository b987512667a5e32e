"""What probabilities are worth: calibration error, Brier score, log loss and the diagram."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.score.planted_chances import chances, planted, softmax, told
from tunesmith.core.errors import DataError
from tunesmith.score.calibration import BINS, Figures, error_interval, figures
from tunesmith.score.chances import chances_of
from tunesmith.score.intervals import interval
from tunesmith.score.measures import measure
from tunesmith.score.paired import compare
from tunesmith.score.prediction import Prediction
from tunesmith.score.resampling import Resamples


def of(predictions: list[Prediction], groups: list[str] | None = None) -> Figures:
    chances = chances_of(predictions)
    assert chances is not None
    return figures(chances, groups)


def two(chance: float, answer: str = "a", reference: str = "a") -> Prediction:
    return Prediction(
        row_id="r", reference=reference, answer=answer, confidence=max(chance, 1 - chance), chances={"a": chance, "b": 1 - chance}
    )


def test_brier_and_log_loss_by_hand() -> None:
    """(1 - 0.8)^2 + 0.2^2 = 0.08, and 0.6^2 + (1 - 0.4)^2 = 0.72."""
    rows = [two(0.8), two(0.6, reference="b")]
    assert measure("brier").of(rows) == pytest.approx((0.08 + 0.72) / 2)
    assert measure("nll").of(rows) == pytest.approx(-(np.log(0.8) + np.log(0.4)) / 2)


def test_figures_and_measures_are_the_same_numbers() -> None:
    rows = told(np.exp(planted(700, 2.0, 1)[0]), planted(700, 2.0, 1)[1])
    found = of(rows)
    assert measure("ece").of(rows) == pytest.approx(found.ece, abs=1e-12)
    assert measure("brier").of(rows) == pytest.approx(found.brier, abs=1e-12)
    assert measure("nll").of(rows) == pytest.approx(found.nll, abs=1e-12)
    assert measure("accuracy").of(rows) == pytest.approx(found.accuracy)


def test_brier_and_log_loss_agree_with_scikit_learn() -> None:
    from sklearn.metrics import brier_score_loss, log_loss

    logp, truth = planted(300, 1.5, 2)
    rows = told(np.exp(logp), truth)
    assert measure("nll").of(rows) == pytest.approx(log_loss(truth, np.exp(logp), labels=range(6)))
    assert measure("brier").of(rows) == pytest.approx(brier_score_loss(truth, np.exp(logp), labels=range(6), scale_by_half=False))


def test_a_calibrated_model_has_little_error_and_less_the_more_rows() -> None:
    """By chance alone, about as much as `by_chance` says."""
    errors = []
    for rows in (300, 2400, 12_000):
        found = [figures(chances(np.exp(logp), truth)) for logp, truth in (planted(rows, 1.0, seed) for seed in range(8))]
        errors.append(np.mean([one.ece for one in found]))
        assert errors[-1] == pytest.approx(np.mean([one.by_chance for one in found]), rel=0.25)
    assert errors[0] > 2 * errors[1] > 3.4 * errors[2]
    assert errors[2] < 0.015


def test_a_model_too_sure_has_the_error_that_was_planted() -> None:
    """Always sure at 0.9 and right half the time: 0.4, whatever the bins."""
    random = np.random.default_rng(0)
    rows = [two(0.9, reference="a" if hit else "b") for hit in random.random(2000) < 0.5]
    found = of(rows)
    assert found.ece == pytest.approx(0.4, abs=0.03)
    assert found.confidence - found.accuracy == pytest.approx(found.ece)
    assert len(found.diagram) == 1 and found.diagram[0].count == 2000


def test_bins_hold_equal_mass_and_never_part_equal_confidences() -> None:
    logp, truth = planted(3000, 1.0, 4)
    counts = [one.count for one in of(told(np.exp(logp), truth)).diagram]
    assert len(counts) == BINS and sum(counts) == 3000
    assert min(counts) > 100 and max(counts) < 350
    tied = of([two(0.7)] * 500 + [two(0.9)] * 100)
    assert [one.count for one in tied.diagram] == [500, 100]
    assert [one.least == one.most for one in tied.diagram] == [True, True]


def test_few_rows_have_few_bins() -> None:
    logp, truth = planted(70, 1.0, 4)
    assert len(of(told(np.exp(logp), truth)).diagram) == 3
    assert len(of([two(0.9)]).diagram) == 1


def test_a_point_of_the_diagram_has_the_interval_of_its_rows() -> None:
    rows = [two(0.8, reference="a" if row % 5 else "b") for row in range(100)]
    (alone,) = of(rows).diagram
    (grouped,) = of(rows, [str(row // 5) for row in range(100)]).diagram
    (agreeing,) = of(sorted(rows, key=lambda one: one.reference), [str(row // 5) for row in range(100)]).diagram
    assert alone.low < 0.8 < alone.high
    assert grouped.count == agreeing.count == 100
    assert agreeing.high - agreeing.low > 1.5 * (alone.high - alone.low)


def test_the_interval_of_the_error_covers_it_where_there_is_some() -> None:
    """Told 0.75 to 0.95, right 0.15 less often."""
    random, covered = np.random.default_rng(8), 0
    for seed in range(80):
        sure = random.uniform(0.75, 0.95, 400)
        right = random.random(400) < sure - 0.15
        rows = [two(chance, reference="a" if hit else "b") for chance, hit in zip(sure, right, strict=True)]
        found = interval(measure("ece"), rows, Resamples(rows=400, count=200, seed=seed))
        assert found is not None
        covered += found.low <= 0.15 <= found.high
    assert covered / 80 >= 0.9


@pytest.mark.parametrize("shift", [0.0, 0.05, 0.15])
def test_the_figures_interval_covers_the_error_and_reaches_0_where_there_is_none(shift: float) -> None:
    """Told 0.6 to 0.95, right so much less often; 200 rows."""
    random, covered = np.random.default_rng(1), 0
    for _ in range(60):
        sure = random.uniform(0.6, 0.95, 200)
        found = error_interval(sure, random.random(200) < sure - shift)
        covered += found.low <= shift <= found.high
        assert found.low <= found.value <= found.high
    assert covered / 60 >= 0.93 - 0.03


def test_copies_of_rows_make_the_error_no_surer() -> None:
    random = np.random.default_rng(2)
    sure = random.uniform(0.6, 0.95, 100)
    right = random.random(100) < sure - 0.2
    copied, groups = (np.repeat(sure, 5), np.repeat(right, 5)), [str(row // 5) for row in range(500)]
    blind, aware = error_interval(*copied), error_interval(*copied, groups)
    assert aware.high - aware.low > 1.3 * (blind.high - blind.low)


def test_two_systems_are_compared_by_their_errors() -> None:
    """The same answers, one told as sure as they are, the other three times too sure in log-odds; and a system against itself."""
    logp, truth = planted(600, 1.0, 9)
    honest, brash = told(np.exp(logp), truth), told(softmax(3 * logp), truth)
    for name in ("ece", "nll", "brier"):
        better = compare(measure(name), honest, brash, Resamples(rows=600, count=300))
        same = compare(measure(name), honest, honest, Resamples(rows=600, count=300))
        assert better is not None and same is not None
        assert better.is_gain and not same.is_gain and same.difference == 0.0


def test_a_truth_outside_the_labels_counts_as_wrong_and_costs_no_infinity() -> None:
    found = of([two(1.0, reference="c"), two(0.0, answer="b")])
    assert found.accuracy == 0.0
    assert found.brier == pytest.approx(2.0)
    assert found.nll == pytest.approx(-np.log(1e-12))


def test_texts_are_judged_right_or_wrong_by_their_confidence() -> None:
    rows = [Prediction(row_id="r", reference="Paris", answer=" Paris " if row % 4 else "Rome", confidence=0.75) for row in range(40)]
    found = of(rows)
    assert (found.accuracy, found.ece) == (0.75, pytest.approx(0.0, abs=1e-12))
    assert measure("ece").of(rows) == pytest.approx(0.0, abs=1e-12)


def test_what_is_not_told_is_none() -> None:
    bare = [Prediction(row_id="r", reference="a", answer="a")]
    assert [measure(name).of(bare) for name in ("ece", "brier", "nll")] == [None] * 3
    assert chances_of(bare) is None


@pytest.mark.parametrize(
    "chances", [{"a": 0.7, "b": 0.7}, {"a": float("nan"), "b": 1.0}, {"a": -0.1, "b": 1.1}, {"a": float("inf"), "b": 0.0}]
)
def test_what_are_no_probabilities_is_refused(chances: dict[str, float]) -> None:
    with pytest.raises(DataError, match=r"Row bad's probabilities sum to .*score it anew"):
        chances_of([two(0.5), Prediction(row_id="bad", reference="a", answer="a", chances=chances)])


def test_rows_of_other_labels_and_odd_confidences_are_refused() -> None:
    with pytest.raises(DataError, match=r"other labels \('b'"):
        chances_of([two(0.5), Prediction(row_id="x", reference="a", answer="a", chances={"a": 1.0})])
    with pytest.raises(DataError, match=r"confidence of 1\.5"):
        chances_of([Prediction(row_id="x", reference="a", answer="a", confidence=1.5)])
    with pytest.raises(DataError, match="no rows"):
        chances_of([])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=80))
def test_figures_stay_in_their_ranges(rows: list[tuple[float, bool]]) -> None:
    found = of([two(chance, answer="a" if chance >= 0.5 else "b", reference="a" if hit else "b") for chance, hit in rows])
    assert 0 <= found.ece <= 1 and 0 <= found.by_chance <= 1 and 0 <= found.brier <= 2 and 0 <= found.nll <= 27.7
    assert sum(one.count for one in found.diagram) == len(rows)
    assert all(one.low <= one.accuracy <= one.high and one.least <= one.confidence + 1e-12 for one in found.diagram)
