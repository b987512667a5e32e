"""The data report: what `prepare` found, gathered for its page, with the rows' length in the base's tokens."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from tunesmith.chat.labels import label_texts
from tunesmith.chat.render import Renderer
from tunesmith.core.errors import DataError
from tunesmith.core.rows import Row
from tunesmith.data.config import Task
from tunesmith.data.dataset import Dataset, Sides
from tunesmith.ledger.records import now
from tunesmith.models.load import load_tokenizer
from tunesmith.recipe import Recipe

_MEASURED = 2000
"""Rows of each side whose tokens are counted, spread evenly over it."""


def data_report(dataset: Dataset) -> dict[str, Any]:
    """The `data` piece of report.json, as far as the dataset knows it."""
    return {
        "path": dataset.path,
        "format": dataset.format,
        "task": dataset.task.value,
        "mapping": dataset.mapping,
        "waterfall": dataset.waterfall,
        "sides": dataset.counts(),
        "labels": dataset.labels,
        "notes": list(dataset.notes),
    }


def whole_report(dataset: Dataset, recipe: Recipe, looks: Mapping[str, Any], *, tokens: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What the page of `tunesmith.report.data_card` draws; `looks` as `tunesmith.data.showing` gives them."""
    findings = {name: dict(held) for name, held in dataset.findings.items()}
    for name, key, place in (("near", "clusters", "clusters"), ("labels", "suspects", "first"), ("personal", "personal", "samples")):
        if name in findings and looks.get(key):
            findings[name][place] = looks[key]
    findings |= {name: looks[key] for name, key in (("lengths", "spread"), ("audit", "audit"), ("coverage", "coverage")) if key in looks}
    return {
        "schema": 1,
        "dataset": {
            "id": dataset.id,
            "path": dataset.path,
            "format": dataset.format,
            "task": dataset.task.value,
            "mapping": dataset.mapping,
            "created": now(),
        },
        "waterfall": dataset.waterfall,
        "sides": dataset.counts(),
        "labels": findings.pop("classes", None),
        "samples": looks.get("samples", []),
        "findings": findings,
        "tokens": tokens,
        "notes": list(dataset.notes),
        "hashes": dict(dataset.hashes) | {"dataset": dataset.id},
        "recipe_section": _section(recipe),
    }


def _section(recipe: Recipe) -> str:
    """The recipe's `data` section as YAML, without the lines of other sections."""
    from tunesmith.recipe import dump_recipe

    lines = dump_recipe(recipe).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("data:"))
    end = next(
        (number for number in range(start + 1, len(lines)) if lines[number] and not lines[number].startswith((" ", "#"))), len(lines)
    )
    return "\n".join(lines[start:end]) + "\n"


def count_tokens(dataset: Dataset, recipe: Recipe) -> dict[str, Any]:
    """Rows in tokens of the base: against its context, and what an epoch costs. Raises as `load_tokenizer` does."""
    tokenizer, context = load_tokenizer(recipe.base)
    most = min(context, recipe.train.max_tokens or context)
    texts = label_texts(tuple(dataset.labels), words=recipe.data.label_words) if dataset.task is Task.CLASSIFY else {}
    renderer = Renderer(tokenizer, max_tokens=10 * context, label_texts=texts, new_tokens=recipe.base.new_tokens)
    lengths = {side: _lengths(_spread(dataset, side), renderer) for side in dataset.counts()}
    counts = dataset.counts()
    total = {side: round(sum(held) / max(1, len(held)) * counts[side]) for side, held in lengths.items()}
    train = sorted(lengths["train"])
    per_row = {"median": train[len(train) // 2], "p95": train[int(0.95 * (len(train) - 1))], "max": train[-1]} if train else None
    over = sum(length > most for length in train) / max(1, len(train))
    return {
        "context": context,
        "max_tokens": most,
        "per_row": per_row,
        "cut": round(over * counts["train"]),
        "total": total,
        "instruction": len(tokenizer.encode(recipe.data.instruction or "", add_special_tokens=False)),
        "epoch_tokens": total["train"],
        "measured": {side: len(held) for side, held in lengths.items()},
    }


def _spread(dataset: Dataset, side: str) -> Sequence[Row]:
    """At most so many rows of a side, evenly spread, without holding the others."""
    count = dataset.counts()[side]
    step = max(1, -(-count // _MEASURED))
    rows = dataset.sides.each(side) if isinstance(dataset.sides, Sides) else iter(dataset.sides[side])
    return [row for number, row in enumerate(rows) if number % step == 0]


def _lengths(rows: Sequence[Row], renderer: Renderer) -> list[int]:
    found = []
    for row in rows:
        with suppress(DataError):  # an answer longer than ten contexts: preflight says so
            pair = renderer.pair(row) if row.rejected is not None else (renderer.row(row, whole=not row.prompt),)
            found.append(sum(len(one.ids) for one in pair))
    return found
