"""Everything a run is, between two steps: weights, optimiser, schedule, what was seen in validation, random state."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tunesmith.models.adapt import Classifier
from tunesmith.models.forward import to_tensors, token_logps
from tunesmith.train.batches import Batch
from tunesmith.train.config import TrainConfig
from tunesmith.train.objectives.label_class import LabelInputs
from tunesmith.train.objectives.next_token import TokenInputs
from tunesmith.train.schedule import Schedule


@dataclass
class Progress:
    """The part of the state that is plain numbers: saved as JSON beside the tensors."""

    step: int = 0
    rate_factor: float = 1.0
    """Lowered after each divergence."""
    restarts: int = 0
    best_loss: float | None = None
    best_step: int = 0
    stale: int = 0
    """Evaluations in a row without a lower validation loss."""
    validation: list[tuple[int, float]] = field(default_factory=list)
    stopped: str | None = None
    """Why the run ended before its last step, in words."""


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

    def __post_init__(self) -> None:
        self.base_rates = [[group["lr"] for group in optimizer.param_groups] for optimizer in self.optimizers]

    @property
    def step(self) -> int:
        """Steps taken."""
        return self.progress.step

    def trainable(self) -> dict[str, nn.Parameter]:
        """The tensors that may change, by name."""
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    @contextlib.contextmanager
    def arithmetic(self) -> Iterator[None]:
        """The forward pass's precision."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            yield

    def compute(self, batch: Batch, inputs: str) -> TokenInputs | LabelInputs:
        """What an objective asks for, of one batch."""
        tensors = to_tensors(batch.planned, self.device)
        with self.arithmetic():
            if inputs == "label_logits":
                assert isinstance(self.model, Classifier), "a head is made by method.head: class"
                return LabelInputs(self.model.label_logits(tensors), torch.tensor(batch.labels_R, device=self.device))
            logps = token_logps(self.model, tensors)
        return TokenInputs(logps, tensors.weight_S.to(logps.dtype))

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 1."""
        return self.learning_rate * self.schedule.share(step) * self.progress.rate_factor

    def advance(self) -> None:
        """Take the step: set the rates, update the weights, forget the gradients."""
        share = self.schedule.share(self.step + 1) * self.progress.rate_factor
        for optimizer, rates in zip(self.optimizers, self.base_rates, strict=True):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * share
            optimizer.step()
        self.forget_gradients()
        self.progress.step += 1

    def forget_gradients(self) -> None:
        """Drop all gradients."""
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)

    def observe(self, loss: float) -> bool:
        """Take note of a validation loss; True where it is the best so far. Sets `progress.stopped` when patience is at its end."""
        progress, stopping = self.progress, self.config.early_stopping
        progress.validation.append((self.step, loss))
        better = progress.best_loss is None or loss < progress.best_loss - stopping.minimum_gain
        if better:
            progress.best_loss, progress.best_step, progress.stale = loss, self.step, 0
        else:
            progress.stale += 1
        if stopping.patience is not None and progress.stale >= stopping.patience:
            progress.stopped = f"validation loss had not fallen for {progress.stale} evaluations: stopped at step {self.step}, keeping step {progress.best_step}"
        return better

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor a continued run needs: weights, optimiser moments, random state."""
        out: dict[str, Tensor] = {f"weight/{name}": p.detach() for name, p in self.trainable().items()}
        for number, optimizer in enumerate(self.optimizers):
            for index, values in optimizer.state_dict()["state"].items():
                for key, value in values.items():
                    if isinstance(value, Tensor):
                        out[f"optimizer/{number}/{index}/{key}"] = value
        out["random/cpu"] = torch.get_rng_state()
        if self.device.type == "cuda":
            out["random/cuda"] = torch.cuda.get_rng_state(self.device)
        return out

    def restore(self, tensors: dict[str, Tensor], progress: dict[str, Any]) -> None:
        """The reverse of `tensors`; the model must have the same trainable names and shapes."""
        with torch.no_grad():
            for name, p in self.trainable().items():
                p.copy_(tensors[f"weight/{name}"])
        for number, optimizer in enumerate(self.optimizers):
            states: dict[int, dict[str, Tensor]] = {}
            for key, value in tensors.items():
                kind, *rest = key.split("/")
                if kind == "optimizer" and rest[0] == str(number):
                    states.setdefault(int(rest[1]), {})[rest[2]] = value.clone()
            optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})
        torch.set_rng_state(tensors["random/cpu"].cpu())
        if self.device.type == "cuda" and "random/cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random/cuda"].cpu(), self.device)
        values = dict(progress)
        values["validation"] = [(int(step), float(loss)) for step, loss in values["validation"]]
        self.progress = Progress(**values)
        self.forget_gradients()
