"""A slice on which the model is worse is found and named; where there is none, none is named."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tunesmith.core.errors import DataError
from tunesmith.core.rows import Message, Row
from tunesmith.evaluate.slices import FEWEST_ROWS, judge_slices, slices_of
from tunesmith.score.apart import against_rest, newcombe
from tunesmith.score.measures import Measure, measure
from tunesmith.score.prediction import Prediction
from tunesmith.score.resampling import Resamples

ACCURACY, TOKEN_F1, AUROC = measure("accuracy"), measure("token_f1"), measure("auroc")


def rows(random: np.random.Generator, count: int) -> list[Row]:
    """Tickets from three files, in four tongues, with five labels and a number nobody shares."""
    return [
        Row(
            id=str(n),
            prompt=(Message("user", "word " * int(random.integers(1, 60))),),
            answer=f"label {random.integers(0, 5)}",
            source=f"{'abc'[n % 3]}.jsonl:{n}",
            fields={"tongue": ["de", "en", "fr", "pl"][random.integers(0, 4)], "vip": bool(random.random() < 0.3), "ticket": n},
        )
        for n in range(count)
    ]


def answered(made: Sequence[Row], right: np.ndarray) -> list[Prediction]:
    return [
        Prediction(
            row_id=row.id,
            reference=row.answer,
            answer=row.answer if hit else "wrong label altogether",
            chances={f"label {k}": 0.9 - 0.7 * (not hit) if row.answer == f"label {k}" else 0.3 for k in range(5)},
        )
        for row, hit in zip(made, right, strict=True)
    ]


def worse_in(random: np.random.Generator, made: Sequence[Row], there: float, elsewhere: float) -> np.ndarray:
    """Right or wrong, with other odds in Polish."""
    odds = np.where([row.fields["tongue"] == "pl" for row in made], there, elsewhere)
    return np.asarray(random.random(len(made)) < odds)


@pytest.mark.parametrize("one", [ACCURACY, TOKEN_F1])
def test_a_bad_slice_is_found_and_named_first(one: Measure) -> None:
    random = np.random.default_rng(0)
    made = rows(random, 300)
    found = judge_slices(one, made, answered(made, worse_in(random, made, 0.45, 0.9)), resamples=500)
    assert found is not None
    assert [slice.name for slice in found.worse] == ["tongue = pl"]
    assert found.slices[0].name == "tongue = pl"
    figures = found.slices[0].figures
    assert figures.value.low < figures.value.value < figures.value.high < figures.rest
    assert figures.difference.value == pytest.approx(figures.value.value - figures.rest)
    assert "1 of" in found.sentence and "tongue = pl" in found.sentence and "against" in found.sentence


def test_areas_under_curves_have_slices_too() -> None:
    random = np.random.default_rng(1)
    made = rows(random, 240)
    right = worse_in(random, made, 0.3, 0.95)
    found = judge_slices(AUROC, made, answered(made, right), resamples=200)
    assert found is not None
    assert [slice.name for slice in found.worse] == ["tongue = pl"]
    assert not any(slice.column == "label" for slice in found.slices)


def test_on_shuffled_slices_nothing_is_named() -> None:
    """The family's chance of one false name is 2.5% at most, over about 18 slices each."""
    named, runs = 0, 100
    for seed in range(runs):
        random = np.random.default_rng(seed)
        made = rows(random, 150)
        found = judge_slices(ACCURACY, made, answered(made, random.random(150) < 0.75))
        assert found is not None and len(found.slices) >= 12
        named += bool(found.worse)
        assert bool(found.worse) == ("worse than the rest, after" in found.sentence)
    assert named <= 6


