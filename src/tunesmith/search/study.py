"""A search over settings: asks for points, has them trained, ends the poor ones early, and says which settings won and what mattered.

It sees numbers measured on `select`, and nothing else: no row, no model, no test set. What it costs beside the trainings: some milliseconds
a trial (random, grid), tens (TPE), a second (GP), half a second where it judges whether to go on.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunesmith.core.errors import DataError, RecipeError
from tunesmith.core.progress import Ended, Listener, Said, Started
from tunesmith.recipe.search_config import SearchConfig
from tunesmith.search import finals
from tunesmith.search.crew import Factory, alone, together
from tunesmith.search.importance import importance
from tunesmith.search.leading import WORK, Leader
from tunesmith.search.outcome import SearchOutcome
from tunesmith.search.records import Folder
from tunesmith.search.trial import Settings, Trainer


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a caller may know beside the section."""

    factory: Factory | None = None
    """Makes a trainer in a process of its own; needed for more than one worker."""
    first: Sequence[Settings] = ()
    """Points of the space to try before any other: the recipe's own. What lies outside of the space is passed over."""
    trial_steps: int | None = None
    """Optimiser steps of one trial, where that is known: a budget below is refused at once."""
    trial_seconds: float | None = None
    """Time of one trial, the same."""
    clock: Callable[[], float] = time.monotonic
    """Seconds, from wherever; what time budgets go by."""


def search_with(
    trainer: Trainer, config: SearchConfig, *, folder: Path, seed: int, listen: Listener, given: Given | None = None
) -> SearchOutcome:
    """Search, or go on with a search that was killed or is to be prolonged; a finished one is told again.

    Args:
        trainer: trains one trial; with several workers the factory's are asked instead.
        config: what is searched. Budgets may differ from an earlier sitting; space, sampler and pruner may not.
        folder: of the study; see `records`.
        seed: of the search, and of its trials' trainings; repeats of finalists take the seeds after it.
        listen: is told of each trial.
        given: what else is known.

    Raises:
        RecipeError: a budget too small for one trial or to begin one, or a folder that holds another search.
        DataError: no trial reached a finite value.
        TunesmithError: what the trainer raises; the same call goes on from there.
    """
    given = given or Given()
    if config.workers > 1 and given.factory is None:
        raise RecipeError(f"search.workers is {config.workers}, and this trainer can't be made in other processes: set it to 1.")
    files = Folder(folder)
    with files.held():
        files.begin({"search": config.identity(), "seed": seed})
        leader = Leader(config, files, seed=seed, first=given.first, clock=given.clock, listen=listen)
        leader.budget.check(steps=given.trial_steps, seconds=given.trial_seconds)
        listen(Started(WORK, leader.total(), "trials"))
        if config.workers > 1 and given.factory is not None:
            together(given.factory, config.workers, folder, leader)
        else:
            alone(trainer, leader)
        listen(Ended(WORK, leader.clock() - leader.began))
        found = _outcome(leader)
        listen(Said(f"The search ended: {found.stopped}"))
    return found


def _outcome(leader: Leader) -> SearchOutcome:
    own, repeats = leader.own(), leader.repeats()
    chosen = finals.chosen(own, leader.config.finalists)
    ranked = finals.ranked(chosen, repeats)
    best = ranked[0].first if ranked else finals.best_of_pruned(own)
    if not own:
        raise RecipeError(f"search: no trial was begun: {leader.ending()} Raise it.")
    if best is None:
        raise DataError(
            f"None of {len(own)} trials reached a finite value: look at why they diverged, and lower the ranges of the search, most often that of "
            "train.learning_rate."
        )
    shares, note = importance(leader.space, leader.tried(), leader.seed % 2**32)
    return SearchOutcome(
        trials=tuple(record.trial() for record in own),
        best=best,
        finalists=ranked,
        steps=sum(record.steps for record in leader.records),
        seconds=leader.seconds(),
        stopped=leader.ending(),
        importance=shares,
        importance_note=note,
    )
