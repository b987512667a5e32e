"""What would make a run fit that doesn't: changes of the recipe, tried by arithmetic in the order in which they cost people something."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from tunesmith.recipe.cost import CPU_BUFFERS, CPU_LIBRARIES, CUDA_CONTEXT, Plan

GIB = 2**30
FEWEST_TOKENS = 64
SHORTEST_ROW = 128
Change = tuple[str, Plan]
"""A change as a recipe states it, and the run with it."""


def fitting(plan: Plan, limit: int, *, factor: float = 1.0) -> str | None:
    """The first change that would make it fit, with what it would then hold; several together where no single one does.

    Args:
        plan: the run that doesn't fit.
        limit: bytes there are.
        factor: measured over calculated, where a probe has been.

    Returns:
        The beginning of a sentence, `train.token_budget: 256 would fit (6.1 GiB of 8.0)`; None where no change would do.
    """
    for named, changed in changes(plan):
        size = round(changed.memory().total * factor)
        if size <= limit:
            return f"{named} would fit ({size / GIB:.1f} GiB of {limit / GIB:.1f})"
    return None


def least(plan: Plan, *, factor: float = 1.0) -> tuple[str, int, int]:
    """What helps most: the change as a recipe states it, nothing where none helps, its bytes, and those of them that no base changes."""
    every = [("", plan), *changes(plan)]
    named, smallest = min(every, key=lambda one: one[1].memory().total)
    fixed = (CPU_LIBRARIES + CPU_BUFFERS if plan.device == "cpu" else CUDA_CONTEXT) + smallest.memory().rows
    return named, round(smallest.memory().total * factor), fixed


def changes(plan: Plan) -> Iterator[Change]:
    """What could be changed: first what leaves the update as it is, then rows and copies, then how weights are held, then the method."""
    budgets = list(_halved(plan.load.tokens, max(FEWEST_TOKENS, plan.load.longest)))
    smallest = budgets[-1] if budgets else plan.token_budget
    for budget in budgets:
        yield f"train.token_budget: {budget}", plan.within(budget)
    recomputed = [] if plan.checkpointing or plan.learning.lowest >= plan.architecture.layers else [replace(plan, checkpointing=True)]
    for again in recomputed:
        yield "train.gradient_checkpointing: true", again
        yield f"train.gradient_checkpointing: true with train.token_budget: {smallest}", again.within(smallest)
    for most in _halved(plan.load.longest, SHORTEST_ROW):
        yield f"train.max_tokens: {most} with train.token_budget: {most}", plan.cut(most)
    for name in plan.copies:
        yield f"doing without {name}", replace(plan, copies=_without(plan.copies, name))
    if plan.weight_bytes == 4:
        yield "base.dtype: bfloat16", plan.halved()
    yield from _other_methods(plan, smallest)


def _other_methods(plan: Plan, budget: int) -> Iterator[Change]:
    """Adapters instead of weights, and all that helps together."""
    whole = plan.method in ("full", "layers")
    by_lora, named = (plan.by_lora(), "method.name: lora") if whole else (plan, "")
    if whole:
        yield named, by_lora
        yield f"{named} with train.token_budget: {budget}", by_lora.within(budget)
    together = [named] if whole else []
    together += ["base.dtype: bfloat16"] if plan.weight_bytes == 4 else []
    yield _listed([*together, f"train.token_budget: {budget}"]), by_lora.halved().within(budget)
    if not plan.checkpointing:
        every = replace(by_lora, checkpointing=True).halved().within(budget)
        yield _listed([*together, "train.gradient_checkpointing: true", f"train.token_budget: {budget}"]), every


def _listed(settings: list[str]) -> str:
    return settings[0] if len(settings) == 1 else f"{', '.join(settings[:-1])} and {settings[-1]} together"


def _halved(value: int, least: int) -> Iterator[int]:
    """Powers of two below a value, down to a least."""
    power = 1 << max(0, value - 1).bit_length()
    while power > least:
        power //= 2
        if power < value:
            yield max(power, least)


def _without(copies: Mapping[str, int], name: str) -> dict[str, int]:
    return {one: size for one, size in copies.items() if one != name}
