"""Personal data found by a model of a folder: a real token classifier, loaded from safetensors, finds what its weights say."""

from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForTokenClassification

from tunesmith.core.errors import RecipeError
from tunesmith.embedded import base_path
from tunesmith.models.config import BaseConfig
from tunesmith.models.load import load_base
from tunesmith.pipeline.handed import handed_to
from tunesmith.pipeline.workspace import Workspace
from tunesmith.recipe import Recipe


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that takes every word for a part of a name."""
    folder = tmp_path_factory.mktemp("classifier")
    tokenizer = load_base(BaseConfig(path=str(base_path())), seed=0).tokenizer
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
        id2label={0: "O", 1: "I-PER"}, label2id={"O": 0, "I-PER": 1}, pad_token_id=3,
    )  # fmt: skip
    model = LlamaForTokenClassification(config)
    with torch.no_grad():
        model.score.weight.zero_()
        model.score.bias.copy_(torch.tensor([0.0, 5.0]))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def recipe(model: Path) -> Recipe:
    return Recipe.model_validate({"data": {"path": "sample", "anonymise": {"model": str(model)}}})


def test_it_finds_what_the_model_says(classifier: Path, tmp_path: Path) -> None:
    find = handed_to(recipe(classifier), Workspace(tmp_path)).recogniser
    assert find is not None
    (one,), (other,) = find(["Ada came late", "so did Bo"])
    assert (one.start, one.end, one.kind) == (0, len("Ada came late"), "person")
    assert (other.start, other.end, other.kind) == (0, len("so did Bo"), "person")


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"config\.json"):
        handed_to(recipe(tmp_path), Workspace(tmp_path))
