"""Each optimiser against its equations written out in numpy, which tensors it holds, and a state that is taken up again."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from tunesmith.core.errors import RecipeError
from tunesmith.train.checkpoint import load_checkpoint, save_checkpoint
from tunesmith.train.config import TrainConfig
from tunesmith.train.optimizers import build_optimizers, default_learning_rate
from tunesmith.train.optimizers.groups import members_of
from tunesmith.train.optimizers.master import MasterWeights
from tunesmith.train.schedules import schedule_of
from tunesmith.train.state import TrainState

NAMES = ("adamw", "adafactor", "sgd", "lion", "muon")
Array = npt.NDArray[np.float64]


class Toy(nn.Module):
    """One tensor of each kind: an embedding, two hidden matrices, a bias, a norm, and an output layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(5, 4)
        self.up = nn.Linear(4, 6)
        self.norm = nn.LayerNorm(6)
        self.down = nn.Linear(6, 4, bias=False)
        self.out = nn.Linear(4, 5, bias=False)

    def get_output_embeddings(self) -> nn.Module:
        return self.out


def config_of(optimizer: str, **settings: Any) -> TrainConfig:
    return TrainConfig.model_validate({"optimizer": optimizer, "schedule": "constant", "warmup": 0} | settings)


def push(model: nn.Module, number: int, frozen: str = "nothing") -> float:
    """Gradients of half the squared distance to a target that wanders a little; returns the distance at rest."""
    generator = torch.Generator().manual_seed(number)
    total = 0.0
    for name, p in model.named_parameters():
        wander = 0.01 * torch.randn(p.shape, generator=generator)
        distance = p.detach() - 0.3 * torch.ones_like(p)
        total += 0.5 * distance.double().square().sum().item()
        p.grad = None if name.startswith(frozen) else distance + wander.to(p.dtype)
    return total


@pytest.mark.parametrize("optimizer", NAMES)
def test_a_planted_quadratic_falls(optimizer: str) -> None:
    model = Toy()
    rate = 0.1 if optimizer == "adafactor" else 0.03
    made = build_optimizers(model, config_of(optimizer, weight_decay=0), rate)
    first = push(model, 0)
    for number in range(200):
        push(model, number)
        for one in made:
            one.step()
            for group in one.param_groups:
                group["lr"] *= 0.98
    assert push(model, 0) < 0.05 * first


def adamw(w: Array, grads: list[Array], rate: float, decay: float) -> Array:
    m, v = np.zeros_like(w), np.zeros_like(w)
    for step, g in enumerate(grads, start=1):
        m, v = 0.9 * m + 0.1 * g, 0.95 * v + 0.05 * g**2
        w = w * (1 - rate * decay) - rate * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.95**step)) + 1e-8)
    return w


def adafactor(w: Array, grads: list[Array], rate: float, decay: float) -> Array:
    rows, columns = np.zeros((len(w), 1)), np.zeros((1, w.shape[1]))
    for step, g in enumerate(grads, start=1):
        keep = 1 - step**-0.8
        size = max(1e-3, np.sqrt((w**2).mean())) * min(rate, step**-0.5)
        rows = keep * rows + (1 - keep) * (g**2).mean(1, keepdims=True)
        columns = keep * columns + (1 - keep) * (g**2).mean(0, keepdims=True)
        update = g / np.sqrt(rows @ columns / rows.mean())
        w = w * (1 - rate * decay) - size * update / max(1.0, np.sqrt((update**2).mean()))
    return w


def sgd(w: Array, grads: list[Array], rate: float, decay: float) -> Array:
    momentum: Array | None = None
    for plain in grads:
        g = plain + decay * w
        momentum = g if momentum is None else 0.9 * momentum + g
        w = w - rate * (g + 0.9 * momentum)
    return w


def lion(w: Array, grads: list[Array], rate: float, decay: float) -> Array:
    momentum = np.zeros_like(w)
    for g in grads:
        w = w - rate * (np.sign(0.9 * momentum + 0.1 * g) + decay * w)
        momentum = 0.99 * momentum + 0.01 * g
    return w


def muon(w: Array, grads: list[Array], rate: float, decay: float) -> Array:
    momentum, rate = np.zeros_like(w), 20 * rate
    for g in grads:
        momentum = 0.95 * momentum + 0.05 * g
        x = 0.05 * g + 0.95 * momentum
        x = x / np.linalg.norm(x)
        for _ in range(5):
            gram = x @ x.T
            x = 3.4445 * x + (-4.775 * gram + 2.0315 * gram @ gram) @ x
        w = w * (1 - rate * decay) - rate * max(1, len(w) / w.shape[1]) ** 0.5 * x
    return w


