"""Which points are asked: never one twice, always the same from the same trials, and the clever ways better than chance."""

from collections.abc import Callable
from statistics import median
from types import ModuleType
from typing import Any

import pytest

from tunesmith.recipe.search_config import SearchConfig
from tunesmith.search.sampling import Place, Question, ask
from tunesmith.search.space import Space, key_of

SMALL = {"a": [1, 2, 3], "b": ["x", "y"], "c": [True, False]}


def question(space: Space, seed: int, told: list[dict[str, Any]], value: Callable[[dict[str, Any]], float], starts: int = 6) -> Question:
    tried: list[tuple[Place, float]] = []
    for settings in told:
        place = space.coordinates(settings)
        assert place is not None
        tried.append((place, value(settings)))
    return Question(space, seed, len(told), starts, tried, (), frozenset(map(key_of, told)))


def asked(space: Space, sampler: Any, seed: int, count: int, value: Callable[[dict[str, Any]], float]) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    for _ in range(count):
        settings = ask(question(space, seed, told, value), sampler)
        if settings is None:
            break
        told.append(dict(settings))
    return told


@pytest.mark.parametrize("sampler", ["grid", "random", "tpe", "gp"])
def test_a_space_that_can_be_counted_is_visited_whole_each_point_once_and_then_there_is_none(sampler: str) -> None:
    space = Space.of(SearchConfig.model_validate({"space": SMALL}))
    told = asked(space, sampler, 0, 20, lambda settings: settings["a"])
    assert len(told) == 12
    assert len({key_of(settings) for settings in told}) == 12


@pytest.mark.parametrize("sampler", ["grid", "random", "tpe", "gp"])
def test_the_same_trials_and_seed_ask_the_same_and_another_seed_something_else(sampler: str) -> None:
    space = Space.of(SearchConfig.model_validate({"space": SMALL | {"d": [1, 2, 4, 8, 16, 32]}}))
    first, second, other = (asked(space, sampler, seed, 9, lambda settings: settings["d"] - settings["a"]) for seed in (5, 5, 6))
    assert first == second != other


def test_a_point_under_way_is_not_asked_again_nor_its_nearest_neighbourhood(scripted: ModuleType) -> None:
    space = Space.of(SearchConfig.model_validate({"space": scripted.SPACE}))
    told = asked(space, "gp", 0, 8, scripted.height)
    before = question(space, 0, told, scripted.height)
    first = ask(before, "gp")
    assert first is not None
    place = space.coordinates(first)
    assert place is not None
    beside = Question(space, 0, before.index, 6, before.tried, [place], before.visited | {key_of(first)})
    assert ask(beside, "gp") not in (None, first)


def trials_until(space: Space, sampler: Any, seed: int, scripted: ModuleType, most: int) -> int:
    """How many trials until a point within 0.05 of the top, `most` where none is."""
    told: list[dict[str, Any]] = []
    while len(told) < most and not (told and scripted.height(told[-1]) >= 0.95):
        settings = ask(question(space, seed, told, scripted.height), sampler)
        assert settings is not None
        told.append(dict(settings))
    return len(told)


def test_tpe_finds_a_planted_hill_in_fewer_trials_than_chance(scripted: ModuleType) -> None:
    space = Space.of(SearchConfig.model_validate({"space": scripted.SPACE}))
    chance, clever = ([trials_until(space, sampler, seed, scripted, 40) for seed in range(20)] for sampler in ("random", "tpe"))
    assert median(clever) < median(chance)


def test_a_gaussian_process_finds_it_within_fourteen_trials(scripted: ModuleType) -> None:
    space = Space.of(SearchConfig.model_validate({"space": scripted.SPACE}))
    assert median(trials_until(space, "gp", seed, scripted, 14) for seed in range(3)) < 14


def test_optuna_says_nothing_and_keeps_its_voice(scripted: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    import optuna

    before = optuna.logging.get_verbosity()
    asked(Space.of(SearchConfig.model_validate({"space": scripted.SPACE})), "tpe", 0, 8, scripted.height)
    assert optuna.logging.get_verbosity() == before
    assert capsys.readouterr() == ("", "")
