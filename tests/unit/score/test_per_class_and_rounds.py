"""The table of classes is scikit-learn's; several seeds tell how much is luck; pass@k is the unbiased one."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support

from tunesmith.core.errors import DataError
from tunesmith.score.measures import measure
from tunesmith.score.pass_at_k import pass_at_k, pass_at_k_of
from tunesmith.score.per_class import class_table, worst_first
from tunesmith.score.prediction import Prediction
from tunesmith.score.resampling import Resamples
from tunesmith.score.rounds import over_rounds


def test_the_table_of_classes_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    true = np.array([f"c{n}" for n in random.integers(0, 6, 200)])
    answer = np.where(random.random(200) < 0.6, true, [f"c{n}" for n in random.integers(0, 8, 200)])
    table = class_table([Prediction(row_id=str(n), reference=a, answer=b) for n, (a, b) in enumerate(zip(true, answer, strict=True))])
    labels = sorted(set(true))
    assert [one.label for one in table] == labels
    theirs = precision_recall_fscore_support(true, answer, labels=labels, zero_division=0)
    for name, values in zip(("precision", "f1"), (theirs[0], theirs[2]), strict=True):
        assert [getattr(one, name).value for one in table] == pytest.approx(list(values))
    assert [one.recall.value for one in table] == pytest.approx(list(theirs[1]))
    assert [one.support for one in table] == list(theirs[3])
    assert all(one.recall.low < one.recall.value < one.recall.high for one in table)
    assert all(one.precision.low < one.precision.value < one.precision.high for one in table)
    assert all(one.f1.low < one.f1.value < one.f1.high for one in table)
    assert [one.f1.value for one in worst_first(table)] == sorted(one.f1.value for one in table)


def test_a_class_nobody_answers_has_zeros_and_no_row_gives_no_table() -> None:
    lonely = class_table([Prediction(row_id="1", reference="a", answer="b")])
    assert len(lonely) == 1
    assert (lonely[0].precision.value, lonely[0].recall.value, lonely[0].f1.value, lonely[0].support, lonely[0].answered) == (
        0.0,
        0.0,
        0.0,
        1,
        0,
    )
    assert (lonely[0].precision.low, lonely[0].precision.high) == (0.0, 1.0)
    assert class_table([]) == ()


def planted(random: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Class 1 in a fifth of the rows, found in 0.7 of these and wrongly in 0.1 of the others."""
    true = random.random(rows) < 0.2
    return true, np.where(true, random.random(rows) < 0.7, random.random(rows) < 0.1)


@pytest.mark.parametrize("rows", [60, 300])
def test_the_intervals_of_a_class_cover_what_was_planted(rows: int) -> None:
    """precision 0.14 / 0.22, recall 0.7, F1 2 * 0.14 / (0.2 + 0.22)."""
    random, held, trials = np.random.default_rng(1), {"precision": 0, "recall": 0, "f1": 0}, 400
    truth = {"precision": 0.14 / 0.22, "recall": 0.7, "f1": 0.28 / 0.42}
    for _ in range(trials):
        pairs = enumerate(zip(*planted(random, rows), strict=True))
        table = class_table([Prediction(row_id=str(n), reference=str(int(a)), answer=str(int(b))) for n, (a, b) in pairs])
        for name, value in truth.items():
            found = getattr(table[-1], name)
            held[name] += found.low <= value <= found.high
    assert all(count >= 0.93 * trials for count in held.values()), held


def test_rows_that_come_in_groups_tell_less() -> None:
    rows = [Prediction(row_id=str(n), reference="ab"[n // 40 % 2], answer="ab"[(n // 40 + (n // 8 % 3 == 0)) % 2]) for n in range(160)]
    alone, together = class_table(rows), class_table(rows, {str(n): str(n // 8) for n in range(160)})
    lone, same = class_table(rows), class_table(rows, {})
    for one, other in zip(alone, together, strict=True):
        for name in ("precision", "recall", "f1"):
            narrow, wide = getattr(one, name), getattr(other, name)
            assert narrow.value == wide.value
            assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)
    assert lone == same


def test_rounds_have_students_interval() -> None:
    found = over_rounds(measure("accuracy"), [0.80, 0.82, 0.84])
    assert found.mean == pytest.approx(0.82)
    assert found.spread == pytest.approx(0.02)
    half = 4.302653 * 0.02 / 3**0.5  # t with two degrees of freedom, from the tables
    assert (found.low, found.high) == pytest.approx((0.82 - half, 0.82 + half), abs=1e-6)
    assert found.sentence == (
        "accuracy 82.0% on average over 3 rounds (95% interval 77.0% to 87.0%); "
        "single rounds lie between 80.0% and 84.0%, with a standard deviation of 2.0 points."
    )


def test_the_interval_over_rounds_covers() -> None:
    random, covered = np.random.default_rng(3), 0
    for _ in range(1000):
        found = over_rounds(measure("mae"), random.normal(10.0, 1.0, 5).tolist())
        assert found.low is not None and found.high is not None
        covered += found.low <= 10.0 <= found.high
    assert 0.93 <= covered / 1000 <= 0.97


def test_one_round_says_nothing_of_luck_and_ends_stay_possible() -> None:
    alone = over_rounds(measure("accuracy"), [0.9])
    assert alone.spread is alone.low is alone.high is None
    assert "in one round" in alone.sentence
    assert over_rounds(measure("accuracy"), [1.0, 0.9]).high == 1.0
    same = over_rounds(measure("accuracy"), [0.5, 0.5])
    assert (same.spread, same.low, same.high) == (0.0, 0.5, 0.5)
    for values in ([], [0.5, float("nan")]):
        with pytest.raises(DataError, match="one finite value a round"):
            over_rounds(measure("accuracy"), values)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=8), st.integers(1, 8))
def test_pass_at_k_is_the_share_of_choices_that_hold_a_right_answer(right: list[bool], k: int) -> None:
    if k > len(right):
        with pytest.raises(DataError, match=f"pass@{k} of {len(right)} answers"):
            pass_at_k(len(right), sum(right), k)
        return
    chosen = [any(some) for some in combinations(right, k)]
    assert pass_at_k(len(right), sum(right), k) == pytest.approx(np.mean(chosen), abs=1e-12)


def test_pass_at_k_is_unbiased_where_the_naive_one_is_not() -> None:
    random = np.random.default_rng(0)
    right = random.binomial(10, 0.2, 20_000)
    truth = 1 - 0.8**5
    ours = np.mean([pass_at_k(10, int(one), 5) for one in right])
    naive = np.mean(1 - (1 - right / 10) ** 5)
    assert ours == pytest.approx(truth, abs=0.008)
    assert naive < truth - 0.02


def test_pass_at_k_over_problems_has_an_interval_around_it() -> None:
    random = np.random.default_rng(1)
    counts = [(5, int(one)) for one in random.binomial(5, random.beta(1, 1, 80))]
    found = pass_at_k_of(counts, 2, Resamples(rows=80, count=400))
    assert found.value == pytest.approx(np.mean([pass_at_k(*one, 2) for one in counts]))
    assert found.low < found.value < found.high
    sure = pass_at_k_of([(1, 1)] * 30, 1, Resamples(rows=30))
    assert sure.value == sure.high == 1.0 and 0.8 < sure.low < 0.95
    with pytest.raises(DataError, match="1 problems were counted and 2"):
        pass_at_k_of([(1, 1)], 1, Resamples(rows=2))