@pytest.mark.parametrize("equations", [adamw, adafactor, sgd, lion, muon])
def test_steps_are_those_of_the_equations(equations: Callable[[Array, list[Array], float, float], Array]) -> None:
    name = equations.__name__
    random = np.random.default_rng(0)
    start = random.normal(size=(3, 4))
    grads = [random.normal(size=(3, 4)) for _ in range(3)]
    layer = nn.Linear(4, 3, bias=False, dtype=torch.float64)
    layer.weight.data.copy_(torch.from_numpy(start))
    (one,) = build_optimizers(layer, config_of(name, weight_decay=0.1, nesterov=True if name == "sgd" else None), 0.01)
    for g in grads:
        layer.weight.grad = torch.from_numpy(g)
        one.step()
    tolerance = 0.01 if name == "muon" else 1e-9  # torch's Muon orthogonalises in bfloat16
    np.testing.assert_allclose(layer.weight.detach().numpy(), equations(start, grads, 0.01, 0.1), atol=tolerance)
    assert np.abs(layer.weight.detach().numpy() - start).max() > 2 * tolerance


def narrowed(model: nn.Module) -> nn.Module:
    """The same model with its matrices in bfloat16 and its norm in float32."""
    model.to(torch.bfloat16)
    dict(model.named_children())["norm"].float()
    return model


def state_of(optimizer: str, *, narrow: bool, **settings: Any) -> TrainState:
    config = config_of(optimizer, **settings)
    model = narrowed(Toy()) if narrow else Toy()
    made = build_optimizers(model, config, 0.01, factors={"down.weight": 0.5})
    return TrainState(model, made, schedule_of(config, 6), config, 0.01, torch.device("cpu"), "fp32")


def drive(state: TrainState, first: int, last: int) -> None:
    for number in range(first, last):
        push(state.model, number, frozen="up" if number < 2 else "nothing")
        state.advance()


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("optimizer", NAMES)
@pytest.mark.parametrize("stop", [0, 1, 3])
def test_a_state_taken_up_again_is_the_same_to_the_bit(optimizer: str, stop: int, narrow: bool, tmp_path: Path) -> None:
    whole, first, second = (state_of(optimizer, narrow=narrow) for _ in range(3))
    drive(whole, 0, 6)
    drive(first, 0, stop)
    save_checkpoint(first, tmp_path / "c")
    drive(second, 0, 2)  # what a restored state did before must not matter
    load_checkpoint(second, tmp_path / "c")
    before, after = first.tensors(), second.tensors()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) and value.dtype == after[name].dtype for name, value in before.items())
    drive(second, stop, 6)
    ours, theirs = second.tensors(), whole.tensors()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name]) and value.dtype == theirs[name].dtype for name, value in ours.items())


@pytest.mark.parametrize("optimizer", NAMES)
def test_a_frozen_tensor_stays_and_moves_once_it_has_a_gradient(optimizer: str) -> None:
    state = state_of(optimizer, narrow=False, weight_decay=0.5)
    start = copy.deepcopy(state.model.state_dict())
    drive(state, 0, 2)
    assert all(torch.equal(value, start[name]) == name.startswith("up") for name, value in state.model.state_dict().items())
    drive(state, 2, 3)
    assert not any(torch.equal(value, start[name]) for name, value in state.model.state_dict().items())


def grouped(model: nn.Module, config: TrainConfig, **arguments: Any) -> dict[str, tuple[str, float, float]]:
    """Name -> optimiser, rate and decay."""
    names = {id(p): name for name, p in model.named_parameters()}
    return {
        names[id(p)]: (type(one).__name__, group["lr"], group["weight_decay"])
        for one in build_optimizers(model, config, 1.0, **arguments)
        for group in one.param_groups
        for p in group["params"]
    }


def test_decay_is_for_matrices_and_factors_are_by_name() -> None:
    factors = {"up.weight": 0.25, "up.bias": 0.25, "embed.weight": 0.5}
    assert grouped(Toy(), config_of("lion", weight_decay=0.1), factors=factors) == {
        "embed.weight": ("Lion", 0.5, 0.0),
        "up.weight": ("Lion", 0.25, 0.1),
        "up.bias": ("Lion", 0.25, 0.0),
        "norm.weight": ("Lion", 1.0, 0.0),
        "norm.bias": ("Lion", 1.0, 0.0),
        "down.weight": ("Lion", 1.0, 0.1),
        "out.weight": ("Lion", 1.0, 0.1),
    }


def test_muon_takes_hidden_matrices_alone() -> None:
    found = grouped(Toy(), config_of("muon"), factors={"down.weight": 0.5})
    assert {name: kind for name, (kind, _, _) in found.items() if kind == "Muon"} == {"up.weight": "Muon", "down.weight": "Muon"}
    assert (found["up.weight"][1], found["down.weight"][1], found["out.weight"][1]) == (20.0, 10.0, 1.0)
    biases = build_optimizers(Toy(), config_of("muon"), 1.0, names=["up.bias"])
    assert [type(one).__name__ for one in biases] == ["AdamW"]


