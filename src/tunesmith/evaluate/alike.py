"""Training rows that a model takes for most alike: by the cosine of its own states, what they have in common taken off.

A language model's state is that of the prompt's last token, from which its answer is predicted; a headed model's is what its head
reads. States of one model all point much the same way, so the training rows' mean is taken off before they are compared.

Costs a forward pass over the rows. Letters: R rows, Q asked rows, D width.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from tunesmith.data.fold import fold
from tunesmith.data.settings.dedup import NearConfig
from tunesmith.models.forward import hidden_states, layout_of_rows, row_states, to_tensors
from tunesmith.models.heads import Headed
from tunesmith.tree.plan import Floats, Sequence_, plan

TOKENS_AT_ONCE = 2048
_LONGEST = 2000
"""Characters that near-duplicates are told by."""


@torch.inference_mode()
def states_of(model: nn.Module, prompts: Sequence[Sequence[int]], device: torch.device) -> Floats:
    """The state a model answers each prompt from: [R, D]."""
    trunk = model.trunk if isinstance(model, Headed) else model
    rows = [Sequence_(tuple(prompt), (0.0,) * len(prompt)) for prompt in prompts]
    parts: dict[int, Floats] = {}
    for planned in plan(rows, token_budget=TOKENS_AT_ONCE, layout=layout_of_rows(trunk)):
        tensors = to_tensors(planned, device)
        if isinstance(model, Headed):
            made = model.head.pooled(row_states(trunk, tensors), tensors.lengths_R)
        else:
            made = hidden_states(model, tensors)[torch.from_numpy(planned.last_R).to(device)]
        parts.update(zip(planned.rows_R.tolist(), made.double().cpu().numpy(), strict=True))
    return np.stack([parts[index] for index in range(len(prompts))])


def cosines(asked_QD: Floats, trained_RD: Floats) -> Floats:
    """Cosine of every asked row's state with every trained one's, about the trained rows' mean: [Q, R]."""
    mean_D = trained_RD.mean(axis=0)
    found: Floats = _unit(asked_QD - mean_D) @ _unit(trained_RD - mean_D).T
    return found


def _unit(states_ND: Floats) -> Floats:
    made: Floats = states_ND / np.maximum(np.linalg.norm(states_ND, axis=1, keepdims=True), 1e-12)
    return made


def near_duplicate(first: str, second: str) -> bool:
    """Whether two texts are near-duplicates by the rule for short texts that preparing has (`data.near.rule`); of long ones, their beginnings."""
    from rapidfuzz.distance import Levenshtein

    bound = NearConfig().edit
    return Levenshtein.normalized_similarity(fold(first)[:_LONGEST], fold(second)[:_LONGEST], score_cutoff=bound) >= bound
