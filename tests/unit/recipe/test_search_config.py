"""The search section: what it takes, what it refuses and in which words, and that a space is held against the recipe it stands in."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core.errors import RecipeError
from tunesmith.recipe import Recipe, dump_recipe, parse_recipe
from tunesmith.recipe.search_config import SearchConfig
from tunesmith.recipe.search_space import corners, with_settings

RATE = {"train.learning_rate": {"log": [1e-5, 1e-3]}}


def recipe(space: dict[str, Any], search: dict[str, Any] | None = None, **sections: Any) -> Recipe:
    return Recipe.model_validate({"data": {"path": "rows.jsonl"}, "search": {"space": space} | (search or {})} | sections)


def test_a_section_as_people_write_it_reads_back_as_it_was() -> None:
    text = """\
data: {path: rows.jsonl}
method: {name: lora}
search:
  sampler: tpe
  trials: 20
  space:
    train.learning_rate: {log: [1e-5, 1e-3]}
    method.rank: [4, 8, 16]
    train.weight_decay: {linear: [0, 0.1]}
    train.batch_rows: {int: [8, 64], step: 8}
    train.schedule: [cosine, linear]
"""
    read = parse_recipe(text)
    assert read.search is not None
    assert read.search.trials == 20
    assert parse_recipe(dump_recipe(read)) == read
    assert parse_recipe(dump_recipe(read, comments=False)) == read


def test_a_round_is_the_same_with_and_without_its_search() -> None:
    searched = recipe(RATE)
    assert searched.identity() == searched.model_copy(update={"search": None}).identity()


@pytest.mark.parametrize(
    ("space", "search", "sections", "sentence"),
    [
        ({}, {}, {}, "search.space is"),
        ({"train.learning_rte": [1e-4, 1e-3]}, {}, {}, "search.space: train.learning_rte is not a setting. Did you mean 'learning_rate'?"),
        ({"training.epochs": [1, 2]}, {}, {}, "search.space: training is not a setting."),
        ({"train": [1, 2]}, {}, {}, "search.space: train is a section: name one of its settings, such as train.epochs."),
        ({"train.learning_rate": {"log": [1e-3, 1e-5]}}, {}, {}, "the range from 0.001 to 1e-05 is empty"),
        ({"train.learning_rate": {"log": [0, 1e-5]}}, {}, {}, "a range of logarithms can't begin at 0"),
        ({"train.learning_rate": {"log": [1e-3, 1.0001e-3]}}, {}, {}, "the range from 0.001 to 0.0010001 is one value to three digits"),
        ({"train.epochs": [1, 2]}, {}, {"train": {"max_steps": 10}}, "train.epochs can't be searched beside train.max_steps: 10"),
        ({"train.epochs": [1, 2], "train.max_steps": [10, 20]}, {}, {}, "train.epochs and train.max_steps both say how long to train"),
        ({"train.learning_rate": {"log": [1e-5, 1e4]}}, {}, {}, "search.space: train.learning_rate is 10000.0; it must be"),
        ({"train.learning_rate": {"log": [1e-5, 1e-3], "linear": [0, 1]}}, {}, {}, "a range is one of a list"),
        ({"train.learning_rate": {"log": True}}, {}, {}, "a range is one of a list"),
        ({"train.learning_rate": {"logarithm": [1, 2]}}, {}, {}, "search.space.train.learning_rate.logarithm"),
        ({"train.batch_rows": {"int": [8, 16], "step": 20}}, {}, {}, "step 20 leaves one value between 8 and 16"),
        ({"train.weight_decay": {"linear": [0, 1], "step": 1}}, {}, {}, "step belongs to {int: [a, b]} without log"),
        ({"method.rank": [8]}, {}, {}, "a list of 1 leaves nothing to search"),
        ({"method.rank": [8, 16, 8.0]}, {}, {}, "method.rank: 8 stands twice in the list"),
        ({"method.rank": [0, 8]}, {}, {}, "search.space: method.rank is 0; it must be"),
        ({"method.rank": [4, 8]}, {}, {"method": {"name": "full"}}, "method.name: full ignores rank"),
        ({"objective.beta": [0.1, 0.3]}, {}, {"objective": {"name": "sft"}}, "beta is taken by dpo, ipo, kto, simpo, not by sft"),
        ({"train.decay_share": [0.1, 0.3]}, {}, {}, "decay_share belongs to schedule: wsd, not cosine"),
        ({"train.warmup": [0, 0.1]}, {}, {"train": {"schedule": "one_cycle"}}, "one_cycle rises over its warmup, which is 0"),
        ({"seed": [1, 2]}, {}, {}, "seed can't be searched: the finalists are trained again under other seeds"),
        ({"data.path": ["a", "b"]}, {}, {}, "data.path can't be searched: all trials are measured on the same rows"),
        ({"evaluate.metrics": [["accuracy"], ["macro_f1"]]}, {}, {}, "evaluate.metrics can't be searched: it says how models are judged"),
        ({"gates.gain": [0.1, 0.2]}, {}, {}, "gates.gain can't be searched"),
        ({"next.replay": [0.1, 0.2]}, {}, {}, "next.replay can't be searched"),
        ({"base.path": ["a", "b"]}, {}, {}, "base.path can't be searched: bases are compared by tunesmith advise"),
        ({"train.threads": [1, 2]}, {}, {}, "train.threads can't be searched: it changes how training is done, not what comes of it"),
        (RATE, {"sampler": "grid"}, {}, "sampler: grid needs values to visit, and train.learning_rate is a range"),
        (
            {"train.seed": {"int": [1, 1000]}, "train.epochs": {"int": [1, 1000]}, "method.rank": {"int": [1, 1000]}},
            {"sampler": "grid"},
            {},
            "the grid has 1,000,000,000 points, and 10,000 is the most",
        ),
        (RATE, {"trials": 0}, {}, "search.trials is 0; it must be at least 1"),
        (RATE, {"minutes": 0}, {}, "search.minutes is 0; it must be greater than 0"),
        (RATE, {"money": 5}, {}, "money and price_per_hour go together: set price_per_hour too"),
        (RATE, {"sampler": "tpee"}, {}, "Did you mean 'tpe'?"),
        (RATE, {"pruner": "hyper"}, {}, "search.pruner"),
    ],
)
def test_what_can_not_be_searched_is_refused_in_a_sentence(
    space: dict[str, Any], search: dict[str, Any], sections: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(RecipeError) as refused:
        recipe(space, search, **sections)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_line_of_the_setting_is_told() -> None:
    text = "data: {path: rows.jsonl}\nsearch:\n  space:\n    train.epochs: [1, 2]\n    train.learning_rte: [1, 2]\n"
    with pytest.raises(RecipeError, match=r"^recipe:5: search.space: train.learning_rte is not a setting"):
        parse_recipe(text)


def test_a_setting_that_only_some_choices_have_is_searched_beside_those() -> None:
    space = {"method.name": ["full", "lora"], "method.rank": [4, 8]}
    with pytest.raises(RecipeError, match=r"method.rank beside method.name: 'full'.*full ignores rank.*With when"):
        recipe(space)
    allowed = space | {"method.rank": {"choices": [4, 8], "when": {"method.name": ["lora"]}}}
    assert recipe(allowed).search is not None
    for wrong, sentence in (
        ({"method.nam": ["lora"]}, "hangs on method.nam, which is no other setting of the space"),
        ({"method.name": ["dora"]}, 'hangs on method.name: "dora", which is none of its values'),
        ({"method.name": []}, "hangs on no value of method.name"),
    ):
        with pytest.raises(RecipeError, match=sentence):
            recipe(space | {"method.rank": {"choices": [4, 8], "when": wrong}})


def test_settings_that_a_choice_needs_are_blamed_once_and_not_their_neighbours() -> None:
    with pytest.raises(RecipeError) as refused:
        recipe({"method.name": ["full", "lorra"], "train.epochs": [1, 2], "train.weight_decay": {"linear": [0, 0.1]}})
    assert str(refused.value).count("search.space") == 1
    assert "Did you mean 'lora'?" in str(refused.value)


def test_corners_show_every_value_beside_every_choice_that_is_no_number() -> None:
    config = SearchConfig.model_validate(
        {
            "space": {
                "method.name": ["full", "lora"],
                "method.rank": {"choices": [4, 8], "when": {"method.name": ["lora"]}},
                "train.epochs": {"linear": [1, 3]},
            }
        }
    )
    found = list(corners(config))
    assert {"method.name": "lora", "method.rank": 4} in found
    assert {"method.name": "full", "train.epochs": 3.0} in found
    assert all("method.rank" not in settings for settings in found if settings["method.name"] == "full")


def test_settings_put_into_a_recipe_change_nothing_else() -> None:
    searched = recipe(RATE)
    changed = with_settings(searched, {"train.learning_rate": 3e-4, "method.unfreeze.every_steps": 5})
    assert changed.train.learning_rate == 3e-4
    assert changed.method.unfreeze is not None
    assert changed.method.unfreeze.every_steps == 5
    assert changed.search is None
    assert with_settings(searched, {}) == searched.model_copy(update={"search": None})
    assert searched.train.learning_rate is None


def test_a_study_may_be_prolonged_but_not_changed() -> None:
    first = SearchConfig.model_validate({"space": RATE})
    longer = first.model_copy(update={"trials": 99, "minutes": 5.0, "workers": 2, "patience": 3, "finalists": 1})
    assert longer.identity() == first.identity()
    for change in ({"sampler": "tpe"}, {"pruner": "none"}, {"space": {"train.learning_rate": {"log": [1e-5, 1e-2]}}}):
        assert SearchConfig.model_validate({"space": RATE} | change).identity() != first.identity()


@given(st.dictionaries(st.sampled_from(["train.epochs", "method.rank", "x.y", ""]), st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**12) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["log", "int", "linear", "choices", "step", "when"]), inner),
    max_leaves=6,
)))  # fmt: skip
def test_whatever_stands_in_a_space_is_taken_or_refused_and_never_crashes(space: dict[str, Any]) -> None:
    try:
        read = recipe(space)
    except RecipeError as refused:
        assert str(refused)
    else:
        assert parse_recipe(dump_recipe(read)) == read
