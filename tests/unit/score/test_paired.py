"""Paired comparisons: figures by hand, false gains under no effect, power under a real one."""

from functools import lru_cache

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import xlogy
from scipy.stats import binom, binomtest

from tunesmith.core.errors import DataError
from tunesmith.score.measures import measure
from tunesmith.score.paired import Comparison, at_level, compare, compare_right, mcnemar, paired_bootstrap, score_interval
from tunesmith.score.prediction import Prediction
from tunesmith.score.resampling import Resamples


def answers(reference: np.ndarray, answer: np.ndarray) -> list[Prediction]:
    return [Prediction(row_id=str(i), reference=str(a), answer=str(b)) for i, (a, b) in enumerate(zip(reference, answer, strict=True))]


def guess(random: np.random.Generator, reference: np.ndarray, accuracy: float, labels: int = 5) -> np.ndarray:
    return np.where(random.random(len(reference)) < accuracy, reference, random.integers(0, labels, len(reference)))


def test_mcnemar_is_the_binomial_test() -> None:
    for wins, losses in ((0, 0), (5, 0), (6, 0), (10, 2), (7, 9), (40, 12)):
        expected = binomtest(wins, wins + losses, alternative="greater").pvalue if wins + losses else 1.0
        assert mcnemar(wins, losses) == pytest.approx(expected)


@pytest.mark.parametrize(("wins", "losses", "rows"), [(43, 0, 100), (9, 2, 50), (30, 41, 400), (0, 5, 60)])
def test_the_score_interval_ends_where_the_score_statistic_is_1_96(wins: int, losses: int, rows: int) -> None:
    """The share lost under a supposed difference is found here by search over the likelihood, not by Tango's formula."""
    found = score_interval(wins, losses, rows)
    for end, correction, target in ((found.low, 1, 1.959964), (found.high, -1, -1.959964)):

        def unlikely(lost: float, end: float = end) -> float:
            won = lost + end
            return -float(xlogy(wins, won) + xlogy(losses, lost) + xlogy(rows - wins - losses, 1 - won - lost))

        lost = minimize_scalar(unlikely, bounds=(max(0.0, -end), (1 - end) / 2), method="bounded", options={"xatol": 1e-10}).x
        spread = np.sqrt(rows * (2 * lost + end - end**2))
        assert (wins - losses - rows * end - correction) / spread == pytest.approx(target, abs=1e-3)


def test_a_comparison_is_told_at_another_level() -> None:
    """Exact ones as if they had been made at it; a bootstrap's arms as Student's t of 20 units is: 2.093 at 2.5%, 3.883 at 0.05%."""
    for wins, losses, rows in ((43, 0, 100), (9, 2, 50), (30, 41, 400), (0, 5, 60), (0, 0, 30), (300, 250, 2000)):
        told, expected = at_level(compare_right(wins, losses, rows), rows, 0.001), score_interval(wins, losses, rows, 0.001)
        assert (told.low, told.high) == (expected.low, expected.high)
        assert told.low < score_interval(wins, losses, rows).low and told.p_value == mcnemar(wins, losses)
    drawn = Comparison(difference=0.1, low=0.05, high=0.2, p_value=0.001, test="paired bootstrap")
    wider = at_level(drawn, 100, 0.0005)
    assert (0.1 - wider.low) / 0.05 == pytest.approx(3.883 / 2.093, abs=1e-3) == (wider.high - 0.1) / 0.1 and wider.p_value == 0.001


def test_no_disagreement_leaves_room_both_ways() -> None:
    nothing = score_interval(0, 0, 50)
    assert nothing.low == pytest.approx(-nothing.high)
    assert 0.05 < nothing.high < 0.15


@pytest.mark.parametrize("rows", [50, 200, 1000])
@pytest.mark.parametrize("disagree", [0.02, 0.05, 0.15, 0.4])
def test_right_or_wrong_false_gains_summed_over_every_outcome(rows: int, disagree: float) -> None:
    """No simulation: the probability of a gain where both systems are equally good is at most 2.5%, of covering at least 95%."""
    cached = lru_cache(None)(compare_right)
    gain = missed = 0.0
    for apart in range(int(binom.ppf(1e-5, rows, disagree)), int(binom.ppf(1 - 1e-5, rows, disagree)) + 1):
        wins = np.arange(int(binom.ppf(1e-5, apart, 0.5)), apart + 1) if apart else np.array([0])
        # the middle never gains: only the upper tail has to be worked out, the lower mirrors it
        upper = wins[wins >= apart / 2 + 0.8 * np.sqrt(apart)]
        weights = binom.pmf(apart, rows, disagree) * binom.pmf(upper, apart, 0.5)
        for win, weight in zip(upper, weights, strict=True):
            if weight > 1e-8:
                found = cached(int(win), int(apart - win), rows)
                gain += weight * found.is_gain
                missed += weight * (found.low > 0)
    assert gain <= 0.025
    assert 1 - 2 * missed >= 0.945


