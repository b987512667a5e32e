"""NEFTune (Jain et al., 2023, algorithm 1): uniform noise on the input embeddings while training.

Each entry gets a draw from [-1, 1] times alpha / sqrt(L D), for a row of L tokens and width D. Noise belongs to a row,
so prompts can't be shared between rows. It comes from torch's generator of the device, whose state checkpoints hold.
Letters: B rows, T places, D width.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle


class EmbeddingNoise:
    """The noise, added inside `over` alone: evaluation, references and anything else outside it stay clean."""

    def __init__(self, alpha: float) -> None:
        self.alpha = alpha
        self.lengths: Tensor | None = None

    def attach(self, embeddings: nn.Module) -> RemovableHandle:
        """Hook the input embeddings of a model; the handle's `remove` takes it off again."""
        return embeddings.register_forward_hook(self._add)

    @contextlib.contextmanager
    def over(self, lengths: Tensor) -> Iterator[None]:
        """For forward passes over rows of these lengths in tokens: [B] for padded rows, [B, T] where each place has its own row's."""
        before, self.lengths = self.lengths, lengths
        try:
            yield
        finally:
            self.lengths = before

    def _add(self, module: nn.Module, arguments: Any, output_BTD: Tensor) -> Tensor | None:
        if self.lengths is None or not module.training:
            return None
        lengths = self.lengths.to(output_BTD.device, torch.float32)
        size = self.alpha / (lengths * output_BTD.shape[-1]).sqrt()
        noise_BTD = torch.empty(output_BTD.shape, device=output_BTD.device).uniform_(-1, 1)
        noise_BTD *= size[:, None, None] if size.ndim == 1 else size[..., None]
        return output_BTD + noise_BTD.to(output_BTD.dtype)
