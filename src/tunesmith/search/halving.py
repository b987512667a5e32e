"""Successive halving by arithmetic (Jamieson & Talwalkar, 2016): who trains how far, and how far that can be in the time there is.

All arms train a little, the worse half is left, the others go on twice as far, until two are at the end. Pure: no model, no clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass

LEAST_STEPS = 10
"""Optimiser steps that an arm takes at least in its first rung: after fewer, nothing is seen but the learning rate's rise."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What an arm takes, in seconds."""

    load: float
    """To be loaded, its rows cut into tokens and its frozen layers run."""
    step: float
    judge: float
    """To answer the select rows."""


def arms_of(count: int) -> list[int]:
    """How many arms train in each rung: half of those before, two at the end; one rung where there are two or fewer."""
    found = [count]
    while found[-1] > 2:
        found.append(max(2, (found[-1] + 1) // 2))
    return found


def steps_of(total: int, rungs: int) -> list[int]:
    """Steps that each rung ends at: the last at `total`, each of the others at half of the next, rounded up."""
    return [-(-total // (1 << (rungs - 1 - rung))) for rung in range(rungs)]


def seconds_of(paces: Sequence[Pace], total: int) -> float:
    """What all rungs take at most, whichever arms stay: in each, those that are the slowest in it. Rises with `total`."""
    counts, spent, before = arms_of(len(paces)), 0.0, 0
    for arms, steps in zip(counts, steps_of(total, len(counts)), strict=True):
        each = sorted((pace.load + pace.judge + pace.step * (steps - before) for pace in paces), reverse=True)
        spent += sum(each[:arms])
        before = steps
    return spent


def steps_within(paces: Sequence[Pace], seconds: float, most: int) -> int:
    """The greatest number of steps in the last rung, at most `most`, for which all rungs fit the time; 0 where not one does."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if seconds_of(paces, middle) <= seconds else (low, middle - 1)
    return low


def least_steps(arms: int) -> int:
    """Steps of the last rung with which the first one has as many as it needs."""
    return LEAST_STEPS * (1 << (len(arms_of(arms)) - 1))
