"""Bases, readings and looks at rows as plain values, so that what is ordered and said is tested without a model."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tunesmith.data.config import Task
from tunesmith.recipe.architecture import Architecture
from tunesmith.recipe.machine import Machine
from tunesmith.recipe.model import Recipe
from tunesmith.search.advice.bases import Candidate
from tunesmith.search.advice.order import Option, Price
from tunesmith.search.advice.rows import Floor, Reading, RowsLook
from tunesmith.search.advice.ways import Way, recipe_of

ARCHITECTURE = Architecture(layers=6, hidden=320, heads=10, kv_heads=5, head_width=32, intermediate=768, vocabulary=4096, tied=True)
BASE = Candidate(
    path="small",
    where="folder",
    kind="llama",
    parameters=7_581_760,
    body=6_271_040,
    architecture=ARCHITECTURE,
    context=2048,
    stored_bytes=15_000_000,
    narrow=True,
    licence="apache-2.0",
    chats=True,
    tokenizer=None,
)
READING = Reading(
    tokens=40,
    tokens_p95=80,
    tokens_most=120,
    tokens_mean=40.0,
    answer_tokens=4,
    answer_mean=4.0,
    cut=0.0,
    per_word=1.4,
    per_token=4.0,
    pieces=0.0,
)
FLOOR = Floor(value=0.6, low=0.55, high=0.65, commonest=0.1, rows=200, trained_on=1000)
LOOK = RowsLook(
    task=Task.CLASSIFY,
    counts={"train": 1000, "select": 200, "calibrate": 200, "test": 300},
    label_rows=(60, 100, 140),
    words=12,
    words_p95=30,
    answer_words=1,
    language="en",
    personal=0,
    floor=FLOOR,
    sample=(),
)


@pytest.fixture(scope="session")
def base() -> Callable[..., Candidate]:
    """A base like the embedded one, with some of it changed."""
    return lambda **changed: replace(BASE, **changed)


@pytest.fixture(scope="session")
def look() -> Callable[..., RowsLook]:
    """A look at rows of three labels, with some of it changed."""
    return lambda **changed: replace(LOOK, **changed)


@pytest.fixture(scope="session")
def machine() -> Machine:
    """16 GB and 100 GFLOP/s."""
    return Machine("cpu", 1, 16 * 10**9, 4, 100e9, 20e9, "a CPU with 16 GB")


def _option(task: Task = Task.CLASSIFY, **changed: Any) -> Option:
    reading = replace(READING, **{name: changed.pop(name) for name in Reading.__slots__ if name in changed})
    way = Way(changed.pop("method", "full"), changed.pop("head", "class"), changed.pop("dtype", "float32"))
    price = Price(
        *(changed.pop(name, default) for name, default in (("memory", 10**9), ("seconds", 60.0), ("fits", True), ("change", None)))
    )
    ms = changed.pop("answer_ms", 1.0)
    one = replace(BASE, **changed)
    recipe = recipe_of(Recipe.model_validate({"data": {"path": "rows.jsonl"}}), task, one, way, judged=False)
    return Option(base=one, way=way, recipe=recipe, reading=reading, price=price, answer_ms=ms)


@pytest.fixture(scope="session")
def option() -> Callable[..., Option]:
    """An option; what is changed goes to its base, way, reading or price, by name."""
    return _option
