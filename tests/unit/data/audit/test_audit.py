"""The audit: planted bias is found with its figure, and nothing is found where nothing is."""

import csv
import gzip
import json
import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import yaml

from tunesmith.core.rows import Message, Row
from tunesmith.data.audit import EDGES, MITIGATIONS, Audit, AuditFindings, audit, describe, leaks, sampled
from tunesmith.data.audit.labels import effective_number
from tunesmith.data.audit.reference import total_variation
from tunesmith.data.audit.tally import MOST_LABELS, MOST_VALUES, OTHER
from tunesmith.data.balance import BalanceFacts, balance
from tunesmith.data.config import Task
from tunesmith.data.settings.audit import AuditConfig
from tunesmith.data.settings.augment import AugmentConfig
from tunesmith.data.settings.balance import BalanceConfig
from tunesmith.data.settings.filter import FilterConfig
from tunesmith.data.settings.relabel import RelabelConfig
from tunesmith.data.settings.split import SplitConfig
from tunesmith.data.table import Columns

SAID = {"female": "my sister wants this", "male": "my brother wants this", "": "someone wants this"}
CONFIG = AuditConfig(groups=("region",), time="when")


def row(number: int, text: str, answer: str, **more: Any) -> Row:
    source = more.pop("source", "rows.csv")
    return Row(id=f"{number:016x}", prompt=(Message("user", text),), answer=answer, source=f"{source}:{number}", fields=more)


def planted(count: int, seed: int, female: float = 0.3, north: float = 0.3) -> list[Row]:
    """Labels at 30%, other rates where asked for; groups, sources and months at random."""
    draw, rows = Random(seed), []
    for number in range(count):
        who, region = draw.choice(list(SAID)), draw.choice(["north", "south", "east"])
        rate = female if who == "female" else north if region == "north" else 0.3
        answer = "bad" if draw.random() < rate else "good"
        when = f"20{draw.randint(18, 24)}-{draw.randint(1, 12):02d}-15"
        rows.append(row(number, SAID[who], answer, region=region, when=when, source=draw.choice(["a.csv", "b.csv"])))
    return rows


def of(found: AuditFindings, what: str) -> list[dict[str, Any]]:
    return [finding for finding in found.findings if finding["what"] == what]


def test_a_planted_difference_between_group_terms_is_found_with_its_figure() -> None:
    rows = planted(3000, 1, female=0.6)
    found = audit(rows, CONFIG, Task.CLASSIFY)
    (finding,) = [finding for finding in of(found, "label.group_terms") if finding["about"] == ["gender", "female"]]
    mine = [each for each in rows if each.prompt[0].content == SAID["female"]]
    rest = [each for each in rows if each.prompt[0].content != SAID["female"]]
    gap = sum(each.answer == "bad" for each in mine) / len(mine) - sum(each.answer == "bad" for each in rest) / len(rest)
    assert finding["figure"] == pytest.approx(gap)
    assert finding["interval"][0] < 0.3 < finding["interval"][1]
    assert (finding["label"], finding["rows"]) == ("bad", len(mine))
    assert finding["mitigation"][0] == "augment.counterfactual"
    assert finding["p"] < 1e-6


def test_a_planted_difference_in_a_column_is_found_and_the_other_values_lie_on_the_other_side() -> None:
    found = audit(planted(3000, 2, north=0.7), CONFIG, Task.CLASSIFY)
    signs = {finding["about"][1]: finding["figure"] > 0 for finding in of(found, "label.group_column")}
    assert signs == {"north": True, "south": False, "east": False}


def everything(rows: list[Row], task: Task, seed: int) -> AuditFindings:
    """With dropped rows and a reference that is true."""
    config = CONFIG.model_copy(update={"reference": {"region": {"north": 1 / 3, "south": 1 / 3, "east": 1 / 3}}})
    one, draw = Audit(config, task, seed=seed), Random(seed)
    for each in rows:
        if draw.random() < 0.2:
            one.dropped(each, draw.choice(["filter", "dedup"]))
        else:
            one.add([each], ["train"])
    return one.result()


def test_on_shuffled_groups_the_audit_finds_something_in_at_most_one_of_twenty_sets() -> None:
    sets = [everything(planted(400, seed), Task.CLASSIFY, seed) for seed in range(200)]
    assert all(found.told["tested"] >= 15 for found in sets)
    assert sum(bool(found.findings) for found in sets) <= 0.05 * 200


