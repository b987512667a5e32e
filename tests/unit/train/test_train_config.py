"""What the `train` section refuses: settings that what was chosen would not read, and settings that contradict one another."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from tunesmith.core.errors import RecipeError
from tunesmith.models.config import BaseConfig, MethodConfig
from tunesmith.recipe import parse_recipe
from tunesmith.train.config import ObjectiveConfig, TrainConfig


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"optimizer": "sgd", "betas": (0.9, 0.9)}, "betas belongs to optimizer: adamw or lion or muon, not sgd; remove it"),
        ({"optimizer": "adafactor", "betas": (0.9, 0.9)}, "not adafactor"),
        ({"momentum": 0.9}, "momentum belongs to optimizer: sgd or muon, not adamw"),
        ({"optimizer": "muon", "nesterov": True}, "nesterov belongs to optimizer: sgd, not muon"),
        ({"optimizer": "sgd", "nesterov": True, "momentum": 0}, "nesterov looks ahead along the momentum, which is 0"),
        ({"betas": (0.9, 1.0)}, "betas are 0.9 and 1.0; both must be at least 0 and less than 1"),
        ({"decay_share": 0.2}, "decay_share belongs to schedule: wsd, not cosine"),
        ({"plateau": {"factor": 0.1}}, "plateau belongs to schedule: plateau, not cosine"),
        ({"schedule": "constant", "final_share": 0.1}, "final_share 0.1 has no place in schedule: constant"),
        ({"schedule": "one_cycle", "warmup": 0}, "one_cycle rises over its warmup, which is 0"),
        ({"schedule": "plateau", "early_stopping": {"patience": 1}}, "early_stopping.patience 1 ends the run before plateau.patience 1"),
        ({"schedule": "plateau", "plateau": {"patience": 4}}, "early_stopping.patience 3 ends the run before plateau.patience 4"),
        ({"regularise": {"replay": {"share": 0.2}}}, "share 0.2 needs rows to replay: set path, or remove share"),
    ],
)
def test_what_would_not_be_read_is_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(sentence)):
        TrainConfig.model_validate(settings)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"learning_rate": "find"},
        {"learning_rate": 1e-4, "optimizer": "lion", "betas": (0.95, 0.98)},
        {"optimizer": "sgd", "momentum": 0.0},
        {"optimizer": "sgd", "nesterov": True},
        {"optimizer": "muon", "momentum": 0.9, "betas": (0.9, 0.99)},
        {"schedule": "wsd", "decay_share": 0.1, "final_share": 0.1},
        {"schedule": "plateau", "plateau": {"patience": 2}},
        {"schedule": "plateau", "plateau": {"patience": 5}, "early_stopping": {"patience": None}},
        {"regularise": {"l2_sp": 0.1, "kl": 0.1, "ema": 0.99, "neftune": 5, "interpolate": True}},
        {"regularise": {"replay": {"path": "general.jsonl", "share": 0.2}}},
    ],
)
def test_what_agrees_is_taken_and_comes_back(settings: dict[str, Any]) -> None:
    config = TrainConfig.model_validate(settings)
    assert TrainConfig.model_validate(config.model_dump()) == config


@pytest.mark.parametrize("rate", [0, -1.0, "seek"])
def test_a_rate_is_above_zero_or_to_be_found(rate: object) -> None:
    with pytest.raises(ValidationError):
        TrainConfig.model_validate({"learning_rate": rate})


def numbers(section: type[BaseModel]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every number of a section and those below it, with its schema."""
    schema = section.model_json_schema()

    def walk(name: str, part: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        part = schema["$defs"][part["$ref"].rsplit("/", 1)[-1]] if "$ref" in part else part
        if part.get("type") in ("number", "integer"):
            yield name, part
        inside = {"": part.get("additionalProperties")} if isinstance(part.get("additionalProperties"), dict) else {}
        for key, below in {**part.get("properties", {}), **inside}.items():
            yield from walk(f"{name}.{key}", below)
        for below in part.get("anyOf", []):
            yield from walk(name, below)

    return walk("", schema)


@pytest.mark.parametrize("section", [TrainConfig, ObjectiveConfig, MethodConfig, BaseConfig])
def test_every_number_has_two_ends(section: type[BaseModel]) -> None:
    """Betas have theirs in a sentence of their own: pydantic gives a pair's members none."""
    found = dict(numbers(section))
    assert len(found) >= 7 or section is BaseConfig
    for name, part in found.items():
        assert part.keys() & {"minimum", "exclusiveMinimum"}, name
        assert part.keys() & {"maximum", "exclusiveMaximum"}, name


@pytest.mark.parametrize(
    ("setting", "value", "rule"),
    [
        ("objective.focal_gamma", 1e9, "at most 100. Leave it out for the default, 0.0."),
        ("objective.label_smoothing", 1.0, "less than 1. Leave it out for the default, 0.0."),
        ("objective.temperature", 1e-30, "at least 0.01."),
        ("train.regularise.neftune", 1e30, "at most 100."),
        ("train.regularise.l2_sp", 1e30, "at most 1000."),
        ("train.learning_rate", 1e38, "a number of at most 1000 or 'find'."),
        ("train.learning_rate", -1, "a number greater than 0 or 'find'."),
        ("train.weight_decay", 1e9, "at most 100."),
        ("train.batch_rows", 10**18, "at most 1e+06."),
        ("train.threads", 10**9, "at most 4096."),
        ("train.evaluations_per_epoch", 10**12, "at most 100000."),
        ("method.rank", 10**9, "at most 1e+06."),
        ("method.alpha", 1e30, "at most 1e+06."),
        ("method.layer_decay", 1e-30, "at least 0.01."),
    ],
)
def test_an_absurd_size_is_refused_in_one_sentence(setting: str, value: float, rule: str) -> None:
    *path, name = setting.split(".")
    written: Any = {name: value}
    for part in reversed(path):
        written = {part: written}
    with pytest.raises(RecipeError) as caught:
        parse_recipe(json.dumps({"data": {"path": "rows.jsonl"}} | written))
    (sentence,) = str(caught.value).splitlines()
    assert sentence.startswith(f"recipe:1: {setting} is ")
    assert f"it must be {rule}" in sentence


@pytest.mark.parametrize(
    ("section", "settings"),
    [
        (ObjectiveConfig, {"name": "class", "focal_gamma": 5, "label_smoothing": 0.4}),
        (ObjectiveConfig, {"name": "simpo", "beta": 10, "margin": 5.4}),
        (ObjectiveConfig, {"name": "distill", "temperature": 20}),
        (TrainConfig, {"learning_rate": 0.3, "weight_decay": 1.0, "max_grad_norm": 1e9, "batch_rows": 32_768, "token_budget": 1_048_576}),
        (TrainConfig, {"regularise": {"l2_sp": 1.0, "kl": 10.0, "ema": 0.9999, "neftune": 45}, "checkpoint_minutes": 1440}),
        (TrainConfig, {"schedule": "plateau", "plateau": {"factor": 0.01}, "learning_rate": 100}),
        (MethodConfig, {"name": "lora", "rank": 4096, "alpha": 8192}),
        (MethodConfig, {"name": "prompt", "virtual_tokens": 1000}),
        (MethodConfig, {"name": "full", "layer_decay": 0.1}),
    ],
)
def test_what_people_use_is_taken(section: type[BaseModel], settings: dict[str, Any]) -> None:
    section.model_validate(settings)
