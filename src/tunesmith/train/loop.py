"""The loop: state in, reports out. Whoever drives it logs, saves and decides; it knows no disk, no web, no clock but its own."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from tunesmith.core.errors import DivergedError, MachineError
from tunesmith.models.forward import log_probabilities
from tunesmith.score.prediction import Prediction
from tunesmith.train.batches import Batch, Example, Feed, batches_of, lay_out
from tunesmith.train.choosing import answers
from tunesmith.train.objectives import Objective
from tunesmith.train.objectives.kto import kto_baseline
from tunesmith.train.reading import read, weight_of
from tunesmith.train.state import TrainState, row_ids
from tunesmith.tree.plan import Layout

MOST_HALVINGS = 6
"""Tokens of a pass are halved at most so often for want of memory."""


@dataclass(frozen=True, slots=True)
class StepReport:
    """One step taken."""

    step: int
    loss: float
    """Mean over the step's weight, without regularisers."""
    grad_norm: float
    """Before clipping."""
    learning_rate: float
    rows: int
    rows_tokens: int
    """Tokens of the step's rows, one by one."""
    computed_tokens: int
    """Tokens that went through the model."""
    supervised_tokens: int
    seconds: float
    halvings: int = 0
    """How often the tokens of a pass were halved so far, for want of memory."""
    flops: float = 0.0
    """Operations that the model's arithmetic takes (train/flops.py); 0 where they can't be counted."""


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """Validation after a step."""

    step: int
    loss: float
    best: bool
    """Whether this is the step to keep, of those so far."""
    seconds: float = 0.0
    value: float | None = None
    """Of the measure that decides which step is kept; None where the loss does."""


Report = StepReport | EvaluationReport


def take_step(state: TrainState, group: Sequence[Batch], objective: Objective) -> StepReport:
    """One update from all the batches of a group, averaged over the whole group at once: how it was split changes nothing.

    Raises:
        DivergedError: loss or gradient is not finite; the weights are as before.
    """
    started = time.perf_counter()
    weight = sum(weight_of(batch, objective) for batch in group)
    kl_share = state.config.regularise.kl / max(1e-12, _kl_weight(group, objective))
    baseline = _baseline(state, group, objective)
    loss = torch.zeros((), device=state.device, dtype=torch.float64)
    for batch in group:
        found = read(state, batch, objective, baseline)
        share = objective(found.inputs).total / weight
        whole = share if found.base_kl is None else share + kl_share * found.base_kl
        whole.backward()  # type: ignore[no-untyped-call]
        loss += share.detach()
    if state.extras.pull is not None:
        state.extras.pull.add_gradient(state.trainable())
    grad_norm = clip_grad_norm_([p for p in state.trainable().values() if p.grad is not None], state.config.max_grad_norm).item()
    if not (math.isfinite(grad_norm) and math.isfinite(loss.item())):
        state.forget_gradients()
        raise DivergedError(step=state.step + 1, loss=loss.item(), grad_norm=grad_norm, row_ids=row_ids(group))
    rate = state.rate(state.step + 1)
    flops = state.flops([batch.planned for batch in group])
    state.advance()
    return StepReport(
        step=state.step,
        loss=loss.item(),
        grad_norm=grad_norm,
        learning_rate=rate,
        rows=sum(len(batch.members) for batch in group),
        rows_tokens=sum(batch.rows_tokens for batch in group),
        computed_tokens=sum(batch.planned.tokens for batch in group),
        supervised_tokens=sum(len(batch.planned.target_S) for batch in group),
        seconds=time.perf_counter() - started,
        halvings=state.progress.halvings,
        flops=flops,
    )


def _kl_weight(group: Sequence[Batch], objective: Objective) -> float:
    """What the divergence from the base is averaged over: supervised tokens, weighed where the objective weighs them."""
    if objective.inputs == "tokens":
        return sum(batch.planned.weight for batch in group)
    return float(sum(len(batch.planned.target_S) for batch in group))


def _baseline(state: TrainState, group: Sequence[Batch], objective: Objective) -> Tensor | None:
    """KTO's reference point, over the whole step at once and without gradient, so that how the step is divided changes nothing."""
    if objective.inputs != "judged":
        return None
    members = [member for batch in group for member in batch.members if member.contrast is not None]
    rows = [Example(member.row_id, (member.contrast,)) for member in members if member.contrast is not None]
    layout: Layout = "tree" if group[0].planned.ends_T is not None else "padded"
    sums: dict[str, float] = {}
    with torch.no_grad():
        for batch in batches_of(rows, max(1, state.config.token_budget >> state.progress.halvings), layout):
            logps_S = state.read_tokens(batch, log_probabilities)[:, 0]
            sums_M = logps_S.new_zeros(len(batch.slot_R)).index_add(0, state.tensor(batch.slot_S), logps_S)
            sums.update(zip(batch.row_ids, sums_M.tolist(), strict=True))
    found = state.tensor([sums[row.row_id] for row in rows], torch.float32)
    return kto_baseline(found, state.tensor([member.contrast_reference for member in members], torch.float32))


