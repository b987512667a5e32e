"""A raw document longer than the context is learned whole, in windows, and is no reason to refuse a round."""

from typing import Any

import pytest

from tunesmith.chat.render import Renderer
from tunesmith.core.rows import Row
from tunesmith.data.config import Task
from tunesmith.embedded import base_path
from tunesmith.pipeline.preflight import preflight
from tunesmith.pipeline.training import Material, make_examples
from tunesmith.recipe import Recipe

DOCUMENT = Row(id="long", answer=" ".join(f"Bed {number} holds leeks." for number in range(60)))
RECIPE = Recipe.model_validate({"data": {"path": "manual.txt", "task": "text"}, "train": {"max_tokens": 32}})


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    """The embedded tokenizer within 32 tokens."""
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(base_path())
    return Renderer(tokenizer, max_tokens=32)


@pytest.mark.parametrize("objective", ["text", "sft"])
def test_every_token_but_the_first_is_learned_once(renderer: Renderer, objective: str) -> None:
    whole = renderer.answer(DOCUMENT.answer)
    assert len(whole) > 3 * renderer.max_tokens
    examples = make_examples([DOCUMENT], renderer, RECIPE, Material([DOCUMENT], [], None, "text"), objective)
    assert all(len(item.sequence.ids) <= renderer.max_tokens for item in examples)
    learned = [token for item in examples for token, weight in zip(item.sequence.ids, item.sequence.weights, strict=True) if weight]
    assert tuple(learned) == whole[1:]


def test_it_is_not_counted_as_truncated(renderer: Renderer) -> None:
    sides: dict[str, list[Row]] = {"train": [DOCUMENT], "select": [], "calibrate": [], "test": []}
    found = preflight(sides, renderer, RECIPE, Task.TEXT, None, context=2048, pretrained_tokens=4096)
    assert found.problems == []
    assert found.facts["truncated"] == 0
