"""Measures of labels against scikit-learn's, and what they do at the edges."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.core.errors import DataError, RecipeError
from tunesmith.score.classification import OTHER, confusion
from tunesmith.score.measures import NAMES, measure
from tunesmith.score.prediction import Prediction


def predictions(pairs: list[tuple[str, str]]) -> list[Prediction]:
    return [Prediction(row_id=str(index), reference=reference, answer=answer) for index, (reference, answer) in enumerate(pairs)]


LABELS = ["a", "b", "c", "d"]
PAIRS = st.lists(st.tuples(st.sampled_from(LABELS[:3]), st.sampled_from([*LABELS, "?", ""])), min_size=1, max_size=40)


@given(PAIRS)
@settings(max_examples=60, deadline=None)
def test_values_are_scikit_learns_over_the_labels_of_the_references(pairs: list[tuple[str, str]]) -> None:
    from sklearn import metrics

    references, answers = [one for one, _ in pairs], [one for _, one in pairs]
    labels = sorted(set(references))
    expected = {"accuracy": metrics.accuracy_score(references, answers)}
    for average in ("macro", "micro"):
        for name in ("precision", "recall", "f1"):
            score = getattr(metrics, f"{name}_score")
            expected[f"{average}_{name}"] = score(references, answers, labels=labels, average=average, zero_division=0)
    expected["balanced_accuracy"] = expected["macro_recall"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected["mcc"] = metrics.matthews_corrcoef(references, [one if one in labels else "~" for one in answers])
    scored = predictions(pairs)
    for name, value in expected.items():
        assert measure(name).of(scored) == pytest.approx(value, abs=1e-12), name


@given(PAIRS)
@settings(max_examples=40, deadline=None)
def test_sums_of_statistics_over_drawn_rows_score_the_drawn_rows(pairs: list[tuple[str, str]]) -> None:
    scored = predictions(pairs)
    drawn = np.random.default_rng(len(pairs)).integers(0, len(pairs), len(pairs))
    for name in ("accuracy", "macro_f1", "macro_precision", "macro_recall"):
        one = measure(name)
        table = one.tabulate(scored)
        assert table is not None
        assert one.of_table(table[drawn]) == pytest.approx(one.of(predictions([pairs[index] for index in drawn])), abs=1e-12)


def test_confusion_counts_every_row_once_and_sets_strange_answers_apart() -> None:
    table = confusion(predictions([("a", "a"), ("a", "b"), ("b", "b"), ("b", "zebra"), ("a", "")]))
    assert table.labels == ("a", "b", OTHER)
    assert table.counts == ((1, 1, 1), (0, 1, 1), (0, 0, 0))
    assert confusion(predictions([("a", "a"), ("b", "a")])).labels == ("a", "b")


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(RecipeError, match="Did you mean 'macro_f1'"):
        measure("macrof1")


def test_no_rows_are_refused() -> None:
    with pytest.raises(DataError, match="no rows"):
        measure("accuracy").of([])


@pytest.mark.parametrize("name", NAMES)
def test_the_table_of_names_holds(name: str) -> None:
    assert measure(name).name == name


def test_people_read_rounded_figures_without_negative_zeros() -> None:
    assert measure("accuracy").shown(0.8412) == "84.1%"
    assert measure("accuracy").shown_difference(-0.0001) == "0.0 points"
    assert measure("bleu").shown(0.234) == "23.4"
    assert measure("perplexity").shown_difference(1.5) == "1.500"
