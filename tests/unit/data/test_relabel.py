"""Label errors: what was planted is found, and where nothing is wrong next to nothing is."""

import numpy as np
import pytest

from tunesmith.core.errors import DataError
from tunesmith.data.relabel import LabelErrors, folds_of, linear_features, suspected_sets, suspects


def blobs(rows: int, classes: int, apart: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and points around a centre each; 2.0 apart is hard, 6.0 easy."""
    draw = np.random.default_rng(seed)
    labels = np.arange(rows) % classes
    return labels, (np.eye(classes, 12)[labels] * apart + draw.normal(size=(rows, 12))).astype(np.float32)


def flipped(labels: np.ndarray, share: float, seed: int = 0) -> np.ndarray:
    draw, noisy = np.random.default_rng(seed), labels.copy()
    chosen = draw.choice(len(labels), round(share * len(labels)), replace=False)
    noisy[chosen] = (labels[chosen] + draw.integers(1, labels.max() + 1, len(chosen))) % (labels.max() + 1)
    return noisy


def test_planted_errors_are_found_first_and_the_right_label_is_suggested() -> None:
    labels, points = blobs(900, 6, 6.0)
    noisy = flipped(labels, 0.1)
    errors = suspects(noisy, points)
    wrong = noisy[errors.ordinals_E] != labels[errors.ordinals_E]
    assert wrong.mean() > 0.95, "precision"
    assert wrong.sum() / 90 > 0.9, "recall"
    assert wrong[:60].all(), "the surest come first"
    assert (errors.suggested_E == labels[errors.ordinals_E])[wrong].mean() > 0.97
    assert (errors.given_E == noisy[errors.ordinals_E]).all()
    assert (np.diff(errors.scores_E) >= 0).all()
    assert (errors.suggested_E != errors.given_E).all()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_where_nothing_is_wrong_next_to_nothing_is_suspected(seed: int) -> None:
    labels, points = blobs(900, 6, 7.0, seed)
    errors = suspects(labels, points, seed=seed)
    assert len(errors.ordinals_E) <= 9, "1% of 900"
    assert errors.accuracy > 0.98
    assert errors.unjudged == ()


def test_labels_that_features_say_nothing_of_are_mostly_left_alone() -> None:
    labels, _ = blobs(600, 3, 0.0)
    noise = np.random.default_rng(1).normal(size=(600, 5))
    errors = suspects(labels, noise)
    assert errors.accuracy < 0.45
    assert np.median(errors.quality_N) > 0.2


def test_the_same_rows_and_seed_give_the_same_list_and_labels_may_have_any_numbers() -> None:
    labels, points = blobs(400, 4, 4.0)
    noisy = flipped(labels, 0.1)
    one, two = suspects(noisy, points, seed=3), suspects(noisy, points, seed=3)
    assert one.ordinals_E.tolist() == two.ordinals_E.tolist()
    odd = suspects(noisy * 10 + 7, points, seed=3)
    assert odd.ordinals_E.tolist() == one.ordinals_E.tolist()
    assert odd.suggested_E.tolist() == (one.suggested_E * 10 + 7).tolist()


def test_small_classes_are_not_judged_and_said() -> None:
    labels, points = blobs(300, 3, 6.0)
    labels[:4] = 9
    errors = suspects(labels, points)
    assert errors.unjudged == (9,)
    assert not set(errors.ordinals_E) & {0, 1, 2, 3}
    assert (errors.quality_N[:4] == 1).all()
    assert 9 not in errors.suggested_E


def test_a_class_of_one_group_is_not_judged() -> None:
    labels, points = blobs(300, 3, 6.0)
    groups = np.arange(300)
    groups[labels == 2] = 1000
    assert suspects(labels, points, groups_N=groups).unjudged == (2,)


def test_fewer_than_two_classes_that_can_be_judged_are_refused() -> None:
    labels, points = blobs(40, 1, 1.0)
    with pytest.raises(DataError, match="fewer than two"):
        suspects(labels, points)
    with pytest.raises(ValueError, match="as many rows"):
        suspects(labels[:5], points)
    broken = points.copy()
    broken[3, 3] = np.nan
    with pytest.raises(ValueError, match="finite"):
        suspects(np.arange(40) % 2, broken)


def test_folds_keep_groups_whole_and_give_each_fold_its_share_of_each_label() -> None:
    labels = np.arange(500) % 5
    groups = np.arange(500) // 10 * 10 + labels  # pairs of one label
    folds = folds_of(labels, groups, 5, seed=1)
    assert all(len(set(folds[groups == group])) == 1 for group in set(groups))
    assert np.bincount(folds).tolist() == [100] * 5
    assert all(np.bincount(folds[labels == label], minlength=5).tolist() == [20] * 5 for label in range(5))
    assert folds.tolist() != folds_of(labels, groups, 5, seed=2).tolist()


def test_near_duplicates_cannot_vouch_for_one_another() -> None:
    """A wrong label that stands on both of two equal rows is found only when they share a fold."""
    labels, points = blobs(600, 4, 5.0)
    noisy = flipped(labels, 0.08)
    twice, pairs = np.concatenate([noisy, noisy]), np.concatenate([points, points + 1e-4])
    rng_columns = np.concatenate([np.random.default_rng(5).normal(size=(600, 400))] * 2) * 3  # lets a model learn each pair by heart
    wide = np.concatenate([pairs, rng_columns], axis=1)
    truth = np.concatenate([labels, labels])
    wrong = twice != truth
    grouped = suspects(twice, wide, groups_N=np.tile(np.arange(600), 2))
    alone = suspects(twice, wide)
    assert grouped.quality_N[wrong].mean() < alone.quality_N[wrong].mean() - 0.2


def test_words_are_features_enough() -> None:
    words = {0: "refund money back paid", 1: "parcel late arrive delivery", 2: "password login reset account"}
    draw = np.random.default_rng(0)
    labels = np.arange(300) % 3
    texts = [" ".join(draw.choice(words[label].split(), 3)) + f" {draw.integers(50)}" for label in labels]
    noisy = flipped(labels, 0.1)
    errors = suspects(noisy, linear_features(texts))
    wrong = noisy[errors.ordinals_E] != labels[errors.ordinals_E]
    assert wrong.mean() > 0.85
    assert wrong.sum() >= 27, "of 30"
    with pytest.raises(DataError, match="holds a word"):
        linear_features(["?", "!"] * 100)


def test_sets_of_labels_are_judged_label_by_label() -> None:
    labels, points = blobs(600, 3, 6.0)
    holds = np.eye(3, dtype=bool)[labels]
    holds = np.concatenate([holds, np.zeros((600, 1), dtype=bool)], axis=1)  # and one that no row holds
    planted = [(place, 1) for place in range(0, 45, 3)] + [(place, 0) for place in range(60, 105, 3)]
    for place, label in planted:
        holds[place, label] = ~holds[place, label]
    found = suspected_sets(holds, points)
    assert found.keys() == {0, 1}
    named = {(int(place), label) for label, errors in found.items() for place in errors.ordinals_E}
    assert named <= set(planted), "nothing else is suspected"
    assert len(named) >= 15, "at least half: with two classes the estimate of how many are wrong is cautious"
    for label, errors in found.items():
        first = {(int(place), label) for place in np.argsort(errors.quality_N)[:15]}
        assert len(first & set(planted)) >= 14, "the ranking has them first"
    assert all(isinstance(errors, LabelErrors) for errors in found.values())
