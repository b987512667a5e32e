"""Drift: what was planted is found and named, and where nothing is, nothing is found."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import fisher_exact

from tunesmith.score.drift import ALPHA, FEWEST_UNITS, effective, exact, look, share_shift
from tunesmith.score.sketch import BOXES, Frame, Sketch, Variable

LABELS = tuple("abcdefghij")
FRAME = Frame(
    (
        Variable("length", "length", tuple(float(at) for at in range(1, 10))),
        Variable("confidence", "confidence", tuple(at / 10 for at in range(1, 10))),
        Variable("label", "labels", labels=LABELS),
    )
)


def traffic(rng: np.random.Generator, count: int, shares: Any = None, boxes: Any = None, sure: float = 1.0) -> Sketch:
    """Independent answers: even lengths, confidences drawn to a power, labels by share."""
    made = Sketch.empty(FRAME.bins)
    where = rng.integers(0, BOXES, count) if boxes is None else boxes
    labels = rng.choice(10, count, p=shares)
    for box, length, confidence, label in zip(where, rng.integers(0, 10, count), rng.random(count) ** sure, labels, strict=True):
        made.count(int(box), [int(length), FRAME.starts["confidence"] + int(confidence * 10), FRAME.starts["label"] + int(label)])
    folded = made.folded(10)
    assert folded is not None
    return folded


def grown(share: float) -> np.ndarray:
    """The label b grows by a share of all traffic."""
    shares = np.full(10, 0.1 * (1 - share))
    shares[1] += share
    return shares


def test_a_class_that_grows_by_a_fifth_is_found_within_500_requests_and_named() -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        found = [one for one in look(traffic(rng, 500, grown(0.2)), {"training": traffic(rng, 600)}, FRAME) if one.found]
        assert [(one.name, one.shift.at) for one in found] == [("labels", 1)], seed
        assert found[0].shift.now == pytest.approx(0.28, abs=0.08) and found[0].p_look < ALPHA


def test_nothing_is_found_where_nothing_changed() -> None:
    alarms, least = 0, []
    for seed in range(150):
        rng = np.random.default_rng([seed, 1])
        signals = look(traffic(rng, 500), {"training": traffic(rng, 600), "last week": traffic(rng, 3000)}, FRAME)
        assert len(signals) == 6
        alarms += any(one.found for one in signals)
        least.append(min(one.p_look for one in signals))
    assert alarms <= 4  # of 150 at 1% a look: over 4 with probability 2% were it exact, and it is on the careful side
    assert np.mean(np.array(least) < 0.2) <= 0.25


def test_one_users_flood_is_no_drift_and_the_same_from_everybody_is() -> None:
    rng = np.random.default_rng(5)
    reference = traffic(rng, 2000)
    flood = traffic(rng, 100, np.eye(10)[1], boxes=np.full(100, 3))
    assert not [one for one in look(traffic(rng, 500) + flood, {"training": reference}, FRAME) if one.found]
    spread = traffic(rng, 600, grown(1 / 6))
    assert [one.name for one in look(spread, {"training": reference}, FRAME) if one.found] == ["labels"]


def test_confidence_that_falls_is_found_as_such() -> None:
    rng = np.random.default_rng(2)
    found = [one for one in look(traffic(rng, 500, sure=2.0), {"training": traffic(rng, 600)}, FRAME) if one.found]
    assert [one.name for one in found] == ["confidence"] and found[0].shift.now > found[0].shift.before


def test_what_is_sure_but_small_raises_no_alarm() -> None:
    sketches = []
    for share in (0.1, 0.115):
        counts = np.zeros((BOXES, FRAME.bins), np.int64)
        counts[:, 0] = 30_000
        counts[:, FRAME.starts["label"]] = round(30_000 * share)
        counts[:, FRAME.starts["label"] + 1] = 30_000 - round(30_000 * share)
        sketches.append(Sketch((counts,)))
    (signal,) = [one for one in look(sketches[1], {"training": sketches[0]}, FRAME) if one.name == "labels"]
    assert signal.p_look < 1e-6 and not signal.found


def test_too_little_traffic_says_nothing() -> None:
    rng = np.random.default_rng(0)
    assert look(traffic(rng, 40), {"training": traffic(rng, 600)}, FRAME) == []


def test_of_strangers_the_probability_is_fishers() -> None:
    for now, n, then, m in ((30, 100, 10, 120), (5, 60, 30, 90), (0, 50, 12, 80)):
        side = "greater" if now / n > then / m else "less"
        wanted = 2 * fisher_exact([[now, n - now], [then, m - then]], alternative=side).pvalue
        assert exact(now / n, n, then / m, m) == pytest.approx(min(1.0, wanted), rel=1e-9)


def test_answers_that_come_in_copies_count_once() -> None:
    rng = np.random.default_rng(3)
    units = rng.random((400, 1)) < 0.3
    _, _, alone = effective(units.astype(float), np.ones(400))
    _, _, copied = effective(units.astype(float) * 10, np.full(400, 10.0))
    assert alone[0] == pytest.approx(1, abs=0.02) and copied[0] == pytest.approx(1 + 1.5 * 9, abs=0.2)


def test_opinions_that_turn_bad_are_found_and_those_of_one_key_are_not() -> None:
    before = {f"k{at}": (18, 20) for at in range(20)}
    everybody = {f"k{at}": (10, 20) for at in range(20)}
    one = {f"k{at}": (18, 20) for at in range(20)} | {"angry": (0, 150)}
    found, angry = share_shift(everybody, before), share_shift(one, before)
    assert found is not None and found[0] < 1e-6 and found[1:] == (0.9, 0.5)
    assert angry is not None and angry[0] > ALPHA
    assert share_shift({"k": (5, 10)}, before) is None


def test_an_application_with_one_key_and_many_users_gets_no_verdict_on_opinions() -> None:
    people = {f"k{at}": (18, 20) for at in range(FEWEST_UNITS)}
    assert share_shift(people, people) == (1.0, 0.9, 0.9)
    assert share_shift({"app": (200, 500)}, {"app": (1800, 2000)}) is None
    assert share_shift(people, {"app": (1800, 2000)}) is None and share_shift({"app": (200, 500)}, people) is None
    few = dict(list(people.items())[1:])
    assert share_shift(few, people) is None and share_shift(few | {"silent": (0, 0)}, people) is None
