"""Score choices under prompts: the sum of log-probabilities of a choice's ids, end of answer included."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from tunesmith.models.forward import layout_of_rows, takes_tree, to_tensors, token_logps
from tunesmith.tree.choices import build_trie, plan_choices
from tunesmith.tree.plan import Floats, Pass, Sequence_, plan, shared_length

LOOK_BACK = 2048
"""Tokens of a pass beyond what all its prompts share, at least: fewer would spend a pass on what is shared."""
SHARE = 7
"""Of a pass, what its prompts do not share is this many times what they share, or more: worked examples are long, and are
computed once a pass."""
MOST_TOKENS = 16384
"""Tokens of a pass, if one prompt does not take more: states grow with them."""


@torch.inference_mode()
def score_choices(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    choices: Sequence[Sequence[int]],
    *,
    device: torch.device,
    advanced: Callable[[int], None] = lambda done: None,
) -> Floats:
    """Log-probability of every choice under every prompt.

    Args:
        model: a causal language model in evaluation mode.
        prompts: N prompts as ids.
        choices: C choices as ids, each ended by its end token.
        device: where the model is.
        advanced: told how many prompts are done.

    Returns:
        [N, C] natural log-probabilities.
    """
    if not prompts:
        return np.zeros((0, len(choices)))
    distinct = {tuple(prompt): 0 for prompt in prompts}
    unique = list(distinct)
    for index, prompt in enumerate(unique):
        distinct[prompt] = index
    out = np.full(len(unique) * len(choices), np.nan)
    done = 0
    for planned in _passes(model, unique, choices):
        logps = token_logps(model, to_tensors(planned, device)).double().cpu().numpy()
        rows, inverse = np.unique(planned.row_S, return_inverse=True)
        out[rows] = np.bincount(inverse.reshape(-1), weights=logps)
        done += len(rows)
        advanced(min(len(prompts), done * len(prompts) // out.size))
    scores = out.reshape(len(unique), len(choices))
    return scores[[distinct[tuple(prompt)] for prompt in prompts]]


def _passes(model: nn.Module, prompts: list[tuple[int, ...]], choices: Sequence[Sequence[int]]) -> list[Pass]:
    """Tree passes where the architecture takes them, plain ones where not."""
    if takes_tree(model):
        trie = build_trie(choices)
        longest = max(len(prompt) for prompt in prompts) + len(trie.ids_N)
        return plan_choices(prompts, trie, token_budget=_budget(prompts, longest))
    rows = [Sequence_((*prompt, *choice), (0.0,) * len(prompt) + (1.0,) * len(choice)) for prompt in prompts for choice in choices]
    return plan(rows, token_budget=4096, layout="padded")


def _budget(rows: Sequence[tuple[int, ...]], longest: int) -> int:
    """Tokens of a pass: room for the longest row, and so many beside what all rows share that sharing it pays."""
    shared = shared_length(min(rows), max(rows))
    return shared + max(min(max(LOOK_BACK, SHARE * shared), MOST_TOKENS), longest - shared)


@dataclass(frozen=True, slots=True)
class Scale:
    """How scores of choices are made comparable before the best is taken; all are exact sums of log-probabilities first."""

    name: str
    divisor_C: Floats
    offset_C: Floats

    def __call__(self, scores_NC: Floats) -> Floats:
        """Scaled scores, [N, C]."""
        scaled: Floats = scores_NC / self.divisor_C - self.offset_C
        return scaled


def scales(scores_NC: Floats, lengths_C: Floats) -> list[Scale]:
    """The ways to scale, from scores on rows whose answers are not looked at.

    `sum`: as it is. `per token`: divided by each choice's tokens, so that long choices are not held back. `less prior`:
    less what each choice gets on average over the rows, so that a choice that is merely common in the model's world
    does not win (batch calibration: Zhou et al., 2023).
    """
    ones, zeros = np.ones_like(lengths_C), np.zeros_like(lengths_C)
    logs_NC = np.log(np.maximum(probabilities(scores_NC), 1e-30))
    prior_C = logs_NC.mean(axis=0)
    return [Scale("sum", ones, zeros), Scale("per token", lengths_C, zeros), Scale("less prior", ones, prior_C)]


def probabilities(scores_NC: Floats) -> Floats:
    """Softmax over the choices: the default confidence. [N, C], rows sum to 1."""
    shifted = scores_NC - scores_NC.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    result: Floats = exponentials / exponentials.sum(axis=1, keepdims=True)
    return result


@torch.inference_mode()
def row_logps(
    model: nn.Module, rows: Sequence[Sequence_], *, device: torch.device, token_budget: int | None = None, rows_at_once: int = 64
) -> tuple[Floats, Floats]:
    """Sum of log-probabilities of each row's supervised tokens, and how many there are: [R], [R]. For perplexity.

    Args:
        model: a causal language model in evaluation mode.
        rows: what is measured; what neighbours in sorted order share is computed once a pass.
        device: where the model is.
        token_budget: most tokens in a pass; where absent, as many as make what is shared a small part of it.
        rows_at_once: rows that are planned together.
    """
    layout = layout_of_rows(model)
    sums, counts = np.zeros(len(rows)), np.zeros(len(rows))
    order = sorted(range(len(rows)), key=lambda index: rows[index].ids)
    for start in range(0, len(rows), rows_at_once):
        chosen = order[start : start + rows_at_once]
        some = [rows[index] for index in chosen]
        budget = token_budget or (_budget([row.ids for row in some], 0) if layout == "tree" else LOOK_BACK)
        for planned in plan(some, token_budget=budget, layout=layout):
            logps = token_logps(model, to_tensors(planned, device)).double().cpu().numpy()
            places = np.array(chosen)[planned.row_S]
            np.add.at(sums, places, logps)
            np.add.at(counts, places, 1.0)
    return sums, counts


def perplexity(sums: Floats, counts: Floats) -> float:
    """exp of the mean negative log-probability per token."""
    return math.exp(-sums.sum() / counts.sum()) if counts.sum() else math.nan
