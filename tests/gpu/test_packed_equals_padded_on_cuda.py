"""The tree's loss and gradient on CUDA are those of rows one by one there, and those of the CPU."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from tunesmith.infer.choices import score_choices
from tunesmith.models.forward import to_tensors, token_logps
from tunesmith.tree.plan import answer_only, plan

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

STEM = tuple(range(3, 23))
ROWS = [answer_only((*STEM, 20 + number % 3, 30 + number % 2, 1), len(STEM)) for number in range(5)] + [answer_only(STEM, 4)]


@pytest.fixture(scope="module", autouse=True)
def full_precision() -> Any:
    """Products in float32, not TF32."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    yield
    torch.set_float32_matmul_precision(before)


@pytest.fixture(scope="module")
def architectures() -> ModuleType:
    path = Path(__file__).parent.parent / "invariants" / "architectures.py"
    spec = importlib.util.spec_from_file_location("architectures_on_cuda", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def found(model: Any, device: torch.device, budget: int, **how: Any) -> tuple[float, torch.Tensor]:
    total = 0.0
    for one in plan(ROWS, token_budget=budget, **how):
        tensors = to_tensors(one, device)
        loss = -(token_logps(model, tensors) * tensors.weight_S.float()).sum()
        loss.backward()
        total += loss.item()
    gradient = torch.cat([p.grad.detach().double().flatten().cpu() for p in model.parameters() if p.grad is not None])
    model.zero_grad(set_to_none=True)
    return total, gradient


@pytest.mark.parametrize("name", ["llama", "qwen3", "mistral", "gemma3_text", "phi3", "gpt2", "gpt_neox", "olmo2"])
def test_loss_and_gradient(architectures: ModuleType, name: str) -> None:
    cpu = found(architectures.build(name), torch.device("cpu"), 1, layout="padded")
    model = architectures.build(name).to("cuda")
    for budget, how in ((10_000, {}), (30, {}), (10_000, {"layout": "apart"}), (1, {"layout": "padded"})):
        loss, gradient = found(model, torch.device("cuda"), budget, **how)
        assert loss == pytest.approx(cpu[0], rel=1e-5)
        assert (gradient - cpu[1]).norm() / cpu[1].norm() < 5e-5


def test_choices_score_as_on_the_cpu(architectures: ModuleType) -> None:
    prompts, choices = [(3, 4, 5), (3, 4, 6, 7)], [(11, 12, 1), (11, 1), (13, 1)]
    expected = score_choices(architectures.build("llama"), prompts, choices, device=torch.device("cpu"))
    scored = score_choices(architectures.build("llama").to("cuda"), prompts, choices, device=torch.device("cuda"))
    assert scored == pytest.approx(expected, abs=1e-3)
