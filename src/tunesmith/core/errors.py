"""The errors a person may meet, as one small tree; each carries the exit code of the command that ends in it.

    TunesmithError
    ├── RecipeError    2  the recipe or the call is wrong
    ├── DataError      3  the data can't serve it
    ├── MachineError   3  the machine can't serve it (memory, disk, hub, permissions)
    │   └── BusyError  3  another process works on the same round
    ├── DivergedError  3  training left the finite numbers, and lower rates did not help
    └── GateError      4  a gate said no

A message gives the value, the rule and the next move, in one sentence or two.
"""

import math
from collections.abc import Iterable
from difflib import get_close_matches


class TunesmithError(Exception):
    """Root of every error that is not a bug. `exit_code` is what the command line returns for it."""

    exit_code = 1


class RecipeError(TunesmithError):
    """The recipe, or the call, is wrong."""

    exit_code = 2


class DataError(TunesmithError):
    """The rows can't serve what was asked of them."""

    exit_code = 3


class MachineError(TunesmithError):
    """Memory, disk, permissions, or a hub out of reach."""

    exit_code = 3


class BusyError(MachineError):
    """Another process holds the round."""


class DivergedError(TunesmithError):
    """A step would have taken the weights out of the finite numbers; it was not taken.

    Attributes:
        step: the step that was refused, counted from 1.
        loss: the loss of that step (may be nan or inf).
        grad_norm: the gradient norm before clipping (may be nan or inf).
        row_ids: the rows of that step.
    """

    exit_code = 3

    def __init__(self, *, step: int, loss: float, grad_norm: float, row_ids: Iterable[str] = ()) -> None:
        self.step, self.loss, self.grad_norm, self.row_ids = step, loss, grad_norm, tuple(row_ids)
        rows = ", ".join(self.row_ids[:4]) + (" ..." if len(self.row_ids) > 4 else "")
        super().__init__(
            f"step {step} was refused: loss {loss:g}, gradient norm {grad_norm:g}"
            + (f", rows {rows}" if rows else "")
            + (
                ". No weight had changed yet, so no rate helps: look at the size of targets, row weights and objective.beta."
                if self.before_any_update
                else ". Lower train.learning_rate, or look at those rows."
            )
        )

    @property
    def before_any_update(self) -> bool:
        """The loss was not finite before a single weight had changed: going back or slowing down can't help."""
        first = self.step == 0 or (self.step == 1 and bool(self.row_ids))  # a validation after step 1 names no rows
        return first and not math.isfinite(self.loss)


class GateError(TunesmithError):
    """A gate of the recipe does not hold."""

    exit_code = 4


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` for the nearest known name, else the list of known names, as a sentence to append."""
    known = sorted(known)
    near = get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return f" Did you mean '{near[0]}'?"
    return f" Known: {', '.join(known)}." if known else ""
