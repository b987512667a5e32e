"""What is wrong with rows of every side is one problem, with a count of each."""

from typing import Any

from tunesmith.chat.render import Renderer
from tunesmith.core.rows import Message, Row
from tunesmith.data.config import Task
from tunesmith.embedded import base_path
from tunesmith.pipeline.preflight import preflight
from tunesmith.recipe import Recipe


def test_rows_of_every_side_that_do_not_fit_are_told_in_one_sentence() -> None:
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(base_path())
    long = " ".join(f"Bed {number} holds leeks." for number in range(60))
    sides = {
        side: [Row(id=f"{side}{number}", prompt=(Message("user", f"{side} {number}?"),), answer=long) for number in range(count)]
        for side, count in (("train", 5), ("select", 2), ("calibrate", 1), ("test", 0))
    }
    recipe = Recipe.model_validate({"data": {"path": "rows.jsonl"}, "train": {"max_tokens": 64}})
    found = preflight(sides, Renderer(tokenizer, max_tokens=64), recipe, Task.GENERATE, None, context=2048, pretrained_tokens=4096)
    (problem,) = found.problems
    assert problem.startswith("Row train0 has an answer of ")
    assert problem.endswith("(8 rows have this or a like problem: 5 of train, 2 of select, 1 of calibrate.)")
