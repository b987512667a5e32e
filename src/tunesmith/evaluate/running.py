"""Answers to many items in an order that shares work, with progress told, and what one answer takes when it is asked alone."""

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import torch

from tunesmith.core.progress import Advanced, Ended, Listener, Started

TIMED = 7
"""Items answered once more, alone, to tell what an answer takes."""
ROWS_AT_ONCE = 128
"""Items answered between two reports of progress; sorted, so that neighbours share their prompts."""

Item = TypeVar("Item")
Made = TypeVar("Made")


def answer_all(
    items: Sequence[Item],
    some: Callable[[Sequence[Item]], Sequence[Made]],
    *,
    key: Callable[[Item], Any],
    work: str,
    listen: Listener,
    timed: Callable[[Sequence[Item]], object] | None = None,
) -> tuple[list[Made], float]:
    """What is made of each item, in their order, and the median seconds of one alone.

    Args:
        items: what is to be answered.
        some: answers some of them, in their order.
        key: sorts items so that neighbours share most.
        work: what it is called in progress.
        listen: told of it.
        timed: what is timed in place of `some`, where that does more than answer.
    """
    started = time.monotonic()
    listen(Started(work, len(items)))
    order = sorted(range(len(items)), key=lambda index: key(items[index]))
    made: dict[int, Made] = {}
    for start in range(0, len(items), ROWS_AT_ONCE):
        chosen = order[start : start + ROWS_AT_ONCE]
        made.update(zip(chosen, some([items[index] for index in chosen]), strict=True))
        listen(Advanced(work, len(made)))
    each = seconds_alone([items[index] for index in order], timed or some)
    listen(Ended(work, time.monotonic() - started))
    return [made[index] for index in range(len(items))], each


def seconds_alone(items: Sequence[Item], some: Callable[[Sequence[Item]], object]) -> float:
    """Median time of an answer to one item asked alone, over a few spread evenly: in a batch, shared prompts cost nothing."""
    times: list[float] = []
    for place in np.linspace(0, len(items) - 1, min(TIMED, len(items))).astype(int) if items else ():
        started = time.perf_counter()
        some([items[place]])
        times.append(time.perf_counter() - started)
    return float(np.median(times)) if times else 0.0


def arithmetic(device: torch.device, precision: str) -> torch.autocast:
    """The forward pass's precision, as a context."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
