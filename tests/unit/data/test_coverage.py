"""Coverage: what production asks and train lacks is found and listed; halves of one set are alike."""

import csv
import json
import math
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from tunesmith.core.errors import DataError
from tunesmith.data.coverage import Coverage, Sample, coverage
from tunesmith.data.coverage.classifier import _interval, auc_of, domain_auc
from tunesmith.data.coverage.clusters import gaps
from tunesmith.data.coverage.drift import telling_words
from tunesmith.data.coverage.nearest import distances
from tunesmith.data.settings.coverage import CoverageConfig

TOPICS = {
    "card": "card lost stolen block plastic chip replace pin wallet atm",
    "loan": "loan interest rate mortgage borrow repay term bank house credit",
    "rate": "currency exchange euro dollar pound abroad travel money convert fee",
    "help": "app login password reset phone update screen error sign device",
}
SMALL = ["please", "my", "the", "a", "can", "i", "you", "how", "what", "is", "it", "to", "for"]


def texts(count: int, seed: int, topics: tuple[str, ...] = ("card", "loan", "rate")) -> list[str]:
    draw = Random(seed)
    made = []
    for _ in range(count):
        words = TOPICS[draw.choice(topics)].split()
        made.append(" ".join(draw.choice(words if draw.random() < 0.6 else SMALL) for _ in range(draw.randint(5, 14))))
    return made


def measured(train: list[str], production: list[str] | None, seed: int = 0, **settings: Any) -> Coverage:
    return coverage(Sample(train), None if production is None else Sample(production), CoverageConfig(**settings), seed)


def kinds(found: Coverage) -> set[str]:
    return {finding["what"] for finding in found.findings}


def test_a_topic_that_train_lacks_is_found_listed_and_named() -> None:
    found = measured(texts(1500, 1), [*texts(900, 2), *texts(100, 3, ("help",))])
    assert "coverage.clusters" in kinds(found)
    told = found.to_json()
    assert {example["why"] for example in told["examples"]} == {"cluster"}
    lacking = [example for example in told["examples"] if set(example["text"].split()) & set(TOPICS["help"].split())]
    assert len(lacking) >= 0.9 * len(told["examples"]) > 0
    assert told["clusters"]["beyond_chance_rows"]["rate"] == pytest.approx(0.1, abs=0.04)
    assert {each["word"] for each in told["vocabulary"]["more_in_production"]} <= set(TOPICS["help"].split()) | set(SMALL)
    assert {each["word"] for each in told["vocabulary"]["more_in_production"]} >= {"password", "login"}


def test_halves_of_one_set_are_alike() -> None:
    found, aucs, inside = 0, [], 0
    for seed in range(30):
        told = measured(texts(400, 2 * seed), texts(300, 2 * seed + 1), seed)
        found += bool(told.findings)
        domain = told.to_json()["domain"]
        aucs.append(domain["value"])
        inside += domain["interval"][0] <= 0.5 <= domain["interval"][1]
    assert found <= 3
    assert sum(aucs) / len(aucs) == pytest.approx(0.5, abs=0.02)
    assert inside >= 27


def test_sides_of_different_words_are_told_apart() -> None:
    domain = measured(texts(300, 1, ("card",)), texts(300, 2, ("help",))).to_json()["domain"]
    assert domain["value"] > 0.95
    assert domain["interval"][0] > 0.9
    assert domain["interval"][1] <= 1.0


def test_repeats_are_not_divided_between_folds() -> None:
    """Each text stands four times, labels at random: a classifier that met a row's twin would know its side."""
    distinct = 200
    features = np.repeat(np.random.default_rng(0).normal(size=(distinct, 300)), 4, axis=0)
    sides = np.repeat(np.random.default_rng(1).integers(0, 2, distinct), 4)
    found = domain_auc(features, sides, np.repeat(np.arange(distinct), 4), 0)
    assert found is not None
    assert found.told["interval"][0] <= 0.5 <= found.told["interval"][1]
    divided = domain_auc(features, sides, np.arange(4 * distinct), 0)
    assert divided is not None
    assert divided.told["value"] > 0.9


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 1)), min_size=4, max_size=40))
def test_the_auc_is_that_of_mann_and_whitney(drawn: list[tuple[int, int]]) -> None:
    scores, sides = np.array([score for score, _ in drawn], float), np.array([side for _, side in drawn])
    if len(set(sides.tolist())) < 2:
        return
    auc, influence = auc_of(scores, sides)
    expected = mannwhitneyu(scores[sides == 1], scores[sides == 0]).statistic / (sides.sum() * (1 - sides).sum())
    assert auc == pytest.approx(float(expected))
    assert influence.sum() == pytest.approx(0.0, abs=1e-9)


