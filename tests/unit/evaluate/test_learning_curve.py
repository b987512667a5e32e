"""Learning curves of planted truth: a rise is foretold within its interval as often as it says, and a flat curve is not called rising."""

import json
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.core.errors import DataError
from tunesmith.evaluate.learning_curve import LearningCurve, learning_curve
from tunesmith.score.measures import measure
from tunesmith.score.prediction import Prediction
from tunesmith.score.resampling import Resamples

ROWS = (60, 150, 300, 600)


def law(rows: float, floor: float, rest: float, exponent: float) -> float:
    return float(floor + rest * (rows / 600) ** -exponent)


def answered(errors: Mapping[int, float], test_rows: int, seed: int) -> dict[int, list[Prediction]]:
    """Answers of models that err so often, two thirds of it on the same hard rows."""
    random = np.random.default_rng(seed)
    shared, hard = random.random(test_rows), random.random(test_rows) < 0.67
    made = {}
    for rows, error in errors.items():
        wrong = np.where(hard, shared, random.random(test_rows)) < error
        made[rows] = [Prediction(row_id=str(place), reference="a", answer="ba"[int(right)]) for place, right in enumerate(~wrong)]
    return made


def curve_of(truth: tuple[float, float, float], *, test_rows: int = 200, seed: int = 0, rows: Sequence[int] = ROWS) -> LearningCurve:
    drawn = Resamples(rows=test_rows, count=200, seed=seed)
    return learning_curve(measure("accuracy"), answered({one: law(one, *truth) for one in rows}, test_rows, seed), drawn)


def test_what_twice_the_rows_would_bring_lies_in_its_interval_as_often_as_it_says() -> None:
    """80 planted curves of three kinds; the interval of 95% holds the truth in 90% of them at the least."""
    kinds = ((0.1, 0.2, 0.5), (0.0, 0.3, 0.4), (0.2, 0.05, 1.0))
    held = 0
    for seed in range(80):
        truth = kinds[seed % 3]
        ahead = curve_of(truth, seed=seed).ahead[0]
        assert ahead.rows == 1200
        held += ahead.value.low <= 1 - law(1200, *truth) <= ahead.value.high
    assert held >= 72


def test_a_flat_curve_is_rarely_called_rising_and_called_flat_where_the_rows_suffice() -> None:
    outcomes = [curve_of((0.3, 0.0, 1.0), seed=seed).outcome for seed in range(80)]
    assert outcomes.count("rising") <= 6
    same = answered({600: 0.3}, 3000, 1)[600]
    sure = learning_curve(measure("accuracy"), dict.fromkeys(ROWS, same), Resamples(rows=3000, count=200))
    assert sure.outcome == "flat"
    assert sure.sentence.startswith("More rows of the same kind are not expected to help: from 300 to 600 rows accuracy gained 0.0 points")


def test_a_steep_curve_is_called_rising_with_a_number_of_rows() -> None:
    found = curve_of((0.05, 0.3, 0.5), test_rows=1000)
    assert found.outcome == "rising"
    assert found.sentence.startswith("More data would help: about 1,200 rows, twice as many, would bring accuracy from")
    assert [point.rows for point in found.points] == list(ROWS)
    assert [point.twin for point in found.points] == [True, True, True, False]
    assert found.since == 300
    assert found.ahead[0].gain.value < found.ahead[1].gain.value
    assert found.fitted[0][0] == pytest.approx(60) and found.fitted[-1][0] == pytest.approx(2400)


def test_more_rows_are_foretold_from_what_was_measured_and_not_from_the_fitted_curve() -> None:
    """The last model is better than the curve through all four: a gain ahead must not be told as a fall."""
    drawn = Resamples(rows=1000, count=200)
    found = learning_curve(measure("accuracy"), answered({60: 0.40, 150: 0.33, 300: 0.32, 600: 0.24}, 1000, 3), drawn)
    own, (ahead, further) = found.points[-1].value.value, found.ahead
    assert found.outcome == "rising" and dict(found.fitted)[found.fitted[-1][0]] < further.value.value
    for one in (ahead, further):
        assert one.gain.value > 0 and one.value.value == pytest.approx(own + one.gain.value)
        assert one.value.low <= one.value.value <= one.value.high <= 1.0
    points = [f"{100 * number:.1f}" for number in (own, ahead.value.value, ahead.gain.value, ahead.gain.low, ahead.gain.high)]
    told = "from {}% to about {}%, a gain of {} points (95% interval {} to {}), if the curve goes on as it did".format(*points)
    assert told in found.sentence


