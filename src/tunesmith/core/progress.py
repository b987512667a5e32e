"""What long work says while it runs. The pipeline speaks, whoever called it listens: a progress bar, plain lines, nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Started:
    """A piece of work begins."""

    work: str
    """Its name, unique within a round: `prepare`, `train`, `score zero-shot`."""
    total: int | None = None
    """How many units it has, where that is known."""
    unit: str = "rows"


@dataclass(frozen=True, slots=True)
class Advanced:
    """So many units are done, counted from the start of the work."""

    work: str
    done: int
    note: str = ""
    """A few words on how it stands: `loss 1.83`."""
    seconds_left: float | None = None
    """Until its end, where the work knows better than its pace so far tells."""
    figures: Mapping[str, float] | None = None
    """What the note tells, for programs: `train_loss`, `valid_loss`."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A piece of work is done."""

    work: str
    seconds: float
    reused: bool = False
    """True where an earlier result with the same inputs was taken."""


@dataclass(frozen=True, slots=True)
class Said:
    """Something a person should know, in one line."""

    text: str
    warning: bool = False


Event = Started | Advanced | Ended | Said
Listener = Callable[[Event], None]


def silent(event: Event) -> None:
    """Listen to nothing."""
