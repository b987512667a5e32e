"""Planted rounds: the better one is called so, equal ones are not told apart, and what can't be paired is said."""

from dataclasses import replace

import numpy as np
import pytest

from tunesmith.evaluate.between import Answered, between
from tunesmith.score.measures import measure
from tunesmith.score.prediction import Prediction

ACCURACY = measure("accuracy")


def answered(name: str, right: np.ndarray, **more: object) -> Answered:
    """A round that is right on these rows."""
    rows = [Prediction(row_id=f"r{n}", reference="ab"[n % 2], answer="ab"[(n + (not good)) % 2]) for n, good in enumerate(right)]
    return Answered(name, rows, **more)  # type: ignore[arg-type]


def shares(*values: float, rows: int = 400, seed: int = 0) -> list[Answered]:
    random = np.random.default_rng(seed)
    return [answered(f"r-{place}", random.random(rows) < value) for place, value in enumerate(values)]


def test_the_better_round_is_named_whichever_comes_first() -> None:
    for one, other in ((0.9, 0.7), (0.7, 0.9)):
        rounds = shares(one, other)
        (pair,) = between(rounds, ACCURACY)
        right = [sum(row.answer == row.reference for row in answered.predictions) / 400 for answered in rounds]
        assert pair.better == ("r-0" if one > other else "r-1")
        assert pair.difference == pytest.approx(right[0] - right[1]) and pair.rows == 400
        assert pair.low is not None and pair.high is not None and pair.low * pair.high > 0
        assert pair.p_corrected is not None and pair.p_corrected < 0.001


def test_less_is_better_where_the_measure_runs_so() -> None:
    random = np.random.default_rng(0)
    truth = random.normal(size=200)
    rounds = [
        Answered(name, [Prediction(row_id=str(n), reference="", answer="", truth=float(t), found=float(t + e)) for n, (t, e) in enumerate(zip(truth, error, strict=True))])
        for name, error in (("rough", random.normal(size=200)), ("fine", 0.3 * random.normal(size=200)))
    ]  # fmt: skip
    (pair,) = between(rounds, measure("mae"), resamples=300)
    assert pair.better == "fine" and pair.difference is not None and pair.difference < 0


def test_three_rounds_make_three_pairs_corrected_together() -> None:
    pairs = between(shares(0.9, 0.9, 0.6), ACCURACY)
    assert [(pair.first, pair.second) for pair in pairs] == [("r-0", "r-1"), ("r-0", "r-2"), ("r-1", "r-2")]
    assert [pair.better for pair in pairs] == [None, "r-0", "r-1"]
    alone = [between([one, other], ACCURACY)[0].p_corrected for one, other in ((0, 1),) for one, other in [shares(0.9, 0.9, 0.6)[:2]]]
    assert pairs[0].p_corrected is not None and alone[0] is not None and pairs[0].p_corrected >= alone[0]


def test_four_rounds_without_a_difference_are_hardly_ever_told_apart() -> None:
    """At most one of twenty sets of six pairs gets a name: 200 sets, and the binomial's 99.9% above it."""
    named = sum(any(pair.better for pair in between(shares(0.7, 0.7, 0.7, 0.7, rows=120, seed=seed), ACCURACY)) for seed in range(200))
    assert named <= 20


def test_the_same_answers_are_no_difference() -> None:
    one = shares(0.8)[0]
    (pair,) = between([one, replace(one, round_id="again")], ACCURACY)
    assert (pair.difference, pair.better, pair.p_corrected) == (0.0, None, 1.0)


def test_rows_are_matched_by_id_whatever_their_order() -> None:
    one, other = shares(0.9, 0.7)
    turned = replace(other, predictions=list(reversed(other.predictions)))
    assert between([one, turned], ACCURACY) == between([one, other], ACCURACY)


def test_rows_in_groups_tell_less() -> None:
    """Three groups of twenty rows where only the first is right: 60 rows are beyond chance, 3 groups are not."""
    right = np.repeat(np.arange(20) < 14, 20), np.repeat((np.arange(20) >= 3) & (np.arange(20) < 14), 20)
    groups = {f"r{n}": str(n // 20) for n in range(400)}
    (alone,) = between([answered("a", right[0]), answered("b", right[1])], ACCURACY)
    (together,) = between([answered("a", right[0], groups=groups), answered("b", right[1], groups=groups)], ACCURACY)
    assert alone.better is not None and together.better is None
    assert together.high is not None and together.low is not None and alone.high is not None and alone.low is not None
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_what_can_not_be_paired_is_said() -> None:
    one, other = shares(0.9, 0.7)
    fewer = replace(other, predictions=other.predictions[:300])
    changed = replace(other, predictions=[replace(row, reference="c") if row.row_id == "r7" else row for row in other.predictions])
    gone = replace(other, predictions=(), missing="the answers of r-1 are missing or damaged")
    reasons = [between([one, wrong], ACCURACY)[0].why_not or "" for wrong in (fewer, changed, gone, replace(other, predictions=()))]
    assert "300 in common, of 400 and 300" in reasons[0]
    assert "1 of their test rows have another reference" in reasons[1]
    assert reasons[2] == "the answers of r-1 are missing or damaged"
    assert "missing" in reasons[3]
    assert "don't hold what perplexity is told from" in (between([one, other], measure("perplexity"))[0].why_not or "")
