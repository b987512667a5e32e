"""What an objective is given: read off the model for one pass. One function for each kind of inputs, named in the table.

Letters: S supervised tokens, P pairs, R rows, M sequences (slots), K figures of a token.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tunesmith.models.forward import Reader, log_probabilities
from tunesmith.train.batches import Batch
from tunesmith.train.objectives import Objective
from tunesmith.train.objectives.distribution import forward_kl, reverse_kl
from tunesmith.train.objectives.inputs import (
    JudgedInputs,
    LabelInputs,
    MultiLabelInputs,
    PairInputs,
    TagInputs,
    TokenInputs,
    ValueInputs,
)

if TYPE_CHECKING:
    from tunesmith.train.state import TrainState


@dataclass(frozen=True, slots=True)
class Read:
    """What one pass gives."""

    inputs: Any
    """The dataclass of the objective's kind."""
    base_kl: Tensor | None = None
    """Sum over supervised tokens of weight x KL(base || model), where the recipe pulls toward the base."""


def read(state: "TrainState", batch: Batch, objective: Objective, baseline: Tensor | None = None) -> Read:
    """Run the model over a pass and read what the objective asks for. `baseline`: KTO's, of the whole step."""
    return _TABLE[objective.inputs](state, batch, objective, baseline)


def weight_of(batch: Batch, objective: Objective) -> float:
    """What the pass adds to the divisor of its step; known before anything runs."""
    return batch.planned.weight if objective.inputs == "tokens" else sum(member.weight for member in batch.members)


@dataclass(frozen=True, slots=True)
class _Figures:
    """Figures of each supervised token; None where not asked for."""

    logps_S: Tensor
    mean_logps_S: Tensor | None
    divergence_S: Tensor | None
    base_kl_S: Tensor | None


def _figures(state: "TrainState", batch: Batch, objective: Objective) -> _Figures:
    """All the figures that the objective and the pull toward the base want, from one look at the logits."""
    needs = objective.needs
    readers: list[tuple[str, Reader]] = [("logps", log_probabilities)]
    if "mean_logps" in needs:
        readers.append(("mean", _mean_logps))
    if needs & {"forward_kl", "reverse_kl"}:
        readers.append(("divergence", _divergence(objective)))
    pull = state.config.regularise.kl > 0 and state.model.training
    if pull:
        readers.append(("base", _base_kl))
    against_other = bool(pull or needs & {"forward_kl", "reverse_kl"})

    def all_of(logits_PV: Tensor, place_S: Tensor, target_S: Tensor, other_PV: Tensor | None) -> Tensor:
        return torch.cat([reader(logits_PV, place_S, target_S, other_PV) for _, reader in readers], dim=1)

    made_SK = state.read_tokens(batch, all_of if len(readers) > 1 else log_probabilities, against_other=against_other)
    columns = {name: made_SK[:, place] for place, (name, _) in enumerate(readers)}
    return _Figures(columns["logps"], columns.get("mean"), columns.get("divergence"), columns.get("base"))


def _mean_logps(logits_PV: Tensor, place_S: Tensor, target_S: Tensor, other_PV: Tensor | None) -> Tensor:
    mean_P = logits_PV.mean(dim=-1) - torch.logsumexp(logits_PV, dim=-1)
    return mean_P[place_S][:, None]


def _divergence(objective: Any) -> Reader:
    kl = forward_kl if "forward_kl" in objective.needs else reverse_kl

    def read_divergence(logits_PV: Tensor, place_S: Tensor, target_S: Tensor, other_PV: Tensor | None) -> Tensor:
        assert other_PV is not None
        return kl(*_common(logits_PV, other_PV), objective.temperature)[place_S][:, None]

    return read_divergence


def _base_kl(logits_PV: Tensor, place_S: Tensor, target_S: Tensor, other_PV: Tensor | None) -> Tensor:
    assert other_PV is not None
    return forward_kl(*_common(logits_PV, other_PV), 1.0)[place_S][:, None]


def _common(ours_PV: Tensor, theirs_PV: Tensor) -> tuple[Tensor, Tensor]:
    """Both over the tokens that both have: embeddings are padded to round numbers, more in larger models of a family."""
    width = min(ours_PV.shape[1], theirs_PV.shape[1])
    return ours_PV[:, :width], theirs_PV[:, :width]


def _pulled(figures: _Figures, weight_S: Tensor) -> Tensor | None:
    return None if figures.base_kl_S is None else (figures.base_kl_S * weight_S).sum()


def _tokens(state: "TrainState", batch: Batch, objective: Objective, baseline: Tensor | None) -> Read:
    figures = _figures(state, batch, objective)
    weight_S = state.tensor(batch.planned.weight_S, figures.logps_S.dtype)
    unwanted = None
    if not all(member.wanted for member in batch.members):
        unwanted = state.tensor([not member.wanted for member in batch.members])[state.tensor(batch.slot_S)]
    inputs = TokenInputs(
        figures.logps_S, weight_S, unwanted_S=unwanted, mean_logps_S=figures.mean_logps_S, divergence_S=figures.divergence_S
    )
    return Read(inputs, _pulled(figures, weight_S))


