"""Bases are read without their weights: their shape is counted, their licence found, and what is no model refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from transformers import AutoConfig, MambaConfig

from tunesmith.core.errors import MachineError, RecipeError
from tunesmith.models.config import BaseConfig
from tunesmith.search.advice.bases import Candidate, _counted, cached_ids, licence_of, read_base, read_bases


def base_at(path: Path | str) -> Candidate:
    return read_base(BaseConfig(path=str(path)))


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No hub, and a cache of its own."""
    from huggingface_hub import constants

    cache = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("tunesmith.models.load._hub_answers", lambda: False)
    monkeypatch.setattr("huggingface_hub.utils._cache_manager.HF_HUB_CACHE", str(cache), raising=False)
    monkeypatch.setattr("huggingface_hub.file_download.HF_HUB_CACHE", str(cache), raising=False)
    return cache


def test_a_folder_is_counted_as_its_weights_are(tiny_base: Path) -> None:
    found = base_at(tiny_base)
    tensors = load_file(tiny_base / "model.safetensors")
    assert found.parameters == sum(tensor.numel() for tensor in tensors.values())
    assert found.body == found.parameters - 4096 * 32
    assert (found.where, found.kind, found.context, found.chats, found.is_here) == ("folder", "llama", 512, True, True)
    assert found.stored_bytes == (tiny_base / "model.safetensors").stat().st_size
    assert (found.narrow, found.licence) == (False, None)


def test_weights_are_not_read(tiny_base: Path, tmp_path: Path) -> None:
    """A base whose weights are missing, or rubbish, is told of all the same."""
    copy = Path(shutil.copytree(tiny_base, tmp_path / "copy"))
    (copy / "model.safetensors").write_bytes(b"rubbish")
    assert base_at(copy).parameters == base_at(tiny_base).parameters
    (copy / "model.safetensors").unlink()
    assert not base_at(copy).is_here


def test_the_embedded_base_tells_its_licence() -> None:
    found = base_at("embedded")
    assert (found.parameters, found.licence, found.context, found.where) == (7_581_760, "apache-2.0", 2048, "embedded")


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: Apache-2.0\ntags: [a]\n---\n# Title", "apache-2.0"),
        ("---\nlanguage: en\nlicense: 'mit'\n---\n", "mit"),
        ("---\nlicense: other\nlicense_name: tongyi-qianwen\n---\n", "tongyi-qianwen"),
        ("---\nlicense: other\n---\n", "other"),
        ("---\ntags: [a]\n---\nlicense: mit\n", None),
        ("# A card\nlicense: mit\n", None),
        ("---\nlicense:\n- mit\n---\n", None),
        ("", None),
        ("---\nlicense: " + "x" * 10_000, "x" * 60),
    ],
)
def test_the_licence_is_what_the_front_matter_says(card: str, licence: str | None) -> None:
    assert licence_of(card) == licence


def test_a_folder_that_holds_no_model_is_refused_where_it_was_named(tiny_base: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecipeError, match=r"has no config\.json"):
        read_bases([str(tiny_base), str(tmp_path / "empty")])
    with pytest.raises(RecipeError, match="is not a folder with a model"):
        read_bases([str(tmp_path / "nowhere")])


@pytest.mark.parametrize(
    "config",
    [
        "{",
        "[]",
        "{}",
        '{"model_type": "llama", "hidden_size": "x"}',
        '{"model_type": "no-such-kind"}',
        '{"model_type": "llama", "hidden_size": -4}',
    ],
)
def test_a_configuration_that_is_damaged_is_one_sentence(tiny_base: Path, tmp_path: Path, config: str) -> None:
    copy = Path(shutil.copytree(tiny_base, tmp_path / "copy"))
    (copy / "config.json").write_text(config)
    with pytest.raises((MachineError, RecipeError)) as caught:
        base_at(copy)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("layers", [200_000, 10**11])
def test_measures_that_no_model_has_are_refused_before_anything_is_built(tiny_base: Path, tmp_path: Path, layers: int) -> None:
    copy = Path(shutil.copytree(tiny_base, tmp_path / "copy"))
    config = json.loads((copy / "config.json").read_text()) | {"num_hidden_layers": layers}
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(MachineError, match=r"num_hidden_layers is [\d,]+, and 1,000 is the most"):
        base_at(copy)


def test_a_base_whose_configuration_tells_too_little_stays_a_candidate(tiny_base: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_base, tmp_path / "copy"))
    config = MambaConfig(vocab_size=4096, hidden_size=32, num_hidden_layers=2, state_size=4)
    (copy / "config.json").write_text(json.dumps(config.to_dict()))
    found = base_at(copy)
    assert found.architecture is None
    assert found.kind == "mamba"
    assert 0 < found.body < found.parameters


def test_of_a_mixture_a_token_goes_through_the_experts_it_is_sent_to() -> None:
    shape: dict[str, Any] = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 64,
    }
    config = AutoConfig.for_model(
        "qwen3_moe", **shape, num_experts=8, num_experts_per_tok=2, moe_intermediate_size=16, intermediate_size=64
    )
    (parameters, every), (same, used) = _counted(config, False), _counted(config, False, 2 / 8)
    assert parameters == same
    assert every - used == 2 * 6 * 3 * 32 * 16, "layers, experts left out, matrices"


def test_a_base_that_wants_to_run_its_own_code_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_base, tmp_path / "copy"))
    config = json.loads((copy / "config.json").read_text()) | {"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}
    (copy / "config.json").write_text(json.dumps(config))
    (copy / "own.py").write_text("raise SystemExit('ran')")
    with pytest.raises((MachineError, RecipeError)) as caught:
        base_at(copy)
    assert "ran" not in str(caught.value).split()


def test_a_hub_id_out_of_reach_is_told_beside_the_others(offline: Path) -> None:
    found, out = read_bases(["embedded", "nobody/nothing"])
    assert [one.path for one in found] == ["embedded"]
    assert [one.path for one in out] == ["nobody/nothing"]
    assert "can't be had from the hub" in out[0].why
    with pytest.raises(MachineError, match="can't be had from the hub"):
        read_bases(["nobody/nothing"])


def test_models_in_the_local_cache_are_found_and_read_from_there(offline: Path, tiny_base: Path) -> None:
    snapshot = offline / "models--somebody--tiny" / "snapshots" / ("a" * 40)
    shutil.copytree(tiny_base, snapshot)
    (snapshot / "README.md").write_text("---\nlicense: mit\n---\n")
    refs = offline / "models--somebody--tiny" / "refs"
    refs.mkdir()
    (refs / "main").write_text("a" * 40)
    assert list(cached_ids()) == ["somebody/tiny"]
    found, out = read_bases([])
    assert [(one.path, one.where, one.licence, one.is_here) for one in found] == [
        ("embedded", "embedded", "apache-2.0", True),
        ("somebody/tiny", "hub", "mit", True),
    ]
    assert not out
