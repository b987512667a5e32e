"""What a training run is given beside weights and optimiser: references, regularisers, unfreezing, caches, compiled layers."""

import copy
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.core.errors import MachineError, RecipeError
from tunesmith.core.files import make_folder, only_one, read_json, write_json
from tunesmith.core.hashing import digest
from tunesmith.core.progress import Advanced, Ended, Listener, Said, Started
from tunesmith.evaluate.measures import resolve
from tunesmith.models.config import BaseConfig
from tunesmith.models.forward import inner
from tunesmith.models.heads import Head, Headed
from tunesmith.models.layers import decoder_layers, first_layer_to_run, layer_count, rates_by_depth, unfreeze_levels
from tunesmith.models.load import Base, load_base, resolve_base
from tunesmith.models.methods import method
from tunesmith.models.trunk import TrunkCache, TrunkPlan, allocate, caches_trunk, plan_trunk
from tunesmith.pipeline.decisions import Decisions
from tunesmith.recipe import Recipe
from tunesmith.recipe.agreement import TASK_OF
from tunesmith.score.measures import Measure, measure
from tunesmith.train.batches import Example, Feed
from tunesmith.train.choosing import ANSWERED
from tunesmith.train.loop import within_memory
from tunesmith.train.objectives import Objective
from tunesmith.train.reading import read, weight_of
from tunesmith.train.reference import Reference
from tunesmith.train.regularisers.ema import WeightMean
from tunesmith.train.regularisers.interpolation import base_values
from tunesmith.train.regularisers.l2_sp import L2SP
from tunesmith.train.regularisers.neftune import EmbeddingNoise
from tunesmith.train.state import Extras, TrainState
from tunesmith.train.unfreezing import Unfreezing

WORTH_COMPILING_MINUTES = 20
"""A run expected to be shorter is not compiled: compiling takes about a minute itself, and gains a few per cent on CPU."""
PROBED_STEPS = 3
WAIT_SECONDS = 3600
"""So long a run waits for another that makes the frozen layers' states both will take."""


