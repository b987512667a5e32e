"""The recipe and the 64 points of each grid: settings a user would search over, that matter, depend on one another, and can be badly wrong.

Every point has the same budget: the default three epochs of 16 rows a step, 30 steps (clinc150: 18, e2e_nlg: 15), evaluated on `select`
six times (e2e_nlg: eight) beside the first look before any step. Nothing stops early, so that the budget is the same everywhere.
"""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

RATES = [1e-4, 3e-4, 6e-4, 1e-3, 2e-3, 4e-3, 8e-3, 2e-2]
SPACES: dict[str, dict[str, list[Any]]] = {
    "banking77": {"train.learning_rate": RATES, "method.top_layers": [1, 2, 4, 6], "method.pool": ["mean", "last"]},
    "clinc150": {
        "train.learning_rate": [3e-4, 1e-3, 3e-3, 1e-2],
        "method.top_layers": [1, 2, 4, 6],
        "method.head_dropout": [0.0, 0.25, 0.5, 0.75],
    },
    "e2e_nlg": {"train.learning_rate": RATES, "method.top_layers": [1, 2, 4, 6], "train.optimizer": ["adamw", "lion"]},
}
"""Data set -> dotted setting -> its values; every combination of them is a point."""
_TRAIN: dict[str, Any] = {
    "epochs": 3,
    "precision": "bf16",
    "threads": 1,
    "compile": "off",
    "checkpoint_minutes": 60,
    "evaluations_per_epoch": 2,
    "early_stopping": {"patience": None},
}
BASES: dict[str, dict[str, Any]] = {
    "banking77": {"method": {"name": "layers", "top_layers": 6, "head": "class"}, "train": _TRAIN},
    "clinc150": {"method": {"name": "layers", "top_layers": 6, "head": "class"}, "train": _TRAIN},
    "e2e_nlg": {"method": {"name": "layers", "top_layers": 6}, "train": _TRAIN},
}
"""What all points of a grid have in common, as sections of a recipe."""


def points(name: str) -> Iterator[dict[str, Any]]:
    """The grid of a data set: dotted setting -> value."""
    space = SPACES[name]
    for values in product(*space.values()):
        yield dict(zip(space, values, strict=True))


def sections(common: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Sections of a recipe with some settings changed, each by its dotted path."""
    made: dict[str, Any] = {name: dict(section) for name, section in common.items()}
    for path, value in settings.items():
        section, setting = path.split(".", 1)
        made.setdefault(section, {})[setting] = value
    return made
