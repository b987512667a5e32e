"""Which training rows taught an answer: TracIn over checkpoints, last layer (Pruthi et al., 2020, section 3.2 and 4.1).

The influence of training row z on a prediction z' is the sum over checkpoints of rate * grad l(z) . grad l(z'), the gradients those
of the output layer or the head: how much a step on z lowered the loss of what was answered. Above 0 the row pushed toward that
answer, below 0 against it. The gradient of the layer is a sum over tokens of error times state, so that of two rows is a sum over
pairs of tokens of (state . state') (error . error'), and no gradient is ever made.

A layer tied to the embeddings is taken as the output layer alone. Where a method freezes it, as adapters do, its gradient still
tells which rows asked the same of the same states; the optimiser's own scaling is left out, as in the paper.

Costs a forward pass over the rows for each checkpoint; memory for the errors of the asked rows' tokens.

Letters: S tokens (of a head: rows), D width, V outputs, R rows, Q asked rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tunesmith.models.forward import LOGITS_AT_ONCE, hidden_states, inner, layout_of_rows, row_states, shaped, to_tensors
from tunesmith.models.heads import Headed
from tunesmith.train.batches import Example
from tunesmith.tree.plan import plan

TOKENS_AT_ONCE = 1024
HEADS = ("class", "multilabel", "regression")
"""Heads whose rows can be told apart by one error."""


@dataclass(frozen=True, slots=True)
class Factors:
    """The last layer's gradients of some rows, as what they are products of."""

    state_SD: Tensor
    """What the layer is given; where it has a bias, with a 1 at the end."""
    error_SV: Tensor
    """What the loss asks of what it gives, times the token's weight."""
    row_S: Tensor
    """The row each belongs to, as an index into the rows."""

    def products(self, other: "Factors") -> Tensor:
        """State times state and error times error of every pair of tokens: [S, S']."""
        return (self.state_SD @ other.state_SD.T) * (self.error_SV @ other.error_SV.T)


def influences(model: nn.Module, rows: Sequence[Example], asked: Sequence[Example], device: torch.device) -> tuple[Tensor, Tensor]:
    """Gradient products at one checkpoint: of every row with every asked one [R, Q], and of every row with itself [R]; in float64.

    Args:
        model: at that checkpoint, in evaluation mode.
        rows: training rows, as they are trained on; the first sequence of each counts.
        asked: what was answered, as if it were to be trained on.
        device: where the model is.
    """
    found_RQ = torch.zeros(len(rows), len(asked), dtype=torch.float64)
    self_R = torch.zeros(len(rows), dtype=torch.float64)
    theirs = _joined(list(factors(model, asked, device)))
    for own in factors(model, rows, device):
        rows_S = own.row_S.cpu()
        if theirs is not None:
            by_row = torch.zeros(len(own.row_S), len(asked), dtype=torch.float64)
            by_row.index_add_(1, theirs.row_S.cpu(), own.products(theirs).double().cpu())
            found_RQ.index_add_(0, rows_S, by_row)
        same = own.row_S[:, None] == own.row_S[None]
        self_R.index_add_(0, rows_S, (own.products(own) * same).sum(1).double().cpu())
    return found_RQ, self_R


def _joined(parts: Sequence[Factors]) -> Factors | None:
    if not parts:
        return None
    return Factors(*(torch.cat([getattr(part, name) for part in parts]) for name in ("state_SD", "error_SV", "row_S")))


def factors(model: nn.Module, rows: Sequence[Example], device: torch.device) -> Iterator[Factors]:
    """The last layer's gradients of rows, pass by pass; a row's tokens stay in one."""
    trunk = model.trunk if isinstance(model, Headed) else model
    sequences = [row.sequence for row in rows]
    for planned in plan(sequences, token_budget=TOKENS_AT_ONCE, layout=layout_of_rows(trunk)) if rows else ():
        tensors = to_tensors(planned, device)
        with torch.no_grad():
            if isinstance(model, Headed):
                states = model.head.pooled(row_states(trunk, tensors), tensors.lengths_R).to(model.head.linear.weight.dtype)
                own = [rows[index] for index in planned.rows_R]
                error = _head_errors(model, states, own)
                yield Factors(_with_one(states, model.head.linear), error, torch.from_numpy(planned.rows_R).to(device))
                continue
            states = hidden_states(model, tensors, read=tensors.from_P)[tensors.place_S]
        error = _token_errors(model, states, tensors.target_S) * tensors.weight_S.to(states.dtype)[:, None]
        layer: Any = inner(model)
        yield Factors(_with_one(states, layer.get_output_embeddings()), error, tensors.row_S)


def _with_one(states_SD: Tensor, layer: nn.Module) -> Tensor:
    return states_SD if getattr(layer, "bias", None) is None else F.pad(states_SD, (0, 1), value=1.0)


def _token_errors(model: nn.Module, states_SD: Tensor, target_S: Tensor) -> Tensor:
    """Gradient of each token's -log p with respect to what the output layer gives, before any scale or cap: [S, V]."""
    language_model: Any = inner(model)
    layer = language_model.get_output_embeddings()
    most = max(1, LOGITS_AT_ONCE // layer.weight.shape[0])
    parts: list[Tensor] = []
    for start in range(0, len(states_SD), most):
        given = layer(states_SD[start : start + most]).detach().requires_grad_()
        with torch.enable_grad():
            logits = shaped(language_model.config, given.double() if given.dtype == torch.float64 else given.float())
            loss = F.cross_entropy(logits, target_S[start : start + most], reduction="sum")
            parts.append(torch.autograd.grad(loss, given)[0])
    return torch.cat(parts) if parts else states_SD.new_zeros(0, layer.weight.shape[0])


def _head_errors(model: Headed, states_RD: Tensor, rows: Sequence[Example]) -> Tensor:
    """Gradient of each row's loss, as in training without class weights, with respect to what the head's linear layer gives: [R, C]."""
    head = model.head
    given = head.linear(states_RD).detach().requires_grad_()
    targets: Any = [row.target for row in rows]
    with torch.enable_grad():
        if head.kind == "class":
            loss_R = F.cross_entropy(given, torch.tensor(targets, device=given.device), reduction="none")
        elif head.kind == "multilabel":
            wanted_RC = torch.tensor(targets, dtype=given.dtype, device=given.device)
            loss_R = F.binary_cross_entropy_with_logits(given, wanted_RC, reduction="none").mean(-1)
        else:
            value_R = given.squeeze(-1) * head.spread + head.mean
            loss_R = (value_R - torch.tensor(targets, dtype=given.dtype, device=given.device)).square()
        weight_R = torch.tensor([row.weight for row in rows], dtype=given.dtype, device=given.device)
        error_RC: Tensor = torch.autograd.grad((loss_R * weight_R).sum(), given)[0]
        return error_RC
