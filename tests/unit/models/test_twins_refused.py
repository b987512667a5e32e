"""A twin of a round is nobody's model: no loader takes it unasked, and no recipe trains on from it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tunesmith.core.errors import RecipeError
from tunesmith.models.config import BaseConfig
from tunesmith.models.load import load_base, resolve_base
from tunesmith.models.package import Bundle, load_bundle, load_model, save_model

BUNDLE = Bundle(task="generate", method="full", max_tokens=64)


@pytest.fixture
def twin(tiny_base: Path, tmp_path: Path) -> Path:
    """A tiny model saved as a twin."""
    loaded = load_base(BaseConfig(path=str(tiny_base)))
    save_model(tmp_path, loaded.model, loaded.tokenizer, replace(BUNDLE, twin="seed 2"))
    return tmp_path


def test_only_who_asks_for_twins_is_given_one(twin: Path) -> None:
    with pytest.raises(RecipeError, match=r"holds a twin of a round \(seed 2\), .* take the round's own model"):
        load_bundle(twin)
    with pytest.raises(RecipeError, match="holds a twin"):
        load_model(twin)
    assert load_bundle(twin, twins=True) == replace(BUNDLE, twin="seed 2")
    assert load_model(twin, twins=True)[2].twin == "seed 2"


def test_a_recipe_can_not_start_from_a_twin(twin: Path) -> None:
    with pytest.raises(RecipeError, match=r"^base\.path .* holds a twin of a round"):
        resolve_base(BaseConfig(path=str(twin)))


def test_a_rounds_own_model_is_no_twin(twin: Path) -> None:
    own = json.loads((twin / "tunesmith.json").read_text()) | {"twin": None}
    (twin / "tunesmith.json").write_text(json.dumps(own))
    assert load_bundle(twin).twin is None
    assert resolve_base(BaseConfig(path=str(twin))) == str(twin)
    del own["twin"]  # as versions before wrote it
    (twin / "tunesmith.json").write_text(json.dumps(own))
    assert load_bundle(twin).twin is None
    shutil.rmtree(twin)
