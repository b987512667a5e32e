"""Which trials are ended early: rules over curves, without state, so that a search that goes on decides as one that was never interrupted.

Compared is the measure on `select`, at shares of the training, so that trials of different lengths can be. None ends a trial before four
others were measured as far: they would be held against chance.

- `median`: worse than half of the others at the same share (Golovin et al., 2017, section 3.2, with the best value so far).
- `asha`: at a ninth and at a third of the training, not among the best third of those that came so far (Li et al., 2020, the rule that
  stops trials instead of holding them back, with a reduction factor of 3).
- `hyperband`: the same, but only half of the trials meet both rungs; a third meet the second one only, and one in six none (Li et al.,
  2018): settings that begin slowly get their chance. Unlike there, all trials are compared with one another, as they were all measured.
"""

import math
from collections.abc import Callable, Sequence
from statistics import median

from tunesmith.recipe.search_config import PrunerName
from tunesmith.search.curves import Curve
from tunesmith.search.trial import Point

Pruner = Callable[[int, Sequence[Point], Sequence[Curve]], bool]
"""Number of the trial among the search's own, its evaluations so far, the curves of the others -> whether to end it."""

_OTHERS = 4
_FACTOR = 3
_RUNGS = (1 / 9, 1 / 3)
_FIRST_RUNG = (0, 1, 0, 2, 0, 1)
"""Hyperband's brackets by turns: how many of the rungs a trial passes unseen."""


def pruner(name: PrunerName) -> Pruner:
    """The rule called `name`."""
    return {"none": _never, "median": _median, "asha": _asha, "hyperband": _hyperband}[name]


def _never(number: int, points: Sequence[Point], others: Sequence[Curve]) -> bool:
    return False


def _median(number: int, points: Sequence[Point], others: Sequence[Curve]) -> bool:
    now = points[-1]
    known = [value for other in others if (value := other.at(now.share)) is not None]
    return now.share < 1 and len(known) >= _OTHERS and now.value < median(known)


def _asha(number: int, points: Sequence[Point], others: Sequence[Curve]) -> bool:
    return _halved(points, others, _RUNGS)


def _hyperband(number: int, points: Sequence[Point], others: Sequence[Curve]) -> bool:
    return _halved(points, others, _RUNGS[_FIRST_RUNG[number % len(_FIRST_RUNG)] :])


def _halved(points: Sequence[Point], others: Sequence[Curve], rungs: Sequence[float]) -> bool:
    now, before = points[-1], points[-2].share if len(points) > 1 else 0.0
    passed = [rung for rung in rungs if before < rung <= now.share + 1e-9]
    if not passed or now.share >= 1:
        return False
    known = [value for other in others if (value := other.from_share(passed[-1])) is not None]
    better = sum(value > now.value for value in known)
    return len(known) >= _OTHERS and better >= math.ceil((len(known) + 1) / _FACTOR)