def test_what_multiplies_does_not_decay() -> None:
    model = nn.ModuleDict({"ia3_l": nn.Linear(1, 4, bias=False), "lora_A": nn.Linear(4, 2, bias=False)})
    assert {member.name: member.decayed for member in members_of(model, None, {})} == {"ia3_l.weight": False, "lora_A.weight": True}


def test_tensors_are_those_that_ask_for_a_gradient_or_are_named() -> None:
    model = Toy()
    model.up.requires_grad_(False)
    assert not any(name.startswith("up") for name in grouped(model, config_of("adamw")))
    assert set(grouped(model, config_of("adamw"), names={"up.weight", "up.bias"})) == {"up.weight", "up.bias"}
    with pytest.raises(ValueError, match="no tensor 'upp'"):
        build_optimizers(model, config_of("adamw"), 1.0, names=["upp"])
    with pytest.raises(RecipeError, match="No tensor of the model may change"):
        build_optimizers(model.requires_grad_(False), config_of("adamw"), 1.0)


def test_an_unknown_optimiser_is_answered_with_a_near_one() -> None:
    with pytest.raises(RecipeError, match="Did you mean 'adamw'"):
        build_optimizers(Toy(), TrainConfig().model_copy(update={"optimizer": "adam"}), 1.0)


@pytest.mark.parametrize("optimizer", NAMES)
def test_a_float32_copy_keeps_updates_that_bfloat16_rounds_away(optimizer: str) -> None:
    """0.0001 below a weight of 1 is nothing in bfloat16; 60 times that is."""
    moved = {}
    for master in (False, True):
        model = nn.Linear(4, 4, bias=False, dtype=torch.bfloat16)
        nn.init.ones_(model.weight)
        rate = {"muon": 5e-5, "sgd": 2e-5}.get(optimizer, 1e-4)
        (one,) = build_optimizers(model, config_of(optimizer, weight_decay=0, master_weights=master), rate)
        assert isinstance(one, MasterWeights) == master
        for _ in range(60):
            model.weight.grad = torch.full_like(model.weight, 0.5)
            one.step()
        moved[master] = 1 - model.weight.float().mean().item()
    assert moved[False] == 0
    assert moved[True] > 0.003


def test_weights_set_outside_are_taken_over_by_their_copies() -> None:
    model = nn.Linear(2, 1, bias=False, dtype=torch.bfloat16)
    (one,) = build_optimizers(model, config_of("sgd", momentum=0.0, weight_decay=0), 1e-4)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[3.0, -2.0]]))
    for _ in range(4):
        model.weight.grad = torch.full_like(model.weight, 32.0)
        one.step()
    (copied,) = one.param_groups[0]["params"]
    torch.testing.assert_close(copied.detach(), torch.tensor([[3.0 - 0.0128, -2.0 - 0.0128]]))
    assert torch.equal(model.weight, copied.to(torch.bfloat16))


def test_a_rate_set_outside_reaches_the_optimiser_inside() -> None:
    model = narrowed(Toy())
    (one,) = build_optimizers(model, config_of("sgd", momentum=0.0), 1.0)
    before = copy.deepcopy(model.state_dict())
    for group in one.param_groups:
        group["lr"] = 0.0
    push(model, 0)
    one.step()
    one.zero_grad()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_default_rates() -> None:
    assert default_learning_rate("full", 7_000_000, "tokens") == 5e-4
    assert default_learning_rate("full", 28_000_000, "tokens") == 2.5e-4
    assert default_learning_rate("full", 7_000_000, "class") == 1e-3
    assert default_learning_rate("lora", 7_000_000, "tokens") == 2e-3
    assert default_learning_rate("lora", 7_000_000_000, "tokens") == pytest.approx(1.3e-4)
    assert default_learning_rate("full", 10, "tokens") == default_learning_rate("full", 1_000_000, "tokens")
    assert default_learning_rate("full", 7_000_000, "tokens", "lion") < 5e-4 < default_learning_rate("full", 7_000_000, "tokens", "sgd")


def test_a_short_run_of_a_small_model_gets_a_higher_rate_and_no_other() -> None:
    for_class = [default_learning_rate("full", 7_000_000, "class", steps=steps) for steps in (1, 16, 36, 144, 10_000)]
    assert for_class == [3e-3, 3e-3, 2e-3, 1e-3, 1e-3]
    assert default_learning_rate("layers", 7_000_000, "tokens", steps=36) == 1e-3
    for method in ("lora", "features", "prefix"):
        assert default_learning_rate(method, 7_000_000, "class", steps=5) == default_learning_rate(method, 7_000_000, "class")
    assert default_learning_rate("full", 200_000_000, "tokens", steps=5) == default_learning_rate("full", 200_000_000, "tokens")
