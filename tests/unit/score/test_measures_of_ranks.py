"""Areas under curves are scikit-learn's, and what is no function of sums gets intervals and tests as honest as what is."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.preprocessing import label_binarize

from tunesmith.score.intervals import interval
from tunesmith.score.measures import Measure, measure
from tunesmith.score.paired import compare
from tunesmith.score.prediction import Prediction
from tunesmith.score.resampling import LEFT_OUT, Resamples

AUROC, AUPRC = measure("auroc"), measure("auprc")


def predicted(true: np.ndarray, chances: np.ndarray) -> list[Prediction]:
    return [
        Prediction(row_id=str(n), reference=f"l{k}", answer="", chances={f"l{place}": float(one) for place, one in enumerate(line)})
        for n, (k, line) in enumerate(zip(true, chances, strict=True))
    ]


def sample(random: np.random.Generator, rows: int, classes: int, skill: float = 1.0, decimals: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Classes and rounded chances, so that many are equal."""
    true = np.concatenate([np.arange(classes), random.integers(0, classes, rows - classes)])
    logits = random.normal(size=(rows, classes)) + skill * np.eye(classes)[true]
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return true, chances.round(decimals)


def two(random: np.random.Generator, rows: int, skill: float) -> list[Prediction]:
    """Two classes, half and half, told apart by a normal score."""
    true = random.integers(0, 2, rows)
    score = 1 / (1 + np.exp(-random.normal(size=rows) - skill * true))
    return predicted(true, np.column_stack([1 - score, score]))


@pytest.mark.parametrize("decimals", [1, 2, 12])
@pytest.mark.parametrize("classes", [3, 7])
def test_areas_are_those_of_scikit_learn_ties_included(classes: int, decimals: int) -> None:
    true, chances = sample(np.random.default_rng(classes), 150, classes, decimals=decimals)
    rows, truth = predicted(true, chances), label_binarize(true, classes=range(classes))
    assert AUROC.of(rows) == pytest.approx(roc_auc_score(truth, chances, average="macro"), abs=1e-12)
    assert AUPRC.of(rows) == pytest.approx(average_precision_score(truth, chances, average="macro"), abs=1e-12)


def test_of_two_classes_the_roc_area_is_the_one_of_either() -> None:
    random = np.random.default_rng(0)
    rows = two(random, 80, 1.0)
    true = np.array([one.reference == "l1" for one in rows])
    score = np.array([one.chances["l1"] for one in rows if one.chances])
    assert AUROC.of(rows) == pytest.approx(roc_auc_score(true, score), abs=1e-12)
    both = (average_precision_score(true, score) + average_precision_score(~true, 1 - score)) / 2
    assert AUPRC.of(rows) == pytest.approx(both, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(4, 60))
def test_a_row_that_counts_twice_is_a_row_that_stands_twice(seed: int, rows: int) -> None:
    random = np.random.default_rng(seed)
    true, chances = sample(random, rows, 3, decimals=1)
    weights = random.integers(0, 4, rows).astype(float)
    weights[:3] = np.maximum(weights[:3], 1)  # scikit-learn wants every class there
    table = AUROC.tabulate(predicted(true, chances))
    assert table is not None
    truth, twice = label_binarize(true, classes=range(3)), np.repeat(np.arange(rows), weights.astype(int))
    for one, theirs in ((AUROC, roc_auc_score), (AUPRC, average_precision_score)):
        value = one.on(table)(weights[None, :])[0]
        assert value == pytest.approx(theirs(truth, chances, average="macro", sample_weight=weights), abs=1e-12)
        assert value == pytest.approx(one.of(predicted(true[twice], chances[twice])), abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), power=st.floats(0.2, 5.0))
def test_only_the_order_of_chances_counts(seed: int, power: float) -> None:
    true, chances = sample(np.random.default_rng(seed), 40, 3)
    for one in (AUROC, AUPRC):
        assert one.of(predicted(true, chances)) == pytest.approx(one.of(predicted(true, chances**power)), abs=1e-12)


def test_what_has_no_chances_has_no_area_and_nothing_to_tell_apart_is_chance() -> None:
    assert AUROC.of([Prediction(row_id="1", reference="a", answer="a")]) is None
    assert AUROC.of([Prediction(row_id="1", reference="a", answer="a", chances={"a": float("nan")})]) is None
    alike = [Prediction(row_id=str(n), reference="a", answer="a", chances={"b": 1.0}) for n in range(3)]
    assert AUROC.of(alike) == 0.5
    assert AUPRC.of(alike) == 1.0


def by_weights(one: Measure) -> Measure:
    """The same measure, asked row by row in place of by sums."""
    return replace(one, weighted=lambda table: lambda weights: one.value(np.asarray(weights @ table)))