def test_the_interval_is_delongs_and_widens_when_rows_are_repeated() -> None:
    draw = np.random.default_rng(2)
    sides = np.repeat([0, 1], 150)
    scores = draw.normal(size=300) + 0.8 * sides
    auc, influence = auc_of(scores, sides)
    above = np.array([(np.sum(scores[sides == 0] < s) + 0.5 * np.sum(scores[sides == 0] == s)) / 150 for s in scores[sides == 1]])
    below = np.array([(np.sum(scores[sides == 1] > s) + 0.5 * np.sum(scores[sides == 1] == s)) / 150 for s in scores[sides == 0]])
    delong = above.var(ddof=1) / 150 + below.var(ddof=1) / 150
    low, high = _interval(auc, influence, np.arange(300), 150)
    assert high - low == pytest.approx(2 * 1.96 * math.sqrt(delong), rel=0.05)
    twice, twice_sides = np.tile(scores, 4), np.tile(sides, 4)
    auc, influence = auc_of(twice, twice_sides)
    grouped = _interval(auc, influence, np.tile(np.arange(300), 4), 600)
    assert grouped[1] - grouped[0] == pytest.approx(high - low, rel=0.02)


def test_gaps_in_features_are_found_and_none_where_there_is_none() -> None:
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(6, 20))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)

    def points(count: int, which: int) -> Any:
        return (centres[draw.integers(0, which, count)] + 0.05 * draw.normal(size=(count, 20))).astype(np.float32)

    lacking = gaps(points(500, 5), points(600, 6), count=None, level=0.05, seed=0)
    assert lacking.told["beyond_chance"] >= 1
    assert lacking.told["beyond_chance_rows"]["rate"] == pytest.approx(1 / 6, abs=0.05)
    false = sum(gaps(points(500, 6), points(600, 6), count=None, level=0.05, seed=seed).told["beyond_chance"] > 0 for seed in range(40))
    assert false <= 4


def test_distances_leave_out_equal_texts() -> None:
    unit = np.eye(3, dtype=np.float32)
    assert distances(unit, unit).tolist() == [0, 0, 0]
    assert distances(unit, unit, np.arange(3), np.arange(3)).tolist() == [1, 1, 1]


def test_longer_production_inputs_are_told() -> None:
    train, production = texts(400, 1), [f"{one} {two}" for one, two in zip(texts(400, 2), texts(400, 3), strict=True)]
    found = measured(train, production)
    assert "coverage.lengths" in kinds(found)
    lengths = found.to_json()["lengths"]
    gap = sum(map(len, production)) / 400 - sum(map(len, train)) / 400
    assert lengths["wasserstein"] == pytest.approx(gap, rel=0.1)


def test_new_words_are_told_against_what_is_usual() -> None:
    draw = Random(5)
    production = [f"{text} word{draw.randint(0, 10**6)}" for text in texts(300, 2)]
    found = measured(texts(400, 1), production)
    assert "coverage.vocabulary" in kinds(found)
    vocabulary = found.to_json()["vocabulary"]
    assert vocabulary["unseen"]["hits"] == 300
    assert vocabulary["expected"]["rate"] == 0.0


def test_telling_words_are_those_that_one_side_uses_more() -> None:
    common = Counter({"the": 1000, "card": 100, "rare": 1})
    other = Counter({"the": 1000, "card": 20, "loan": 80})
    assert [each["word"] for each in telling_words(common, other)] == ["card"]
    assert [each["word"] for each in telling_words(other, common)] == ["loan"]
    assert telling_words(common, common) == []


