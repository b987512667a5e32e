"""Fixtures every floor's tests may use: real data where it lies beside the checkout, and a base small enough for seconds."""

import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent.parent

# The same examples on every run, so that a change is judged by what it changed. HYPOTHESIS_PROFILE=searching draws new
# ones, ten times as many: run it by hand, and keep what it finds as an @example.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("searching", max_examples=1000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Public data sets laid beside the checkout; tests that need them skip where they are absent."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the public data sets in {folder.name}/ beside the checkout")
    return folder


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of 2 layers and width 32 with the embedded tokenizer, as a folder."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from tunesmith.embedded import base_path

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("base") / "tiny"
    config = LlamaConfig(
        vocab_size=4096,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=2,
        pad_token_id=3,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(base_path() / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def colour_rows() -> list[dict[str, str]]:
    """240 rows of three classes that a tiny model can learn: the colour named in a sentence."""
    things = [
        "car",
        "house",
        "boat",
        "shirt",
        "door",
        "cup",
        "chair",
        "hat",
        "lamp",
        "book",
        "bag",
        "coat",
        "fence",
        "wall",
        "bike",
        "plate",
    ]
    openings = ["I want a", "Please send the", "We sold one", "She painted her", "They lost my"]
    colours = ["red", "green", "blue"]
    return [{"text": f"{opening} {colour} {thing}", "label": colour} for thing in things for opening in openings for colour in colours]


@pytest.fixture(scope="session")
def colour_file(tmp_path_factory: pytest.TempPathFactory, colour_rows: list[dict[str, str]]) -> Path:
    """The colour rows as JSONL."""
    path = tmp_path_factory.mktemp("rows") / "colours.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in colour_rows))
    return path
