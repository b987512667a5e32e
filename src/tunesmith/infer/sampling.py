"""How the next token is chosen: the likeliest, or drawn from what temperature, top-k and top-p leave.

Each answer has a stream of random numbers of its own, seeded by the seed, its prompt's ids and its number among the
prompt's samples: what else shares its batch changes nothing, and neither does its place among the prompts. One uniform
number a token, looked up among probabilities summed in the order of ids, so that rounding can change a draw only where
the number falls within rounding of a boundary.

Letters: R rows, V vocabulary.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tunesmith.core.errors import RecipeError
from tunesmith.core.hashing import digest
from tunesmith.core.seeds import derive_seed


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How tokens are drawn; as it stands, none is: the likeliest is taken."""

    temperature: float = 0.0
    """Logits are divided by it; 0: the likeliest token always."""
    top_p: float = 1.0
    """Only the fewest likeliest tokens whose probabilities reach this sum (Holtzman et al., 2020)."""
    top_k: int = 0
    """Only this many likeliest tokens; 0: all."""
    seed: int = 0
    samples: int = 1
    """Answers to each prompt, each drawn from its own stream."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise RecipeError(f"temperature is {self.temperature:g}, and must be 0 or more: 0 takes the likeliest token.")
        if not 0 < self.top_p <= 1:
            raise RecipeError(f"top_p is {self.top_p:g}, and must lie above 0 and not above 1: 1 leaves every token.")
        if self.top_k < 0:
            raise RecipeError(f"top_k is {self.top_k}, and must be 0 or more: 0 leaves every token.")
        if self.samples < 1:
            raise RecipeError(f"samples is {self.samples}, and must be 1 or more: it is the number of answers to each prompt.")
        if self.samples > 1 and self.greedy:
            raise RecipeError(
                f"samples is {self.samples} at temperature 0, where all answers are the same: set a temperature, or samples to 1."
            )

    @property
    def greedy(self) -> bool:
        """Whether the likeliest token is taken always."""
        return self.temperature == 0

    def stream(self, prompt: Sequence[int], sample: int) -> random.Random:
        """The random numbers of one answer."""
        return random.Random(derive_seed(self.seed, "answer", digest([int(token) for token in prompt]), sample))


def choose(logits_RV: Tensor, sampling: Sampling, streams: Sequence[random.Random]) -> Tensor:
    """The next token of each row: [R].

    Args:
        logits_RV: of the next token; -inf where a token is not allowed, at least one a row is.
        sampling: how.
        streams: one a row; each gives one number, where anything is drawn.
    """
    if sampling.greedy:
        return logits_RV.argmax(dim=-1)
    scaled_RV = logits_RV.double() / sampling.temperature
    if 0 < sampling.top_k < scaled_RV.shape[1]:
        least_R1 = scaled_RV.topk(sampling.top_k, dim=-1).values[:, -1:]
        scaled_RV = scaled_RV.masked_fill(scaled_RV < least_R1, -math.inf)
    chances_RV = torch.softmax(scaled_RV, dim=-1)
    if sampling.top_p < 1:
        sorted_RV, order_RV = chances_RV.sort(dim=-1, descending=True, stable=True)
        beyond_RV = sorted_RV.cumsum(dim=-1) - sorted_RV >= sampling.top_p  # the likeliest never is
        chances_RV = chances_RV.masked_fill(torch.zeros_like(beyond_RV).scatter(1, order_RV, beyond_RV), 0.0)
    sums_RV = chances_RV.cumsum(dim=-1)
    whole_R1 = sums_RV[:, -1:].contiguous()
    drawn_R = torch.tensor([stream.random() for stream in streams], dtype=torch.float64, device=logits_RV.device)
    found_R = torch.searchsorted(sums_RV, drawn_R[:, None] * whole_R1, right=True)[:, 0]
    last_R = torch.searchsorted(sums_RV, whole_R1)[:, 0]  # the last token with any chance: rounding must not pass it
    return torch.minimum(found_R, last_R)