def test_features_handed_in_are_used_in_place_of_words() -> None:
    draw = np.random.default_rng(0)
    near, far = draw.normal(size=(200, 8)).astype(np.float32), draw.normal(size=(200, 8)).astype(np.float32) + 3
    words = texts(200, 1)
    alike = coverage(Sample(words, near), Sample(words, draw.normal(size=(200, 8)).astype(np.float32)), CoverageConfig(), 0)
    apart = coverage(Sample(words, near), Sample(texts(200, 2), far), CoverageConfig(), 0)
    assert apart.to_json()["domain"]["value"] > 0.99
    assert alike.to_json()["domain"]["interval"][0] < 0.5
    with pytest.raises(ValueError, match="as many rows"):
        coverage(Sample(words, near[:5]), None, CoverageConfig(), 0)


def test_without_production_repetitive_texts_are_less_diverse() -> None:
    many = measured(texts(500, 1, tuple(TOPICS)), None).to_json()["diversity"]
    few = measured([*texts(20, 1, ("card",)) * 24, *texts(20, 2)], None).to_json()["diversity"]
    assert few["distinct"]["2"] < many["distinct"]["2"]
    assert few["regions"]["effective_directions"] < many["regions"]["effective_directions"]
    assert few["nearest"]["repeated_texts"] > 0.9 > 0.1 > many["nearest"]["repeated_texts"]
    even = coverage(
        Sample([str(at) for at in range(400)], np.tile(np.eye(4, dtype=np.float32), (100, 1))), None, CoverageConfig(clusters=4), 0
    )
    assert even.to_json()["diversity"]["regions"]["effective_clusters"] == pytest.approx(4.0)
    assert even.to_json()["diversity"]["regions"]["effective_directions"] == pytest.approx(4.0)


def test_nearly_empty_regions_are_shown_by_their_most_central_text() -> None:
    features = np.concatenate([np.tile(np.eye(3, dtype=np.float32)[:2], (200, 1)), np.tile(np.eye(3, dtype=np.float32)[2:], (10, 1))])
    found = coverage(Sample([f"text {at}" for at in range(410)], features), None, CoverageConfig(clusters=3), 0).to_json()
    assert found["diversity"]["regions"]["nearly_empty"] == 1
    assert [example["text"] for example in found["examples"]] == ["text 400"]


def test_the_same_seed_gives_the_same_result_as_json() -> None:
    for production in (texts(150, 2), None):
        first, again = (measured(texts(200, 1), production).to_json() for _ in range(2))
        assert first == again == json.loads(json.dumps(first, allow_nan=False))


def test_large_sets_are_sampled_and_it_is_said() -> None:
    rows = measured(texts(1500, 1), texts(1200, 2), rows=1000).to_json()["rows"]
    assert rows == {"train": 1500, "production": 1200, "train_looked_at": 1000, "production_looked_at": 1000}


@pytest.mark.parametrize("odd", [["!!!"] * 30, [""] * 30, ["\ud800 word word"] * 15 + ["other \x00 word"] * 15])
def test_odd_texts_are_measured_or_answered_in_one_sentence(odd: list[str]) -> None:
    for production in (odd, None):
        try:
            json.dumps(measured(odd, production).to_json(), allow_nan=False)
        except DataError as error:
            assert "\n" not in str(error)


def test_too_few_texts_are_answered_in_one_sentence() -> None:
    with pytest.raises(DataError, match="production has 3"):
        measured(texts(50, 1), ["a", "b", "c"])


def test_real_intents_that_train_lacks_are_shown(shared_data: Path) -> None:
    with (shared_data / "banking77" / "train.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    Random(0).shuffle(rows)
    lacking = {"card_about_to_expire", "visa_or_mastercard", "get_disposable_virtual_card"}
    train = [line["text"] for line in rows[:6000] if line["category"] not in lacking]
    production = [line["text"] for line in rows[6000:]]
    found = measured(train, production)
    assert kinds(found) & {"coverage.end", "coverage.clusters"}
    of_lacking = {line["text"] for line in rows if line["category"] in lacking}
    listed = found.to_json()["examples"]
    assert sum(example["text"] in of_lacking for example in listed) >= 0.8 * len(listed)
    assert {each["word"] for each in found.to_json()["vocabulary"]["more_in_production"]} >= {"visa", "mastercard"}
    assert measured([line["text"] for line in rows[:5000]], [line["text"] for line in rows[5000:]]).findings == []
