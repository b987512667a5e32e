"""Answers of a task head: labels, sets of labels, numbers, tags. One forward pass, nothing generated.

Shared prompts are computed once where the architecture allows it. Letters: N prompts, C outputs of the head, R rows of a
pass, L tokens of its longest row.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from tunesmith.models.forward import layout_of_rows, row_states, to_tensors
from tunesmith.models.heads import Headed
from tunesmith.tree.plan import Floats, Pass, Sequence_, plan

Prompts = Sequence[Sequence[int]]
THRESHOLD = 0.5
"""A label of several applies from this probability on."""


def _silent(done: int) -> None:
    """Nobody is told."""


def label_probabilities(
    model: Headed, prompts: Prompts, *, device: torch.device, token_budget: int = 4096, advanced: Callable[[int], None] = _silent
) -> Floats:
    """Probability of each label for each prompt, of a `class` head: [N, C], rows sum to 1."""
    return _rows(model, prompts, device, token_budget, advanced, lambda logits_RC: torch.softmax(logits_RC, dim=-1))


def multilabel_probabilities(
    model: Headed, prompts: Prompts, *, device: torch.device, token_budget: int = 4096, advanced: Callable[[int], None] = _silent
) -> Floats:
    """Probability that each label applies to each prompt, of a `multilabel` head: [N, C], each for itself."""
    return _rows(model, prompts, device, token_budget, advanced, torch.sigmoid)


def label_set(labels: Sequence[str], chance_C: Sequence[float]) -> tuple[tuple[str, ...], float]:
    """Every label from the threshold on, in order of name, and how sure that is: as sure as of its least sure label."""
    held = tuple(sorted(label for label, chance in zip(labels, chance_C, strict=True) if chance >= THRESHOLD))
    return held, float(min((max(chance, 1 - chance) for chance in chance_C), default=1.0))


def values(
    model: Headed, prompts: Prompts, *, device: torch.device, token_budget: int = 4096, advanced: Callable[[int], None] = _silent
) -> Floats:
    """The number for each prompt, of a `regression` head, in the unit the head was saved in: [N]."""
    return _rows(model, prompts, device, token_budget, advanced, lambda values_R: values_R[:, None])[:, 0]


def tag_labels(
    model: Headed,
    prompts: Prompts,
    classes: Sequence[str],
    *,
    device: torch.device,
    token_budget: int = 4096,
    advanced: Callable[[int], None] = _silent,
) -> list[tuple[str, ...]]:
    """The likeliest tag of every token of each prompt, of a `tags` head.

    Args:
        model: the model.
        prompts: N prompts as ids.
        classes: the head's C outputs in order: `score.spans.bio_classes`.
        device: where the model is.
        token_budget: most tokens in a pass.
        advanced: told how many prompts are done.
    """
    out: list[tuple[str, ...]] = [()] * len(prompts)
    for planned, logits_RLC, done in _passes(model, prompts, device, token_budget):
        best_RL = logits_RLC.argmax(dim=-1).cpu().numpy()
        for index, length, best_L in zip(planned.rows_R, planned.lengths_R, best_RL, strict=True):
            out[index] = tuple(classes[place] for place in best_L[:length])
        advanced(done)
    return out


def _rows(
    model: Headed,
    prompts: Prompts,
    device: torch.device,
    token_budget: int,
    advanced: Callable[[int], None],
    read: Callable[[Tensor], Tensor],
) -> Floats:
    """One line of figures a prompt, [N, C]."""
    out: Floats = np.zeros((len(prompts), model.head.linear.out_features))
    for planned, outputs, done in _passes(model, prompts, device, token_budget):
        out[planned.rows_R] = read(outputs.double()).cpu().numpy()
        advanced(done)
    return out


@torch.inference_mode()
def _passes(model: Headed, prompts: Prompts, device: torch.device, token_budget: int) -> Iterator[tuple[Pass, Tensor, int]]:
    """Each pass with the head's outputs for its rows, and how many prompts are done with it."""
    rows = [Sequence_(tuple(prompt), (0.0,) * len(prompt)) for prompt in prompts]
    done = 0
    for planned in plan(rows, token_budget=token_budget, layout=layout_of_rows(model.trunk)):
        done += len(planned.rows_R)
        tensors = to_tensors(planned, device)
        yield planned, model.head(row_states(model.trunk, tensors), tensors.lengths_R), done