@dataclass
class Outfit:
    """Makes the extras of one run, and clears up what they leave on disk."""

    recipe: Recipe
    base: Base
    feed: Feed
    select: Sequence[Example]
    folder: Path
    decisions: Decisions
    objective: Objective
    listen: Listener
    trunks: Path | None = None
    """Folder of the frozen layers' states, where runs share them: whoever owns it removes them; None: this run alone has them."""
    start: dict[str, Tensor] = field(default_factory=dict)
    """The base's value of every tensor that may change and has one."""
    _frozen: nn.Module | None = None

    @property
    def _compares(self) -> bool:
        """Whether predictions are compared with another model's at each token."""
        return self.recipe.train.regularise.kl > 0 or self.decisions.objective == "distill"

    def before_adapting(self) -> None:
        """Take what must be had of the base while it is still the base."""
        teacher = self.recipe.objective.teacher
        if self.decisions.objective == "distill" and teacher is not None:
            if self.recipe.train.regularise.kl > 0:
                raise RecipeError(
                    "train.regularise.kl compares with the base, and distill with its teacher: set kl to 0, or remove objective.teacher."
                )
            self._frozen = self._teacher(teacher)
        elif self._compares and not self._as_adapter():
            self._frozen = copy.deepcopy(self.base.model).requires_grad_(False)

    def copies(self, learning: int) -> dict[str, int]:
        """Setting -> bytes of the copies of weights that it holds beside the model, as far as they are known now.

        Args:
            learning: numbers that learn.
        """
        settings, width = self.recipe.train.regularise, next(self.base.model.parameters()).element_size()
        whole = sum(p.numel() for p in self.base.model.parameters()) * width
        adapter = method(self.decisions.method).saved_as == "adapter"
        compares = self._teacher_bytes() if self.recipe.objective.teacher else 0 if self._as_adapter() else whole
        held = {
            "objective.name: distill" if self.decisions.objective == "distill" else "train.regularise.kl": compares
            if self._compares
            else 0,
            "train.regularise.ema": learning * max(4, width) if settings.ema else 0,
            "train.regularise.l2_sp": 0 if adapter or not settings.l2_sp else 2 * learning * width,
            "train.regularise.interpolate": 0 if adapter or not settings.interpolate or settings.l2_sp else learning * width,
        }
        return {setting: size for setting, size in held.items() if size}

    def _teacher_bytes(self) -> int:
        """What the teacher takes: of one that is not loaded yet, at least, from its files where they are here."""
        if self._frozen is not None:
            return sum(p.numel() * p.element_size() for p in self._frozen.parameters())
        try:
            folder = Path(resolve_base(BaseConfig(path=str(self.recipe.objective.teacher))))
        except RecipeError:
            return 0  # said where it is loaded, in words of its own
        stored = sum(file.stat().st_size for file in folder.glob("*.safetensors")) if folder.is_dir() else 0
        return stored // 2 if self.recipe.base.dtype == "bfloat16" else stored

    def _as_adapter(self) -> bool:
        chosen = method(self.decisions.method)
        return chosen.saved_as == "adapter" and chosen.name not in ("pissa", "prompt", "prefix")  # whose base can't be had by switching off

    def _teacher(self, path: str) -> nn.Module:
        try:
            loaded = load_base(BaseConfig(path=path, dtype=self.recipe.base.dtype))
        except (RecipeError, MachineError) as error:
            raise type(error)(str(error).replace("base.path", "objective.teacher").replace("Base ", "Teacher ")) from error
        if loaded.tokenizer.get_vocab() != self.base.tokenizer.get_vocab():
            raise RecipeError(
                f"objective.teacher {path!r} has another vocabulary than base {self.base.name!r}: token by token they can't be compared; "
                "take a teacher of the same family."
            )
        model: nn.Module = loaded.model
        return model.to(self.decisions.device).requires_grad_(False)

    def extras(self, model: nn.Module) -> Extras:
        """All that the recipe asks for."""
        settings = self.recipe.train.regularise
        named = {name: p for name, p in model.named_parameters() if p.requires_grad}
        if settings.l2_sp or settings.interpolate:
            beside = {name for name in named if name.startswith("head.")}
            self.start = {name: value.detach().clone() for name, value in base_values(named).items() if name not in beside}
        trunk = getattr(model, "trunk", model)
        reference = None
        if self._compares:
            reference = Reference(self._frozen) if self._frozen is not None else Reference(trunk, adapters_off=True)
        return Extras(
            reference=reference,
            mean=WeightMean(settings.ema, named) if settings.ema else None,
            pull=L2SP(settings.l2_sp, self.start) if settings.l2_sp else None,
            noise=EmbeddingNoise(settings.neftune) if settings.neftune else None,
            unfreezing=self._unfreezing(model),
            measure=self._measure(),
            make_trunk=lambda: self._trunk(model),
        )

    def _measure(self) -> Measure | None:
        """What decides which step is kept, where validation has it at no cost and the recipe leaves it so."""
        if self.recipe.train.early_stopping.by == "loss" or self.objective.inputs not in ANSWERED:
            return None
        return measure(resolve(TASK_OF[self.decisions.objective], self.recipe.evaluate.metrics)[0])

    def rate_factors(self, model: nn.Module) -> dict[str, float]:
        """What each tensor's rate is multiplied by, by depth."""
        decay = self.recipe.method.layer_decay
        return rates_by_depth(model, decay) if decay < 1 else {}

    def _unfreezing(self, model: nn.Module) -> Unfreezing | None:
        asked = self.recipe.method.unfreeze
        if asked is None:
            return None
        groups = unfreeze_levels(model, asked.layers_at_a_time)
        every = asked.every_steps
        if asked.every_epochs is not None:
            every = max(1, round(asked.every_epochs * self.feed.steps_per_epoch))
        return Unfreezing(groups, every)

    def _trunk(self, model: nn.Module) -> TrunkCache | None:
        """The frozen layers' states, where keeping them pays and fits; said before it is made."""
        planned, layer, head = self.planned_trunk(model)
        if planned is None:
            return None
        limit = self.recipe.train.trunk_cache_mib
        if planned.mib > limit:
            self.listen(
                Said(
                    f"Frozen layers run in every step: keeping their states would take {planned.mib:,.0f} MiB, and train.trunk_cache_mib is {limit:,.0f}."
                )
            )
            return None
        return self._kept(getattr(model, "trunk", model), planned, layer, head)

    def planned_trunk(self, model: nn.Module) -> tuple[TrunkPlan | None, int, Head | None]:
        """What would be kept of the frozen layers, the first layer to run, and the head; None where keeping it does not pay. Makes nothing."""
        trunk: nn.Module = getattr(model, "trunk", model)
        layer = first_layer_to_run(trunk)
        head = model.head if isinstance(model, Headed) else None
        dropout = self.recipe.train.dropout > 0 or self.decisions.layout == "padded"
        if (
            not self.recipe.train.trunk_cache_mib
            or layer < 1
            or dropout
            or not caches_trunk(trunk)
            or self.recipe.train.gradient_checkpointing
        ):
            return None, layer, head
        examples = [*self.feed.examples, *self.feed.replay, *self.select]
        sequences = [sequence for item in examples for sequence in (*item.sequences, *([item.contrast] if item.contrast else []))]
        dtype = "bfloat16" if self.decisions.precision == "bf16" else "float32"
        pooled = head is not None and layer == layer_count(trunk) and head.kind != "tags" and head.pool != "attention"
        width = inner(trunk).config.get_text_config().hidden_size
        return plan_trunk(trunk, sequences, width=width, dtype=dtype, pooled=pooled), layer, head

    def _kept(self, trunk: nn.Module, planned: TrunkPlan, layer: int, head: Head | None) -> TrunkCache | None:
        """Made, or taken up where a run before this one made it of the same model, layers and rows."""
        key = digest(
            [
                self.base.content_hash,
                layer,
                planned.dtype,
                head.pool if head and planned.pooled else None,
                digest([list(ids) for ids in planned.rows]),
                *([self.recipe.seed] if self.recipe.base.random_weights else []),
            ]
        )[:24]
        if self.trunks is None:
            for earlier in self.folder.parent.glob("trunk-*"):  # of the level before, under gradual unfreezing
                if not earlier.name.startswith(f"trunk-{key}."):
                    earlier.unlink(missing_ok=True)
            return self._taken_up_or_made(trunk, planned, layer, head, self.folder.parent / f"trunk-{key}.bin")
        file = make_folder(self.trunks) / f"trunk-{key}.bin"
        with only_one(file.with_suffix(".lock"), "The file of frozen layers' states", wait_seconds=WAIT_SECONDS):
            return self._taken_up_or_made(trunk, planned, layer, head, file)

    def _taken_up_or_made(self, trunk: nn.Module, planned: TrunkPlan, layer: int, head: Head | None, file: Path) -> TrunkCache | None:
        note = file.with_suffix(".json")
        described = {"states": planned.kept, "width": planned.width, "dtype": planned.dtype}
        device = torch.device(self.decisions.device)
        if note.exists() and file.exists() and read_json(note) == described:
            return TrunkCache.open(planned, layer, file, device=device)
        layers = len(decoder_layers(trunk))
        self.listen(
            Said(
                f"The lowest {layer} of {layers} layers don't change: their states are computed once and kept in {planned.mib:,.1f} MiB on disk."
            )
        )
        self.listen(Started("frozen layers", len(planned.rows)))
        started = time.monotonic()
        note.unlink(missing_ok=True)
        try:
            allocate(file, planned)
        except OSError as error:
            file.unlink(missing_ok=True)
            self.listen(
                Said(
                    f"Frozen layers run in every step: {planned.mib:,.1f} MiB for their states can't be had on disk ({error.strerror}).",
                    warning=True,
                )
            )
            return None
        try:
            with torch.autocast(device.type, torch.bfloat16, enabled=self.decisions.precision == "bf16"):
                made = TrunkCache.make(
                    trunk,
                    planned,
                    layer,
                    file,
                    device=device,
                    pool=head.pooled if head else None,
                    advanced=lambda done: self.listen(Advanced("frozen layers", done)),
                )
        except torch.OutOfMemoryError:
            file.unlink(missing_ok=True)
            self.listen(Said("Frozen layers run in every step: making their states does not fit the GPU's memory.", warning=True))
            return None
        write_json(note, described)
        self.listen(Ended("frozen layers", time.monotonic() - started))
        return made

    def clean(self) -> None:
        """Remove what was cached, by this process or by one that was killed before it."""
        for file in self.folder.parent.glob("trunk-*") if self.trunks is None else ():
            file.unlink(missing_ok=True)


