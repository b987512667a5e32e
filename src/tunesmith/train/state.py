"""Everything a run is, between two steps: weights, optimiser, schedule, what was seen in validation, random state."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field, NonNegativeInt, PositiveFloat
from torch import Tensor, nn
from torch.optim import Optimizer

from tunesmith.core.errors import MachineError
from tunesmith.models.forward import PassTensors, Reader, hidden_states, read_tokens, rows_of, to_tensors
from tunesmith.models.heads import Headed
from tunesmith.models.trunk import TrunkCache, states_from
from tunesmith.score.measures import Measure
from tunesmith.train.batches import Batch
from tunesmith.train.config import TrainConfig
from tunesmith.train.flops import ModelShape, flops_of_step, shape_of
from tunesmith.train.reference import Reference
from tunesmith.train.regularisers.ema import WeightMean
from tunesmith.train.regularisers.l2_sp import L2SP
from tunesmith.train.regularisers.neftune import EmbeddingNoise
from tunesmith.train.schedules import Schedule
from tunesmith.train.unfreezing import Unfreezing
from tunesmith.tree.plan import Pass


@dataclass
class Progress:
    """The part of the state that is plain numbers: saved as JSON beside the tensors. Bounds are held where it is read back."""

    step: NonNegativeInt = 0
    rate_factor: PositiveFloat = 1.0
    """Lowered after each divergence."""
    restarts: NonNegativeInt = 0
    best_loss: float | None = None
    """The lowest so far, where `minimum_gain` is counted."""
    best_step: NonNegativeInt = 0
    """The step whose weights are kept."""
    stale: NonNegativeInt = 0
    """Evaluations in a row without a lower validation loss, nor a better value where one decides."""
    validation: list[tuple[int, float]] = field(default_factory=list)
    """(step, loss)."""
    values: list[tuple[int, float]] = field(default_factory=list)
    """(step, value) of the measure that decides which step is kept; empty where the loss does."""
    stopped: str | None = None
    """Why the run ended before its last step, in words."""
    level: NonNegativeInt = 0
    """Gradual unfreezing: how many groups beyond the first have joined."""
    halvings: Annotated[int, Field(ge=0, le=64)] = 0
    """How often the tokens of a pass were halved for want of memory."""


@dataclass
class Extras:
    """What a run has beside weights and optimiser, where its recipe asks for it."""

    reference: Reference | None = None
    """The model whose predictions are compared with at each token: a teacher, or the base."""
    mean: WeightMean | None = None
    pull: L2SP | None = None
    noise: EmbeddingNoise | None = None
    unfreezing: Unfreezing | None = None
    measure: Measure | None = None
    """Decides which step is kept; None: the validation loss does."""
    make_trunk: Callable[[], TrunkCache | None] | None = None
    """Computes the frozen layers' states for the layers that are frozen now; None: they run in every step."""