@dataclass(frozen=True, slots=True)
class Validation:
    """What a validation pass says."""

    loss: float
    """Mean over the examples' weight; nan of none."""
    value: float | None = None
    """Of `state.extras.measure`; None where there is none."""


def validation(state: TrainState, examples: Sequence[Example], objective: Objective, *, layout: Layout) -> Validation:
    """Loss, and measure where one is asked for, over examples, without dropout; the random state is left as it was."""
    if not examples:
        return Validation(math.nan)
    total, weight = 0.0, 0.0
    measure, answered = state.extras.measure, list[Prediction]()
    ordered = sorted(examples, key=lambda item: item.sequence.ids)
    rows = max(64, state.config.batch_rows)
    with state.judged():
        for start in range(0, len(ordered), rows):
            group = lay_out(ordered[start : start + rows], state.config, layout=layout, halvings=state.progress.halvings)
            baseline = _baseline(state, group, objective)
            for batch in group:
                inputs = read(state, batch, objective, baseline).inputs
                total += objective(inputs).total.item()
                weight += weight_of(batch, objective)
                answered += answers(inputs, batch.row_ids) if measure is not None else ()
    return Validation(total / weight if weight else math.nan, measure.of(answered) if measure is not None and answered else None)


def evaluation_steps(feed: Feed) -> frozenset[int]:
    """The steps after which validation is measured: before the first, evenly over each epoch, and at the end."""
    every = max(1, feed.steps_per_epoch // feed.config.evaluations_per_epoch)
    return frozenset([*range(0, feed.steps, every), feed.steps])


Made = TypeVar("Made")


def within_memory(state: TrainState, attempt: Callable[[], Made], what: str) -> Made:
    """What the attempt makes; where a GPU's memory runs out, again in passes of half as many tokens, from the same random state.

    Raises:
        MachineError: it does not fit however it is divided; `what` is named.
    """
    while True:
        random = state.random_state()
        try:
            return attempt()
        except torch.OutOfMemoryError as error:
            state.forget_gradients()
            if state.progress.halvings >= MOST_HALVINGS:
                tokens = max(1, state.config.token_budget >> state.progress.halvings)
                raise MachineError(
                    f"{what} does not fit the GPU's memory even in passes of {tokens} tokens: "
                    "set train.gradient_checkpointing: true, a smaller train.max_tokens, or method.name: lora."
                ) from error
            state.progress.halvings += 1
            state.set_random_state(random)
        torch.cuda.empty_cache()  # outside the handler: the error holds the tensors of the pass that failed


def next_step(state: TrainState, feed: Feed, objective: Objective) -> StepReport:
    """The step after those taken, divided as memory asks; its rows are the same however it is divided."""
    return within_memory(
        state, lambda: take_step(state, feed.step(state.step + 1, halvings=state.progress.halvings), objective), f"Step {state.step + 1}"
    )


def train(state: TrainState, feed: Feed, examples: Sequence[Example], objective: Objective) -> Iterator[Report]:
    """Take the steps that are left, reporting each, until the last or until `state.progress.stopped` says why.

    A driver may save after any report: a run continued from there ends in the same weights. `examples`: validation's.

    Raises:
        DivergedError: a step would leave the finite numbers, or has: the validation loss after it is not finite.
        MachineError: a step does not fit the GPU's memory however it is divided.
    """
    checks = evaluation_steps(feed)
    state.model.train()
    while True:
        seen = state.progress.validation
        if examples and state.step in checks and (not seen or seen[-1][0] != state.step):
            started = time.perf_counter()
            found = within_memory(state, lambda: validation(state, examples, objective, layout=feed.layout), "Validation")
            if not math.isfinite(found.loss):
                raise DivergedError(step=state.step, loss=found.loss, grad_norm=math.nan)
            best = state.observe(found.loss, found.value)
            yield EvaluationReport(state.step, found.loss, best, time.perf_counter() - started, found.value)
        if state.step >= feed.steps or state.progress.stopped is not None:
            return
        yield next_step(state, feed, objective)
