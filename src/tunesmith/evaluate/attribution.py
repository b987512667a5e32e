"""Which words of a row's text moved an answer: integrated gradients over the embeddings (Sundararajan et al., 2017, eq. 1), by captum.

What is explained is one number: how far the answer leads over another, in log-probability or in a head's logit. The path goes in a
straight line from the row with its text blanked to the row as it is; instruction, template and other turns stand as they are in
both, so they have no share, and the words' values add up to what the text changed (completeness, proposition 1). That sum is
checked: where it is missed, steps are doubled, and a row that misses it still is told to be not attributable.

A blanked token is the mean of the embeddings of the tokens that training texts hold. A padding token's embedding means whatever
was left there, and zero is no place for a model that divides by the length of what it is given.

Costs a forward and a backward pass for each step, twice that where two answers are compared.

Letters: B points of the path, T tokens of the prompt, A tokens of an answer, D width, V vocabulary.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tunesmith.core.errors import DataError, MachineError
from tunesmith.evaluate.explain_config import ExplainConfig
from tunesmith.models.embedded import embed, states_of_embedded
from tunesmith.models.forward import project
from tunesmith.models.heads import Headed

DOUBLINGS = 3
"""Steps are doubled at most so often."""
TOKENS_AT_ONCE = 4096
"""Of all points of the path that go through the model together."""

Aim = Callable[[Tensor], Tensor]
"""Embeddings of a prompt [B, T, D] to the number that is explained: [B]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributed:
    """What each token did."""

    value_T: tuple[float, ...]
    """0 for tokens that are no part of the text."""
    blank: float
    """The number where the text is blanked."""
    whole: float
    """The number where it is not."""
    missed: float
    """How far the values miss `whole - blank`, as a share of it; infinite where the text changes nothing."""
    steps: int


def require_captum() -> None:
    """Raise MachineError where captum can't be imported."""
    try:
        import captum.attr  # noqa: F401
    except ImportError as error:
        raise MachineError(
            "evaluate.explain needs captum, which is not installed: pip install 'tunesmith[explain]', or set evaluate.explain.enabled: false."
        ) from error


def answer_lead(model: nn.Module, answer: Sequence[int], other: Sequence[int] | None) -> Aim:
    """Log-probability of an answer's ids, less that of another's where there is one."""

    def aim(prompt_BTD: Tensor) -> Tensor:
        own_B = _logp(model, prompt_BTD, answer)
        return own_B if other is None else own_B - _logp(model, prompt_BTD, other)

    return aim


def _logp(model: nn.Module, prompt_BTD: Tensor, answer: Sequence[int]) -> Tensor:
    rows, tokens = prompt_BTD.shape[:2]
    ids_A = torch.tensor(answer, device=prompt_BTD.device)
    embedded_AD = embed(model, ids_A[None])[0].detach()[: len(answer) - 1]
    whole = torch.cat([prompt_BTD, embedded_AD.expand(rows, *embedded_AD.shape)], dim=1)
    states_BAD = states_of_embedded(model, whole)[:, tokens - 1 :]
    logits = project(model, states_BAD.reshape(-1, states_BAD.shape[-1]))
    return -F.cross_entropy(logits, ids_A.repeat(rows), reduction="none").view(rows, -1).sum(1)


def head_lead(model: Headed, output: int, other: int | None) -> Aim:
    """A head's output (a logit, or the value of a regression head), less another output where there is one."""

    def aim(prompt_BTD: Tensor) -> Tensor:
        states = states_of_embedded(model.trunk, prompt_BTD)
        lengths_B = torch.full((len(states),), states.shape[1], device=states.device)
        outputs = model.head(states, lengths_B)
        if outputs.dim() == 1:
            return torch.as_tensor(outputs)
        return torch.as_tensor(outputs[:, output] if other is None else outputs[:, output] - outputs[:, other])

    return aim


def mean_embedding(model: nn.Module, texts: Sequence[Sequence[int]], device: torch.device) -> Tensor:
    """The mean embedding of all the tokens of some texts: [D]. DataError where they hold none."""
    counts: dict[int, int] = {}
    for ids in texts:
        for token in ids:
            counts[token] = counts.get(token, 0) + 1
    if not counts:
        raise DataError("The training rows hold no text that could stand for a blank: leave evaluate.explain off.")
    with torch.no_grad():
        weights = torch.tensor(list(counts.values()), dtype=torch.float64, device=device)
        rows = embed(model, torch.tensor([list(counts)], device=device))[0]
        found = (weights / weights.sum()) @ rows.double()
        return found.to(rows.dtype)


def attribute(model: nn.Module, aim: Aim, ids: Sequence[int], inside: Sequence[bool], blank_D: Tensor, config: ExplainConfig) -> Attributed:
    """What each token of a prompt did, from its text blanked to the text as it is.

    Args:
        model: the language model, in evaluation mode; of a headed one, its trunk.
        aim: the number that is explained.
        ids: T ids of the prompt.
        inside: T marks of the tokens that are the row's text.
        blank_D: what stands for a blanked token.
        config: steps and tolerance.
    """
    from captum.attr import IntegratedGradients

    device = blank_D.device
    with torch.no_grad():
        whole = embed(model, torch.tensor([list(ids)], device=device))
        marks = torch.tensor(list(inside), device=device)[None, :, None]
        blank = torch.where(marks, blank_D.to(whole.dtype), whole)
        ends = aim(torch.cat([blank, whole])).double().tolist()
    change = ends[1] - ends[0]
    at_once = max(1, TOKENS_AT_ONCE // len(ids))
    method: Any = IntegratedGradients(aim)
    steps, value_T, missed = config.steps, torch.zeros(len(ids), dtype=torch.float64), math.inf
    for doubled in range(DOUBLINGS + 1):
        steps = config.steps << doubled
        found: Tensor = method.attribute(whole, baselines=blank, n_steps=steps, internal_batch_size=at_once)
        value_T = found.detach().double().sum(-1)[0].cpu()
        missed = abs(value_T.sum().item() - change) / abs(change) if change else math.inf
        if missed <= config.tolerance or not math.isfinite(change):
            break
    return Attributed(value_T=tuple(value_T.tolist()), blank=ends[0], whole=ends[1], missed=missed, steps=steps)