@pytest.mark.parametrize("groups", [None, [str(n // 3) for n in range(90)]])
def test_weighted_rows_and_sums_of_statistics_tell_the_same(groups: list[str] | None) -> None:
    """Value, interval and comparison of macro F1, by the road of sums and by the road of areas."""
    random = np.random.default_rng(4)
    true, answers = random.integers(0, 4, 90), random.integers(0, 4, (2, 90))
    ours, theirs = (
        [Prediction(row_id=str(n), reference=str(a), answer=str(b if random.random() < share else a)) for n, (a, b) in enumerate(rows)]
        for share, rows in ((0.3, list(zip(true, answers[0], strict=True))), (0.6, list(zip(true, answers[1], strict=True))))
    )
    summed = measure("macro_f1")
    drawn = Resamples(rows=90, count=300, seed=1, groups=groups)
    one, other = interval(summed, ours, drawn), interval(by_weights(summed), ours, drawn)
    assert one is not None and other is not None
    assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high), abs=1e-12)
    apart, also = compare(summed, ours, theirs, drawn), compare(by_weights(summed), ours, theirs, drawn)
    assert apart is not None and also is not None
    assert (apart.difference, apart.low, apart.high) == pytest.approx((also.difference, also.low, also.high), abs=1e-12)
    assert apart.p_value == pytest.approx(also.p_value, abs=1e-12)


def test_of_many_units_parts_are_left_out_each_unit_once() -> None:
    groups = [str(n // 2) for n in range(1001)]
    left = np.concatenate(list(Resamples(rows=1001, groups=groups).weights_without()))
    assert left.shape == (LEFT_OUT, 1001)
    assert np.array_equal((left == 0).sum(axis=0), np.ones(1001))
    assert all((left[:, 2 * n] == left[:, 2 * n + 1]).all() for n in range(500))
    assert set((left == 0).sum(axis=1)) <= {3, 4, 5, 6}


def test_weights_come_in_blocks_of_the_same_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = Resamples(rows=30, count=50, seed=3, groups=[str(n % 7) for n in range(30)])
    whole, coins = np.concatenate(list(drawn.weights())), np.concatenate(list(drawn.coins()))
    table = np.random.default_rng(0).random((30, 2))
    assert np.allclose(whole @ table, drawn.sums(table), rtol=1e-12)
    assert np.allclose(coins @ table, drawn.swapped(table), rtol=1e-12)
    monkeypatch.setattr("tunesmith.score.resampling.BLOCK", 100)
    assert np.array_equal(whole, np.concatenate(list(drawn.weights())))
    assert max(len(block) for block in drawn.weights()) == 3


@pytest.mark.parametrize("name", ["auroc", "auprc"])
def test_intervals_of_areas_cover(name: str) -> None:
    """Two normal scores; the truth is the value over a very large sample of the same source."""
    random = np.random.default_rng(8)
    one, skill, covered, runs = measure(name), 1.2, 0, 200
    truth = one.of(two(random, 60_000, skill))
    assert truth is not None
    for seed in range(runs):
        found = interval(one, two(random, 120, skill), Resamples(rows=120, count=300, seed=seed))
        assert found is not None
        covered += found.low <= truth <= found.high
    assert 0.91 <= covered / runs <= 0.99


def test_a_perfect_area_has_a_width_and_one_side() -> None:
    found = interval(AUROC, two(np.random.default_rng(0), 60, 50.0), Resamples(rows=60, count=200))
    assert found is not None
    assert found.value == found.high == 1.0
    assert 0.9 < found.low < 0.99


def test_the_better_ranking_is_a_gain_and_the_same_one_is_none() -> None:
    random = np.random.default_rng(1)
    true = random.integers(0, 3, 150)
    sharp, blunt = (sample_of(random, true, skill) for skill in (2.5, 0.5))
    drawn = Resamples(rows=150, count=400)
    for one in (AUROC, AUPRC):
        found, same = compare(one, sharp, blunt, drawn), compare(one, sharp, sharp, drawn)
        assert found is not None and found.is_gain and found.difference > 0.1
        assert same is not None and not same.is_gain and same.difference == 0.0 and same.p_value == 1.0


def test_two_equally_good_rankings_are_seldom_a_gain() -> None:
    random = np.random.default_rng(5)
    gains, runs = 0, 200
    for seed in range(runs):
        true = random.integers(0, 2, 80)
        ours, theirs = sample_of(random, true, 1.0, classes=2), sample_of(random, true, 1.0, classes=2)
        found = compare(AUROC, ours, theirs, Resamples(rows=80, count=200, seed=seed))
        gains += found is not None and found.is_gain
    assert gains / runs <= 0.05


def sample_of(random: np.random.Generator, true: np.ndarray, skill: float, classes: int = 3) -> list[Prediction]:
    logits = random.normal(size=(len(true), classes)) + skill * np.eye(classes)[true]
    return predicted(true, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))
