"""What an option would take of a machine: memory by the arithmetic of `tunesmith estimate`, time by operations at a share of the peak.

Nothing is run. Rows are held to share no prompt, which is on the high side for both; of attention the matrices are counted and not the
pairs of tokens, which for long rows makes time too short. Of a base whose configuration doesn't tell its measures neither is known.
`tunesmith estimate` on the written recipe looks at the rows as they will be laid out, and takes a few steps.
"""

import time
from collections.abc import Callable
from dataclasses import replace

from tunesmith.data.config import Task
from tunesmith.recipe.architecture import Architecture
from tunesmith.recipe.cost import PEAK_SHARE, Learning, Load, Plan, seconds_of
from tunesmith.recipe.fitting import fitting
from tunesmith.recipe.machine import Machine
from tunesmith.recipe.model import Recipe
from tunesmith.search.advice.bases import Candidate
from tunesmith.search.advice.order import Price
from tunesmith.search.advice.rows import Reading, RowsLook
from tunesmith.search.advice.ways import Way

_MATRIX = 768
"""Side of the squares that are multiplied, as in train/machine.py."""
_PRODUCTS = 12
_TIMES = {"full": 3.0, "lora": 2.0, "features": 1.0}
"""Passes' worth of operations: forward, backward to what is read, backward to what learns. A frozen trunk runs once and is kept."""


def price_of(base: Candidate, way: Way, recipe: Recipe, reading: Reading, look: RowsLook, machine: Machine) -> Price:
    """What training the option takes of a machine; where the base's measures are not known, whether its weights alone are too much."""
    if base.architecture is None:
        return Price(None, None, base.parameters * way.weight_bytes <= machine.memory)
    plan = plan_of(base, base.architecture, way, recipe, reading, look, machine)
    memory = plan.memory().total
    fits = memory <= machine.memory
    return Price(memory, _seconds(base, way, recipe, reading, look, machine), fits, None if fits else fitting(plan, machine.memory))


def with_measured_peak(machine: Machine) -> Machine:
    """This machine, with what its CPU can do for one process where that is not known; by processor time, since others may be busy on it."""
    if machine.flops is not None or machine.device != "cpu":
        return machine
    import torch

    square = torch.ones(_MATRIX, _MATRIX)
    best = min(_processor_seconds(lambda: torch.mm(square, square)) for _ in range(_PRODUCTS))
    return replace(machine, flops=2 * _MATRIX**3 * torch.get_num_threads() / best)


def _processor_seconds(work: Callable[[], object]) -> float:
    """Of all threads together."""
    began = time.process_time()
    work()
    return max(1e-6, time.process_time() - began)


def plan_of(base: Candidate, shape: Architecture, way: Way, recipe: Recipe, reading: Reading, look: RowsLook, machine: Machine) -> Plan:
    """The run as the arithmetic of memory takes it."""
    settings, headed = recipe.train, way.head != "tokens"
    longest = min(reading.tokens_most, settings.max_tokens or base.context, base.context)
    tokens = min(max(settings.token_budget, longest), max(longest, settings.batch_rows * reading.tokens_p95))
    rows = max(1, tokens // max(1, reading.tokens))
    places = tokens if look.task is Task.TEXT else rows if headed else min(tokens, rows * max(1, reading.answer_tokens))
    outputs = max(1, len(look.label_rows)) if headed else 0
    numbers = shape.learning(way.method, rank=recipe.method.rank, outputs=outputs)
    everything = way.method == "full"
    learning = Learning(
        numbers=numbers,
        lowest=shape.layers if way.method == "features" else 0,
        norms=everything,
        inputs=way.method != "features",
        factored=numbers,
    )
    return Plan(
        architecture=shape,
        parameters=base.parameters,
        learning=learning,
        load=Load(tokens=tokens, places=places, longest=longest, alone=settings.batch_rows * reading.tokens_p95 <= settings.token_budget),
        method=way.method,
        optimizer=settings.optimizer,
        device=machine.device,
        weight_bytes=way.weight_bytes,
        narrow=settings.precision == "bf16" or (settings.precision is None and machine.device == "cuda"),
        checkpointing=settings.gradient_checkpointing,
        master_weights=settings.master_weights,
        token_budget=settings.token_budget,
        beside=base.parameters * way.weight_bytes,
    )


def _seconds(base: Candidate, way: Way, recipe: Recipe, reading: Reading, look: RowsLook, machine: Machine) -> float | None:
    """Of the training alone; None where the machine's speed is not known."""
    rows, epochs = look.counts.get("train", 0), 1.0 if way.method == "features" else recipe.train.epochs
    read = rows * epochs
    if recipe.train.max_steps is not None and way.method != "features":
        read = min(read, recipe.train.max_steps * recipe.train.batch_rows)
    places = 0.0 if way.head != "tokens" else reading.tokens_mean if look.task is Task.TEXT else reading.answer_mean
    operations = 2 * (base.body * reading.tokens_mean + base.output * places)
    return seconds_of(read * operations * _TIMES[way.method], machine.flops, PEAK_SHARE[machine.device])
