"""What a run will hold, counted from shapes before anything is built; refused where it can't be had, or would be of no use.

Costs a look at the names and shapes of the model's tensors. A lower bound: what can't be known yet is not counted.
"""

import contextlib
import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from tunesmith.core.errors import MachineError, RecipeError
from tunesmith.models.config import MethodConfig
from tunesmith.models.forward import inner
from tunesmith.models.load import Base, count_parameters
from tunesmith.models.methods import adapt, method_name
from tunesmith.pipeline.memory import Need, need_of, refuse_without_memory
from tunesmith.recipe import Recipe

LOW_RANK = ("lora", "rslora", "dora", "pissa")
GIB = 2**30


def adapted_sizes(model: nn.Module, config: MethodConfig) -> list[tuple[int, int]]:
    """Sides of every matrix that a low-rank method adapts, those of experts included; empty where the targets name none."""
    language_model: Any = inner(model)
    leave = language_model.get_output_embeddings()
    sizes: list[tuple[int, int]] = []
    for name, module in language_model.named_modules():
        taken = module is not leave if config.targets == "all-linear" else any(_is(name, target) for target in config.targets)
        if taken and isinstance(module, nn.Linear | Conv1D):
            sizes.append((module.weight.shape[0], module.weight.shape[1]))
        elif config.targets == "all-linear":  # the experts of a mixture are kept as one tensor
            sizes += [(int(p.shape[0] * p.shape[1]), int(p.shape[2])) for p in module.parameters(recurse=False) if p.dim() == 3]
    return sizes


def _is(name: str, target: str) -> bool:
    return name == target or name.endswith(f".{target}")


def refuse_useless_rank(model: nn.Module, method: str, config: MethodConfig) -> None:
    """RecipeError where a rank is above what any matrix that it is for can have: such a matrix is only larger, and learns no more."""
    sizes = adapted_sizes(model, config) if method in LOW_RANK else []
    most = max((min(size) for size in sizes), default=config.rank)
    if config.rank > most:
        raise RecipeError(
            f"method.rank is {config.rank:,}, and no matrix that {method} adapts here has a rank above {most:,}: "
            f"set method.rank to {most} or less (8 to 64 is usual), or method.name: full."
        )


def refuse_what_cant_be_adapted(base: Base, config: MethodConfig, labels: int | None) -> None:
    """RecipeError where the method's settings don't fit the base, as `adapt` would raise it; the base stays as it is.

    It is tried on a copy that has shapes and no values: milliseconds, and no memory to speak of.

    Args:
        base: as it is loaded.
        config: the method, its head resolved by the task.
        labels: number of outputs of a head for labels or tags.
    """
    parameters, _ = count_parameters(base.model)
    refuse_useless_rank(base.model, method_name(config, parameters), config)
    needs_values = contextlib.suppress(RuntimeError)  # of a first value that can't be had without the base's: the run itself will say
    with torch.random.fork_rng(devices=[]), needs_values, torch.device("meta"):
        adapt(shape_without_values(base.model), config, parameters=parameters, labels=labels, seed=0, new_ids=base.new_ids)


def shape_without_values(model: nn.Module) -> nn.Module:
    """A copy without values; what is tied stays tied."""
    shapes: dict[int, Any] = {id(p): nn.Parameter(torch.empty_like(p, device="meta")) for p in model.parameters()}
    shapes |= {id(one): torch.empty_like(one, device="meta") for one in model.buffers()}
    return copy.deepcopy(model, shapes)


def learning_at_least(model: nn.Module, method: str, config: MethodConfig) -> int:
    """Numbers that will learn, as far as shapes say: all of them in full fine-tuning, r (in + out) a matrix in the low-rank methods; else 0."""
    if method == "full":
        return sum(p.numel() for p in model.parameters())
    if method not in LOW_RANK:
        return 0
    linear = [module for module in inner(model).modules() if isinstance(module, nn.Linear | Conv1D)]
    kept = {(module.weight.shape[0], module.weight.shape[1]) for module in linear}
    return sum(config.rank * (rows + columns) for rows, columns in adapted_sizes(model, config) if (rows, columns) in kept)


def refuse_what_cant_fit(model: nn.Module, recipe: Recipe, method: str, learning: int, copies: Mapping[str, int], limit: int) -> None:
    """MachineError where a run can't fit `limit` bytes: the kernel kills without a word.

    Args:
        model: the base, before or after it is adapted.
        recipe: for what it trains with.
        method: the resolved method.
        learning: numbers that learn.
        copies: setting -> bytes of the copies of weights it holds.
        limit: bytes this process may use.
    """
    language_model: Any = inner(model)
    config = language_model.config.get_text_config()
    base = [p for name, p in language_model.named_parameters() if "lora_" not in name]
    need = need_of(
        parameters=sum(p.numel() for p in base),
        trainable=learning,
        optimizer=recipe.train.optimizer,
        weight_bytes=base[0].element_size(),
        tokens=recipe.train.token_budget,
        width=config.hidden_size,
        layers=config.num_hidden_layers,
        checkpointing=recipe.train.gradient_checkpointing,
    )
    if need.total <= limit:
        _refuse_copies(need, copies, limit)
        return
    if method in LOW_RANK and need.learning > need.weights // 4:
        raise MachineError(_lower_rank(need, recipe.method.rank, limit))
    refuse_without_memory(need, limit, budget=recipe.train.token_budget)


def _refuse_copies(need: Need, copies: Mapping[str, int], limit: int) -> None:
    whole = replace(need, weights=need.weights + sum(copies.values()))
    if whole.total > limit:
        named = " and ".join(f"{size / GIB:.1f} for {setting}" for setting, size in copies.items())
        settings = " or ".join(copies)
        raise MachineError(
            f"Training needs at least {whole.total / GIB:.1f} GiB ({named}, which keeps copies of weights), and {limit / GIB:.1f} GiB may be "
            f"used here: do without {settings}, set method.name: lora, or take a smaller base."
        )


def _lower_rank(need: Need, rank: int, limit: int) -> str:
    left = limit - need.weights - need.activations
    fits = rank * left // need.learning if left > 0 else 0
    to = f"to {fits} or less" if fits >= 1 else "and train.token_budget, or take a smaller base"
    return (
        f"Training adapters of rank {rank:,} needs at least {need.total / GIB:.1f} GiB, and {limit / GIB:.1f} GiB may be used here: "
        f"lower method.rank {to}."
    )
