"""Searches over measured grids: how many steps until what they would return is as good as what the whole grid returns.

A search is the product's own with its default settings, over the grid's own values; finalists are not trained again under other seeds,
as the grid's points were not. What counts is the incumbent's value on fresh rows, which neither grid nor search chose by.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searching.table import Table, TableTrainer, key_of
from tunesmith.core.progress import silent
from tunesmith.recipe.search_config import SearchConfig
from tunesmith.search.study import search_with

THIRD = 1 / 3


@dataclass(frozen=True, slots=True)
class Replayed:
    """One search over a table."""

    within_at: float | None
    """Share of the grid's steps from which on the incumbent was within one standard error until the end; None: at the end it was not."""
    fresh: float
    """Value on fresh rows of what the search returned."""
    steps: float
    """Share of the grid's steps that it took in all."""
    trials: int
    pruned: int
    stopped: str

    def to_json(self) -> dict[str, Any]:
        """For a result file."""
        return {
            "within_at": None if self.within_at is None else round(self.within_at, 4),
            "fresh": self.fresh,
            "steps": round(self.steps, 4),
            "trials": self.trials,
            "pruned": self.pruned,
        }


def replay(table: Table, sampler: str, seed: int, *, share: float | None = THIRD, trials: int = 64, **more: Any) -> Replayed:
    """Search a table.

    Args:
        table: the grid.
        sampler: as `search.sampler` has it.
        seed: of the search.
        share: of the grid's steps, its budget; None: no bound but `trials`.
        trials: at most.
        more: other settings of the `search` section.
    """
    steps = None if share is None else int(share * table.steps)
    config = SearchConfig(space=dict(table.space), sampler=sampler, trials=trials, steps=steps, seeds=1, **more)
    trainer = TableTrainer(table)
    with tempfile.TemporaryDirectory() as folder:
        found = search_with(trainer, config, folder=Path(folder), seed=seed, listen=silent)
    returned = table.grid[key_of(found.best.settings)]["fresh"]
    return Replayed(
        within_at=_within_at(table, trainer),
        fresh=returned,
        steps=sum(measured.steps for _, measured in trainer.told) / table.steps,
        trials=len(trainer.told),
        pruned=sum(measured.pruned for _, measured in trainer.told),
        stopped=found.stopped,
    )


def _within_at(table: Table, trainer: TableTrainer) -> float | None:
    """The incumbent is the best finished trial so far, by its value on `select`; none is there before the first one ends."""
    bound, spent, since = table.bound, 0, None
    leads: float | None = None
    fresh = float("-inf")
    for settings, measured in trainer.told:
        spent += measured.steps
        if measured.value is not None and not measured.pruned and (leads is None or measured.value > leads):
            leads, fresh = measured.value, table.grid[key_of(settings)]["fresh"]
        if fresh < bound:
            since = None
        elif since is None:
            since = spent
    return None if since is None else since / table.steps
