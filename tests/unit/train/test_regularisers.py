"""Each regulariser against autograd, a closed form, or its own measured spread."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tunesmith.train.regularisers.ema import WeightMean
from tunesmith.train.regularisers.interpolation import base_values, interpolated
from tunesmith.train.regularisers.l2_sp import L2SP
from tunesmith.train.regularisers.neftune import EmbeddingNoise


def layers() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2)).double()


def moved(model: nn.Module) -> dict[str, nn.Parameter]:
    with torch.no_grad():
        for p in model.parameters():
            p += torch.randn_like(p)
    return dict(model.named_parameters())


def test_l2_sp_adds_the_gradient_autograd_would() -> None:
    model = layers()
    base = {name: p.detach().clone() for name, p in model.named_parameters()}
    pull = L2SP(0.3, base)
    named = moved(model)
    x = torch.randn(5, 3, dtype=torch.float64)
    penalty = 0.15 * torch.stack([(p - base[name]).square().sum() for name, p in named.items()]).sum()
    (model(x).square().sum() + penalty).backward()
    expected = {name: p.grad for name, p in named.items()}
    model.zero_grad()
    model(x).square().sum().backward()
    assert pull.add_gradient(named).item() == pytest.approx(penalty.item(), rel=1e-6)
    for name, p in named.items():
        torch.testing.assert_close(p.grad, expected[name], rtol=1e-12, atol=1e-12)


def test_l2_sp_leaves_alone_what_is_frozen_or_has_no_base() -> None:
    named = dict(layers().named_parameters())
    pull = L2SP(1.0, {"0.weight": torch.zeros(4, 3), "2.weight": torch.zeros(2, 4), "gone": torch.zeros(1)})
    for name in ("0.bias", "2.weight"):
        named[name].grad = torch.zeros_like(named[name])
    pull.add_gradient(named)
    assert named["0.weight"].grad is None
    assert not named["0.bias"].grad.any()
    assert torch.equal(named["2.weight"].grad, named["2.weight"].detach())


def test_l2_sp_pulls_the_old_rows_of_resized_embeddings() -> None:
    grown = nn.Parameter(torch.ones(5, 2))
    grown.grad = torch.zeros(5, 2)
    L2SP(2.0, {"embed": torch.zeros(3, 2)}).add_gradient({"embed": grown})
    assert torch.equal(grown.grad, torch.tensor([[2.0, 2.0]] * 3 + [[0.0, 0.0]] * 2))


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.999])
def test_a_mean_of_weights_is_the_closed_form(decay: float) -> None:
    seen = [torch.randn(3, 2, dtype=torch.float64) for _ in range(7)]
    mean = WeightMean(decay, {"w": torch.zeros(3, 2, dtype=torch.float64)})
    for count, weights in enumerate(seen, start=1):
        mean.update({"w": weights})
        shares = torch.tensor([(1 - decay) * decay ** (count - i) for i in range(1, count + 1)]) / (1 - decay**count)
        closed = sum(share.double() * w for share, w in zip(shares.double(), seen, strict=False))
        torch.testing.assert_close(mean.mean["w"], closed, rtol=1e-4, atol=1e-6)
    assert mean.updates == 7


def test_the_mean_takes_the_place_of_the_weights_and_gives_it_back() -> None:
    named = {"w": nn.Parameter(torch.tensor([1.0, 2.0]))}
    mean = WeightMean(0.5, named)
    with mean.in_place(named):
        assert torch.equal(named["w"], torch.tensor([1.0, 2.0]))
    for value in (4.0, 7.0):
        named["w"].data.fill_(value)
        mean.update(named)
    with pytest.raises(RuntimeError, match="stop"), mean.in_place(named):
        assert torch.equal(named["w"], torch.tensor([6.0, 6.0]))
        raise RuntimeError("stop")
    assert torch.equal(named["w"], torch.tensor([7.0, 7.0]))
    mean.copy_to(named)
    assert torch.equal(named["w"], torch.tensor([6.0, 6.0]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_a_mean_taken_up_again_is_the_same_to_the_bit(tmp_path: Path, dtype: torch.dtype) -> None:
    seen = [{"a.b": torch.randn(3).to(dtype)} for _ in range(6)]
    whole, first, second = (WeightMean(0.9, seen[0]) for _ in range(3))
    for weights in seen:
        whole.update(weights)
    for weights in seen[:3]:
        first.update(weights)
    save_file(first.tensors(), tmp_path / "mean.safetensors")
    second.restore(load_file(tmp_path / "mean.safetensors"))
    for weights in seen[3:]:
        second.update(weights)
    assert torch.equal(second.mean["a.b"], whole.mean["a.b"])
    assert second.updates == whole.updates == 6
    assert whole.mean["a.b"].dtype == (torch.float64 if dtype == torch.float64 else torch.float32)


def noised(alpha: float = 5.0, width: int = 64) -> tuple[nn.Embedding, EmbeddingNoise]:
    torch.manual_seed(0)
    embed, noise = nn.Embedding(10, width), EmbeddingNoise(alpha)
    noise.attach(embed)
    return embed, noise


def test_noise_has_the_variance_of_the_formula_for_each_row() -> None:
    embed, noise = noised()
    ids = torch.zeros(2, 400, dtype=torch.long)
    lengths = torch.tensor([400, 25])
    with noise.over(lengths):
        drawn = (embed(ids) - embed.weight[0]).detach()
    bound = 5.0 / (lengths * 64.0).sqrt()
    torch.testing.assert_close(drawn.var(dim=(1, 2)), bound**2 / 3, rtol=0.02, atol=0)
    assert (drawn.abs().amax(dim=(1, 2)) <= bound * 1.0001).all()
    assert drawn.mean().abs() < 1e-3


def test_each_place_may_have_its_own_length() -> None:
    embed, noise = noised()
    flat = torch.cat([torch.full((300,), 300), torch.full((12,), 12)])[None]
    with noise.over(flat):
        drawn = (embed(torch.zeros_like(flat)) - embed.weight[0]).detach()[0]
    assert drawn[300:].var() / drawn[:300].var() == pytest.approx(25, rel=0.15)


@pytest.mark.parametrize("why", ["evaluation", "outside", "removed"])
def test_noise_is_off(why: str) -> None:
    embed = nn.Embedding(10, 4)
    noise = EmbeddingNoise(5.0)
    handle = noise.attach(embed)
    ids = torch.tensor([[1, 2]])
    if why == "outside":
        assert torch.equal(embed(ids), embed.weight[ids])
        return
    embed.eval() if why == "evaluation" else handle.remove()
    with noise.over(torch.tensor([2])):
        assert torch.equal(embed(ids), embed.weight[ids])


def test_noise_comes_from_the_generator_that_checkpoints_hold() -> None:
    embed, noise = noised()
    ids = torch.tensor([[1, 2, 3]])
    kept = torch.get_rng_state()
    with noise.over(torch.tensor([3])):
        first, other = embed(ids), embed(ids)
        torch.set_rng_state(kept)
        again = embed(ids)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.dtype == embed.weight.dtype


def test_noise_keeps_the_gradient() -> None:
    embed, noise = noised(width=4)
    with noise.over(torch.tensor([2])):
        embed(torch.tensor([[1, 2]])).sum().backward()
    assert torch.equal(embed.weight.grad.sum(1), torch.tensor([0.0, 4, 4, 0, 0, 0, 0, 0, 0, 0]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_between_base_and_tuned(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    base = {"w": torch.randn(50).to(dtype)}
    tuned = {"w": torch.randn(50).to(dtype), "head": torch.randn(3)}
    assert torch.equal(interpolated(tuned, base, 0.0)["w"], base["w"])
    assert torch.equal(interpolated(tuned, base, 1.0)["w"], tuned["w"])
    part = interpolated(tuned, base, 0.3)
    torch.testing.assert_close(part["w"], (0.7 * base["w"].double() + 0.3 * tuned["w"].double()).to(dtype), rtol=1e-2, atol=1e-6)
    assert torch.equal(part["head"], tuned["head"])
    assert part["w"].dtype == dtype
    with pytest.raises(ValueError, match="w has shape"):
        interpolated(tuned, {"w": torch.zeros(2)}, 0.5)


def peft_model(kind: str) -> nn.Module:
    from peft import IA3Config, LoraConfig, get_peft_model

    torch.manual_seed(1)
    base = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4))
    makers: dict[str, Callable[[], LoraConfig | IA3Config]] = {
        "lora": lambda: LoraConfig(r=2, target_modules=["0", "2"]),
        "rslora": lambda: LoraConfig(r=2, target_modules=["0", "2"], use_rslora=True),
        "dora": lambda: LoraConfig(r=2, target_modules=["0", "2"], use_dora=True),
        "pissa": lambda: LoraConfig(r=2, target_modules=["0", "2"], init_lora_weights="pissa"),
        "ia3": lambda: IA3Config(target_modules=["0", "2"], feedforward_modules=["2"]),
    }
    return get_peft_model(base, makers[kind]()).double()  # PiSSA takes its factors in float32


def tuned_and_base(model: nn.Module) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, nn.Parameter]]:
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    base = base_values({name: p.detach().clone() for name, p in named.items()})
    with torch.no_grad():
        for p in named.values():
            p += 0.3 * torch.randn_like(p)
    return {name: p.detach().clone() for name, p in named.items()}, base, named


def put(values: dict[str, Tensor], named: dict[str, nn.Parameter]) -> None:
    for name, p in named.items():
        p.data.copy_(values[name])


@pytest.mark.parametrize("kind", ["lora", "rslora", "dora", "pissa", "ia3"])
def test_an_adapter_at_nothing_is_the_base_and_at_one_is_itself(kind: str) -> None:
    model = peft_model(kind)
    x = torch.randn(5, 6, dtype=torch.float64)
    start = model(x)
    tuned, base, named = tuned_and_base(model)
    end = model(x)
    assert not torch.allclose(start, end, atol=1e-3)
    put(interpolated(tuned, base, 0.0), named)
    torch.testing.assert_close(model(x), start, rtol=1e-6, atol=1e-6)
    put(interpolated(tuned, base, 1.0), named)
    assert torch.equal(model(x), end)


@pytest.mark.parametrize("kind", ["lora", "rslora", "ia3"])
def test_an_adapter_is_interpolated_along_a_line(kind: str) -> None:
    model = peft_model(kind)
    layer = next(module for name, module in model.named_modules() if name.endswith("model.0"))
    x = torch.randn(5, 6, dtype=torch.float64)
    start = layer(x)
    tuned, base, named = tuned_and_base(model)
    end = layer(x)
    put(interpolated(tuned, base, 0.25), named)
    torch.testing.assert_close(layer(x), 0.75 * start + 0.25 * end)
