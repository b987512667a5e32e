"""Bases that can't be had are refused in one sentence; those that can are whole."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tunesmith.core.errors import MachineError, RecipeError, TunesmithError
from tunesmith.models.config import BaseConfig
from tunesmith.models.load import base_hash, count_parameters, load_base, resolve_base


@pytest.fixture
def copy(tiny_base: Path, tmp_path: Path) -> Path:
    """A copy of the tiny base that a test may damage."""
    return Path(shutil.copytree(tiny_base, tmp_path / "copy"))


def refused(folder: Path, kind: type[TunesmithError]) -> str:
    with pytest.raises(kind) as caught:
        load_base(BaseConfig(path=str(folder)))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_base_is_loaded_whole(tiny_base: Path) -> None:
    base = load_base(BaseConfig(path=str(tiny_base)))
    assert (base.context, base.vocabulary, base.model.training) == (512, 4096, False)
    assert base.content_hash == base_hash(BaseConfig(path=str(tiny_base)))
    total, trainable = count_parameters(base.model)
    assert total == trainable == sum(tensor.numel() for tensor in load_file(tiny_base / "model.safetensors").values())


@pytest.mark.parametrize("path", ["/no/such/folder", "./nothing", "a/b/c"])
def test_a_missing_folder(path: str) -> None:
    with pytest.raises(RecipeError, match="is not a folder with a model"):
        resolve_base(BaseConfig(path=path))


def test_a_file_is_no_folder(tiny_base: Path) -> None:
    assert "is not a folder" in refused(tiny_base / "config.json", RecipeError)


def test_pickles_are_not_read(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    (copy / "model.safetensors").unlink()
    torch.save(weights, copy / "pytorch_model.bin")
    assert "safetensors" in refused(copy, MachineError)


def test_a_folder_without_config(tiny_base: Path, tmp_path: Path) -> None:
    """One sentence says what is missing, and where it is if it is near."""
    assert refused(tmp_path, RecipeError).endswith("give the folder that holds it beside *.safetensors.")
    shutil.copytree(tiny_base, tmp_path / "model")
    assert "its subfolder 'model' has one" in refused(tmp_path, RecipeError)
    (tmp_path / "adapter_config.json").write_text("{}")
    assert "holds an adapter, not a whole model" in refused(tmp_path, RecipeError)
    with pytest.raises(RecipeError, match="adapter"):
        base_hash(BaseConfig(path=str(tmp_path)))


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_damaged_files(copy: Path, name: str) -> None:
    (copy / name).write_text("{")
    assert str(copy) in refused(copy, MachineError)


def test_weights_cut_short(copy: Path) -> None:
    whole = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    assert "damaged" in refused(copy, MachineError)


def test_weights_that_lack_tensors(copy: Path) -> None:
    """They would be drawn at random without a word."""
    weights = load_file(copy / "model.safetensors")
    del weights["model.layers.1.mlp.down_proj.weight"]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    assert "model.layers.1.mlp.down_proj.weight" in refused(copy, MachineError)


def test_weights_of_another_shape(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"intermediate_size": 96}))
    assert str(copy) in refused(copy, MachineError)


def test_a_tokenizer_of_another_model(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    weights["model.embed_tokens.weight"] = weights["model.embed_tokens.weight"][:4000].clone()
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"vocab_size": 4000}))
    assert "4096 tokens and its embedding 4000 rows" in refused(copy, MachineError)


def test_a_hub_out_of_reach_is_one_sentence() -> None:
    code = (
        "from tunesmith.models.config import BaseConfig\nfrom tunesmith.models.load import load_base\n"
        "from tunesmith.core.errors import MachineError\n"
        "try: load_base(BaseConfig(path='some-owner/some-model'))\nexcept MachineError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | {"HF_HUB_OFFLINE": "1"}, timeout=120, check=True
    )
    (line,) = done.stdout.splitlines()
    assert line.startswith("Base 'some-owner/some-model' can't be had from the hub")
    assert "base.path" in line


def test_content_names_a_base(tiny_base: Path, copy: Path) -> None:
    first = base_hash(BaseConfig(path=str(tiny_base)))
    assert base_hash(BaseConfig(path=str(copy))) == first
    assert base_hash(BaseConfig(path=str(copy), random_weights=True)) != first
    weights = load_file(copy / "model.safetensors")
    weights["model.norm.weight"][0] += 1
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    assert base_hash(BaseConfig(path=str(copy))) != first


def test_random_weights_follow_the_seed(tiny_base: Path) -> None:
    def weights(seed: int) -> torch.Tensor:
        return load_base(BaseConfig(path=str(tiny_base), random_weights=True), seed=seed).model.get_input_embeddings().weight

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))
    assert load_base(BaseConfig(path=str(tiny_base), dtype="bfloat16")).model.dtype == torch.bfloat16


def test_new_tokens_begin_as_the_mean_of_the_rows_before(tiny_base: Path) -> None:
    plain = load_base(BaseConfig(path=str(tiny_base)))
    grown = load_base(BaseConfig(path=str(tiny_base), new_tokens=["<ticket>", "zzqx"]))
    old, new = plain.model.get_input_embeddings().weight, grown.model.get_input_embeddings().weight
    assert (plain.new_ids, grown.new_ids, grown.vocabulary) == ((), (4096, 4097), 4098)
    assert torch.equal(new[:4096], old)
    assert torch.allclose(new[4096:], old.mean(dim=0).expand(2, -1), atol=1e-7)
    assert grown.model.get_output_embeddings().weight is new
    ids = grown.tokenizer("a<ticket>zzqxb", add_special_tokens=False)["input_ids"]
    assert 4096 in ids and 4097 in ids
    assert grown.tokenizer.decode(ids, skip_special_tokens=True) == "a<ticket>zzqxb"
    assert torch.equal(load_base(BaseConfig(path=str(tiny_base), new_tokens=["<ticket>", "zzqx"])).model.get_input_embeddings().weight, new)


def test_new_tokens_take_unused_rows_first(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text()) | {"vocab_size": 4100, "tie_word_embeddings": False}
    (copy / "config.json").write_text(json.dumps(config))
    weights = load_file(copy / "model.safetensors")
    rows = weights["model.embed_tokens.weight"]
    weights["model.embed_tokens.weight"] = torch.cat([rows, torch.full((4, 32), 9.0)])
    weights["lm_head.weight"] = -weights["model.embed_tokens.weight"]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    base = load_base(BaseConfig(path=str(copy), new_tokens=["<one>"]))
    assert (base.new_ids, base.vocabulary) == ((4096,), 4100)
    for table, sign in ((base.model.get_input_embeddings().weight, 1), (base.model.get_output_embeddings().weight, -1)):
        assert torch.allclose(table[4096], sign * rows.mean(dim=0), atol=1e-7)
        assert (table[4097:] == sign * 9.0).all()


def test_new_tokens_that_are_none(tiny_base: Path) -> None:
    known = load_base(BaseConfig(path=str(tiny_base))).tokenizer.convert_ids_to_tokens(300)
    with pytest.raises(RecipeError, match=r"is a token of base .* already"):
        load_base(BaseConfig(path=str(tiny_base), new_tokens=[known]))
    for wrong in ([""], [" a"], ["b", "b"]):
        with pytest.raises(ValueError, match="new_tokens"):
            BaseConfig(new_tokens=wrong)


def test_new_tokens_are_part_of_a_bases_content(tiny_base: Path) -> None:
    hashes = {base_hash(BaseConfig(path=str(tiny_base), new_tokens=tokens)) for tokens in ([], ["<a>"], ["<b>"], ["<a>", "<b>"])}
    assert len(hashes) == 4
