"""What is generated for many prompts at once is what is generated for each alone, token for token, whatever the architecture."""

from types import ModuleType
from typing import Any

import pytest
import torch

from tunesmith.infer.generate import Wanted, answers, generate
from tunesmith.infer.sampling import Sampling

CPU = torch.device("cpu")
NAMES = (
    "llama", "llama, tied", "qwen2", "qwen3", "qwen3, mixed", "qwen3_moe", "mixtral", "mistral", "gemma", "gemma2", "gemma3_text", "phi",
    "phi3, sliding", "gpt2", "gpt_neox", "olmo2", "olmo3", "smollm3", "starcoder2", "stablelm", "granite", "cohere", "cohere2", "bloom",
    "falcon", "falcon, rotary",
)  # fmt: skip
STEM = list(range(3, 23))
PROMPTS = [[*STEM, 30, 31, 32, 33, 34, 35, 36], [*STEM, 40], [*STEM[:12], 50, 51], [*STEM, 40], [*STEM, 30, 31], [5]]


def alone(model: Any, prompt: list[int], most: int) -> list[int]:
    """By definition: the likeliest next token, one after the other, nothing kept from step to step."""
    ids = list(prompt)
    with torch.no_grad():
        while len(ids) < len(prompt) + most and (ids == prompt or ids[-1] != 1):
            ids.append(int(model(torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
    return ids[len(prompt) :]


@pytest.mark.parametrize("name", NAMES)
def test_prompts_that_share_their_beginning_answer_as_each_alone(architectures: ModuleType, name: str) -> None:
    model = architectures.build(name)
    expected = [alone(model, prompt, 9) for prompt in PROMPTS]
    assert generate(model, PROMPTS[:5], end_ids=[1], max_new_tokens=9, device=CPU) == expected[:5]
    assert generate(model, PROMPTS, end_ids=[1], max_new_tokens=9, device=CPU) == expected
    assert len({tuple(one) for one in expected}) > 2


@pytest.mark.parametrize("name", ["llama", "mistral", "gemma3_text", "bloom"])
def test_draws_do_not_hang_on_who_shares_the_batch(architectures: ModuleType, name: str) -> None:
    model = architectures.build(name)
    wanted = Wanted(end_ids=(1,), max_new_tokens=9, sampling=Sampling(temperature=1.0, seed=4, samples=3), logps=True)
    together = answers(model, PROMPTS, wanted, device=CPU)
    for prompt, found in zip(PROMPTS, together, strict=True):
        (single,) = answers(model, [prompt], wanted, device=CPU)
        assert [one.made for one in single] == [one.made for one in found]
        for left, right in zip(single, found, strict=True):
            assert left.logps == pytest.approx(right.logps, abs=1e-4)
    assert len({one.made for one in together[0]}) == 3


def test_a_model_that_keeps_a_state_instead_of_keys_answers_as_each_alone() -> None:
    from transformers import MambaConfig, MambaForCausalLM

    torch.manual_seed(0)
    config = MambaConfig(vocab_size=61, hidden_size=16, state_size=4, num_hidden_layers=2, initializer_range=0.3, eos_token_id=1)
    model = MambaForCausalLM(config).eval()
    assert generate(model, PROMPTS[:4], end_ids=[1], max_new_tokens=5, device=CPU) == [alone(model, one, 5) for one in PROMPTS[:4]]