def test_the_same_where_answers_are_written_or_numbers() -> None:
    found = 0
    for seed in range(60):
        draw = Random(seed)
        words = [replace(each, answer="x" * round(math.exp(draw.gauss(4, 1)))) for each in planted(400, 9000 + seed)]
        numbers = [replace(each, answer="", value=draw.expovariate(1)) for each in words]
        found += bool(everything(words, Task.GENERATE, seed).findings) + bool(everything(numbers, Task.REGRESS, seed).findings)
    assert found <= 0.05 * 120


def test_thresholds_hold_back_what_is_sure_but_small() -> None:
    rows = [
        row(number, SAID["female" if number % 2 else "male"], "bad" if number % 100 < 30 + 3 * (number % 2) else "good")
        for number in range(40_000)
    ]
    assert of(audit(rows, AuditConfig(), Task.CLASSIFY), "label.group_terms") == []
    assert len(of(audit(rows, AuditConfig(difference=0.005), Task.CLASSIFY), "label.group_terms")) == 2


def test_real_tweets_show_differences_and_balanced_templates_show_none(shared_data: Path) -> None:
    def read(name: str, text: str, label: str, column: str) -> list[Row]:
        with gzip.open(shared_data / name, "rt", encoding="utf-8", newline="") as file:
            return [row(number, line[text], line[label], group=line.get(column)) for number, line in enumerate(csv.DictReader(file))]

    templates = audit(
        read("bias_madlibs/bias_madlibs_half.csv.gz", "Text", "Label", "group"), AuditConfig(groups=("group",)), Task.CLASSIFY
    )
    assert templates.findings == []
    groups = templates.told["columns"]["group"]["groups"]
    assert len(groups) == 50
    assert all(each["labels"]["BAD"]["with"]["rate"] == 0.5 for each in groups.values())
    tweets = audit(read("hate_offensive/labeled_data.csv.gz", "tweet", "class", ""), AuditConfig(), Task.CLASSIFY)
    assert {tuple(finding["about"]) for finding in of(tweets, "label.group_terms")} >= {("gender", "female"), ("orientation", "gay")}
    (skew,) = of(tweets, "label.skew")
    assert skew["figure"] == pytest.approx(19_190 / 1430)


def test_label_skew_is_counted_over_all_rows() -> None:
    labels = {"train": {"a": 900, "b": 90, "c": 4}, "test": {"a": 50, "b": 5}}
    one = Audit(AuditConfig(), Task.CLASSIFY)
    one.add([row(1, "x", "a")], ["train"])
    found = one.result(labels=labels)
    told = found.told["labels"]
    assert (told["imbalance_ratio"], told["too_few_to_learn"], told["too_few_to_measure"]) == (225.0, ["c"], ["b", "c"])
    assert told["labels"]["b"]["sides"] == {"train": 90, "test": 5}
    assert [finding["what"] for finding in found.findings] == ["label.skew", "label.too_few_to_learn", "label.too_few_to_measure"]
    assert effective_number({"a": 7, "b": 7, "c": 7}) == pytest.approx(3.0)
    assert effective_number({"a": 7, "b": 0}) == pytest.approx(1.0)


def test_a_group_that_is_missing_against_the_reference_is_told() -> None:
    config = AuditConfig(groups=("region",), reference={"region": {"north": 0.4, "south": 0.4, "west": 0.2}})
    rows = [row(number, "hello", "a", region="north" if number % 4 else "south") for number in range(400)]
    rows += [row(number, "hello", "a", region="sea") for number in range(400, 410)]
    found = audit(rows, config, Task.CLASSIFY)
    told = found.told["reference"]["region"]
    assert (told["rows"], told["unreferenced"]) == (400, 10)
    assert told["total_variation"]["value"] == pytest.approx(0.35)
    assert {finding["about"][1]: finding["figure"] for finding in of(found, "sampling.reference")} == {
        "north": pytest.approx(0.35),
        "south": pytest.approx(-0.15),
        "west": pytest.approx(-0.2),
    }


def test_labels_and_terms_may_have_a_reference_too() -> None:
    config = AuditConfig(reference={"label": {"good": 0.7, "bad": 0.3}, "gender": {"female": 0.5, "male": 0.5}})
    told = audit(planted(2000, 3), config, Task.CLASSIFY).told["reference"]
    assert told["label"]["total_variation"]["value"] < 0.05
    assert told["gender"]["rows"] == pytest.approx(1333, abs=100)


