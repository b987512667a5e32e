"""The search ends when little is left to gain: not at once, not never. And what mattered is named only where it did."""

import random
from types import ModuleType

import pytest

from tunesmith.recipe.search_config import SearchConfig
from tunesmith.search.importance import importance
from tunesmith.search.sampling import Place
from tunesmith.search.space import Space
from tunesmith.search.stopping import prospect, trials_without_gain


def tried(
    scripted: ModuleType, count: int, *, noise: float, seed: int, flat: bool = False, near: int = 0
) -> tuple[Space, list[tuple[Place, float]]]:
    """Trials by chance on the planted hill, or where no setting matters; the last `near` of them around the top, as a sampler leaves them."""
    space, draws = Space.of(SearchConfig.model_validate({"space": scripted.SPACE})), random.Random(seed)
    found: list[tuple[Place, float]] = []
    for number in range(count):
        shares = [draws.random() for _ in space.axes]
        if number >= count - near:
            shares = [min(max(draws.gauss(0.5, 0.15), 0.0), 0.999) for _ in space.axes]
        place = space.at(shares)
        worth = 0.0 if flat else max(scripted.height(space.settings(place)), 0.0)
        found.append((place, worth + draws.gauss(0, noise)))
    return space, found


def worth_going_on(space: Space, trials: list[tuple[Place, float]]) -> bool:
    told = prospect(space, trials, 0)
    return told is None or told.helps


def test_a_search_that_has_seen_little_goes_on_and_one_that_has_seen_much_ends(scripted: ModuleType) -> None:
    early = [worth_going_on(*tried(scripted, 24, noise=0.01, seed=seed)) for seed in range(6)]
    late = [worth_going_on(*tried(scripted, 60, noise=0.03, seed=seed, near=40)) for seed in range(6)]
    assert sum(early) >= 5
    assert sum(late) <= 3


def test_where_nothing_matters_the_search_ends_soon(scripted: ModuleType) -> None:
    assert sum(worth_going_on(*tried(scripted, 25, noise=0.03, seed=seed, flat=True)) for seed in range(6)) <= 2


def test_nothing_is_judged_before_24_trials_however_much_is_explained(scripted: ModuleType) -> None:
    space, found = tried(scripted, 24, noise=0.0, seed=0)
    assert prospect(space, found[:23], 0) is None
    assert prospect(space, found, 0) is not None


def test_trials_that_are_all_alike_promise_nothing(scripted: ModuleType) -> None:
    space, found = tried(scripted, 24, noise=0.03, seed=0)
    assert prospect(space, [(place, 1.0) for place, _ in found[:23]], 0) is None
    told = prospect(space, [(place, 1.0) for place, _ in found], 0)
    assert told is not None
    assert told.alike and not told.helps


def test_the_unit_of_the_measure_decides_nothing(scripted: ModuleType) -> None:
    space, found = tried(scripted, 26, noise=0.03, seed=1)
    plain, scaled = prospect(space, found, 0), prospect(space, [(place, 100 * worth - 7) for place, worth in found], 0)
    assert plain is not None
    assert scaled is not None
    assert scaled.gain / scaled.worth == pytest.approx(plain.gain / plain.worth, rel=0.02)


def test_trials_in_a_row_without_a_gain_are_counted() -> None:
    assert trials_without_gain([]) == 0
    assert trials_without_gain([0.1, None, 0.1]) == 2
    assert trials_without_gain([0.1, 0.05, 0.2]) == 0
    assert trials_without_gain([None, None]) == 2


def test_importance_names_the_planted_settings_and_not_the_idle_ones(scripted: ModuleType) -> None:
    for seed in range(3):
        shares, note = importance(*tried(scripted, 30, noise=0.03, seed=seed), 0)
        assert [*shares][:2] == ["train.learning_rate", "method.rank"]
        assert shares["method.rank"] > 0.1
        assert shares["train.weight_decay"] + shares["method.dropout"] < 0.1
        assert "of the differences between 30 trials" in note


def test_importance_finds_nothing_where_nothing_is(scripted: ModuleType) -> None:
    told = [importance(*tried(scripted, 30, noise=1.0, seed=seed, flat=True), 0) for seed in range(6)]
    assert sum(bool(shares) for shares, _ in told) <= 1
    assert any("can't be told" in note for _, note in told)
    space, few = tried(scripted, 9, noise=0.0, seed=0)
    assert importance(space, few, 0) == ({}, "Too few trials to tell what matters: 9 of the 12 that this takes.")
    alike = [(place, 1.0) for place, _ in tried(scripted, 20, noise=0.0, seed=0)[1]]
    assert importance(space, alike, 0) == ({}, "All trials came out alike, so no setting mattered.")
