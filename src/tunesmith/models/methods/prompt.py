"""Prompt tuning (Lester et al., 2021): N learnt embeddings stand before every row; all weights are frozen.

Costs N tokens of every row's context, and a backward pass through the whole model. They start as embeddings of tokens
drawn from the vocabulary, which the paper finds better than random ones. They are a root that all rows share, so rows
may share a flat pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from tunesmith.models.config import MethodConfig
from tunesmith.models.forward import inner
from tunesmith.models.methods.adapters import AdapterMethod


@dataclass(frozen=True)
class Prompt(AdapterMethod):
    """Learnt embeddings. Rate: 3e-2, as in PEFT's examples; the paper's 0.3 is Adafactor's, relative to the tensor's size."""

    name: str = "prompt"
    summary: str = "prompt tuning"
    rate_factor: float = 2000.0
    most_rate: float = 3e-2

    def apply(self, model: nn.Module, config: MethodConfig, seed: int, new_ids: Sequence[int] = ()) -> nn.Module:
        """See Method.apply."""
        from peft import PromptTuningConfig, get_peft_model

        prompt = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=config.virtual_tokens, prompt_tuning_init="SAMPLE_VOCAB")
        wrapped: nn.Module = get_peft_model(inner(model), prompt)
        return wrapped