@pytest.mark.parametrize(("rows", "simulations"), [(20, 200), (50, 200), (200, 200), (1000, 50)])
def test_macro_f1_gains_falsely_at_most_three_times_in_a_hundred(rows: int, simulations: int) -> None:
    random = np.random.default_rng(rows)
    macro_f1, gains = measure("macro_f1"), 0
    for seed in range(simulations):
        reference = random.choice(5, rows, p=[0.4, 0.25, 0.2, 0.1, 0.05])
        ours, theirs = (answers(reference, guess(random, reference, 0.6)) for _ in range(2))
        found = compare(macro_f1, ours, theirs, Resamples(rows=rows, count=300, seed=seed))
        assert found is not None
        gains += found.is_gain
    assert gains <= binom.ppf(0.999, simulations, 0.03)


def test_a_real_gain_is_seen() -> None:
    random = np.random.default_rng(3)
    for name in ("accuracy", "macro_f1", "mcc", "rougeL"):
        reference = random.integers(0, 5, 500)
        ours, theirs = answers(reference, guess(random, reference, 0.75)), answers(reference, guess(random, reference, 0.55))
        found = compare(measure(name), ours, theirs, Resamples(rows=500, count=500))
        assert found is not None and found.is_gain, name
        back = compare(measure(name), theirs, ours, Resamples(rows=500, count=500))
        assert back is not None and back.is_loss and not back.is_gain
        assert back.difference == pytest.approx(-found.difference)
        assert back.p_value > 0.9


@pytest.mark.parametrize("name", ["accuracy", "macro_f1", "bleu", "chrf", "token_f1", "perplexity"])
@pytest.mark.parametrize("rows", [1, 8, 200])
def test_identical_predictions_never_gain(name: str, rows: int) -> None:
    random = np.random.default_rng(rows)
    scored = [
        Prediction(
            row_id=str(i),
            reference=f"say {i % 3} of it",
            answer=f"say {random.integers(3)} of it",
            reference_logprob=-i - 1.0,
            reference_tokens=3,
        )
        for i in range(rows)
    ]
    found = compare(measure(name), scored, scored, Resamples(rows=rows, count=300))
    assert found is not None
    assert not found.is_gain and not found.is_loss
    assert found.difference == 0.0
    assert found.p_value == 1.0
    assert found.low <= 0.0 <= found.high


def test_the_bootstrap_agrees_with_the_exact_test_on_plenty_of_rows() -> None:
    random = np.random.default_rng(8)
    reference = random.integers(0, 4, 800)
    ours, theirs = answers(reference, guess(random, reference, 0.7)), answers(reference, guess(random, reference, 0.6))
    accuracy, drawn = measure("accuracy"), Resamples(rows=800, count=4000)
    exact, bootstrapped = compare(accuracy, ours, theirs, drawn), paired_bootstrap(accuracy, ours, theirs, drawn)
    assert exact is not None and bootstrapped is not None
    assert exact.test == "exact McNemar" and bootstrapped.test == "paired bootstrap"
    assert bootstrapped.difference == pytest.approx(exact.difference)
    assert bootstrapped.low == pytest.approx(exact.low, abs=0.006)
    assert bootstrapped.high == pytest.approx(exact.high, abs=0.006)


def test_a_lower_perplexity_is_an_improvement() -> None:
    random = np.random.default_rng(1)
    logprob = -random.gamma(4.0, 2.0, 200)

    def system(shift: float) -> list[Prediction]:
        return [
            Prediction(row_id=str(i), reference="x", answer="", reference_logprob=float(one) + shift, reference_tokens=4)
            for i, one in enumerate(logprob)
        ]

    found = compare(measure("perplexity"), system(1.0), system(0.0), Resamples(rows=200, count=500))
    assert found is not None and found.is_gain and found.difference > 0
    assert compare(measure("perplexity"), answers(np.zeros(200), np.zeros(200)), system(0.0), Resamples(rows=200)) is None


def test_grouped_rows_are_compared_by_group() -> None:
    """Ten copies of 12 rows: 8 wins and 3 losses stay a coin's whim, where 80 and 30 would not be."""
    reference = np.zeros(120, dtype=int)
    ours = np.repeat([0] * 8 + [1] * 3 + [0], 10)
    theirs = np.repeat([1] * 8 + [0] * 3 + [0], 10)
    groups = [str(index // 10) for index in range(120)]
    blind = compare(measure("accuracy"), answers(reference, ours), answers(reference, theirs), Resamples(rows=120))
    aware = compare(measure("accuracy"), answers(reference, ours), answers(reference, theirs), Resamples(rows=120, groups=groups))
    assert blind is not None and blind.is_gain
    assert aware is not None and not aware.is_gain
    assert aware.test == "paired bootstrap"


def test_different_rows_are_refused() -> None:
    one, other = answers(np.zeros(3), np.zeros(3)), answers(np.zeros(4), np.zeros(4))
    with pytest.raises(DataError, match="different rows"):
        compare(measure("accuracy"), one, other, Resamples(rows=3))
