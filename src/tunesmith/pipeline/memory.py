"""How much memory there is, how much a run will take at least, and whether the kernel killed for want of it."""

from dataclasses import dataclass
from pathlib import Path

from tunesmith.core.errors import MachineError
from tunesmith.recipe.cost import Learning, optimizer_bytes
from tunesmith.recipe.machine import memory_limit, own_groups

__all__ = ["Need", "memory_kills", "memory_limit", "need_of", "refuse_without_memory"]


def memory_kills() -> dict[str, int]:
    """How often the kernel has killed for want of memory: in this process's own control group, else on the whole machine.

    By counter, one at most; empty where neither is told.
    """
    for file in (*(group / "memory.events" for group in own_groups()), Path("/proc/vmstat")):
        try:
            lines = file.read_text().splitlines()
        except OSError:
            continue
        counts = dict(line.split()[:2] for line in lines if len(line.split()) >= 2)
        if "oom_kill" in counts:
            return {str(file): int(counts["oom_kill"])}
    return {}


@dataclass(frozen=True, slots=True)
class Need:
    """What a run holds at least, in bytes."""

    weights: int
    learning: int
    """Gradients, the optimiser's state and copies of what learns."""
    activations: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.learning + self.activations


def need_of(
    *, parameters: int, trainable: int, optimizer: str, weight_bytes: int, tokens: int, width: int, layers: int, checkpointing: bool
) -> Need:
    """A lower bound from counts alone.

    Activations: a layer keeps about 16 numbers a token and width for its backward pass (its inputs, queries, keys,
    values, the attention's output, and the wide middle of the feed-forward part), 1 where they are recomputed.
    """
    kept = 1 if checkpointing else 16
    copies = 4 + 4 if weight_bytes < 4 else 0  # a float32 copy of narrow weights, and its gradient
    state = optimizer_bytes(optimizer, Learning(numbers=trainable, hidden=trainable))  # the least: which are matrices is not known here
    learning = trainable * (weight_bytes + copies) + state
    return Need(parameters * weight_bytes, learning, tokens * width * layers * kept * 4)


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f}"


def refuse_without_memory(need: Need, limit: int, *, budget: int) -> None:
    """MachineError where a run can't fit the memory this process may use, with the change that would make it fit."""
    if need.total <= limit:
        return
    parts = f"weights {_gib(need.weights)}, gradients and optimiser {_gib(need.learning)}, activations {_gib(need.activations)}"
    sizes = f"needs at least {_gib(need.total)} GiB ({parts}), and {_gib(limit)} GiB may be used here"
    if need.weights + need.learning <= limit:
        raise MachineError(f"Training {sizes}: lower train.token_budget from {budget}, or set train.gradient_checkpointing: true.")
    if need.weights <= limit and need.learning > need.weights // 4:
        raise MachineError(f"Training {sizes}: set method.name: lora, or take a smaller base.")
    raise MachineError(f"Training {sizes}: take a smaller base, or a machine with more memory.")
