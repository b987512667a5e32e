"""Generate answers greedily, in batches of prompts of like length."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from transformers import GenerationConfig

from tunesmith.models.forward import inner


@torch.inference_mode()
def generate(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    *,
    end_ids: Sequence[int],
    max_new_tokens: int,
    device: torch.device,
    batch_tokens: int = 8192,
    advanced: Callable[[int], None] = lambda done: None,
) -> list[list[int]]:
    """Greedy continuations, without their prompts, in the order of `prompts`; the end token is included where it came.

    Args:
        model: a causal language model in evaluation mode.
        prompts: N prompts as ids.
        end_ids: ids that end an answer.
        max_new_tokens: most ids of an answer.
        device: where the model is.
        batch_tokens: most tokens, answers included, held at once.
        advanced: told how many prompts are done.
    """
    language_model: Any = inner(model)
    neutral: Any = GenerationConfig
    own, language_model.generation_config = language_model.generation_config, neutral()  # a base may bring penalties of its own
    try:
        return _generate(language_model, prompts, tuple(end_ids), max_new_tokens, device, batch_tokens, advanced)
    finally:
        language_model.generation_config = own


def _generate(
    language_model: Any,
    prompts: Sequence[Sequence[int]],
    end_ids: tuple[int, ...],
    max_new_tokens: int,
    device: torch.device,
    batch_tokens: int,
    advanced: Callable[[int], None],
) -> list[list[int]]:
    pad = end_ids[0]
    out: list[list[int]] = [[] for _ in prompts]
    done = 0
    for group in _groups(prompts, max_new_tokens, batch_tokens):
        width = max(len(prompts[index]) for index in group)
        ids = torch.full((len(group), width), pad, dtype=torch.long)
        real = torch.zeros_like(ids)
        for line, index in enumerate(group):
            ids[line, width - len(prompts[index]) :] = torch.tensor(prompts[index])
            real[line, width - len(prompts[index]) :] = 1
        made = language_model.generate(
            input_ids=ids.to(device),
            attention_mask=real.to(device),
            max_new_tokens=max_new_tokens,
            do_sample=False,
            num_beams=1,
            eos_token_id=list(end_ids),
            pad_token_id=pad,
            use_cache=True,
        )
        for line, index in enumerate(group):
            out[index] = _until_end(made[line, width:].tolist(), end_ids)
        done += len(group)
        advanced(done)
    return out


def _groups(prompts: Sequence[Sequence[int]], max_new_tokens: int, batch_tokens: int) -> list[list[int]]:
    """Prompts of like length together, so that little is padding."""
    groups: list[list[int]] = []
    for index in sorted(range(len(prompts)), key=lambda index: (-len(prompts[index]), index)):
        if groups and (len(prompts[groups[-1][0]]) + max_new_tokens) * (len(groups[-1]) + 1) <= batch_tokens:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def _until_end(ids: list[int], end_ids: Sequence[int]) -> list[int]:
    for place, token in enumerate(ids):
        if token in end_ids:
            return ids[: place + 1]
    return ids
