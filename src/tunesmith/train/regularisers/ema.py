"""A running mean of the weights, with weights that fall off exponentially (Polyak & Juditsky, 1992; Izmailov et al., 2018).

Held corrected for its start, so that it is a proper mean from the first step on: after n steps weight w_i counts
(1 - d) d^(n - i) / (1 - d^n). Costs one pass over the weights a step and a copy of them in float32 or wider.
"""

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor


class WeightMean:
    """The mean of a run's weights so far; before the first step, the weights it was made from."""

    def __init__(self, decay: float, named: Mapping[str, Tensor]) -> None:
        """`named`: every tensor that may change, now or later in the run. About 1 / (1 - decay) steps weigh in."""
        self.decay, self.updates = decay, 0
        self.mean = {name: _wide(value.detach()).clone() for name, value in named.items()}

    @torch.no_grad()
    def update(self, named: Mapping[str, Tensor]) -> None:
        """Take in the weights after a step."""
        self.updates += 1
        share = (1 - self.decay) / (1 - self.decay**self.updates)
        for name, mean in self.mean.items():
            mean.lerp_(named[name].detach().to(mean.dtype), share)

    @contextlib.contextmanager
    def in_place(self, named: Mapping[str, Tensor]) -> Iterator[None]:
        """The mean in place of the weights, which are put back after. Holds a copy of them meanwhile."""
        kept = {name: named[name].detach().clone() for name in self.mean}
        try:
            self.copy_to(named)
            yield
        finally:
            _copy(kept, named)

    def copy_to(self, named: Mapping[str, Tensor]) -> None:
        """Write the mean into the weights for good."""
        _copy(self.mean, named)

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint holds of it: `ema/weight/<name>` and `ema/updates`."""
        return {f"ema/weight/{name}": mean for name, mean in self.mean.items()} | {"ema/updates": torch.tensor(self.updates)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """The reverse of `tensors`. Raises KeyError where one is missing."""
        _copy({name: tensors[f"ema/weight/{name}"] for name in self.mean}, self.mean)
        self.updates = int(tensors["ema/updates"])


@torch.no_grad()
def _copy(values: Mapping[str, Tensor], into: Mapping[str, Tensor]) -> None:
    for name, value in values.items():
        into[name].copy_(value)


def _wide(value: Tensor) -> Tensor:
    return value.float() if value.dtype in (torch.bfloat16, torch.float16) else value
