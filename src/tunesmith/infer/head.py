"""Answers of a classification head."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from tunesmith.models.adapt import Classifier
from tunesmith.models.forward import to_tensors
from tunesmith.tree.plan import Floats, Sequence_, plan


@torch.inference_mode()
def label_probabilities(
    model: Classifier,
    prompts: Sequence[Sequence[int]],
    *,
    device: torch.device,
    token_budget: int = 4096,
    advanced: Callable[[int], None] = lambda done: None,
) -> Floats:
    """Probability of each label for each prompt: [N, C]."""
    rows = [Sequence_(tuple(prompt), (0.0,) * len(prompt)) for prompt in prompts]
    out: Floats = np.zeros((len(prompts), model.head.linear.out_features))
    done = 0
    for planned in plan(rows, token_budget=token_budget, share=False):
        logits = model.label_logits(to_tensors(planned, device)).double()
        out[planned.rows_R] = torch.softmax(logits, dim=-1).cpu().numpy()
        done += len(planned.rows_R)
        advanced(done)
    return out
