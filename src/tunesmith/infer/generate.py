"""Generate answers greedily, in batches of prompts of like length."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from transformers import GenerationConfig

from tunesmith.models.forward import inner
from tunesmith.models.virtual import prefix_cache, virtual_states, virtual_tokens


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
        return _generate(model, prompts, tuple(end_ids), max_new_tokens, device, batch_tokens, advanced)
    finally:
        language_model.generation_config = own


def _generate(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    end_ids: tuple[int, ...],
    max_new_tokens: int,
    device: torch.device,
    batch_tokens: int,
    advanced: Callable[[int], None],
) -> list[list[int]]:
    language_model: Any = inner(model)
    pad = end_ids[0]
    out: list[list[int]] = [[] for _ in prompts]
    done = 0
    for group in _groups(model, prompts, max_new_tokens, batch_tokens):
        start = _start(model, [prompts[index] for index in group], pad, device)
        made = language_model.generate(
            **start,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            num_beams=1,
            eos_token_id=list(end_ids),
            pad_token_id=pad,
            use_cache=True,
        )
        width = start["input_ids"].shape[1] if "input_ids" in start else 0
        for line, index in enumerate(group):
            out[index] = _until_end(made[line, width:].tolist(), end_ids)
        done += len(group)
        advanced(done)
    return out


def _start(model: nn.Module, prompts: Sequence[Sequence[int]], pad: int, device: torch.device) -> dict[str, Any]:
    """What generation starts from: prompts padded on the left, virtual tokens right before them.

    Prompt tuning's are embeddings among embeddings; prefix tuning's are a past, whose places `pad` holds among the ids.
    """
    virtual = virtual_tokens(model)
    width = virtual + max(map(len, prompts))
    ids = torch.full((len(prompts), width), pad, dtype=torch.long)
    real = torch.zeros_like(ids)
    for line, prompt in enumerate(prompts):
        ids[line, width - len(prompt) :] = torch.tensor(prompt)
        real[line, width - len(prompt) - virtual :] = 1
    ids, real = ids.to(device), real.to(device)
    states = virtual_states(model)
    if states is None:
        past = prefix_cache(model, len(prompts))
        return {"input_ids": ids, "attention_mask": real} | ({} if past is None else {"past_key_values": past})
    embedded = inner(model).get_input_embeddings()(ids)
    for line, prompt in enumerate(prompts):
        embedded[line, width - len(prompt) - virtual : width - len(prompt)] = states
    return {"inputs_embeds": embedded, "attention_mask": real}


def _groups(model: nn.Module, prompts: Sequence[Sequence[int]], max_new_tokens: int, batch_tokens: int) -> list[list[int]]:
    """Prompts of like length together, so that little is padding; of the same length where a past stands before them."""
    virtual, alike = virtual_tokens(model), prefix_cache(model, 1) is not None
    groups: list[list[int]] = []
    for index in sorted(range(len(prompts)), key=lambda index: (-len(prompts[index]), index)):
        longest = len(prompts[groups[-1][0]]) if groups else 0
        fits = groups and (virtual + longest + max_new_tokens) * (len(groups[-1]) + 1) <= batch_tokens
        if fits and (not alike or len(prompts[index]) == longest):
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def _until_end(ids: list[int], end_ids: Sequence[int]) -> list[int]:
    for place, token in enumerate(ids):
        if token in end_ids:
            return ids[: place + 1]
    return ids
