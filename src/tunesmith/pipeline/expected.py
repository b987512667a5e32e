"""What a round is expected to take, as a value, and how it is said."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tunesmith.pipeline.probing import Clock, Probed
from tunesmith.recipe.machine import Machine
from tunesmith.train.watch import duration

ERROR = 0.25
"""How far memory by arithmetic alone may be off: a run is stopped only where it would not fit with so much less."""
GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a round is expected to take. What is not known is None."""

    machine: Machine
    memory: int
    """Bytes at the peak of the training's process, libraries included; of one GPU's own memory."""
    parts: Mapping[str, int]
    """Bytes by part; they sum to `memory`."""
    limit: int
    """Bytes there are."""
    fits: bool
    advice: str | None
    """What would make it fit, in a sentence; None where it fits."""
    stages: Mapping[str, float | None]
    """Wall seconds of prepare, train and evaluate; of these only train is more than a rough figure."""
    training: Clock | None
    """Processor and wall seconds of the training."""
    steps: int
    tokens: int
    """That training puts through the model."""
    tokens_in_rows: int
    """Those of its rows one by one, without what they share."""
    watts: float | None
    energy_wh: float | None
    price_hour: float | None
    money: float | None
    probe: Probed | None
    """None: by arithmetic alone."""
    notes: tuple[str, ...]
    """What is assumed, and what a person should know, a sentence each."""

    @property
    def seconds(self) -> float | None:
        """Wall seconds of the whole round."""
        known = [taken for taken in self.stages.values() if taken is not None]
        return sum(known) if len(known) == len(self.stages) else None

    @property
    def surely_too_large(self) -> bool:
        """Whether it would not fit even if the figure is off by as much as it may be: by nothing where a probe measured it, or ran out."""
        probe = self.probe
        sure = probe is not None and (probe.killed_at is not None or self.machine.device == "cpu")
        margin = 1.0 if sure else 1 - ERROR
        return not self.fits and self.memory * margin > self.limit

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return {
            "machine": asdict(self.machine),
            "memory": self.memory,
            "parts": dict(self.parts),
            "limit": self.limit,
            "fits": self.fits,
            "advice": self.advice,
            "seconds": self.seconds,
            "stages": dict(self.stages),
            "training_cpu_seconds": None if self.training is None else self.training.cpu,
            "steps": self.steps,
            "tokens": self.tokens,
            "tokens_in_rows": self.tokens_in_rows,
            "watts": self.watts,
            "energy_wh": self.energy_wh,
            "price_hour": self.price_hour,
            "money": self.money,
            "probed": self.probe is not None,
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What an hour costs and what the machine draws, where somebody says so."""

    price_hour: float | None = None
    watts: float | None = None


def refusal(found: Estimate) -> str:
    """Why a round can't be begun, in a sentence."""
    sizes = f"needs about {found.memory / GIB:.1f} GiB, and {found.machine.name} has {found.limit / GIB:.1f} GiB for it"
    return f"This training {sizes}: {found.advice}"


def line(found: Estimate) -> str:
    """`Expected: 12 min of training, 1.3 GiB of memory, 1.2 million tokens.`"""
    how = "" if found.probe is not None else " by arithmetic"
    taken = "an unknown time" if found.training is None else f"about {duration(found.training.wall)}"
    tokens = f"{found.tokens:,} tokens in {found.steps:,} steps"
    room = "" if found.fits else f", and {found.limit / GIB:.1f} GiB may be used: {found.advice}"
    return f"Expected{how}: {taken} of training, {found.memory / GIB:.1f} GiB of memory, {tokens}{room or '.'}"
