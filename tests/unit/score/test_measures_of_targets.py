"""Label sets, numbers, spans and preferences: the values are those of scikit-learn and scipy, the intervals hold them."""

import json
from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import f1_score, hamming_loss, mean_absolute_error, mean_squared_error, r2_score, roc_auc_score
from sklearn.preprocessing import MultiLabelBinarizer

from tunesmith.score.intervals import interval
from tunesmith.score.measures import measure
from tunesmith.score.paired import compare
from tunesmith.score.prediction import Meaning, Prediction
from tunesmith.score.resampling import Resamples


def of(pairs: Sequence[tuple[Meaning, Meaning]]) -> list[Prediction]:
    return [Prediction(row_id=str(n), reference="", answer="", truth=truth, found=found) for n, (truth, found) in enumerate(pairs)]


def value(name: str, predictions: list[Prediction]) -> float:
    found = measure(name).of(predictions)
    assert found is not None
    return found


def random_sets(rows: int = 120, labels: str = "abcde") -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    random = np.random.default_rng(3)

    def some() -> tuple[str, ...]:
        return tuple(label for label in labels if random.random() < 0.3)

    return [(truth, some() if random.random() < 0.4 else truth) for truth in (some() for _ in range(rows))]


def test_label_sets_as_scikit_learn_has_them() -> None:
    pairs = random_sets()
    rows = of(pairs)
    table = MultiLabelBinarizer(classes=list("abcde"))
    truth, found = table.fit_transform([one for one, _ in pairs]), table.transform([one for _, one in pairs])
    assert value("labels_micro_f1", rows) == pytest.approx(f1_score(truth, found, average="micro"))
    assert value("labels_macro_f1", rows) == pytest.approx(f1_score(truth, found, average="macro"))
    assert value("subset_accuracy", rows) == pytest.approx(np.mean([one == other for one, other in pairs]))
    assert value("hamming_loss", rows) == pytest.approx(hamming_loss(truth, found))


def test_an_answer_no_reference_holds_is_wrong() -> None:
    rows = of([(("a",), ("a", "zz")), ((), ())])
    assert value("labels_micro_f1", rows) == pytest.approx(2 / 3)
    assert value("labels_macro_f1", rows) == 1.0
    assert value("subset_accuracy", rows) == 0.5
    assert value("hamming_loss", rows) == 0.5


@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_numbers_as_scipy_has_them(shift: float) -> None:
    random = np.random.default_rng(0)
    truth = random.normal(size=200).round(1) + shift
    found = truth + random.normal(size=200)
    rows = of([(float(x), float(y)) for x, y in zip(truth, found, strict=True)])
    assert value("pearson", rows) == pytest.approx(pearsonr(truth, found).statistic)
    assert value("spearman", rows) == pytest.approx(spearmanr(truth, found).statistic)
    assert value("mae", rows) == pytest.approx(mean_absolute_error(truth, found))
    assert value("rmse", rows) == pytest.approx(mean_squared_error(truth, found) ** 0.5)
    assert value("r2", rows) == pytest.approx(r2_score(truth, found))


def test_a_constant_correlates_with_nothing_and_explains_nothing() -> None:
    rows = of([(1.0, 2.0), (2.0, 2.0), (3.0, 2.0)])
    assert value("pearson", rows) == value("spearman", rows) == value("r2", rows) == 0.0
    assert value("pearson", of([(2.0, 1.0), (2.0, 3.0)])) == value("r2", of([(2.0, 1.0), (2.0, 3.0)])) == 0.0


def test_spans_count_when_bounds_and_label_are_right() -> None:
    rows = [
        Prediction(
            row_id="1", reference="", answer="", truth=((0, 3, "x"), (5, 8, "y")), found=((0, 3, "x"), (5, 7, "y")), words=4, words_right=3
        ),
        Prediction(row_id="2", reference="", answer="", truth=(), found=((0, 1, "x"),), words=2, words_right=1),
    ]
    assert value("span_f1", rows) == pytest.approx(2 / 5)
    assert value("span_precision", rows) == pytest.approx(1 / 3)
    assert value("span_recall", rows) == pytest.approx(1 / 2)
    assert value("token_accuracy", rows) == pytest.approx(4 / 6)


