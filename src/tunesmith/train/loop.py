"""The loop: state in, reports out. Whoever drives it logs, saves and decides; it knows no disk, no web, no clock but its own."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch.nn.utils import clip_grad_norm_

from tunesmith.core.errors import DivergedError
from tunesmith.train.batches import Batch, Example, Feed, lay_out
from tunesmith.train.objectives import Objective
from tunesmith.train.state import TrainState


@dataclass(frozen=True, slots=True)
class StepReport:
    """One step taken."""

    step: int
    loss: float
    """Mean over the step's weight."""
    grad_norm: float
    """Before clipping."""
    learning_rate: float
    rows_tokens: int
    """Tokens of the step's rows, one by one."""
    computed_tokens: int
    """Tokens that went through the model."""
    seconds: float


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """Validation loss after a step."""

    step: int
    loss: float
    best: bool


Report = StepReport | EvaluationReport


def take_step(state: TrainState, group: Sequence[Batch], objective: Objective) -> StepReport:
    """One update from all the batches of a group, averaged over the whole group at once: how it was split changes nothing.

    Raises:
        DivergedError: loss or gradient is not finite; the weights are as before.
    """
    started = time.perf_counter()
    weight = sum(_weight(batch) for batch in group)
    loss = torch.zeros((), device=state.device, dtype=torch.float64)
    for batch in group:
        share = objective(state.compute(batch, objective.inputs)).total / weight
        share.backward()  # type: ignore[no-untyped-call]
        loss += share.detach()
    grad_norm = clip_grad_norm_(state.trainable().values(), state.config.max_grad_norm).item()
    if not (math.isfinite(grad_norm) and math.isfinite(loss.item())):
        state.forget_gradients()
        ids = [row_id for batch in group for row_id in batch.row_ids]
        raise DivergedError(step=state.step + 1, loss=loss.item(), grad_norm=grad_norm, row_ids=ids)
    rate = state.rate(state.step + 1)
    state.advance()
    return StepReport(
        step=state.step,
        loss=loss.item(),
        grad_norm=grad_norm,
        learning_rate=rate,
        rows_tokens=sum(batch.rows_tokens for batch in group),
        computed_tokens=sum(batch.planned.tokens for batch in group),
        seconds=time.perf_counter() - started,
    )


def _weight(batch: Batch) -> float:
    return float(len(batch.labels_R)) if batch.labels_R is not None else batch.planned.weight


@torch.no_grad()
def validation_loss(state: TrainState, examples: Sequence[Example], objective: Objective, *, share: bool) -> float:
    """Mean loss over examples, without dropout; the random state is left as it was."""
    if not examples:
        return math.nan
    was_training = state.model.training
    state.model.eval()
    total, weight = 0.0, 0.0
    ordered = sorted(examples, key=lambda item: item.sequence.ids)
    rows = max(64, state.config.batch_rows)
    for start in range(0, len(ordered), rows):
        for batch in lay_out(ordered[start : start + rows], state.config, share=share):
            found = objective(state.compute(batch, objective.inputs))
            total += found.total.item()
            weight += found.weight
    state.model.train(was_training)
    return total / weight if weight else math.nan


def evaluation_steps(feed: Feed) -> frozenset[int]:
    """The steps after which validation is measured: before the first, evenly over each epoch, and at the end."""
    every = max(1, feed.steps_per_epoch // feed.config.evaluations_per_epoch)
    return frozenset([*range(0, feed.steps, every), feed.steps])


def train(state: TrainState, feed: Feed, validation: Sequence[Example], objective: Objective) -> Iterator[Report]:
    """Take the steps that are left, reporting each, until the last or until `state.progress.stopped` says why.

    A driver may save after any report: a run continued from there ends in the same weights.

    Raises:
        DivergedError: a step would leave the finite numbers, or has: the validation loss after it is not finite.
    """
    checks = evaluation_steps(feed)
    state.model.train()
    while True:
        seen = state.progress.validation
        if validation and state.step in checks and (not seen or seen[-1][0] != state.step):
            loss = validation_loss(state, validation, objective, share=feed.share)
            if not math.isfinite(loss):
                raise DivergedError(step=state.step, loss=loss, grad_norm=math.nan)
            yield EvaluationReport(state.step, loss, state.observe(loss))
        if state.step >= feed.steps or state.progress.stopped is not None:
            return
        yield take_step(state, feed.step(state.step + 1), objective)
