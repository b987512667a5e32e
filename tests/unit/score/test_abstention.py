"""A threshold keeps what it promises, and none is named where none can."""

import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.core.errors import DataError
from tunesmith.score.abstention import Threshold, aurc, curve, threshold, upper_bound
from tunesmith.score.calibration import CELLS, EDGES_K, cells

World = tuple[Callable[[np.random.Generator, int], np.ndarray], Callable[[np.ndarray], np.ndarray]]
WORLDS: dict[str, World] = {
    "calibrated": (lambda random, rows: random.beta(6, 1, rows), lambda sure: sure),
    "just over the risk everywhere": (lambda random, rows: random.beta(5, 1, rows), lambda sure: np.full_like(sure, 0.945)),
    "safe in the middle only": (
        lambda random, rows: random.beta(5, 1, rows),
        lambda sure: np.where(sure > 0.95, 0.94, np.where(sure > 0.8, 0.965, 0.9)),
    ),
}
"""How confidences are drawn, and how often an answer of such a confidence is right."""


def risk_from(world: World) -> np.ndarray:
    """The true share of wrong answers from each grid threshold on, over two million rows."""
    draw, truth = world
    sure = draw(np.random.default_rng(99), 2_000_000)
    count = np.bincount(cells(sure), minlength=CELLS)
    wrong = np.bincount(cells(sure), weights=1 - truth(sure), minlength=CELLS)
    return wrong[::-1].cumsum()[::-1] / np.maximum(count[::-1].cumsum()[::-1], 1)


@pytest.mark.parametrize("rows", [200, 1000])
@pytest.mark.parametrize("name", WORLDS)
def test_the_promise_is_broken_in_at_most_one_draw_of_twenty(name: str, rows: int) -> None:
    (draw, truth), true_risk = WORLDS[name], risk_from(WORLDS[name])
    random, draws, broken = np.random.default_rng(rows), 1000, 0
    for _ in range(draws):
        sure = draw(random, rows)
        found = threshold(sure, random.random(rows) < truth(sure), 0.05)
        broken += found is not None and true_risk[cells(np.array([found.confidence]))[0]] > 0.05
    assert broken / draws <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / draws)


def test_the_same_promise_by_an_uncorrected_bound_would_be_broken() -> None:
    """What the correction is for: the loosest of all thresholds whose plain 95% bound holds fails far more often."""
    draw, _ = WORLDS["just over the risk everywhere"]
    random, broken = np.random.default_rng(3), 0
    for _ in range(100):
        sure = draw(random, 1000)
        right = random.random(1000) < 0.9495
        broken += any(upper_bound(int((~right[sure >= edge]).sum()), int((sure >= edge).sum())) <= 0.05 for edge in EDGES_K)
    assert broken / 100 > 0.1


