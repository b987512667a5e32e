"""A weight beside raw text counts in training, from the file to the tokens."""

import json
from pathlib import Path

from tunesmith.core.progress import silent
from tunesmith.models.load import base_hash
from tunesmith.pipeline.bench import bench_of
from tunesmith.pipeline.material import make_examples
from tunesmith.pipeline.workspace import Workspace
from tunesmith.recipe import Recipe


def test_every_token_of_a_weighted_text_counts_as_much_as_its_column_says(tiny_base: Path, tmp_path: Path) -> None:
    weights = {f"Text {number} of a shelf holds {number * 37} words about boats and lamps.": float(number % 3 + 1) for number in range(40)}
    file = tmp_path / "texts.jsonl"
    file.write_text("".join(json.dumps({"text": text, "w": weight}) + "\n" for text, weight in weights.items()))
    data = {"path": str(file), "task": "text", "read": {"columns": {"weight": "w", "text": "text"}}}
    recipe = Recipe.model_validate({"data": data, "base": {"path": str(tiny_base)}, "train": {"max_tokens": 8}})
    bench = bench_of(recipe, Workspace(tmp_path / "work"), silent, base_hash(recipe.base))
    examples = make_examples(bench.sides["train"], bench.renderer, recipe, bench.material, "text")
    asked = {row.id: weights[row.answer] for row in bench.sides["train"]}
    assert set(asked.values()) == {1.0, 2.0, 3.0}
    assert len(examples) > len(asked)
    for example in examples:
        weight = asked[example.row_id.rsplit(".", 1)[0]]
        assert set(example.sequence.weights[1:]) == {weight}
        assert example.weight == weight
