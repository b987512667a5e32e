"""The model that both sides serve: the Llama of benchmarks/training with random weights, which never ends an answer by itself."""

import json
from pathlib import Path

import torch
from training.cases import CONTEXT
from training.model import write_model
from transformers import AutoTokenizer, LlamaForCausalLM

from tunesmith.embedded import base_path
from tunesmith.models.package import Bundle, save_model


def write_served(folder: Path) -> int:
    """Write `folder/model`, for our gateway and for transformers; returns its parameters.

    The output row of every token that ends an answer or is a control token is zero, and so its logit, which is never the greatest of
    4096 random ones: all answers are as long as was asked for.
    """
    parameters = write_model(folder, "cpu")["parameters"]
    tokenizer = AutoTokenizer.from_pretrained(base_path())
    model = LlamaForCausalLM.from_pretrained(folder / "model", dtype=torch.float32)
    with torch.no_grad():
        model.get_output_embeddings().weight[sorted(set(tokenizer.all_special_ids))] = 0.0
    save_model(folder / "model", model, tokenizer, Bundle(task="generate", method="full", max_tokens=CONTEXT))
    settings = folder / "model" / "generation_config.json"
    told = json.loads(settings.read_text(encoding="utf-8")) if settings.is_file() else {}
    settings.write_text(json.dumps(told | {"do_sample": False}), encoding="utf-8")
    return parameters