@dataclass
class TrainState:
    """One run in memory."""

    model: nn.Module
    optimizers: list[Optimizer]
    schedule: Schedule
    config: TrainConfig
    learning_rate: float
    device: torch.device
    precision: str
    progress: Progress = field(default_factory=Progress)
    extras: Extras = field(default_factory=Extras)

    def __post_init__(self) -> None:
        self.note_rates()
        self.names = frozenset(name for name, p in self.model.named_parameters() if p.requires_grad)
        self.trunk: TrunkCache | None = None
        if self.extras.noise is not None:
            self.extras.noise.attach(self.language_model.get_input_embeddings())
        self.open_level()

    def note_rates(self) -> None:
        """Take the optimisers' rates as those of the peak."""
        self.base_rates = [[group["lr"] for group in optimizer.param_groups] for optimizer in self.optimizers]

    @property
    def step(self) -> int:
        """Steps taken."""
        return self.progress.step

    @cached_property
    def language_model(self) -> Any:
        """The language model beside a head, or the model itself."""
        return self.model.trunk if isinstance(self.model, Headed) else self.model

    def trainable(self) -> dict[str, nn.Parameter]:
        """The tensors that may change in this run, now or later, by name."""
        return {name: p for name, p in self.model.named_parameters() if name in self.names}

    def open_level(self) -> None:
        """Let learn what gradual unfreezing has reached, and take up the cache of what lies frozen below it."""
        if self.extras.unfreezing is not None:
            self.extras.unfreezing.open(self.trainable(), self.progress.level)
        self.trunk = self.extras.make_trunk() if self.extras.make_trunk else None
        self._shape: ModelShape | None = None

    @property
    def shape(self) -> ModelShape | None:
        """What has to be known to count operations; None where layers can't be told apart."""
        if self._shape is None:
            with contextlib.suppress(MachineError):
                self._shape = shape_of(self.model)
        return self._shape

    def flops(self, passes: Sequence[Pass]) -> float:
        """Operations of a step of these passes; 0 where they can't be counted. A reference counts as another of the model itself."""
        if self.shape is None:
            return 0.0
        trimmed = not self.config.gradient_checkpointing
        first = self.trunk.layer if self.trunk is not None else 0
        own = flops_of_step(self.shape, passes, first_layer=first, trimmed=trimmed)
        return own + (flops_of_step(self.shape, passes, trimmed=trimmed, learning=False) if self.extras.reference is not None else 0.0)

    @contextlib.contextmanager
    def arithmetic(self) -> Iterator[None]:
        """The forward pass's precision."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            yield

    def tensor(self, values: Any, dtype: torch.dtype | None = None) -> Tensor:
        """Numbers on the run's device."""
        made = torch.from_numpy(values) if isinstance(values, np.ndarray) else torch.tensor(values)
        return made.to(self.device, dtype)

    def _states(self, batch: Batch, tensors: PassTensors, read: Tensor | None) -> Tensor:
        """Last hidden states of a pass, from the cached trunk where there is one."""
        if self.trunk is not None:
            cached = self.trunk.states(batch.sequences, batch.slot_R, batch.planned)
            return states_from(self.language_model, tensors, self.trunk.layer, cached, read=read)
        noise = self.extras.noise
        with noise.over(tensors.lengths_R) if noise is not None and self.model.training else contextlib.nullcontext():
            return hidden_states(self.language_model, tensors, read=read)

    def read_tokens(self, batch: Batch, reader: Reader, *, against_other: bool = False) -> Tensor:
        """Figures of each supervised token of a pass, [S, K], with the reference's logits beside where asked for."""
        tensors = to_tensors(batch.planned, self.device)
        with self.arithmetic():
            other = None
            if against_other:
                assert self.extras.reference is not None, "a divergence is measured from a reference"
                other = self.extras.reference.states(tensors)
            states_PD = self._states(batch, tensors, tensors.from_P)
            return read_tokens(self.language_model, tensors, reader, other=other, states_PD=states_PD)

    def head_outputs(self, batch: Batch) -> Tensor:
        """What the head says of the rows of a pass, in its order, in float32 or wider; shapes as `Head.forward`."""
        assert isinstance(self.model, Headed), "a head is made by method.head"
        if self.trunk is not None and self.trunk.pooled:
            with self.arithmetic():
                return _wide(self.model.head.read(self.trunk.row_states(batch.sequences, batch.slot_R)))
        tensors = to_tensors(batch.planned, self.device)
        with self.arithmetic():
            states_RLD = rows_of(self._states(batch, tensors, None), tensors)
            return _wide(self.model.head(states_RLD, tensors.lengths_R))

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 1."""
        return self.learning_rate * self.schedule.share(step, self._losses()) * self.progress.rate_factor

    def _losses(self) -> list[float]:
        return [loss for _, loss in self.progress.validation]

    def advance(self) -> None:
        """Take the step: set the rates, update the weights and their mean, forget the gradients."""
        share = self.schedule.share(self.step + 1, self._losses()) * self.progress.rate_factor
        for optimizer, rates in zip(self.optimizers, self.base_rates, strict=True):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * share
            optimizer.step()
        self.forget_gradients()
        self.progress.step += 1
        if self.extras.mean is not None:
            self.extras.mean.update(self.trainable())
        if self.extras.unfreezing is not None:
            self._reach(self.extras.unfreezing.level_at(self.step, self.progress.level))

    def _reach(self, level: int) -> None:
        if level != self.progress.level:
            self.progress.level = level
            self.open_level()

    def forget_gradients(self) -> None:
        """Drop all gradients."""
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)

    @contextlib.contextmanager
    def judged(self) -> Iterator[None]:
        """The model as it is evaluated: no dropout, no gradients, the mean of the weights where one is kept."""
        was_training = self.model.training
        self.model.eval()
        mean = self.extras.mean
        try:
            with torch.no_grad(), mean.in_place(self.trainable()) if mean is not None else contextlib.nullcontext():
                yield
        finally:
            self.model.train(was_training)

    def observe(self, loss: float, value: float | None = None) -> bool:
        """Take note of a validation loss, and of the deciding measure's value where there is one; True where the step is the best so far.

        The value decides, and the loss between equals; without a value the loss does. Patience runs on only where neither
        gets better: a measure that stands still while the loss falls, or rises beside it, is no reason to stop. Where
        layers wait to be unfrozen when validation stalls, the next join instead of patience running on. Sets
        `progress.stopped` when patience is at its end.
        """
        progress, stopping = self.progress, self.config.early_stopping
        progress.validation.append((self.step, loss))
        lower = progress.best_loss is None or loss < progress.best_loss - stopping.minimum_gain
        better = lower if value is None else self._leads(loss, value)
        if value is not None:
            progress.values.append((self.step, value))
        if lower:
            progress.best_loss = loss
        if better:
            progress.best_step = self.step
        progress.stale = 0 if lower or better else progress.stale + 1
        unfreezing = self.extras.unfreezing
        if not lower and unfreezing is not None and unfreezing.when_stalled and progress.level < unfreezing.last:
            progress.stale = 0
            self._reach(progress.level + 1)
        if stopping.patience is not None and progress.stale >= stopping.patience:
            measure = self.extras.measure if value is not None else None
            course = "validation loss had not fallen" + (f", nor {measure.title} improved," if measure is not None else "")
            progress.stopped = f"{course} for {progress.stale} evaluations: stopped at step {self.step}, keeping step {progress.best_step}"
        return better

    def _leads(self, loss: float, value: float) -> bool:
        """Whether a value is better than that of the step kept so far, or as good at a lower loss."""
        kept, measure = self.progress.best_step, self.extras.measure
        earlier = dict(self.progress.values).get(kept)
        if earlier is None:
            return True
        sign = 1 if measure is None or measure.higher_is_better else -1
        return (sign * value, -loss) > (sign * earlier, -dict(self.progress.validation)[kept])

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor a continued run needs: weights, optimiser moments, mean weights, random state."""
        out: dict[str, Tensor] = {f"weight/{name}": p.detach() for name, p in self.trainable().items()}
        for number, optimizer in enumerate(self.optimizers):
            for index, values in optimizer.state_dict()["state"].items():
                for key, value in values.items():
                    if isinstance(value, Tensor):
                        out[f"optimizer/{number}/{index}/{key}"] = value
        if self.extras.mean is not None:
            out |= self.extras.mean.tensors()
        return out | self.random_state()

    def random_state(self) -> dict[str, Tensor]:
        """Where torch's generators stand."""
        out = {"random/cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            out["random/cuda"] = torch.cuda.get_rng_state(self.device)
        return out

    def set_random_state(self, tensors: dict[str, Tensor]) -> None:
        """Put torch's generators where they stood."""
        torch.set_rng_state(tensors["random/cpu"].cpu())
        if self.device.type == "cuda" and "random/cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random/cuda"].cpu(), self.device)

    def restore(self, tensors: dict[str, Tensor], progress: Progress) -> None:
        """The reverse of `tensors`; the model must have the same trainable names and shapes."""
        self.restore_weights(tensors)
        for number, optimizer in enumerate(self.optimizers):
            states: dict[int, dict[str, Tensor]] = {}
            for key, value in tensors.items():
                kind, *rest = key.split("/")
                if kind == "optimizer" and rest[0] == str(number):
                    states.setdefault(int(rest[1]), {})[rest[2]] = value.clone()
            optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})
        if self.extras.mean is not None:
            self.extras.mean.restore(tensors)
        self.progress = progress
        self.forget_gradients()
        self.open_level()
        self.set_random_state(tensors)

    def restore_weights(self, tensors: dict[str, Tensor]) -> None:
        """Only the weights."""
        self.set_weights({name: tensors[f"weight/{name}"] for name in self.names})

    @torch.no_grad()
    def set_weights(self, named: dict[str, Tensor]) -> None:
        """Other values for the tensors that may change."""
        for name, p in self.trainable().items():
            p.copy_(named[name])

    def begin_again(self, tensors: dict[str, Tensor], optimizers: list[Optimizer]) -> None:
        """After steps that were only tried: the weights and random state of `tensors`, fresh optimisers, nothing seen."""
        self.optimizers = optimizers
        self.note_rates()
        self.restore_weights(tensors)
        self.progress = Progress(halvings=self.progress.halvings)
        if self.extras.mean is not None:
            self.extras.mean.restore(tensors)
        self.open_level()
        self.set_random_state(tensors)

    def settle(self, tensors: dict[str, Tensor] | None = None) -> None:
        """The weights that are kept: a checkpoint's where one is given, and their mean where one is held."""
        if tensors is not None:
            self.restore_weights(tensors)
        if self.extras.mean is not None:
            if tensors is not None:
                self.extras.mean.restore(tensors)
            self.extras.mean.copy_to(self.trainable())


def _wide(outputs: Tensor) -> Tensor:
    return outputs if outputs.dtype == torch.float64 else outputs.float()


def row_ids(group: Sequence[Batch]) -> list[str]:
    """The rows of a step."""
    return [row_id for batch in group for row_id in batch.row_ids]