def pair(chosen: float, rejected: float, tokens: tuple[int, int] = (1, 1), row: int = 0) -> Prediction:
    return Prediction(
        row_id=str(row),
        reference="a",
        answer="b",
        reference_logprob=chosen,
        reference_tokens=tokens[0],
        rejected_logprob=rejected,
        rejected_tokens=tokens[1],
    )


def test_a_tie_of_a_pair_counts_half() -> None:
    rows = [pair(-1, -2), pair(-2, -2), pair(-3, -2), pair(-3, -2)]
    assert value("preference_accuracy", rows) == 1.5 / 4


def test_a_long_answer_is_not_held_against_itself_per_token() -> None:
    rows = [pair(-10, -4, (10, 2))]
    assert value("preference_accuracy", rows) == 0.0
    assert value("preference_accuracy_per_token", rows) == 1.0


def test_pairs_without_ties_get_exact_methods_and_ties_the_bootstrap() -> None:
    ours = [pair(-1, -2, row=n) for n in range(30)] + [pair(-2, -1, row=30 + n) for n in range(10)]
    theirs = [pair(-2, -1, row=n) for n in range(40)]
    drawn = Resamples(rows=40, count=400)
    chosen = measure("preference_accuracy")
    exact = compare(chosen, ours, theirs, drawn)
    assert exact is not None and exact.test == "exact McNemar" and exact.difference == 0.75
    tied = compare(chosen, ours, [pair(-1, -1, row=n) for n in range(40)], drawn)
    assert tied is not None and tied.test == "paired bootstrap" and tied.difference == pytest.approx(0.25)


@pytest.mark.parametrize("rows", [40, 700])
def test_wanted_answers_over_unwanted_is_the_area_under_the_curve(rows: int) -> None:
    random = np.random.default_rng(1)
    wanted, scores = random.random(rows) < 0.4, random.normal(size=rows).round(1)
    made = [
        Prediction(row_id=str(n), reference="", answer="", truth=bool(w), reference_logprob=float(3 * s), reference_tokens=3)
        for n, (w, s) in enumerate(zip(wanted, scores + wanted, strict=True))
    ]
    assert value("wanted_auc", made) == pytest.approx(roc_auc_score(wanted, scores + wanted), abs=1e-9 if rows < 256 else 0.01)
    assert value("wanted_auc", [one for one in made if one.truth]) == 0.5


@pytest.mark.parametrize("name", ["labels_micro_f1", "labels_macro_f1", "subset_accuracy", "hamming_loss"])
def test_intervals_of_label_sets_hold_their_value(name: str) -> None:
    _interval_holds(name, of(random_sets(60)))


@pytest.mark.parametrize("name", ["pearson", "spearman", "mae", "rmse", "r2"])
def test_intervals_of_numbers_hold_their_value_and_a_better_system_is_found(name: str) -> None:
    random = np.random.default_rng(2)
    truth = random.normal(size=80)
    near, far = ([(float(x), float(x + size * random.normal())) for x in truth] for size in (0.3, 2.0))
    _interval_holds(name, of(near))
    found = compare(measure(name), of(near), of(far), Resamples(rows=80, count=400))
    assert found is not None and found.is_gain and found.difference > 0


def _interval_holds(name: str, rows: list[Prediction]) -> None:
    found = interval(measure(name), rows, Resamples(rows=len(rows), count=400))
    assert found is not None
    assert found.low < found.value < found.high
    assert found.high - found.low < 1.0


@pytest.mark.parametrize("name", ["labels_micro_f1", "pearson", "spearman", "span_f1", "preference_accuracy", "wanted_auc"])
def test_answers_of_another_kind_have_no_value(name: str) -> None:
    assert measure(name).of([Prediction(row_id="1", reference="a", answer="b")]) is None


@pytest.mark.parametrize("meaning", [(), ("a", "b"), ((0, 3, "x"), (4, 5, "y")), 2.5, True, None])
def test_meanings_survive_a_file(meaning: Meaning) -> None:
    one = Prediction(row_id="1", reference="a", answer="b", truth=meaning, found=meaning)
    assert Prediction.from_json(json.loads(json.dumps(one.to_json()))) == one