def compile_layers(language_model: Any) -> None:
    """Compile every layer but the last, whose work depends on what is read."""
    for layer in decoder_layers(language_model)[:-1]:
        layer.compile(dynamic=True)


def pays_to_compile(state: TrainState, feed: Feed, objective: Objective, asked: str) -> tuple[bool, str]:
    """Whether compiled layers earn back what compiling costs, and why; measured where the run is long enough to ask.

    The weights are not touched. Where the answer is yes the layers are left compiled.
    """
    if asked != "auto":
        return asked == "on", f"compile is {asked} in the recipe"
    if state.trunk is not None or state.config.gradient_checkpointing:
        return False, "not compiled: frozen layers are cached, or layers recomputed"
    eager = _seconds_a_step(state, feed, objective)
    minutes = eager * feed.steps / 60
    if minutes < WORTH_COMPILING_MINUTES:
        return False, f"not compiled: the run is expected to take {math.ceil(minutes)} min, and it pays from {WORTH_COMPILING_MINUTES} on"
    started = time.perf_counter()
    try:
        compile_layers(state.language_model)
        compiled = _seconds_a_step(state, feed, objective)
    except Exception as error:  # whatever kind of error a missing compiler or an odd architecture raises
        for layer in decoder_layers(state.language_model):
            layer._compiled_call_impl = None
        return False, f"not compiled: compiling failed ({type(error).__name__})"
    spent = time.perf_counter() - started
    gained = (eager - compiled) * feed.steps
    if gained > spent:
        return True, f"compiled: a step takes {compiled:.2f} s instead of {eager:.2f} s"
    for layer in decoder_layers(state.language_model):
        layer._compiled_call_impl = None
    return False, f"not compiled: a step takes {compiled:.2f} s compiled and {eager:.2f} s as it is"


def _seconds_a_step(state: TrainState, feed: Feed, objective: Objective) -> float:
    """Median time of forward and backward over the first steps; no weight changes."""
    times: list[float] = []
    for number in range(1, 2 + min(PROBED_STEPS, feed.steps)):
        times.append(within_memory(state, partial(_seconds_of, state, feed, objective, 1 + (number - 1) % feed.steps), "A step"))
        state.forget_gradients()
    return statistics.median(times[1:] or times)


def _seconds_of(state: TrainState, feed: Feed, objective: Objective, number: int) -> float:
    group = feed.step(number, halvings=state.progress.halvings)
    started = time.perf_counter()
    for batch in group:
        loss: Any = objective(read(state, batch, objective).inputs).total / max(1e-9, weight_of(batch, objective))
        loss.backward()
    if state.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started