def numbers_told(
    errors: Mapping[int, float], unit: float, seed: int, test_rows: int = 60, spread: float = 0.3
) -> dict[int, list[Prediction]]:
    """Numbers, in some unit, that models miss by so much on the mean; hard rows are hard for all."""
    random = np.random.default_rng(seed)
    truth, hard = random.normal(0, 3, test_rows), random.normal(0, 1, test_rows)
    made = {}
    for rows, error in errors.items():
        missed = error * (hard + spread * random.normal(0, 1, test_rows))
        pairs = [(unit * float(true), unit * float(true + off)) for true, off in zip(truth, missed, strict=True)]
        made[rows] = [Prediction(row_id=str(n), reference="", answer="", truth=true, found=told) for n, (true, told) in enumerate(pairs)]
    return made


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(["mae", "rmse", "r2"]),
    exponent=st.integers(-14, 14),
    floor=st.floats(0.05, 1.0),
    rest=st.floats(0.0, 0.5),
    seed=st.integers(0, 1000),
)
def test_the_unit_of_a_number_decides_nothing(name: str, exponent: int, floor: float, rest: float, seed: int) -> None:
    errors = {rows: law(rows, floor, rest, 0.5) for rows in ROWS}
    drawn = Resamples(rows=60, count=100)
    one, other = (learning_curve(measure(name), numbers_told(errors, unit, seed), drawn) for unit in (1.0, 2.0**exponent))
    assert one.outcome == other.outcome
    for ours, theirs in zip(one.ahead, other.ahead, strict=True):
        scale = 1.0 if name == "r2" else 2.0**exponent
        assert theirs.gain.value == pytest.approx(scale * ours.gain.value, abs=1e-9 * scale)


def test_a_sure_gain_is_never_called_flat_however_small_the_unit() -> None:
    """Errors of thousandths that fall by a twelfth with the last doubling."""
    errors = {rows: law(rows, 0.2, 0.1, 0.5) for rows in ROWS}
    found = learning_curve(measure("mae"), numbers_told(errors, 1e-3, 5, spread=0.02), Resamples(rows=60, count=200))
    assert found.ahead[0].gain.low > 0 and found.outcome == "rising"
    falls_then_ends = {60: 0.6, 150: 0.4, 300: 0.3, 600: 0.3}
    ended = learning_curve(measure("mae"), numbers_told(falls_then_ends, 1e-3, 5, spread=0.0), Resamples(rows=60, count=200))
    assert ended.ahead[0].gain.low > 0 and ended.outcome != "flat"


def test_an_error_that_stays_is_called_flat_in_any_unit() -> None:
    same = numbers_told({600: 0.3}, 1000.0, 2)[600]
    assert learning_curve(measure("mae"), dict.fromkeys(ROWS, same), Resamples(rows=60, count=200)).outcome == "flat"


def test_a_rise_that_has_ended_is_not_told_as_going_on() -> None:
    """Steep at the beginning, nothing between half and all of the rows."""
    drawn = Resamples(rows=1000, count=200)
    found = learning_curve(measure("accuracy"), answered({60: 0.6, 150: 0.3, 300: 0.2, 600: 0.2}, 1000, 4), drawn)
    assert found.outcome != "rising"


def test_few_test_rows_say_that_they_do_not_say() -> None:
    found = curve_of((0.2, 0.1, 0.5), test_rows=30)
    assert found.outcome == "unclear"
    assert found.sentence.startswith("Whether more rows would help can't be told")


def test_two_points_tell_whether_it_rises_and_not_how_far() -> None:
    found = curve_of((0.05, 0.3, 0.5), test_rows=1000, rows=(300, 600))
    assert (found.outcome, found.ahead, found.exponent) == ("rising", (), None)
    assert "how many rows can't be told from 2 points" in found.sentence
    with pytest.raises(DataError, match="two or more"):
        curve_of((0.1, 0.1, 0.5), rows=(600,))


def test_a_measure_of_which_less_is_better_falls_with_rows() -> None:
    """Perplexity is read as a loss, so it never falls below 1."""
    random = np.random.default_rng(2)
    hard = random.normal(0, 0.3, 400)
    made = {
        rows: [
            Prediction(
                row_id=str(place), reference="", answer="", reference_logprob=-20 * (law(rows, 1.0, 0.5, 0.5) + one), reference_tokens=20
            )
            for place, one in enumerate(hard + random.normal(0, 0.02, 400))
        ]
        for rows in ROWS
    }
    found = learning_curve(measure("perplexity"), made, Resamples(rows=400, count=200))
    assert found.outcome == "rising"
    assert found.ahead[0].value.value < found.points[-1].value.value
    assert found.ahead[0].gain.value > 0
    assert found.ahead[0].value.value == pytest.approx(np.exp(law(1200, 1.0, 0.5, 0.5) + hard.mean()), rel=0.03)


def test_it_is_told_as_json_and_rows_of_a_group_count_once() -> None:
    made = answered({one: law(one, 0.05, 0.3, 0.5) for one in ROWS}, 40, 3)
    twenty = {rows: [one for each in some for one in [each] * 20] for rows, some in made.items()}
    copies = {
        rows: [Prediction(row_id=str(place), reference=one.reference, answer=one.answer) for place, one in enumerate(some)]
        for rows, some in twenty.items()
    }
    groups = [str(place // 20) for place in range(800)]
    alone = learning_curve(measure("accuracy"), made, Resamples(rows=40, count=200))
    grouped = learning_curve(measure("accuracy"), copies, Resamples(rows=800, count=200, groups=groups))
    strangers = learning_curve(measure("accuracy"), copies, Resamples(rows=800, count=200))
    wide = [one.ahead[0].value.high - one.ahead[0].value.low for one in (alone, grouped, strangers)]
    assert wide[1] == pytest.approx(wide[0], rel=0.05) and wide[1] > 2 * wide[2]
    kept = json.loads(json.dumps(grouped.to_json(), allow_nan=False))
    assert kept["measure"] == "accuracy" and len(kept["points"]) == 4 and kept["last"]["test"] == "paired bootstrap"
