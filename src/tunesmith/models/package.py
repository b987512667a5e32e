"""A fine-tuned model as a folder: safetensors, tokenizer with its template, and what it needs to answer as it was evaluated.

`tunesmith.json` holds task, labels, instruction, length and method. A LoRA is kept as a PEFT adapter, a full model as
transformers keeps it, so other tools read both.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from tunesmith.core.errors import MachineError
from tunesmith.core.files import read_json, write_json
from tunesmith.models.adapt import Classifier
from tunesmith.models.config import BaseConfig
from tunesmith.models.load import load_base

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What a model needs beside its weights to answer as it was evaluated."""

    task: str
    method: str
    max_tokens: int
    labels: tuple[str, ...] | None = None
    label_texts: dict[str, str] = field(default_factory=dict)
    """Label -> what is written for it."""
    instruction: str | None = None
    max_new_tokens: int = 128
    base: dict[str, Any] = field(default_factory=dict)
    """The `base` section of the recipe, resolved."""
    head: bool = False
    schema: int = SCHEMA


def save_model(folder: Path, model: nn.Module, tokenizer: PreTrainedTokenizerBase, bundle: Bundle) -> None:
    """Write a model into an existing empty folder (a temporary one: the caller makes it whole or absent)."""
    trunk: Any = model.trunk if isinstance(model, Classifier) else model
    trunk.save_pretrained(folder, safe_serialization=True)
    if isinstance(model, Classifier):
        save_file({name: tensor.contiguous() for name, tensor in model.head.state_dict().items()}, folder / "head.safetensors")
    tokenizer.save_pretrained(folder)
    write_json(folder / "tunesmith.json", asdict(bundle))


def load_bundle(folder: Path) -> Bundle:
    """What stands in `tunesmith.json`. Raises MachineError where it is missing, damaged or of another schema."""
    values = read_json(folder / "tunesmith.json")
    if not isinstance(values, dict) or values.get("schema") != SCHEMA:
        raise MachineError(f"{folder} was not written by this version of tunesmith (schema {SCHEMA}): make the model again.")
    if values["labels"] is not None:
        values["labels"] = tuple(values["labels"])
    return Bundle(**values)


def load_model(folder: Path) -> tuple[nn.Module, PreTrainedTokenizerBase, Bundle]:
    """Load a saved model in evaluation mode, ready to answer as it was evaluated."""
    bundle = load_bundle(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if bundle.method == "lora":
        from peft import PeftModel

        trunk: nn.Module = PeftModel.from_pretrained(load_base(BaseConfig(**bundle.base)).model, str(folder))
    else:
        trunk = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True, dtype=getattr(torch, bundle.base["dtype"]))
    if not bundle.head:
        return trunk.eval(), tokenizer, bundle
    assert bundle.labels is not None
    model = Classifier(trunk, len(bundle.labels))
    model.head.load_state_dict(load_file(folder / "head.safetensors"))
    return model.eval(), tokenizer, bundle
