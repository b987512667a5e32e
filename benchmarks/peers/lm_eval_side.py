"""lm-evaluation-harness as a process that answers lines of JSON: log-likelihoods of token ids by its HFLM, on the CPU.

What `loglikelihood` does once it has tokenised is asked for, so that both sides score the same ids; its order by length,
its batches and its cache of contexts are its own.

    {"do": "prepare", "folder": ...}                          -> {"version": ...}
    {"do": "score", "batch_size": ..., "prompts": [ids, ...], "choices": [ids, ...]}
                                                              -> {"seconds": ..., "busy": ..., "scores": [[...], ...]}
"""

import time
from importlib.metadata import version
from typing import Any

import torch
from lm_eval.models.huggingface import HFLM
from training.worker import serve
from transformers import AutoModelForCausalLM, AutoTokenizer


class Side:
    """The commands of the peer's side."""

    def prepare(self, folder: str) -> dict[str, Any]:
        """Load the model."""
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.made: dict[int | str, HFLM] = {}
        told = f"lm_eval {version('lm_eval')}, torch {torch.__version__}, transformers {version('transformers')}"
        return {"version": told, "threads": torch.get_num_threads()}

    def score(self, batch_size: int | str, prompts: list[list[int]], choices: list[list[int]]) -> dict[str, Any]:
        """Log-probability of every choice under every prompt, and the seconds that took, by the clock and of the processor."""
        if batch_size not in self.made:
            self.made[batch_size] = HFLM(pretrained=self.model, tokenizer=self.tokenizer, batch_size=batch_size, device="cpu")
        requests = [(("", ""), prompt, choice) for prompt in prompts for choice in choices]
        began, busy = time.perf_counter(), time.process_time()
        found = self.made[batch_size]._loglikelihood_tokens(requests, disable_tqdm=True)
        seconds, busy = time.perf_counter() - began, time.process_time() - busy
        flat = [logp for logp, _ in found]
        width = len(choices)
        return {"seconds": seconds, "busy": busy, "scores": [flat[start : start + width] for start in range(0, len(flat), width)]}


if __name__ == "__main__":
    side = Side()
    serve({name: getattr(side, name) for name in ("prepare", "score")})
