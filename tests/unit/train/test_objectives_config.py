"""The `objective` section: what it refuses, and that it says of every setting who takes it."""

import re
from dataclasses import fields
from importlib import import_module
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from tunesmith.core.errors import RecipeError
from tunesmith.recipe import Recipe, dump_recipe, parse_recipe
from tunesmith.train.config import TAKEN_BY, TASK_DEFAULTS, ObjectiveConfig
from tunesmith.train.objectives import _TABLE

NAMES = get_args(get_args(ObjectiveConfig.model_fields["name"].annotation)[0])
CHANGED: dict[str, Any] = {
    "label_smoothing": 0.1,
    "focal_gamma": 2.0,
    "class_weights": {"yes": 2.0, "no": 1.0},
    "huber_delta": 1.0,
    "beta": 0.3,
    "per_token": True,
    "margin": 0.5,
    "odds_weight": 0.2,
    "desirable_weight": 1.3,
    "undesirable_weight": 1.3,
    "teacher": "models/large",
    "direction": "reverse",
    "temperature": 2.0,
    "hard_share": 0.1,
    "unwanted_weight": 0.5,
}


def test_the_names_are_those_of_the_table() -> None:
    assert set(NAMES) == set(_TABLE)
    assert set(TASK_DEFAULTS) < set(NAMES)


def test_who_takes_what_is_what_the_objectives_have() -> None:
    """The teacher is the one setting that is not a parameter: who drives the loop loads it."""
    taken: dict[str, set[str]] = {setting: set() for setting in TAKEN_BY}
    for name, place in _TABLE.items():
        module, attribute = place.split(":")
        for field in fields(getattr(import_module(module), attribute)):
            taken[field.name].add(name)
    assert taken.pop("teacher") == set()
    assert taken == {setting: set(takers) for setting, takers in TAKEN_BY.items() if setting != "teacher"}


def test_every_setting_but_the_name_has_its_takers() -> None:
    assert set(TAKEN_BY) == set(CHANGED) == set(ObjectiveConfig.model_fields) - {"name"}


def test_defaults_of_objectives_are_those_of_the_config() -> None:
    for name, place in _TABLE.items():
        module, attribute = place.split(":")
        for field in fields(getattr(import_module(module), attribute)):
            default = ObjectiveConfig.model_fields[field.name].default
            assert default in (None, field.default), f"{name}: {field.name}"


@pytest.mark.parametrize("setting", CHANGED)
@pytest.mark.parametrize("name", [None, *NAMES])
def test_a_setting_is_refused_where_it_would_be_ignored(name: str | None, setting: str) -> None:
    takers = TAKEN_BY[setting]
    given = {"name": name, setting: CHANGED[setting]}
    if name in takers or (name is None and set(takers) & set(TASK_DEFAULTS)):
        assert getattr(ObjectiveConfig(**given), setting) == CHANGED[setting]
        return
    end = f"remove {setting}, or change objective.name" if name else f"set objective.name to one of them, or remove {setting}"
    by = f", not by {name}" if name else ""
    with pytest.raises(ValidationError, match=re.escape(f"{setting} is taken by {', '.join(takers)}{by}: {end}")):
        ObjectiveConfig(**given)


@pytest.mark.parametrize("name", NAMES)
def test_defaults_written_out_are_no_change(name: str) -> None:
    written_out = {setting: ObjectiveConfig.model_fields[setting].default for setting in CHANGED}
    assert ObjectiveConfig(name=name, **written_out) == ObjectiveConfig(name=name)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("{name: dppo}", "objective.name is 'dppo'; it must be one of sft, text, class,"),
        ("{name: sft, beta: 0.2}", "recipe:2: objective: beta is taken by dpo, ipo, kto, simpo, not by sft: remove beta, or change objective.name."),
        ("{name: dpo, beta: 0}", "objective.beta is 0; it must be greater than 0."),
        ("{label_smoothing: 1}", "objective.label_smoothing is 1; it must be less than 1."),
        ("{class_weights: balance}", "objective.class_weights is 'balance'; it must be 'balanced' or a mapping of names to values. Did you mean 'balanced'?"),
        ("{class_weights: {a: 0}}", "objective.class_weights.a is 0; it must be greater than 0."),
        ("{class_weights: {a: true}}", "objective.class_weights.a is true; it must be a number."),
        ("{name: distill, hard_share: 1.5}", "objective.hard_share is 1.5; it must be at most 1."),
    ],
)  # fmt: skip
def test_refusals_are_sentences(given: str, sentence: str) -> None:
    with pytest.raises(RecipeError) as refused:
        parse_recipe(f"data: {{path: x}}\nobjective: {given}")
    assert sentence in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_class_weights_survive_being_written() -> None:
    section = {"name": "class", "class_weights": {"no": 2.0, "2": 0.5, "ja: nein": 1.5}}
    recipe = Recipe.model_validate({"data": {"path": "x"}, "objective": section, "method": {"head": "class"}})
    assert parse_recipe(dump_recipe(recipe)) == recipe
