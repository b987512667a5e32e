"""How many worked examples are worth trying: doubled while that helps."""

from collections.abc import Callable

PATIENCE = 2
"""So many doublings in a row without a gain, and no more are tried."""


def double_while_it_helps(attempt: Callable[[int], float | None], better: Callable[[float, float], bool], *, most: int) -> list[int]:
    """Try 1, 2, 4, ... examples and return the numbers tried.

    It ends after `PATIENCE` doublings in a row that brought nothing better than fewer examples did, where an attempt says None, and
    beyond `most`. What no example at all brings is no yardstick: one or two are often worse than none and more of them better.

    Args:
        attempt: the value that so many examples bring; None where there are not so many, or they don't fit.
        better: whether the first value is better than the second.
        most: no more examples than this.
    """
    tried: list[int] = []
    best: float | None = None
    idle, k = 0, 1
    while k <= most and idle < PATIENCE:
        value = attempt(k)
        if value is None:
            break
        tried.append(k)
        gained = best is None or better(value, best)
        best, idle = (value, 0) if gained else (best, idle + 1)
        k *= 2
    return tried
