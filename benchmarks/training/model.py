"""The model of the comparison: a Llama with random weights, written once and loaded by both sides."""

from pathlib import Path

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification

from training.cases import CONTEXT, SEED, shape
from tunesmith.embedded import base_path


def write_model(folder: Path, device: str) -> dict[str, int]:
    """Write `folder/model`, with the embedded base's tokenizer beside it."""
    tokenizer = AutoTokenizer.from_pretrained(base_path())
    config = LlamaConfig(
        **shape(device),
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=device == "cuda",
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    torch.manual_seed(SEED)
    model = LlamaForCausalLM(config)
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    return {"parameters": sum(p.numel() for p in model.parameters())}


def write_classifier(folder: Path, labels: int) -> None:
    """Write `folder/classifier-LABELS`: the same trunk with a linear head on the last token, where it is not there yet."""
    place = folder / f"classifier-{labels}"
    if place.exists():
        return
    torch.manual_seed(SEED)
    model = LlamaForSequenceClassification.from_pretrained(folder / "model", num_labels=labels, dtype=torch.float32)
    model.score.weight.data.normal_(0, 0.02)
    model.save_pretrained(place)
    AutoTokenizer.from_pretrained(folder / "model").save_pretrained(place)