def _sums(batch: Batch, logps_S: Tensor, state: "TrainState") -> tuple[Tensor, Tensor]:
    """Summed log-probability of each slot's answer, and how many tokens that is: [M], [M]. Token weights play no part."""
    slot_S = state.tensor(batch.slot_S)
    zeros_M = logps_S.new_zeros(len(batch.slot_R))
    return zeros_M.index_add(0, slot_S, logps_S), zeros_M.index_add(0, slot_S, torch.ones_like(logps_S))


def _pairs(state: "TrainState", batch: Batch, objective: Objective, baseline: Tensor | None) -> Read:
    figures = _figures(state, batch, objective)
    sums_M, counts_M = _sums(batch, figures.logps_S, state)
    sums_P2, counts_P2 = sums_M.view(-1, 2), counts_M.view(-1, 2)
    reference_P2 = None
    if "reference" in objective.needs:
        reference_P2 = state.tensor([member.reference for member in batch.members], sums_M.dtype)
    inputs = PairInputs(
        chosen_P=sums_P2[:, 0],
        rejected_P=sums_P2[:, 1],
        chosen_tokens_P=counts_P2[:, 0],
        rejected_tokens_P=counts_P2[:, 1],
        reference_chosen_P=None if reference_P2 is None else reference_P2[:, 0],
        reference_rejected_P=None if reference_P2 is None else reference_P2[:, 1],
        weight_P=_weights(state, batch, sums_M.dtype),
    )
    return Read(inputs, _pulled(figures, torch.ones_like(figures.logps_S)))


def _judged(state: "TrainState", batch: Batch, objective: Objective, baseline: Tensor | None) -> Read:
    figures = _figures(state, batch, objective)
    sums_R, counts_R = _sums(batch, figures.logps_S, state)
    inputs = JudgedInputs(
        logps_R=sums_R,
        reference_R=state.tensor([member.reference[0] for member in batch.members], sums_R.dtype),
        desirable_R=state.tensor([member.wanted for member in batch.members]),
        tokens_R=counts_R,
        weight_R=_weights(state, batch, sums_R.dtype),
        baseline=sums_R.new_zeros(()) if baseline is None else baseline,
    )
    return Read(inputs, _pulled(figures, torch.ones_like(figures.logps_S)))


def _weights(state: "TrainState", batch: Batch, dtype: torch.dtype) -> Tensor:
    return state.tensor([member.weight for member in batch.members], dtype)


def _labels(state: "TrainState", batch: Batch, objective: Objective, baseline: Tensor | None) -> Read:
    logits_RC = state.head_outputs(batch)
    label_R = state.tensor([member.target for member in batch.members])
    return Read(LabelInputs(logits_RC, label_R, _weights(state, batch, logits_RC.dtype)))


def _multilabels(state: "TrainState", batch: Batch, objective: Objective, baseline: Tensor | None) -> Read:
    logits_RC = state.head_outputs(batch)
    target_RC = state.tensor([member.target for member in batch.members], logits_RC.dtype)
    return Read(MultiLabelInputs(logits_RC, target_RC, _weights(state, batch, logits_RC.dtype)))


def _values(state: "TrainState", batch: Batch, objective: Objective, baseline: Tensor | None) -> Read:
    value_R = state.head_outputs(batch)
    target_R = state.tensor([member.target for member in batch.members], value_R.dtype)
    return Read(ValueInputs(value_R, target_R, _weights(state, batch, value_R.dtype)))


def _tags(state: "TrainState", batch: Batch, objective: Objective, baseline: Tensor | None) -> Read:
    """A row's weight is divided among its tagged tokens, so that rows count the same however long."""
    logits_RLC = state.head_outputs(batch)
    rows = [row for row, member in enumerate(batch.members) for _ in member.target]
    pairs: Sequence[tuple[int, int]] = [pair for member in batch.members for pair in member.target]
    places, tags = [place for place, _ in pairs], [tag for _, tag in pairs]
    each = [member.weight / len(member.target) for member in batch.members for _ in member.target]
    chosen_SC = logits_RLC[state.tensor(rows), state.tensor(places)]
    return Read(TagInputs(chosen_SC, state.tensor(tags), state.tensor(each, chosen_SC.dtype)))


_TABLE: dict[str, Callable[["TrainState", Batch, Objective, Tensor | None], Read]] = {
    "tokens": _tokens,
    "pairs": _pairs,
    "judged": _judged,
    "labels": _labels,
    "multilabels": _multilabels,
    "values": _values,
    "tags": _tags,
}