def test_rows_of_groups_keep_the_promise_that_counting_rows_breaks() -> None:
    """Customers of 10 rows share their luck, and 10.2% of answers are wrong."""
    random, blind, aware = np.random.default_rng(5), 0, 0
    groups = [str(row // 10) for row in range(1000)]
    for _ in range(1000):
        sure = random.beta(5, 1, 1000)
        right = random.random(1000) >= np.repeat(random.beta(0.1, 0.88, 100), 10)
        blind += threshold(sure, right, 0.1) is not None
        aware += threshold(sure, right, 0.1, groups=groups) is not None
    assert blind / 1000 > 0.07
    assert aware / 1000 <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 1000)


def test_a_good_model_is_let_answer_and_a_bad_one_is_not() -> None:
    random = np.random.default_rng(0)
    sure = random.beta(30, 1, 1000)
    found = threshold(sure, random.random(1000) < sure, 0.1)
    assert found is not None
    assert found.coverage == 1.0 and found.confidence <= sure.min() and found.bound <= 0.1
    assert threshold(sure, np.zeros(1000, dtype=bool), 0.1) is None
    assert threshold(sure[:20], np.ones(20, dtype=bool), 0.1) is None  # 0.9^20 = 12%: too few rows to promise it


def test_the_least_number_of_rows_that_can_promise() -> None:
    """None wrong of 59 rows: 0.95^59 = 4.85%; of 58: 5.1%."""
    assert threshold(np.full(59, 0.9), np.ones(59, dtype=bool), 0.05) is not None
    assert threshold(np.full(58, 0.9), np.ones(58, dtype=bool), 0.05) is None
    paired = [str(row // 2) for row in range(100)]  # 50 groups tell less than 59 strangers
    assert threshold(np.full(100, 0.9), np.ones(100, dtype=bool), 0.05, groups=paired) is None


def test_unsure_answers_that_are_wrong_are_kept_back() -> None:
    """800 right answers at 0.9, 200 wrong ones at 0.4: the threshold parts them."""
    sure = np.repeat([0.9, 0.4], [800, 200])
    found = threshold(sure, sure > 0.5, 0.05)
    assert found is not None
    assert (found.answered, found.wrong, found.rows) == (800, 0, 1000)
    assert 0.4 < found.confidence <= 0.9
    assert found.bound == pytest.approx(1 - found_level(found) ** (1 / 800))


def found_level(found: Threshold) -> float:
    """All starts but everything (3 of 4) were reached by the first threshold at once: three quarters of the doubt."""
    return 0.05 * 3 / 4


def test_clopper_and_pearson_by_the_book() -> None:
    """One-sided 97.5% ends are those of the two-sided 95% interval: 81 of 263 and 15 of 148 (Newcombe, 1998, table I)."""
    assert upper_bound(81, 263, 0.025) == pytest.approx(0.3676, abs=5e-5)
    assert upper_bound(15, 148, 0.025) == pytest.approx(0.1617, abs=5e-5)
    assert upper_bound(0, 59) == pytest.approx(1 - 0.05 ** (1 / 59))
    assert upper_bound(7, 7) == 1.0


def test_area_under_the_curve_by_hand() -> None:
    """Right, right, wrong: risks 0, 0, 1/3. All equally sure: a third wrong at every length."""
    right = np.array([True, True, False])
    assert aurc(np.array([0.9, 0.8, 0.7]), right) == pytest.approx(1 / 9)
    assert aurc(np.array([0.7, 0.8, 0.9]), right) == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert aurc(np.full(3, 0.5), right) == pytest.approx(1 / 3)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.0, 0.3, 0.31, 0.9, 1.0]), st.booleans()), min_size=1, max_size=60), st.randoms())
def test_nothing_depends_on_the_order_of_rows(rows: list[tuple[float, bool]], random: object) -> None:
    def of(taken: list[tuple[float, bool]]) -> tuple[object, ...]:
        sure, right = np.array([one for one, _ in taken]), np.array([hit for _, hit in taken])
        return curve(sure, right), round(aurc(sure, right), 12), threshold(sure, right, 0.3)

    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert of(rows) == of(shuffled)
    points = of(rows)[0]
    assert isinstance(points, tuple)
    assert points[-1].coverage == 1.0
    assert points[-1].risk == pytest.approx(np.mean([not hit for _, hit in rows]))


def test_a_threshold_goes_through_json_and_odd_ones_are_refused() -> None:
    found = Threshold(confidence=0.83, risk=0.05, bound=0.049, answered=700, wrong=20, rows=1000, tried=12)
    written = json.loads(json.dumps(found.to_json()))
    assert Threshold.from_json(written) == found
    for odd in ({"confidence": 2.0}, {"wrong": 701}, {"answered": 0}, {"rows": True}, {"bound": None}, {"risk": float("nan")}):
        with pytest.raises(DataError, match="calibrate the model again"):
            Threshold.from_json(written | odd)
    with pytest.raises(DataError):
        Threshold.from_json([])


def test_what_is_no_risk_and_no_rows_are_refused() -> None:
    for risk in (0.0, 1.0, float("nan")):
        with pytest.raises(DataError, match="above 0 and below 1"):
            threshold(np.ones(3), np.ones(3, dtype=bool), risk)
    with pytest.raises(DataError, match="no rows"):
        threshold(np.ones(0), np.ones(0, dtype=bool), 0.1)
    with pytest.raises(DataError, match="no rows"):
        curve(np.ones(0), np.ones(0, dtype=bool))
    with pytest.raises(DataError, match="give each row one"):
        threshold(np.ones(3), np.ones(3, dtype=bool), 0.1, groups=["a"])
