"""Intervals cover what they say, have a width, and are drawn fast."""

import time

import numpy as np
import pytest
from scipy.stats import kurtosis, norm, t

from tunesmith.core.errors import DataError
from tunesmith.score.intervals import (
    _student,
    bootstrap_ends,
    bootstrap_interval,
    interval,
    intervals,
    mid_p,
    share_interval,
    wilson,
)
from tunesmith.score.measures import measure
from tunesmith.score.prediction import Prediction
from tunesmith.score.resampling import Resamples


def answers(right: np.ndarray, labels: int = 1) -> list[Prediction]:
    return [
        Prediction(row_id=str(index), reference=f"l{index % labels}", answer=f"l{index % labels}" if hit else "wrong")
        for index, hit in enumerate(right)
    ]


def test_wilson_and_mid_p_by_the_book() -> None:
    """Newcombe (1998), table I: 81 of 263, 15 of 148, 0 of 20."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert mid_p(81, 263) == pytest.approx((0.2544, 0.3658), abs=5e-5)
    assert mid_p(15, 148) == pytest.approx((0.0601, 0.1581), abs=5e-5)
    assert mid_p(0, 20) == pytest.approx((0.0, 0.1391), abs=5e-5)


@pytest.mark.parametrize("rows", [50, 100, 200, 500, 1000])
def test_accuracy_is_covered_exactly(rows: int) -> None:
    """Summed over every possible outcome, no simulation: at least 93%, and from 200 rows on at most 97%."""
    from scipy.stats import binom

    hits = np.arange(rows + 1)
    ends = np.array([(one.low, one.high) for one in (share_interval(float(hit), float(rows)) for hit in hits)])
    for truth in np.concatenate([np.linspace(0.05, 0.95, 91), [0.97, 0.99]]):
        covered = float(binom.pmf(hits, rows, truth)[(ends[:, 0] <= truth) & (truth <= ends[:, 1])].sum())
        assert covered >= 0.93, truth
        if rows >= 200 and truth <= 0.95:
            assert covered <= 0.97, truth


@pytest.mark.parametrize(("rows", "simulations"), [(50, 600), (200, 300)])
def test_accuracy_is_covered_through_the_front_door(rows: int, simulations: int) -> None:
    random = np.random.default_rng(rows)
    accuracy, covered = measure("accuracy"), 0
    for _ in range(simulations):
        found = interval(accuracy, answers(random.random(rows) < 0.8), Resamples(rows=rows, count=200))
        assert found is not None
        covered += found.low <= 0.8 <= found.high
    assert 0.93 - 0.02 <= covered / simulations <= 0.97 + 0.02


def test_macro_f1_is_covered() -> None:
    """The truth is the value over a very large sample of the same source."""
    random = np.random.default_rng(5)
    macro_f1 = measure("macro_f1")

    def sample(rows: int) -> list[Prediction]:
        reference = random.choice(5, rows, p=[0.35, 0.25, 0.2, 0.12, 0.08])
        answer = np.where(random.random(rows) < 0.7, reference, (reference + 1) % 5)
        return [Prediction(row_id=str(i), reference=str(a), answer=str(b)) for i, (a, b) in enumerate(zip(reference, answer, strict=True))]

    truth = macro_f1.of(sample(100_000))
    assert truth is not None
    covered = 0
    for seed in range(250):
        found = interval(macro_f1, sample(120), Resamples(rows=120, count=400, seed=seed))
        assert found is not None
        covered += found.low <= truth <= found.high
    assert 0.91 <= covered / 250 <= 0.99


@pytest.mark.parametrize("name", ["accuracy", "macro_f1", "micro_f1", "token_f1", "rougeL", "chrf", "exact_match"])
@pytest.mark.parametrize("hit", [True, False])
def test_perfect_and_always_wrong_have_a_width(name: str, hit: bool) -> None:
    found = interval(measure(name), answers(np.full(100, hit), labels=4), Resamples(rows=100, count=300))
    assert found is not None
    assert found.value == pytest.approx(1.0 if hit else 0.0, abs=0.35 if name == "chrf" else 1e-12)
    assert 0.02 < found.high - found.low < 0.3
    assert 0.0 <= found.low <= found.value <= found.high <= 1.0


def test_one_row_tells_next_to_nothing() -> None:
    for name in ("accuracy", "macro_f1"):
        found = interval(measure(name), answers(np.array([True])), Resamples(rows=1, count=200))
        assert found is not None
        assert found.low < 0.3
        assert found.high == pytest.approx(1.0)


def test_resamples_are_seeded_and_independent_of_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    table = np.random.default_rng(0).random((37, 3))
    whole = Resamples(rows=37, count=300, seed=4).sums(table)
    monkeypatch.setattr("tunesmith.score.resampling.BLOCK", 1000)
    assert np.allclose(
        whole, Resamples(rows=37, count=300, seed=4).sums(table), rtol=1e-13, atol=0
    )  # products of other sizes round otherwise
    assert not np.array_equal(whole, Resamples(rows=37, count=300, seed=5).sums(table))
    assert np.array_equal(Resamples(rows=37, count=300, seed=4).sums(np.ones((37, 1))), np.full((300, 1), 37.0))


def test_the_jackknife_leaves_out_each_unit_in_turn() -> None:
    table = np.arange(8.0).reshape(4, 2)
    grouped = Resamples(rows=4, groups=["x", "y", "x", "z"])
    left = np.concatenate(list(grouped.without_each(table)))
    assert np.array_equal(left, [[12 - 4, 16 - 6], [12 - 2, 16 - 3], [12 - 6, 16 - 7]])


@pytest.mark.parametrize("name", ["accuracy", "micro_f1"])
def test_groups_that_agree_count_as_one_row_each(name: str) -> None:
    """Ten copies of each of 40 rows tell what 40 rows tell; without groups they pretend to be 400."""
    random = np.random.default_rng(2)
    right = np.repeat(random.random(40) < 0.7, 10)
    groups = [str(index // 10) for index in range(400)]
    one = measure(name)
    scored = answers(right)
    alone = interval(one, answers(right[::10]), Resamples(rows=40, count=1000))
    blind = interval(one, scored, Resamples(rows=400, count=1000))
    aware = interval(one, scored, Resamples(rows=400, count=1000, groups=groups))
    assert alone is not None and blind is not None and aware is not None
    assert aware.high - aware.low == pytest.approx(alone.high - alone.low, rel=0.12)
    assert blind.high - blind.low < 0.5 * (aware.high - aware.low)


def test_grouped_rows_are_covered() -> None:
    """30 groups of 10 rows that share their luck: the plain interval misses, the grouped one covers."""
    random = np.random.default_rng(11)
    groups = [str(index // 10) for index in range(300)]
    accuracy, blind, aware = measure("accuracy"), 0, 0
    for _ in range(300):
        ability = np.repeat(random.beta(3.0, 1.5, 30), 10)
        scored = answers(random.random(300) < ability)
        for grouped in (False, True):
            found = interval(accuracy, scored, Resamples(rows=300, count=200, groups=groups if grouped else None))
            assert found is not None
            hit = found.low <= 3.0 / 4.5 <= found.high
            aware, blind = aware + (hit and grouped), blind + (hit and not grouped)
    assert blind / 300 < 0.88
    assert aware / 300 >= 0.92


def test_what_predictions_lack_is_none_and_no_row_is_refused() -> None:
    found = intervals([measure("perplexity"), measure("accuracy")], answers(np.array([True, False])), Resamples(rows=2))
    assert found["perplexity"] is None
    assert found["accuracy"] is not None
    with pytest.raises(DataError, match="at least one"):
        Resamples(rows=0)
    with pytest.raises(DataError, match="3 groups were given for 2 rows"):
        Resamples(rows=2, groups=["a", "b", "c"])


def test_two_thousand_resamples_of_five_thousand_rows_take_under_two_seconds() -> None:
    random = np.random.default_rng(0)
    reference = random.integers(0, 77, 5000)
    answer = np.where(random.random(5000) < 0.8, reference, random.integers(0, 77, 5000))
    scored = [Prediction(row_id=str(i), reference=str(a), answer=str(b)) for i, (a, b) in enumerate(zip(reference, answer, strict=True))]
    intervals([measure("macro_f1")], scored[:10], Resamples(rows=10, count=200))  # imports are no part of it
    started = time.process_time()
    intervals([measure(name) for name in ("macro_f1", "mcc", "macro_precision")], scored, Resamples(rows=5000, count=2000))
    assert time.process_time() - started < 2.0


def drawn_alone(errors_DU: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means of many test sets: whole [D], over 400 resamples [D, B], without each row [D, U]."""
    units = errors_DU.shape[1]
    weights_BU = np.random.default_rng(seed).multinomial(units, np.full(units, 1 / units), 400)
    return errors_DU.mean(axis=1), errors_DU @ weights_BU.T / units, (errors_DU.sum(axis=1)[:, None] - errors_DU) / (units - 1)


