"""A run that keeps the frozen layers' states goes the same way as one that computes them in every step."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tunesmith.chat.render import Renderer
from tunesmith.core.progress import Event, Said
from tunesmith.core.rows import Message, Row
from tunesmith.models import trunk
from tunesmith.models.load import load_base
from tunesmith.pipeline.material import Material
from tunesmith.pipeline.training import TrainingRun
from tunesmith.recipe import Recipe

COLOURS = ("red", "green", "blue")
ROWS = [
    Row(id=f"{place:04}", prompt=(Message("user", f"a {COLOURS[place % 3]} thing, number {place}"),), answer=COLOURS[place % 3])
    for place in range(30)
]

CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "top layer": ({"name": "layers", "top_layers": 1}, {}),
    "top layer, mean head": ({"name": "layers", "top_layers": 1, "head": "class"}, {}),
    "output layer alone": ({"name": "layers", "train_only": ["lm_head.*"]}, {}),
    "features, mean": ({"name": "features", "head": "class"}, {}),
    "features, attention": ({"name": "features", "head": "class", "pool": "attention"}, {}),
    "features, last": ({"name": "features", "head": "class", "pool": "last"}, {}),
    "unfreezing": ({"name": "full", "unfreeze": {"every_steps": 3}}, {}),
    "rows apart": ({"name": "layers", "top_layers": 1}, {"share_prefixes": False}),
    "small passes": ({"name": "layers", "top_layers": 1}, {"token_budget": 40}),
}


@pytest.fixture(scope="module")
def three_layers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of three layers under the embedded tokenizer, its output layer its own."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from tunesmith.embedded import base_path

    folder = tmp_path_factory.mktemp("base") / "three"
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=4096, hidden_size=16, intermediate_size=24, num_hidden_layers=3, num_attention_heads=2, max_position_embeddings=128,
        bos_token_id=2, eos_token_id=2, tie_word_embeddings=False, initializer_range=0.2,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(base_path()).save_pretrained(folder)
    return folder


def trained(
    folder: Path, base: Path, method: dict[str, Any], train: dict[str, Any]
) -> tuple[list[float], dict[str, Tensor], list[str], list[float]]:
    """Losses of a run's evaluations, its weights, what it said, and the sizes of the files kept while it ran, in MiB."""
    settings = {"epochs": 2, "batch_rows": 8, "learning_rate": 1e-2, "threads": 1, "early_stopping": {"patience": None}} | train
    recipe = Recipe.model_validate({"data": {"path": "unused"}, "base": {"path": str(base)}, "method": method, "train": settings})
    loaded = load_base(recipe.base)
    heard: list[str] = []
    sizes: list[float] = []

    def listen(event: Event) -> None:
        if isinstance(event, Said):
            heard.append(event.text)
        sizes.extend(file.stat().st_size / 2**20 for file in folder.glob("*.bin"))

    (folder / "training").mkdir(parents=True)
    material = Material(ROWS[:24], ROWS[24:], COLOURS, "classify")
    run = TrainingRun(folder / "training", recipe, loaded, Renderer(loaded.tokenizer, max_tokens=64), material, listen)
    model = run.run()
    weights = {name: p.detach().clone() for name, p in model.named_parameters()}
    return [loss for _, loss in run.state.progress.validation], weights, heard, sizes


@pytest.mark.parametrize("name", CASES)
def test_losses_and_weights(tmp_path: Path, three_layers: Path, name: str) -> None:
    method, train = CASES[name]
    losses, weights, heard, sizes = trained(tmp_path / "cached", three_layers, method, train)
    plain_losses, plain_weights, plain_heard, plain_sizes = trained(
        tmp_path / "plain", three_layers, method, train | {"trunk_cache_mib": 0}
    )
    assert losses == pytest.approx(plain_losses, rel=1e-5)
    for key, value in weights.items():
        torch.testing.assert_close(value, plain_weights[key], rtol=1e-4, atol=2e-5)
    assert losses[-1] < losses[0]
    said = [text for text in heard if "computed once" in text]
    assert said, "the size is announced before the file is made"
    assert not any("computed once" in text for text in plain_heard)
    assert sizes
    assert plain_sizes == []
    assert list(tmp_path.glob("*/*.bin")) == [], "the file is removed after"


def test_unfreezing_keeps_one_file_at_a_time_and_what_a_killed_run_left_goes(tmp_path: Path, three_layers: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "trunk-left-by-a-killed-run.bin").write_bytes(b"x")
    (tmp_path / "a" / "trunk-left-by-a-killed-run.json").write_text("{}")
    trained(tmp_path / "a", three_layers, {"name": "full", "unfreeze": {"every_steps": 2}}, {})
    assert list(tmp_path.glob("a/trunk-*")) == []


def test_the_size_is_the_one_announced(tmp_path: Path, three_layers: Path) -> None:
    _, _, heard, sizes = trained(tmp_path / "a", three_layers, {"name": "layers", "top_layers": 1}, {})
    (said,) = [text for text in heard if "computed once" in text]
    assert f"{max(sizes):,.1f} MiB" in said
    assert "lowest 2 of 3 layers" in said


def test_above_the_limit_nothing_is_kept(tmp_path: Path, three_layers: Path) -> None:
    _, _, heard, sizes = trained(tmp_path / "a", three_layers, {"name": "layers", "top_layers": 1}, {"trunk_cache_mib": 0.001})
    assert sizes == []
    assert any("train.trunk_cache_mib" in text for text in heard)


def test_a_full_disk_is_said_and_the_layers_run(tmp_path: Path, three_layers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tunesmith.pipeline import extras

    def full(file: Path, planned: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(extras, "allocate", full)
    losses, _, heard, sizes = trained(tmp_path / "a", three_layers, {"name": "layers", "top_layers": 1}, {})
    assert sizes == []
    assert losses[-1] < losses[0]
    assert any("No space left" in text for text in heard)


def test_dropout_keeps_the_layers_running(tmp_path: Path, three_layers: Path) -> None:
    _, _, _, sizes = trained(tmp_path / "a", three_layers, {"name": "layers", "top_layers": 1}, {"dropout": 0.1})
    assert sizes == []


def test_a_second_run_takes_up_what_the_first_one_kept(tmp_path: Path, three_layers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As trials of a search do: same model, same layers, same rows, other settings."""
    from tunesmith.pipeline.extras import Outfit

    monkeypatch.setattr(Outfit, "clean", lambda self: None)
    method = {"name": "layers", "top_layers": 1}
    trained(tmp_path / "a", three_layers, method, {})
    made: list[int] = []
    original = trunk.TrunkCache.make.__func__  # type: ignore[attr-defined]
    monkeypatch.setattr(trunk.TrunkCache, "make", classmethod(lambda *args, **named: made.append(1) or original(*args, **named)))
    (tmp_path / "a" / "training").rename(tmp_path / "a" / "first")
    (tmp_path / "b").mkdir()
    for file in tmp_path.glob("a/trunk-*"):
        file.rename(tmp_path / "b" / file.name)
    trained(tmp_path / "b", three_layers, method, {"learning_rate": 3e-3})
    assert made == []
    trained(tmp_path / "c", three_layers, method, {})
    assert made == [1]
