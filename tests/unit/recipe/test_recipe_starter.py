"""The recipes people start from, and the schema their editors read."""

import re
from itertools import pairwise

import pytest

from tunesmith.core.errors import RecipeError
from tunesmith.recipe import Recipe, demo_recipe, parse_recipe, recipe_schema, starter_recipe

_OFF = re.compile(r"^(\s*)#(?=\w+:)", re.MULTILINE)


def test_the_starter_is_a_recipe_at_its_defaults() -> None:
    assert parse_recipe(starter_recipe("rows.jsonl")) == Recipe.model_validate({"data": {"path": "rows.jsonl"}})


def test_uncommenting_every_setting_changes_nothing() -> None:
    text = starter_recipe("my rows.jsonl", "Qwen/Qwen3-0.6B", task="classify", columns={"text": "Message body"})
    whole = _OFF.sub(r"\1", text)
    assert whole != text
    assert parse_recipe(whole) == parse_recipe(text)
    assert parse_recipe(text).data.read.columns == {"text": "Message body"}
    assert parse_recipe(text).base.path == "Qwen/Qwen3-0.6B"


def test_uncommenting_any_one_setting_keeps_it_a_recipe() -> None:
    text = starter_recipe("rows.jsonl")
    lines = text.splitlines()
    off = [number for number, line in enumerate(lines) if _OFF.match(line)]
    assert len(off) > 30
    for number in off[::6]:
        parse_recipe("\n".join([*lines[:number], _OFF.sub(r"\1", lines[number]), *lines[number + 1 :]]))


def test_every_setting_of_the_starter_is_described() -> None:
    lines = starter_recipe("rows.jsonl").splitlines()
    for before, line in pairwise(lines):
        if re.match(r"\s*#?\w+:", line):
            assert re.match(r"\s*# \S", before), line


def test_a_starter_that_can_not_be() -> None:
    with pytest.raises(RecipeError, match=r"data\.task is 'clasify'.*Did you mean 'classify'"):
        starter_recipe("rows.jsonl", task="clasify")


def test_the_demo_is_embedded() -> None:
    demo = demo_recipe()
    assert (demo.data.path, demo.data.split.by, demo.base.path) == ("sample", "template", "embedded")


def test_the_schema_describes_every_setting() -> None:
    schema = recipe_schema()
    assert schema["$schema"].endswith("2020-12/schema")
    assert schema["required"] == ["data"]
    for section in (schema, *(found for found in schema["$defs"].values() if "properties" in found)):
        assert section["additionalProperties"] is False
        for name, setting in section["properties"].items():
            whole = schema["$defs"].get(str(setting.get("$ref", "")).removeprefix("#/$defs/"), {})
            assert setting.get("description") or whole.get("description"), name
    assert {"type": "null"} in schema["properties"]["train"]["anyOf"]
    assert schema["$defs"]["TrainConfig"]["properties"]["epochs"]["exclusiveMinimum"] == 0