@pytest.mark.parametrize("units", [1, 2, 3, 4, 19, 20, 60])
def test_many_at_once_are_each_alone(units: int) -> None:
    errors_DU = np.random.default_rng(units).lognormal(size=(7, units))
    errors_DU[3] = 0.5  # no spread at all
    errors_DU[4, 1:] = 0.0  # all in one row
    whole_D, drawn_DB, without_DU = drawn_alone(errors_DU)
    without_DU = np.nan_to_num(without_DU)
    low_D, high_D = bootstrap_ends(whole_D, drawn_DB, without_DU, low=0.0, high=np.inf)
    for place in range(7):
        alone = bootstrap_interval(float(whole_D[place]), drawn_DB[place], without_DU[place], low=0.0, high=np.inf)
        assert (alone.low, alone.high) == (low_D[place], high_D[place])
        assert 0.0 <= alone.low <= alone.value <= alone.high < np.inf


def test_without_outliers_and_skew_the_ends_are_the_widened_percentiles() -> None:
    """Hesterberg's, of Student's t with one degree less than there are units."""
    pull_U = np.tile([-1.0, 1.0], 20)
    drawn_B = np.concatenate([half := np.random.default_rng(4).normal(size=500), -half])
    found = bootstrap_interval(0.0, drawn_B, -pull_U / 39, low=-np.inf, high=np.inf)
    tail = norm.cdf(-np.sqrt(40 / 39) * t.isf(0.025, 39))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(drawn_B, [tail, 1 - tail])), abs=1e-12)


