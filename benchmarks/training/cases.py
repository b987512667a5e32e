"""The cases: what is trained, on which rows, how many steps, and what the peer is allowed to try. Standard library only."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One comparison."""

    name: str
    rows: str
    """Which rows: a name in training/rows.py."""
    kind: str = "sft"
    """sft, dpo or head: what is minimised."""
    method: str = "full"
    """full, lora, head (trunk frozen) or top2 (the two highest layers, final norm and output)."""
    batch_rows: int
    steps: int
    """Optimiser steps an epoch; with `batch_rows` they fix the number of rows."""
    epochs: int = 1
    learning_rate: float = 5e-4
    candidates: tuple[str, ...] = ("padded",)
    """Settings of the peer that are tried before its fastest is taken: names in peers/trl_side.py."""
    to_reach: float | None = None
    """The ratio that the project has set itself."""


_SFT = ("padded", "padding_free", "rebalanced_two", "rebalanced_four")
_DPO = ("reference_each_step", "reference_before", "reference_before_two", "reference_before_four")
COSTLY = ("two_passes", "loader_process", "compiled", "compiled_four", "packing", "group_by_length")
"""Tried of SFT with --probe-all: what was never the fastest, what takes longer to compile than any timed run takes (compiling
is left out of the figure), and what trains other batches (never chosen)."""

CPU = (
    Case(name="sft-shared", rows="banking77-shared", batch_rows=16, steps=18, candidates=_SFT, to_reach=4.5),
    Case(name="sft-shared-lora", rows="banking77-shared", method="lora", batch_rows=16, steps=18, learning_rate=2e-3, candidates=_SFT, to_reach=5),
    Case(name="sft-plain", rows="gsm8k", batch_rows=8, steps=14, candidates=_SFT, to_reach=1.25),
    Case(name="sft-chat", rows="dialogues", batch_rows=8, steps=10, candidates=(*_SFT, "row_a_turn"), to_reach=1.25),
    Case(name="dpo-shared", rows="banking77-pairs", kind="dpo", batch_rows=16, steps=8, learning_rate=5e-5, candidates=_DPO, to_reach=4),
    Case(name="dpo-plain", rows="hh-pairs", kind="dpo", batch_rows=8, steps=8, learning_rate=5e-5, candidates=_DPO, to_reach=1.8),
    Case(name="head-cached", rows="banking77-bare", kind="head", method="head", batch_rows=16, steps=40, epochs=10, learning_rate=1e-3, to_reach=8),
    Case(name="head-cached-shared", rows="banking77-asked", kind="head", method="head", batch_rows=16, steps=14, epochs=10, learning_rate=1e-3, to_reach=20),
    Case(name="top2-cached", rows="banking77-shared", method="top2", batch_rows=16, steps=10, epochs=5, candidates=_SFT, to_reach=6),
)  # fmt: skip
"""A Llama of about 17 million parameters in fp32 on two CPU cores."""

_GPU = ("padded", "padding_free")

CUDA = (
    Case(name="sft-shared", rows="banking77-shared", batch_rows=64, steps=20, learning_rate=1e-5, candidates=_GPU),
    Case(name="sft-shared-lora", rows="banking77-shared", method="lora", batch_rows=64, steps=20, learning_rate=1e-4, candidates=_GPU),
    Case(name="sft-plain", rows="gsm8k", batch_rows=32, steps=20, learning_rate=1e-5, candidates=_GPU),
    Case(name="sft-plain-lora", rows="gsm8k", method="lora", batch_rows=32, steps=20, learning_rate=1e-4, candidates=_GPU),
    Case(name="sft-chat", rows="dialogues", batch_rows=32, steps=20, learning_rate=1e-5, candidates=_GPU),
)
"""A Llama of 1.2 billion parameters in bf16 on one GPU."""

MOST_TOKENS = 1024
"""Longer rows are left out, on both sides: nothing is truncated."""
CONTEXT = 2048
SEED = 0


def shape(device: str) -> dict[str, int]:
    """The model's measures, as LlamaConfig names them; the vocabulary on CPU is the embedded tokenizer's."""
    if device == "cuda":
        return {
            "vocab_size": 128_256,
            "hidden_size": 2048,
            "intermediate_size": 8192,
            "num_hidden_layers": 16,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
        }
    return {
        "vocab_size": 4096,
        "hidden_size": 384,
        "intermediate_size": 1024,
        "num_hidden_layers": 8,
        "num_attention_heads": 6,
        "num_key_value_heads": 6,
    }
