"""Optimisers over a model's trainable tensors, decay kept off norms, biases and embeddings."""

import torch
from torch import nn
from torch.optim import AdamW, Muon, Optimizer

from tunesmith.train.config import TrainConfig

MUON_RATE = 20.0
"""Muon's rate over AdamW's: its updates are orthogonal, so their size does not shrink with the gradient's."""


def default_learning_rate(method: str, parameters: int, head: str) -> float:
    """Peak rate for a method and a size of model: 5e-4 in full at 7 million parameters, falling with the square root of
    size; LoRA eight times that, at most 2e-3. Measured for small models (docs/log.md), within folklore for large ones."""
    full = 5e-4 * (7e6 / max(parameters, 1_000_000)) ** 0.5
    rate = min(2e-3, 8 * full) if method == "lora" else full
    return float(f"{rate * (2 if head == 'class' else 1):.2g}")


def build_optimizers(model: nn.Module, config: TrainConfig, learning_rate: float) -> list[Optimizer]:
    """One optimiser, or Muon for hidden matrices and AdamW for the rest; rates are set anew by the schedule at each step."""
    embeddings = {id(p) for module in model.modules() if isinstance(module, nn.Embedding) for p in module.parameters()}
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    matrices = [p for _, p in named if p.ndim >= 2 and id(p) not in embeddings]
    others = [p for _, p in named if p.ndim < 2 or id(p) in embeddings]
    decay = config.weight_decay
    if config.optimizer == "muon":
        hidden = [p for p in matrices if p.ndim == 2]
        rest = [p for p in matrices if p.ndim != 2]
        muon = Muon(hidden, lr=learning_rate * MUON_RATE, weight_decay=decay, momentum=0.95, nesterov=True)
        return [muon, _adamw(rest, others, config, learning_rate)]
    return [_adamw(matrices, others, config, learning_rate)]


def _adamw(decayed: list[nn.Parameter], plain: list[nn.Parameter], config: TrainConfig, learning_rate: float) -> Optimizer:
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    groups = [group for group in groups if group["params"]]
    fused = all(p.device.type in ("cpu", "cuda") and p.dtype in (torch.float32, torch.bfloat16, torch.float64) for p in decayed + plain)
    return AdamW(groups, lr=learning_rate, betas=config.betas, fused=fused)