def test_a_heavy_unit_costs_degrees_of_freedom_and_among_many_units_nothing_is_left_of_it() -> None:
    """By scipy's kurtosis; a spread known from normal units is as good as it was from 200 units on, to three digits."""
    random = np.random.default_rng(0)
    pull_DU = random.standard_t(5, size=(20, 50))
    pull_DU -= pull_DU.mean(axis=1, keepdims=True)
    excess_D = np.maximum(0.0, kurtosis(pull_DU, axis=1, bias=False))
    assert _student(pull_DU, 50) == pytest.approx(t.isf(0.025, 2 / (2 / 49 + excess_D / 50)), rel=1e-9)
    assert (_student(pull_DU, 50) >= t.isf(0.025, 49) - 1e-12).all()
    heavy = _student(np.append(np.zeros(199), 1.0)[None, :] - 1 / 200, 200)[0]
    assert heavy == pytest.approx(t.isf(0.025, 2 / (2 / 199 + 1)), rel=1e-9) and heavy > 4
    assert abs(_student(random.normal(size=(500, 200)), 200) - t.isf(0.025, 199)).mean() < 1e-3
    assert np.isinf(_student(np.zeros((1, 1)), 1))[0]


def test_under_twenty_units_the_upper_end_passes_what_resamples_reach() -> None:
    """Of 8 skewed errors the mean can be far greater than 400 means of the same 8 show."""
    errors_DU = np.random.default_rng(1).lognormal(sigma=1.5, size=(200, 8))
    whole_D, drawn_DB, without_DU = drawn_alone(errors_DU)
    _, high_D = bootstrap_ends(whole_D, drawn_DB, without_DU, low=0.0, high=np.inf)
    assert (high_D > drawn_DB.max(axis=1)).mean() > 0.5
    assert (bootstrap_ends(whole_D, drawn_DB, without_DU, low=0.0, high=1.0)[1] <= np.maximum(1.0, drawn_DB.max(axis=1))).all()


@pytest.mark.parametrize("groups", [6, 11, 20, 40])
def test_errors_in_a_few_uneven_groups_are_covered(groups: int) -> None:
    """Skewed errors of rows in groups of one to eight, 4,000 planted sets: the mean error lies inside in 93% at least."""
    random = np.random.default_rng(groups)
    share = np.sqrt(0.5)

    def table_DU2(draws: int, units: int) -> np.ndarray:
        shared = random.normal(size=(draws, units, 1))
        error = np.exp(0.6 * (share * shared + share * random.normal(size=(draws, units, 8)))) * np.abs(
            random.normal(size=(draws, units, 8))
        )
        there = np.arange(8) < random.integers(1, 9, size=(draws, units, 1))
        return np.stack([(error * there).sum(axis=2), there.sum(axis=2)], axis=2)

    truth = np.exp(0.18) * np.sqrt(2 / np.pi)
    table = table_DU2(4000, groups)
    weights_BU = random.multinomial(groups, np.full(groups, 1 / groups), 400)
    sums_DB2, total_D12 = np.einsum("bu,dus->dbs", weights_BU, table, optimize=True), table.sum(axis=1, keepdims=True)
    without_DU2 = total_D12 - table
    ends = bootstrap_ends(
        (total_D12[..., 0] / total_D12[..., 1])[:, 0],
        sums_DB2[..., 0] / sums_DB2[..., 1],
        without_DU2[..., 0] / without_DU2[..., 1],
        low=0.0,
        high=np.inf,
    )
    assert ((ends[0] <= truth) & (truth <= ends[1])).mean() >= 0.93
