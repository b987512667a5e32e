"""Whether what was served is what the model writes offline: texts of the load against `tunesmith.infer.generate`, prompt by prompt."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from serve_cases.workload import Request

from tunesmith.infer.generate import Wanted, answers
from tunesmith.infer.sampling import Sampling
from tunesmith.models.package import load_model

CPU = torch.device("cpu")
NEAR = 1e-3
"""A gap between the two likeliest tokens below which rounding may choose either."""


class Offline:
    """The model in this process, away from any server."""

    def __init__(self, folder: Path) -> None:
        self.model, self.tokenizer, _ = load_model(folder)

    def written(self, requests: Sequence[Request], sampling: Sampling) -> list[tuple[int, ...]]:
        """Ids of the answers; all as long as the longest is asked for, and then cut: a token hangs on none after it."""
        wanted = Wanted(end_ids=(), max_new_tokens=max(one.most for one in requests), sampling=sampling)
        made = answers(self.model, [self._ids(one.prompt) for one in requests], wanted, device=CPU)
        return [one[0].ids[: request.most] for one, request in zip(made, requests, strict=True)]

    def text(self, ids: Sequence[int]) -> str:
        """What ids say."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids

    def gap(self, request: Request, made: Sequence[int], said: str) -> float:
        """Of an answer that became another: the gap between the two likeliest tokens where it did."""
        same = 0
        while same < len(made) and said.startswith(self.text(made[: same + 1])):
            same += 1
        row = [*self._ids(request.prompt), *made[:same]]
        with torch.inference_mode():
            top = self.model(torch.tensor([row])).logits[0, -1].topk(2).values
        return float(top[0] - top[1])

    def compared(self, requests: Sequence[Request], said: Sequence[str], sampling: Sampling) -> dict[str, Any]:
        """How many texts are those of the model offline, and of the others how many only rounding made others."""
        equal = near = 0
        for request, text, made in zip(requests, said, self.written(requests, sampling), strict=True):
            if self.text(made) == text:
                equal += 1
            elif sampling.greedy and self.gap(request, made, text) < NEAR:
                near += 1
        return {"compared": len(said), "equal": equal, "differ_within_rounding": near, "differ": len(said) - equal - near}