@pytest.mark.parametrize("truth", [[0.5, 0.3, 0.2], [0.34, 0.33, 0.33], [0.9, 0.05, 0.05]])
def test_the_interval_of_the_distance_covers_the_truth(truth: list[float]) -> None:
    draw, reference = np.random.default_rng(0), [0.34, 0.33, 0.33]
    distance = sum(abs(a - b) for a, b in zip(truth, reference, strict=True)) / 2
    covered = 0
    for seed in range(300):
        low, high = total_variation(draw.multinomial(200, truth).tolist(), reference, seed)["interval"]
        covered += low <= distance <= high
    assert covered >= 0.93 * 300


def test_a_label_that_comes_from_one_source_is_told() -> None:
    draw = Random(0)
    rows = [
        row(
            number,
            "x",
            "refund" if number % 5 == 0 else draw.choice("ab"),
            source=f"{'export' if number % 5 == 0 else draw.choice(['mail', 'export'])}.csv",
        )
        for number in range(1000)
    ]
    found = audit(rows, AuditConfig(), Task.CLASSIFY)
    (finding,) = of(found, "selection.label_of_one_source")
    assert finding["label"] == "refund"
    assert found.told["sources"]["labels_of_one_source"] == {"refund": "export.csv"}
    assert found.told["sources"]["told_by_source"]["right_by_source"] >= found.told["sources"]["told_by_source"]["right_without"]


def test_one_source_is_no_skew() -> None:
    assert audit([row(number, "x", "ab"[number % 2]) for number in range(100)], AuditConfig(), Task.CLASSIFY).told["sources"] == {}


