"""lm-evaluation-harness as a process that answers lines of JSON: log-likelihoods of token ids by its HFLM, on the CPU.

What `loglikelihood` does once it has tokenised is asked for, so that both sides score the same ids; its order by length,
its batches and its cache of contexts are its own.

    {"do": "prepare", "folder": ...}                          -> {"version": ...}
    {"do": "score", "batch_size": ..., "prompts": [ids, ...], "choices": [ids, ...]}
                                                              -> {"seconds": ..., "busy": ..., "scores": [[...], ...]}
    {"do": "generate", "batch_size": ..., "prompts": [text, ...], "most": ...}
                                                              -> {"ids": [ids, ...], "texts": [text, ...]}

Texts are continued greedily to the end of the answer by its `generate_until`, which tokenises by itself; `ids` are what it made of them.
"""

import time
from importlib.metadata import version
from typing import Any

import torch
from lm_eval.api.instance import Instance
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
        harness = self._harness(batch_size)
        requests = [(("", ""), prompt, choice) for prompt in prompts for choice in choices]
        began, busy = time.perf_counter(), time.process_time()
        found = harness._loglikelihood_tokens(requests, disable_tqdm=True)
        seconds, busy = time.perf_counter() - began, time.process_time() - busy
        flat = [logp for logp, _ in found]
        width = len(choices)
        return {"seconds": seconds, "busy": busy, "scores": [flat[start : start + width] for start in range(0, len(flat), width)]}

    def generate(self, batch_size: int | str, prompts: list[str], most: int) -> dict[str, Any]:
        """What the model goes on with, at most so many tokens, and the ids that each prompt became."""
        harness = self._harness(batch_size)
        wanted = {"until": [], "max_gen_toks": most, "do_sample": False}
        requests = [
            Instance(request_type="generate_until", doc={}, arguments=(prompt, dict(wanted)), idx=number)
            for number, prompt in enumerate(prompts)
        ]
        texts = harness.generate_until(requests, disable_tqdm=True)
        return {"ids": [list(harness.tok_encode(prompt)) for prompt in prompts], "texts": texts}

    def _harness(self, batch_size: int | str) -> HFLM:
        """The harness around the model, one a batch size."""
        if batch_size not in self.made:
            self.made[batch_size] = HFLM(pretrained=self.model, tokenizer=self.tokenizer, batch_size=batch_size, device="cpu")
        return self.made[batch_size]


if __name__ == "__main__":
    side = Side()
    serve({name: getattr(side, name) for name in ("prepare", "score", "generate")})
