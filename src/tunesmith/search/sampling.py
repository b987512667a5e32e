"""Which point is asked next: at random, from a grid, by TPE or by a Gaussian process (both Optuna's).

A question is answered from the trials so far and from a seed derived from the search's seed and the number of the question; no sampler
keeps a state. So a search that goes on after a kill asks what it would have asked. That costs building Optuna's study anew for each
question: some milliseconds for TPE, about a second for a Gaussian process, beside trainings of minutes.

The first points of TPE and GP are spread by a Sobol sequence. Points under way are told to both as running, so that workers don't ask for
the same one. No point is asked twice: where a sampler insists, the nearest one not yet tried is taken.
"""

import random
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunesmith.core.seeds import derive_seed
from tunesmith.recipe.search_config import MOST_GRID_POINTS, SamplerName
from tunesmith.search.space import Coordinate, Listed, Space, key_of
from tunesmith.search.trial import Settings

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler

Place = Mapping[str, Coordinate]

_ATTEMPTS = 8
"""Answers of a sampler that are turned down as tried before, until another way is taken."""


@dataclass(frozen=True, slots=True)
class Question:
    """All that an answer hangs on."""

    space: Space
    seed: int
    index: int
    """How many points were asked before."""
    starts: int
    """Points that TPE and GP spread before they begin to choose."""
    tried: Sequence[tuple[Place, float]]
    """Ended trials: where, and what each is worth; higher is better."""
    running: Sequence[Place]
    visited: frozenset[str]
    """Keys of all settings asked so far (`key_of`)."""

    def stream(self, *names: str | int) -> int:
        """A seed of its own for each question and use, below 2^32 as numpy wants it."""
        return derive_seed(self.seed, "search", self.index, *names) % 2**32


Sampler = Callable[[Question, int], Place]
"""A question and which attempt at it this is -> a place."""


def ask(question: Question, name: SamplerName) -> Settings | None:
    """The next point, one that was never asked; None where every point of the space was."""
    size = question.space.size
    if name == "grid":
        return _next_of_grid(question)
    if size is not None and size <= MOST_GRID_POINTS and not any(_untried(question)):
        return None
    sampler: Sampler = {"random": _random, "tpe": _tpe, "gp": _gp}[name]
    for attempt in range(_ATTEMPTS):
        place = sampler(question, attempt)
        settings = question.space.settings(place)
        if key_of(settings) not in question.visited:
            return settings
    return _nearest_untried(question, place) if size is not None and size <= MOST_GRID_POINTS else _random_untried(question)


def _untried(question: Question) -> Iterator[dict[str, Any]]:
    return (settings for settings in question.space.everywhere() if key_of(settings) not in question.visited)


def _next_of_grid(question: Question) -> Settings | None:
    """The points of a grid in an order by chance: a part of it is then spread over all of it."""
    points = list(question.space.everywhere())
    random.Random(derive_seed(question.seed, "grid")).shuffle(points)
    return next((settings for settings in points if key_of(settings) not in question.visited), None)


def _nearest_untried(question: Question, place: Place) -> Settings | None:
    wanted = question.space.features(place)

    def distance(settings: Settings) -> float:
        there = question.space.coordinates(settings)
        assert there is not None
        return sum((a - b) ** 2 for a, b in zip(question.space.features(there), wanted, strict=True))

    untried = list(_untried(question))
    random.Random(question.stream("nearest")).shuffle(untried)  # between equals
    return min(untried, key=distance, default=None)


def _random_untried(question: Question) -> Settings | None:
    """Of a space too large to list; a thousand draws that were all tried before mean that it is as good as spent."""
    for attempt in range(_ATTEMPTS, 1000):
        settings = question.space.settings(_random(question, attempt))
        if key_of(settings) not in question.visited:
            return settings
    return None


def _random(question: Question, attempt: int) -> Place:
    draws = random.Random(question.stream("random", attempt))
    return question.space.at([draws.random() for _ in question.space.axes])


def _tpe(question: Question, attempt: int) -> Place:
    def sampler() -> "BaseSampler":
        from optuna.samplers import TPESampler

        return TPESampler(seed=question.stream("tpe", attempt), n_startup_trials=1)

    return _start(question, attempt) or _by_optuna(question, sampler)


def _gp(question: Question, attempt: int) -> Place:
    if attempt:
        return _random(question, attempt)  # it would answer the same, at a second each

    def sampler() -> "BaseSampler":
        from optuna.samplers import GPSampler

        return GPSampler(seed=question.stream("gp"), n_startup_trials=1, warn_independent_sampling=False)

    return _start(question, attempt) or _by_optuna(question, sampler)


def _start(question: Question, attempt: int) -> Place | None:
    """One of the first points; None after them."""
    if question.index >= question.starts and question.tried:
        return None
    if attempt or question.index >= question.starts:
        return _random(question, attempt)
    from scipy.stats.qmc import Sobol

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a number of points that is no power of two
        points = Sobol(len(question.space.axes), seed=derive_seed(question.seed, "starts") % 2**32).random(question.index + 1)
    return question.space.at([float(share) for share in points[-1]])


def _by_optuna(question: Question, sampler: Callable[[], "BaseSampler"]) -> Place:
    with _hushed():
        import optuna
        from optuna.trial import TrialState, create_trial

        axes = _distributions(question.space)
        study = optuna.create_study(direction="maximize", sampler=sampler())
        for place, worth in question.tried:
            study.add_trial(create_trial(params=dict(place), distributions=axes, value=worth))
        for place in question.running:
            study.add_trial(create_trial(state=TrialState.RUNNING, params=dict(place), distributions=axes))
        found = study.ask(fixed_distributions=axes).params
    return {name: found[name] for name in question.space.axes}


def _distributions(space: Space) -> "dict[str, BaseDistribution]":
    """Axes as Optuna has them: positions for what is listed, shares for the rest."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, BaseDistribution] = {}
    for name, axis in space.axes.items():
        if not isinstance(axis, Listed):
            found[name] = FloatDistribution(0.0, 1.0)
        elif axis.ordered:
            found[name] = IntDistribution(0, len(axis.values) - 1)
        else:
            found[name] = CategoricalDistribution(range(len(axis.values)))
    return found


@contextmanager
def _hushed() -> Iterator[None]:
    """Optuna says nothing of its own; who else uses it in this process finds its voice as it was."""
    import optuna

    loud = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(loud)