def drifting(jump: int) -> list[Row]:
    """24 months of 100 rows; half are a, from month `jump` on four fifths."""
    return [
        row(
            number,
            "x",
            "a" if number % 10 < (8 if number // 100 >= jump else 5) else "b",
            when=f"{2020 + number // 1200}-{number // 100 % 12 + 1:02d}-03",
        )
        for number in range(2400)
    ]


def test_drift_of_a_label_is_found_and_dated() -> None:
    found = audit(drifting(18), CONFIG, Task.CLASSIFY)
    (finding,) = of(found, "sampling.time")
    assert finding["figure"] == pytest.approx(0.3)
    shares = found.told["times"]["labels"][finding["label"]]["shares"]
    assert [round(each["rate"], 1) for each in shares.values()] in ([0.5] * 9 + [0.8] * 3, [0.5] * 9 + [0.2] * 3)
    assert len(found.told["times"]["months"]) == 24
    assert of(audit(drifting(99), CONFIG, Task.CLASSIFY), "sampling.time") == []


def test_a_column_of_years_is_kept_by_year() -> None:
    rows = [row(number, "x", "ab"[number % 2], when=2000 + number % 5) for number in range(200)]
    assert list(audit(rows, CONFIG, Task.CLASSIFY).told["times"]["months"]) == ["2000", "2001", "2002", "2003", "2004"]


def test_time_without_end_is_counted_in_bounded_periods() -> None:
    rows = [row(number, "x", "ab"[number % 2], when=number) for number in range(5000)]
    told = audit(rows, CONFIG, Task.CLASSIFY).told["times"]
    assert len(told["months"]) <= 600
    assert sum(each["rows"] for each in told["months"].values()) == 5000


def historic(newer: float) -> list[Row]:
    draw, rows = Random(4), []
    for number in range(4000):
        who, late = draw.choice(["female", "male"]), number >= 2000
        rate = 0.3 if who == "male" else newer if late else 0.6
        year, month = 2020 + late, draw.randint(1, 12)
        rows.append(row(number, SAID[who], "bad" if draw.random() < rate else "good", when=f"{year}-{month:02d}-01"))
    return rows


def test_a_difference_that_persists_is_told_and_one_that_is_gone_is_shown_to_shrink() -> None:
    still = audit(historic(0.6), CONFIG, Task.CLASSIFY)
    assert {finding["about"][1] for finding in of(still, "historical.persists")} == {"female", "male"}
    gone = audit(historic(0.3), CONFIG, Task.CLASSIFY)
    assert of(gone, "historical.persists") == []
    entry = next(entry for entry in gone.told["history"]["groups"] if entry["group"] == "female")
    assert entry["turn"] == "shrinks"
    assert entry["older"]["value"] == pytest.approx(0.3, abs=0.06)
    assert entry["change"]["interval"][1] < 0


def test_a_group_that_cleaning_thins_is_told_with_the_stage() -> None:
    one, rows = Audit(CONFIG, Task.CLASSIFY), planted(3000, 5)
    draw = Random(1)
    for each in rows:
        if draw.random() < (0.5 if each.fields["region"] == "east" else 0.1):
            one.dropped(each, "filter")
        else:
            one.add([each], ["test"])
    found = one.result()
    (worst,) = [finding for finding in of(found, "selection.cleaning") if finding["figure"] > 0]
    assert worst["about"] == ["column", "region", "east"]
    east = next(entry for entry in found.told["losses"]["groups"] if entry["group"] == "east")
    assert east["lost"] == pytest.approx(0.5, abs=0.05)
    assert list(east["stages"]) == ["filter"]
    assert "most of them by filter" in worst["sentence"]
    fewer = [finding for finding in of(found, "selection.cleaning") if finding["figure"] < 0]
    assert fewer
    for finding in (worst, *fewer):
        low, high = (100 * end for end in finding["interval"])
        told = (
            (f"{-100 * finding['figure']:.1f} points fewer", -high, -low)
            if finding in fewer
            else (f"{100 * worst['figure']:.1f} points more", low, high)
        )
        assert (
            f"they are {told[0]} of the dropped rows than of the kept (95% interval {told[1]:.1f} to {told[2]:.1f})." in finding["sentence"]
        )


def test_shares_lost_are_scaled_where_only_a_sample_of_the_kept_was_added() -> None:
    one, rows = Audit(CONFIG, Task.CLASSIFY), planted(3000, 6)
    for each in rows[:1000]:
        one.dropped(each, "filter")
    one.add(rows[2000:], ["train"] * 1000)
    entry = one.result(total=2000).told["losses"]["groups"][0]
    assert entry["lost"] == pytest.approx(1 / 3, abs=0.05)


def test_answers_that_are_shorter_for_one_group_are_told() -> None:
    draw = Random(2)
    rows = [
        row(number, SAID[who], "x" * round(math.exp(draw.gauss(5 if who == "female" else 6, 0.4))))
        for number, who in enumerate(["female", "male"] * 300)
    ]
    found = audit(rows, AuditConfig(), Task.GENERATE)
    ratios = {finding["about"][1]: finding["figure"] for finding in of(found, "label.answers")}
    assert ratios["female"] == pytest.approx(math.exp(-1), rel=0.1)
    assert ratios["male"] == pytest.approx(math.exp(1), rel=0.1)


def test_refusals_by_group_are_rates_like_any_other() -> None:
    rows = [
        row(
            number,
            SAID["female" if number % 2 else "male"],
            "I'm sorry, but I can't help with that." if number % 2 and number % 3 else f"Of course, it is {number}.",
        )
        for number in range(600)
    ]
    (finding,) = [each for each in of(audit(rows, AuditConfig(), Task.GENERATE), "label.group_terms") if each["about"][1] == "female"]
    assert (finding["label"], finding["figure"]) == ("refusal", pytest.approx(2 / 3, abs=0.01))


def test_weights_that_mitigate_are_seen_and_copies_are_no_evidence() -> None:
    rows = planted(3000, 1, female=0.6)
    config = BalanceConfig(method="reweigh", terms="gender")
    facts = BalanceFacts(config, Task.CLASSIFY, 0)
    for each in rows:
        facts.add(each)
    weighed = [outcome.row for outcome in balance(rows, config, facts.result(), 0)]
    for finding in of(audit(weighed, CONFIG, Task.CLASSIFY), "label.group_terms"):
        assert finding["weighted"] == pytest.approx(0, abs=1e-9)
        assert finding["mitigated"]
    few = planted(100, 8)
    copies = [replace(each, id=f"{each.id}~{number}") for each in few for number in range(1, 40)]
    told = audit([*few, *copies], CONFIG, Task.CLASSIFY)
    assert told.told["rows"]["train"] == 100
    assert told.findings == []


@pytest.mark.parametrize(
    ("task", "rows"),
    [
        (
            Task.MULTILABEL,
            [Row(id=str(number), prompt=(Message("user", SAID["female"]),), labels=("a", "b")[: number % 3]) for number in range(50)],
        ),
        (Task.TAG, [Row(id=str(number), prompt=(Message("user", "my sister"),), tags=((0, 2, "who"),)) for number in range(50)]),
        (Task.PREFER, [Row(id=str(number), prompt=(Message("user", "her"),), answer="x", rejected="y") for number in range(50)]),
        (Task.PREFER, [Row(id=str(number), prompt=(Message("user", "her"),), answer="x", wanted=bool(number % 2)) for number in range(50)]),
        (Task.TEXT, [Row(id=str(number), answer="my sister and her husband " * number) for number in range(50)]),
        (Task.CLASSIFY, []),
    ],
)
def test_every_task_has_an_audit_that_is_json(task: Task, rows: list[Row]) -> None:
    found = audit(rows, AuditConfig(groups=("gone",), time="gone", source="gone"), task)
    assert json.loads(json.dumps(found.to_json(), allow_nan=False)) == found.to_json()


def test_columns_of_endless_values_and_hostile_names_stay_bounded() -> None:
    strange = [None, float("nan"), [1], {"a": 2}, "\x1b[31m" + "x" * 500, True, ""]
    rows = [
        row(number, "x", f"label {number}", region=strange[number % 7] if number < 70 else number, when=strange[number % 7])
        for number in range(2000)
    ]
    told = audit(rows, CONFIG, Task.CLASSIFY).told
    assert len(told["columns"]["region"]["groups"]) <= MOST_VALUES
    assert told["columns"]["region"]["capped"]
    assert OTHER not in told["columns"]["region"]["groups"]
    assert len(told["labels"]["labels"]) <= MOST_LABELS
    assert all("\x1b" not in finding["sentence"] for finding in told["findings"])


def test_rows_come_in_any_pieces_and_the_findings_are_the_same() -> None:
    rows = planted(600, 9, female=0.7)

    def pieces(size: int) -> Iterable[list[Row]]:
        return (rows[start : start + size] for start in range(0, len(rows), size))

    results = []
    for size in (1, 7, 600):
        one = Audit(CONFIG, Task.CLASSIFY)
        for some in pieces(size):
            one.add(some, ["train"] * len(some))
        results.append(one.result().to_json())
    assert results[0] == results[1] == results[2]
    assert all(name in MITIGATIONS for finding in results[0]["findings"] for name in finding["mitigation"])


def test_a_sample_is_seeded_and_mostly_the_same_when_rows_are_appended() -> None:
    keys = np.random.default_rng(0).integers(0, 2**63, 5000).astype(np.uint64)
    first, again = sampled(keys, 1000, 3), sampled(keys, 1000, 3)
    assert first.tolist() == again.tolist() == sorted(first.tolist())
    assert len(first) == 1000
    more = sampled(np.concatenate([keys, keys[:50] + np.uint64(1)]), 1000, 3)
    assert len(set(first.tolist()) & set(more.tolist())) > 950
    assert sampled(keys, 9999, 3).tolist() == list(range(5000))


def test_lengths_are_counted_in_fixed_bins() -> None:
    zeros = np.zeros(6, np.uint64)
    shown, asked = np.array([0, 1, 2, 3, 100, 2**31], np.uint32), np.array([1] * 6, np.uint32)
    columns = Columns(
        text=zeros, pair=zeros, answer=zeros, group=zeros, stratum=zeros.astype(np.int64), part=zeros.astype(np.uint8),
        flags=zeros.astype(np.uint8), read=zeros, key=zeros, time=zeros.astype(np.float64), shown=shown, asked=asked,
    )  # fmt: skip
    told = describe(columns, np.array([0, 0, 0, 0, 0, 3], np.int8), {"train": {"a": 5}})
    train, test = told["sides"]["train"], told["sides"]["test"]
    assert (train["rows"], train["labels"], sum(train["shown"]["counts"])) == (5, {"a": 5}, 5)
    assert EDGES[train["asked"]["counts"].index(5)] == 1
    assert test["shown"]["counts"][-1] == 1
    assert told["sides"]["select"]["shown"]["quantiles"] is None
    assert json.loads(json.dumps(told)) == told


def test_the_leak_check_says_what_crosses() -> None:
    assert leaks(text=0, group=None, near=0)["sentence"] == "Nothing crosses sides (0 text, 0 near)."
    assert leaks(text=0, group=2, near=None)["clean"] is False


def test_what_is_suggested_can_be_written_in_a_recipe() -> None:
    sections = {"balance": BalanceConfig, "augment": AugmentConfig, "relabel": RelabelConfig, "split": SplitConfig, "filter": FilterConfig}
    for mitigation in MITIGATIONS.values():
        if mitigation["recipe"] is not None:
            ((name, section),) = yaml.safe_load(mitigation["recipe"].replace("RULE", "refusal"))["data"].items()
            sections[name].model_validate(section)
