"""One training of a bench's recipe: all that it depends on, the name its output goes by, and what carries it out.

A round trains by it, and so does each trial of a search, which is why a round takes up what a trial made. Trains nothing itself.
"""

from collections.abc import Mapping
from typing import Any

from tunesmith.core.progress import Listener
from tunesmith.evaluate.written import decoding_of
from tunesmith.models.load import lasting_path
from tunesmith.models.package import Bundle
from tunesmith.pipeline.bench import Bench
from tunesmith.pipeline.datasets import other_content
from tunesmith.pipeline.decisions import device_here
from tunesmith.pipeline.making import Making
from tunesmith.pipeline.of_many import OfMany
from tunesmith.recipe import Recipe, head_of

STAGE, TRAIN_VERSION = "train", 3


def training_inputs(bench: Bench, again: int = 1) -> dict[str, Any]:
    """All that training depends on, as JSON values.

    Args:
        bench: its rows, base and recipe.
        again: 1 for the first training of these inputs; another number shares nothing with it.
    """
    recipe = bench.recipe
    return {
        "dataset": bench.dataset.id,
        "base": bench.base_hash,
        "recipe": recipe.model_dump(mode="json", include={"seed", "objective", "method", "train"}, exclude={"train": {"track"}}),
        "instruction": recipe.data.instruction,
        "label_words": recipe.data.label_words,
        "others": other_content(recipe),
        "again": again,
        "metric": bench.metrics[0],  # the checkpoint is chosen by it
        "device": device_here().type,
    }


def asked_of(inputs: Mapping[str, Any], recipe: Recipe) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The inputs of the stage that is asked for, and those whose output serves as well: snapshots are kept beside the model, which is the same without."""
    explain = recipe.evaluate.explain
    with_snapshots = dict(inputs) | {"snapshots": explain.snapshots}
    return (with_snapshots, []) if explain.enabled and explain.influence else (dict(inputs), [with_snapshots])


def bundle_of(bench: Bench, method: str) -> Bundle:
    """What the model needs to answer as it is evaluated."""
    recipe = bench.recipe
    return Bundle(
        task=str(bench.dataset.task),
        method=method,
        max_tokens=bench.renderer.max_tokens,
        labels=bench.labels,
        label_texts=bench.renderer.label_texts,
        instruction=recipe.data.instruction,
        max_new_tokens=recipe.evaluate.max_new_tokens,
        decoding=None if (decoding := decoding_of(recipe.evaluate.decoding)).plain else decoding.to_json(),
        base=recipe.base.model_dump(mode="json") | {"path": lasting_path(recipe.base)},
        head=head_of(recipe, bench.dataset.task) != "tokens",
        base_seed=recipe.seed,
    )


def making_of(bench: Bench, listen: Listener, of_many: OfMany | None = None) -> Making:
    """The training itself."""
    return Making(
        recipe=bench.recipe,
        renderer=bench.renderer,
        material=bench.material,
        bundle=lambda method: bundle_of(bench, method),
        listen=listen,
        of_many=of_many,
    )
