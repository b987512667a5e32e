"""The model that predictions are compared with at each token: the base as it was before training, or a teacher."""

import contextlib
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.models.forward import PassTensors, hidden_states


@dataclass(frozen=True, slots=True)
class Reference:
    """A model that never learns. With adapters the base is the model itself, its adapters off: no second copy in memory."""

    model: nn.Module
    adapters_off: bool = False

    @torch.no_grad()
    def states(self, tensors: PassTensors) -> tuple[nn.Module, Tensor]:
        """The model, and its hidden states at the places predicted from: [P, D]."""
        model: Any = self.model
        was_training = model.training
        model.eval()
        with model.disable_adapter() if self.adapters_off else contextlib.nullcontext():
            states_PD = hidden_states(model, tensors, read=tensors.from_P)
        model.train(was_training)
        return model, states_PD
