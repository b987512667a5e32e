"""Settings and coordinates are two ways to say one thing."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tunesmith.recipe.search_config import SearchConfig
from tunesmith.search.space import Listed, Space, key_of

SPACE: dict[str, Any] = {
    "a.log": {"log": [1e-5, 1e-1]},
    "b.linear": {"linear": [-2, 0.5]},
    "c.list": [16, 4, 8.5],
    "d.words": ["x", "y", None, [0.9, 0.95]],
    "e.whole": {"int": [8, 65], "step": 8},
    "f.whole_log": {"int": [1, 512], "log": True},
    "g.many": {"int": [0, 1_000_000], "step": 7},
    "h.beside": {"choices": [1, 2], "when": {"d.words": ["y", None]}},
}


def space(**ranges: Any) -> Space:
    return Space.of(SearchConfig.model_validate({"space": ranges or SPACE}))


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=len(SPACE), max_size=len(SPACE)))
def test_settings_lead_back_to_where_they_came_from(shares: list[float]) -> None:
    whole = space()
    settings = whole.settings(whole.at(shares))
    there = whole.coordinates(settings)
    assert there is not None
    assert whole.settings(there) == settings
    assert 1e-5 <= settings["a.log"] <= 1e-1
    assert -2 <= settings["b.linear"] <= 0.5
    assert settings["e.whole"] in range(8, 65, 8)
    assert settings["g.many"] % 7 == 0
    assert ("h.beside" in settings) == (settings["d.words"] in ("y", None))
    assert all(0 <= number <= 1 for number in whole.features(there))


def test_numbers_of_a_list_stand_in_their_order_and_words_side_by_side() -> None:
    numbers, words = space().axes["c.list"], space().axes["d.words"]
    assert isinstance(numbers, Listed)
    assert numbers.values == (4, 8.5, 16)
    assert [numbers.features(place) for place in range(3)] == [[0.0], [0.5], [1.0]]
    assert words.features(2) == [0.0, 0.0, 1.0, 0.0]


def test_both_ends_of_a_range_are_reached() -> None:
    whole = space()
    for name, axis in whole.axes.items():
        assert axis.value(axis.at(0.0)) == {"c.list": 4, "d.words": "x"}.get(name, whole.ranges[name].ends()[0])
    assert whole.axes["a.log"].value(1.0) == 1e-1
    assert whole.axes["f.whole_log"].value(1.0) == 512


def test_numbers_are_round_enough_to_be_read() -> None:
    assert space().axes["a.log"].value(0.3333) == 0.000215
    assert space().axes["b.linear"].value(0.3333) == -1.167


def test_what_lies_outside_has_no_place() -> None:
    whole = space(**{"train.epochs": {"linear": [1, 3]}, "method.rank": [4, 8]})
    assert whole.coordinates({"train.epochs": 2, "method.rank": 8}) == {"method.rank": 1, "train.epochs": 0.5}
    for outside in ({"train.epochs": 4, "method.rank": 8}, {"train.epochs": 2}, {"train.epochs": 2, "method.rank": 5}, {}):
        assert whole.coordinates(outside) is None
    assert whole.coordinates({"train.epochs": 2, "method.rank": 8, "other": 1}) is None


def test_points_that_differ_in_nothing_that_is_searched_are_one() -> None:
    beside = {"n": ["full", "lora"], "r": {"choices": [4, 8, 16], "when": {"n": ["lora"]}}}
    whole = space(**beside)
    points = list(whole.everywhere())
    assert points == [{"n": "full"}, {"n": "lora", "r": 4}, {"n": "lora", "r": 8}, {"n": "lora", "r": 16}]
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2.0, "a": 1}) != key_of({"a": 1, "b": "2"})
