"""The `objective` and `train` sections of a recipe."""

from typing import Literal

from pydantic import Field

from tunesmith.section import Section


class ObjectiveConfig(Section):
    """What is minimised."""

    name: Literal["sft", "class", "text"] | None = None
    """`sft`: next token on the answer; `class`: cross-entropy over labels (with method.head: class); `text`: next token on all of it. The task's default where absent."""


class EarlyStoppingConfig(Section):
    """When to stop before the last epoch."""

    patience: int | None = Field(default=3, ge=1)
    """Stop after this many evaluations in a row without a lower validation loss; null never stops early. The best checkpoint is kept either way."""
    minimum_gain: float = Field(default=0.0, ge=0)
    """A validation loss counts as lower when it falls by more than this."""


class TrainConfig(Section):
    """How the weights are changed."""

    epochs: float = Field(default=3.0, gt=0, le=10_000)
    """Passes over the training rows."""
    max_steps: int | None = Field(default=None, gt=0)
    """Stop after this many optimiser steps, whatever the epochs."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Peak learning rate; by method and size of the model where absent."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """Shape of the learning rate after warm-up; cosine and linear end at `final_share` of the peak."""
    warmup: float = Field(default=0.05, ge=0, lt=1)
    """Share of the steps over which the rate rises from zero."""
    final_share: float = Field(default=0.0, ge=0, le=1)
    """The rate at the last step, as a share of the peak."""
    batch_rows: int = Field(default=16, gt=0)
    """Rows an optimiser step is averaged over."""
    accumulate: int | None = Field(default=None, gt=0)
    """Divide a step into this many passes: less memory, the same update. Chosen by token budget where absent."""
    token_budget: int = Field(default=2048, gt=0)
    """Most tokens in one pass through the model; a longer single row goes alone."""
    share_prefixes: bool = True
    """Compute prompt tokens that rows of a step have in common once. Same loss, same gradient."""
    weight_by: Literal["token", "row"] = "token"
    """`token`: every supervised token counts the same; `row`: every row counts the same, however long its answer."""
    max_tokens: int | None = Field(default=None, gt=1)
    """Longest row in tokens; the model's context where absent. Longer rows lose the start of their prompt, never their answer, and are counted."""
    truncate_share: float = Field(default=0.05, ge=0, le=1)
    """Refuse to train when more than this share of rows would be truncated."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """`adamw` (Loshchilov & Hutter, 2019); `muon` (Jordan et al., 2024) for the matrices of hidden layers with AdamW for the rest."""
    betas: tuple[float, float] = (0.9, 0.95)
    """AdamW's decay rates of the two moments."""
    weight_decay: float = Field(default=0.01, ge=0)
    """Pull of matrices toward zero; norms, biases and embeddings are left out."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """The gradient is scaled down to this norm."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout inside the model where its architecture has one; above 0 rows are padded instead of sharing prompts."""
    precision: Literal["fp32", "bf16"] | None = None
    """Arithmetic of the forward pass: fp32 on CPU, bf16 on GPU where absent."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: about a third slower, much less memory."""
    evaluations_per_epoch: int = Field(default=2, ge=1)
    """How often the validation loss is measured."""
    checkpoint_minutes: float = Field(default=5.0, ge=0)
    """A checkpoint at least this often; one is also written at every evaluation. 0: after every step."""
    early_stopping: EarlyStoppingConfig = EarlyStoppingConfig()
    """When to stop before the last epoch."""
    threads: int | None = Field(default=None, gt=0)
    """CPU threads; the cores this process may use where absent."""
