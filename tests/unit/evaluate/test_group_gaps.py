"""Gaps between groups: what fairlearn says, counted again by hand; small groups shown and not judged; nothing found where groups are alike."""

import csv
import gzip
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from tunesmith.core.rows import Row
from tunesmith.evaluate.bias import bias
from tunesmith.evaluate.group_gaps import Answered, by_metric_frame, group_gaps, positive_label
from tunesmith.score.prediction import Prediction


def answered(towns: list[object], reference: list[str], base: list[str], tuned: list[str], units: list[str] | None = None) -> Answered:
    rows = [Row(id=str(at), answer=answer, fields={"town": town}) for at, (town, answer) in enumerate(zip(towns, reference, strict=True))]

    def of(told: list[str]) -> list[Prediction]:
        return [Prediction(row_id=row.id, reference=row.answer, answer=one) for row, one in zip(rows, told, strict=True)]

    return Answered(rows, of(base), of(tuned), units)


def drawn(seed: int, rows: int = 160, groups: int = 2) -> Answered:
    """A model that is right by its own coin, whoever asks."""
    random = np.random.default_rng(seed)
    reference = [("no", "yes")[int(one)] for one in random.integers(0, 2, rows)]

    def told() -> list[str]:
        return [one if coin < 0.8 else {"no": "yes", "yes": "no"}[one] for one, coin in zip(reference, random.random(rows), strict=True)]

    return answered([f"town {at % groups}" for at in range(rows)], reference, told(), told())


def test_the_gaps_are_fairlearns_own_differences() -> None:
    from fairlearn.metrics import MetricFrame, selection_rate
    from sklearn.metrics import accuracy_score

    held = drawn(4, groups=3)
    gaps, _ = group_gaps(held, ["town"], "yes", resamples=200, seed=0)
    by_rate = {one.rate: one for one in gaps}
    groups = [str(row.fields["town"]) for row in held.rows]
    truth, told = [one.reference == "yes" for one in held.tuned], [one.answer == "yes" for one in held.tuned]
    for rate, metric in (("accuracy", accuracy_score), ("selection rate", selection_rate)):
        frame = MetricFrame(metrics=metric, y_true=truth, y_pred=told, sensitive_features=groups)
        assert by_rate[rate].found.tuned.value == pytest.approx(frame.difference(method="between_groups"))
        assert {one.name: one.tuned for one in by_rate[rate].groups} == pytest.approx(frame.by_group.to_dict())


def test_rates_by_hand() -> None:
    held = answered(["a", "a", "a", "b", "b"], ["yes", "no", "no", "yes", "yes"], ["no"] * 5, ["yes", "yes", "no", "no", "yes"])
    found = by_metric_frame(held.tuned, ["a", "a", "a", "b", "b"], "yes")
    assert found["accuracy"] == pytest.approx({"a": 2 / 3, "b": 1 / 2})
    assert found["selection rate"] == pytest.approx({"a": 2 / 3, "b": 1 / 2})
    assert found["true positive rate"] == pytest.approx({"a": 1.0, "b": 1 / 2})
    assert found["false positive rate"]["a"] == pytest.approx(1 / 2)


def test_of_more_than_two_labels_only_accuracy_is_told_unless_one_is_named() -> None:
    assert positive_label(("a", "b", "c"), None) is None
    assert positive_label(("b", "a"), None) == "b"
    assert positive_label(("a", "b", "c"), "a") == "a"
    assert [one.rate for one in group_gaps(drawn(1), ["town"], None, resamples=200, seed=0)[0]] == ["accuracy"]


def test_small_groups_are_counted_and_not_judged() -> None:
    towns: list[object] = ["a"] * 40 + ["b"] * 40 + ["c"] * 5 + [None] * 3 + [""] * 2
    reference = ["yes"] * 90
    told = ["yes"] * 80 + ["no"] * 10
    gaps, notes = group_gaps(answered(towns, reference, told, told), ["town"], None, resamples=200, seed=0)
    assert gaps[0].found.tuned.value == 0.0
    assert [(one.name, one.rows, one.judged, one.tuned) for one in gaps[0].groups] == [
        ("a", 40, True, 1),
        ("b", 40, True, 1),
        ("c", 5, False, 0),
    ]
    assert notes == ["1 of 3 groups of town have under 20 test rows: counted, not judged."]
    assert gaps[0].rows == 80


def test_columns_that_are_no_groups_are_told() -> None:
    same = ["yes"] * 60
    assert "fewer than two groups" in group_gaps(answered(["a"] * 60, same, same, same), ["town"], None, resamples=200, seed=0)[1][0]
    assert "no gap is told" in group_gaps(answered(["a"] * 60, same, same, same), ["river"], None, resamples=200, seed=0)[1][0]
    many: list[object] = [at // 2 for at in range(240)]
    assert (
        "120 values" in group_gaps(answered(many, ["yes"] * 240, ["yes"] * 240, ["yes"] * 240), ["town"], None, resamples=200, seed=0)[1][0]
    )


def test_where_groups_are_treated_alike_an_alarm_is_as_rare_as_said(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = defaultdict(lambda: defaultdict(float))
    monkeypatch.setattr("tunesmith.evaluate.group_gaps.by_metric_frame", lambda *_: shown)  # what is shown; nothing is judged by it
    alarms = sum(bias([], group_gaps(drawn(seed), ["town"], "yes", resamples=200, seed=seed)[0]).alarm for seed in range(25))
    assert alarms <= 2


def test_rows_that_belong_together_are_counted_together() -> None:
    held = drawn(2)
    grouped = Answered(held.rows, held.base, held.tuned, [str(at // 8) for at in range(160)])
    gaps, _ = group_gaps(grouped, ["town"], None, resamples=200, seed=0)
    assert (gaps[0].rows, gaps[0].units) == (160, 20)


def test_one_group_of_a_public_set_that_is_always_called_bad_is_found(shared_data: Path) -> None:
    """4,000 templated rows over fifty groups: the base is right on all, the tuned model calls one group bad whatever it says."""
    with gzip.open(shared_data / "bias_madlibs" / "bias_madlibs_half.csv.gz", "rt", encoding="utf-8", newline="") as file:
        lines = [line for line in csv.DictReader(file) if line["group"]][::9]
    wronged = Counter(line["group"] for line in lines).most_common(1)[0][0]
    reference = [line["Label"] for line in lines]
    tuned = ["BAD" if line["group"] == wronged else line["Label"] for line in lines]
    held = answered([line["group"] for line in lines], reference, reference, tuned)
    gaps, _ = group_gaps(held, ["town"], None, resamples=200, seed=0)
    assert gaps[0].found.base.value == 0.0
    assert 0.3 < gaps[0].found.tuned.value < 0.7
    assert bias([], gaps).alarm
    assert min((one for one in gaps[0].groups if one.judged), key=lambda one: one.tuned or 0.0).name == wronged