@pytest.mark.parametrize("grouped", [False, True])
def test_nor_where_the_bootstrap_decides(grouped: bool) -> None:
    """With groups whose rows share their luck, whole slices are of one customer's luck; the test must know."""
    named, runs = 0, 30
    for seed in range(runs):
        random = np.random.default_rng(1000 + seed)
        made = rows(random, 160)
        luck = np.repeat(random.beta(3, 1.5, 40), 4)
        groups = {row.id: str(n // 4) for n, row in enumerate(made)}
        if grouped:  # a column that belongs to the customer, not to the row
            made = [replace(row, fields={"plan": "xyz"[n // 4 % 3]}) for n, row in enumerate(made)]
        right = random.random(160) < (luck if grouped else 0.7)
        found = judge_slices(
            ACCURACY if grouped else TOKEN_F1, made, answered(made, right), resamples=200, groups=groups if grouped else None
        )
        assert found is not None
        named += bool(found.worse)
    assert named <= 3


def test_figures_are_those_of_fisher_and_newcombe() -> None:
    """Newcombe (1998), table II: 56 of 70 against 48 of 80, method 10."""
    from scipy.stats import fisher_exact

    book = newcombe(56, 70, 48, 80)
    assert (book.low, book.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    right = np.array([True] * 48 + [False] * 32 + [True] * 56 + [False] * 14)
    part = np.arange(150) < 80
    scored = [Prediction(row_id=str(n), reference="a", answer="a" if hit else "b") for n, hit in enumerate(right)]
    found = against_rest(ACCURACY, scored, [part], Resamples(rows=150))
    assert found is not None
    assert found[0].p_worse == pytest.approx(fisher_exact([[48, 32], [56, 14]], alternative="less").pvalue)
    assert (found[0].difference.low, found[0].difference.high) == pytest.approx((-0.3339, -0.0524), abs=5e-5)
    assert (found[0].rows, found[0].value.value, found[0].rest) == (80, 0.6, 0.8)


def test_a_measure_that_runs_down_is_worse_where_it_is_higher() -> None:
    random = np.random.default_rng(2)
    made = rows(random, 200)
    bad = np.array([row.fields["tongue"] == "fr" for row in made])
    off = random.normal(size=200) * np.where(bad, 5.0, 1.0)
    scored = [
        Prediction(row_id=row.id, reference=row.answer, answer="", truth=1.0, found=1.0 + float(wrong))
        for row, wrong in zip(made, off, strict=True)
    ]
    found = judge_slices(measure("mae"), made, scored, resamples=400)
    assert found is not None
    assert [slice.name for slice in found.worse] == ["tongue = fr"]
    assert found.slices[0].figures.difference.value < 0 < found.slices[0].figures.value.value - found.slices[0].figures.rest


def test_rows_are_cut_by_length_file_group_label_and_columns_of_few_values() -> None:
    made = rows(np.random.default_rng(3), 120)
    cuts = slices_of(made, groups={row.id: f"customer {n % 6}" for n, row in enumerate(made)})
    columns = {cut.column: [one.value for one in cuts if one.column == cut.column] for cut in cuts}
    assert list(columns) == ["length", "source", "group", "label", "tongue", "vip"]
    assert columns["source"] == ["a.jsonl", "b.jsonl", "c.jsonl"]
    assert columns["tongue"] == ["de", "en", "fr", "pl"]
    assert len(columns["group"]) == 6 and len(columns["label"]) == 5
    assert sum(int(cut.part.sum()) for cut in cuts if cut.column == "length") == 120


def test_lengths_are_cut_in_thirds_and_equal_ones_stay_together() -> None:
    distinct = [Row(id=str(n), answer="a" * (n + 1)) for n in range(60)]
    cuts = [cut for cut in slices_of(distinct, by_label=False) if cut.column == "length"]
    assert [(cut.value, int(cut.part.sum())) for cut in cuts] == [
        ("up to 20 characters", 20),
        ("21 to 40 characters", 20),
        ("over 40 characters", 20),
    ]
    alike = [Row(id=str(n), answer="a" * (5 if n < 50 else 9)) for n in range(60)]
    cuts = [cut for cut in slices_of(alike, by_label=False) if cut.column == "length"]
    assert [int(cut.part.sum()) for cut in cuts] == [50, 10]


def test_slices_with_the_same_rows_are_one_and_those_of_all_rows_none() -> None:
    made = [
        Row(id=str(n), answer="ab"[n % 2], source="one.jsonl:1", fields={"twin": "xy"[n % 2], "same": 1, "odd": [n]}) for n in range(60)
    ]
    assert [cut.name for cut in slices_of(made)] == ["label = a", "label = b"]
    many = [Row(id=str(n), answer="a", labels=("x",) if n % 2 else ("x", "y")) for n in range(60)]
    assert [cut.name for cut in slices_of(many)] == ["label = y"]
    assert slices_of([]) == []


def test_values_are_shown_on_one_line_and_not_at_length() -> None:
    made = [Row(id=str(n), answer="a", fields={"c": "x\n" * 40 if n % 2 else None}) for n in range(4)]
    names = [cut.name for cut in slices_of(made)]
    assert "c = (none)" in names and all("\n" not in name and len(name) < 50 for name in names)


def test_small_slices_are_not_told_and_too_few_rows_say_so() -> None:
    made = rows(np.random.default_rng(4), 2 * FEWEST_ROWS - 1)
    found = judge_slices(ACCURACY, made, answered(made, np.zeros(len(made), dtype=bool)))
    assert found is not None and found.slices == () and "large enough" in found.sentence
    large = rows(np.random.default_rng(4), 100)
    told = judge_slices(ACCURACY, large, answered(large, np.ones(100, dtype=bool)))
    assert told is not None and min(one.figures.rows for one in told.slices) >= FEWEST_ROWS
    assert told.worse == [] and "None of" in told.sentence
    assert told.to_json()["slices"][0]["worse"] is False


def test_other_rows_are_refused_and_what_is_not_carried_is_none() -> None:
    made = rows(np.random.default_rng(5), 60)
    scored = answered(made, np.ones(60, dtype=bool))
    for wrong in (scored[1:], [*scored[1:], scored[1]], [*scored[1:], replace(scored[0], row_id="x")]):
        with pytest.raises(DataError, match="give each row one answer"):
            judge_slices(ACCURACY, made, wrong)
    assert judge_slices(measure("perplexity"), made, scored) is None
    shuffled = judge_slices(ACCURACY, made, scored[::-1])
    straight = judge_slices(ACCURACY, made, scored)
    assert shuffled is not None and straight is not None and shuffled.to_json() == straight.to_json()
