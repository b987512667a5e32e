"""Distributions for the report: labels and lengths by side, in fixed bins, and pairs that cross sides. Exact, over all rows."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tunesmith.data.split import SIDES

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tunesmith.data.table import Columns

EDGES = tuple(sorted({0, 1, *(round(2 ** (half / 2)) for half in range(2, 42))}))
"""Bins of lengths in characters, two to each doubling: from each edge to below the next, the last (1,048,576 or so) without end."""


def lengths(values: "npt.NDArray[np.uint32]") -> dict[str, Any]:
    """How lengths are distributed: rows, mean, quantiles, and the count in each bin of `EDGES`."""
    import numpy as np

    if not len(values):
        return {"rows": 0, "mean": None, "quantiles": None, "counts": [0] * len(EDGES)}
    bins = np.bincount(np.searchsorted(EDGES, values, side="right") - 1, minlength=len(EDGES))
    points = np.quantile(values, [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0])
    return {"rows": len(values), "mean": float(values.mean()), "quantiles": [float(at) for at in points], "counts": bins.tolist()}


def describe(columns: "Columns", sides_N: "npt.NDArray[np.int8]", labels: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """By side: rows, labels, lengths of what is shown and of what is asked for. Legend: N rows.

    Args:
        columns: of all rows.
        sides_N: place of each row's side in `SIDES`; below 0 where it is on none.
        labels: side -> label -> rows; empty where the task has no labels.
    """
    told: dict[str, Any] = {"edges": list(EDGES), "quantiles": [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0], "sides": {}}
    for place, side in enumerate(SIDES):
        mine = sides_N == place
        told["sides"][side] = {
            "rows": int(mine.sum()),
            "labels": dict(labels.get(side, {})),
            "shown": lengths(columns.shown[mine]),
            "asked": lengths(columns.asked[mine]),
        }
    return told


def leaks(*, text: int, group: int | None, near: int | None, pairs: int | None = None) -> dict[str, Any]:
    """The leak check: how many texts, groups and near-duplicate pairs stand on two sides; None where that was not looked for.

    Args:
        text: texts on two sides.
        group: groups of `split.by` on two sides.
        near: pairs of rows that resemble one another on two sides.
        pairs: pairs that resemble one another in all.
    """
    found = {"text": text, "group": group, "near": near}
    crossing = sum(count for count in found.values() if count)
    told = ", ".join(f"{count:,} {name}" for name, count in found.items() if count is not None)
    sentence = f"Nothing crosses sides ({told})." if not crossing else f"{crossing:,} cross sides ({told}): test figures may flatter."
    return {"crossings": found, "near_pairs": pairs, "clean": crossing == 0, "sentence": sentence}
