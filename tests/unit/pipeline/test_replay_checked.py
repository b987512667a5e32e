"""General rows: preflight says which won't fit, and a run mixes in their share, whatever the size of a step."""

from typing import Any

import pytest

from tunesmith.chat.render import Rendered, Renderer
from tunesmith.core.rows import Message, Row
from tunesmith.data.config import Task
from tunesmith.embedded import base_path
from tunesmith.pipeline.preflight import CheckReport, preflight
from tunesmith.recipe import Recipe
from tunesmith.train.batches import Feed, example
from tunesmith.train.config import TrainConfig

FITS = Row(id="fits", prompt=(Message("user", "How are leeks kept?"),), answer="Cool.")
LONG = Row(id="long", prompt=FITS.prompt, answer=" ".join(f"Bed {number} holds leeks." for number in range(60)))
TEXT = Row(id="text", answer=LONG.answer)


def checked(*replay: Row) -> CheckReport:
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(base_path())
    recipe = Recipe.model_validate({"data": {"path": "rows.jsonl"}, "train": {"max_tokens": 64}})
    sides: dict[str, list[Row]] = {"train": [FITS] * 3, "select": [], "calibrate": [], "test": []}
    return preflight(
        sides, Renderer(tokenizer, max_tokens=64), recipe, Task.GENERATE, None, context=2048, pretrained_tokens=4096, replay=replay
    )


def test_rows_to_replay_that_are_too_long_are_told_of_beforehand() -> None:
    plain = checked()
    assert checked(FITS, TEXT).warnings == plain.warnings
    assert checked(FITS, LONG, TEXT).warnings == [
        *plain.warnings,
        "1 of 3 rows to replay are longer than 64 tokens: they will be left out.",
    ]
    assert checked(LONG, LONG).problems[-1].startswith("No row of train.regularise.replay.path fits within 64 tokens")


@pytest.mark.parametrize(("share", "batch_rows"), [(0.01, 4), (0.1, 4), (0.1, 16), (0.25, 16), (0.5, 3), (0.9, 2), (0.3, 1)])
def test_a_share_holds_over_the_run(share: float, batch_rows: int) -> None:
    """However small the step: to within a row, after every step; and each general row is taken as often as any other, but for one."""
    rows = [example(Rendered(f"own {number}", (number + 1, 5, 6), 1), weight_by="token") for number in range(50)]
    general = [example(Rendered(f"general {number}", (number + 1, 7, 8), 1), weight_by="token") for number in range(7)]
    config = TrainConfig.model_validate(
        {"batch_rows": batch_rows, "epochs": 8, "regularise": {"replay": {"path": "general.jsonl", "share": share}}}
    )
    feed = Feed(rows, config, 3, layout="tree", replay=general)
    whole = [number for number in range(1, feed.steps + 1) if number % feed.steps_per_epoch]  # an epoch's last step may be shorter
    taken: dict[str, int] = {}
    for number in range(1, feed.steps + 1):
        own = feed.own_rows * number
        for row in feed.rows(number):
            taken[row.row_id] = taken.get(row.row_id, 0) + 1
        mixed = sum(count for name, count in taken.items() if name.startswith("general"))
        assert abs(mixed - own * share / (1 - share)) < 1
    counts = [taken.get(item.row_id, 0) for item in general]
    assert max(counts) - min(counts) <= 1
    assert {taken[row.row_id] for row in rows} == {8}
    assert whole
