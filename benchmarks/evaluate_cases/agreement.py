"""Whether lm-evaluation-harness gives the same answers: the embedded base, fed the same ids, on two public tasks, ties told apart.

`agreement-labels`: the likeliest of banking77's 77 labels for each of 100 test texts, by `loglikelihood`; a row whose two likeliest
labels lie within 1e-4 nats of one another in either tool is a tie. `agreement-generate`: the greedy answer to 60 questions of GSM8K's
test side, 48 tokens at most, word for word, by `generate_until`; a row where, at some token of our answer, the two likeliest ones
lie within 1e-4 is a tie. Ties are counted and left out. The peer tokenises prompts of the second task itself; rows whose ids
differ from ours are left out too, and counted.
"""

import csv
import gzip
import json
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from training.peers import ROOT, Side, environment
from transformers import AutoModelForCausalLM

from tunesmith.chat.labels import label_texts
from tunesmith.chat.render import Renderer
from tunesmith.core.rows import Message
from tunesmith.embedded import base_path
from tunesmith.infer.choices import score_choices
from tunesmith.infer.generate import generate
from tunesmith.models.config import BaseConfig
from tunesmith.models.load import Base, load_base

DATA = ROOT.parent / "shared" / "data"
TEXTS, QUESTIONS, MOST = 100, 60, 48
TIE = 1e-4
"""Nats."""
BATCH = 16
CPU = torch.device("cpu")


def cases() -> dict[str, Callable[[], dict[str, Any]]]:
    """Case to what measures it."""
    return {"agreement-labels": labels, "agreement-generate": generated}


@cache
def _base() -> tuple[Base, Renderer]:
    torch.set_num_threads(1)
    base = load_base(BaseConfig(path="embedded"))
    base.model.eval()
    return base, Renderer(base.tokenizer, max_tokens=512)


def _peer() -> Side:
    return Side(environment("lm-eval", own_torch=True), "peers/lm_eval_side.py", 1)


def labels() -> dict[str, Any]:
    """The likeliest label."""
    base, renderer = _base()
    with (DATA / "banking77" / "test.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    words = label_texts([row["category"] for row in rows], words=True)
    texts = [row["text"] for row in rows][:: len(rows) // TEXTS][:TEXTS]
    prompts = [renderer.prompt([Message("user", text)]).ids for text in texts]
    choices = [renderer.answer(words[label]) for label in sorted(words)]
    ours = score_choices(base.model, prompts, choices, device=CPU)
    with _peer() as peer:
        version = peer.ask("prepare", folder=str(base_path()))["version"]
        theirs = np.array(peer.ask("score", batch_size=BATCH, prompts=prompts, choices=choices)["scores"])
    tied = (_lead(ours) < TIE) | (_lead(theirs) < TIE)
    same = ours.argmax(axis=1) == theirs.argmax(axis=1)
    told = {"greatest_difference": float(np.abs(ours - theirs).max()), "distinct_answers": len(set(ours.argmax(axis=1).tolist()))}
    return _told("agreement-labels", same, tied, version, told | {"least_lead": float(_lead(ours).min())})


def _lead(scores: np.ndarray) -> np.ndarray:
    """How far the likeliest is ahead, a row."""
    ordered = np.sort(scores, axis=1)
    lead: np.ndarray = ordered[:, -1] - ordered[:, -2]
    return lead


def generated() -> dict[str, Any]:
    """The greedy answer, word for word."""
    base, renderer = _base()
    with gzip.open(DATA / "gsm8k" / "test.jsonl.gz", "rt", encoding="utf-8") as file:
        asked = [json.loads(line)["question"] for line in file]
    prompts = [renderer.prompt([Message("user", text)]).ids for text in asked[:: len(asked) // QUESTIONS][:QUESTIONS]]
    ours = generate(base.model, prompts, end_ids=renderer.end_ids, max_new_tokens=MOST, device=CPU)
    with _peer() as peer:
        version = peer.ask("prepare", folder=str(base_path()))["version"]
        answer = peer.ask("generate", batch_size=BATCH, prompts=[base.tokenizer.decode(ids) for ids in prompts], most=MOST)
    alike = np.array([list(one) == list(other) for one, other in zip(prompts, answer["ids"], strict=True)])
    texts = [base.tokenizer.decode([token for token in ids if token not in renderer.end_ids]) for ids in ours]
    same = np.array([one == other for one, other in zip(texts, answer["texts"], strict=True)])
    lead = np.array([_least_lead(prompt, made) for prompt, made in zip(prompts, ours, strict=True)])
    told = {
        "other_ids": int((~alike).sum()),
        "distinct_answers": len(set(texts)),
        "tokens": sum(map(len, ours)),
        "least_lead": float(lead.min()),
    }
    return _told("agreement-generate", same[alike], (lead < TIE)[alike], version, told)


@cache
def _plain() -> Any:
    """The same weights as transformers loads them."""
    return AutoModelForCausalLM.from_pretrained(base_path(), dtype=torch.float32).eval()


@torch.inference_mode()
def _least_lead(prompt: Any, made: list[int]) -> float:
    """The smallest difference of the two likeliest tokens' log-probabilities along an answer."""
    logits = _plain()(torch.tensor([[*prompt, *made[:-1]]])).logits[0, len(prompt) - 1 :]
    two = torch.log_softmax(logits.double(), dim=-1).topk(2, dim=-1).values
    return float((two[:, 0] - two[:, 1]).min())


def _told(case: str, same: np.ndarray, tied: np.ndarray, version: str, more: dict[str, Any]) -> dict[str, Any]:
    judged = int((~tied).sum())
    return {
        "case": case,
        "value": int((same & ~tied).sum()) / judged,
        "unit": "share of rows with the same answer, ties aside",
        "repeats": 1,
        "to_reach": 1.0,
        "ours": {"rows": len(same), "ties": int(tied.sum()), "same": int((same & ~tied).sum()), "same_among_ties": int((same & tied).sum())}
        | more,
        "peer": {"batch_size": BATCH},
        "peer_version": version,
    }
