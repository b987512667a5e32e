"""Scoring a label set: banking77's 77 labels under documents of its test side, beside lm-evaluation-harness' `loglikelihood`.

The same Llama of 17 million random weights, the same ids (prompt under a short instruction; label with the end of the
answer), one thread each, by turns. The peer's batch size is the fastest of those tried. Each repeat takes other
documents, both sides the same ones; the ratio of a repeat is that of their documents a second, by the clock and by
processor time, and the lower of the two medians is told: a busy machine bends the clock.
"""

import csv
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from training.cases import CONTEXT
from training.model import write_model
from training.peers import ROOT, Side, SideFailed, environment
from training.rows import instruction
from transformers import AutoTokenizer

from tunesmith.chat.labels import label_texts
from tunesmith.chat.render import Renderer
from tunesmith.core.rows import Message
from tunesmith.embedded import base_path
from tunesmith.infer.choices import score_choices
from tunesmith.models.config import BaseConfig
from tunesmith.models.load import load_base

DATA = ROOT.parent / "shared" / "data"
BATCH_SIZES: tuple[int | str, ...] = (1, 16, 64, "auto")
PROBED = 2
"""Documents that each batch size is tried on."""
DOCUMENTS = 8
"""Documents of a repeat."""
REPEATS = 5
THREADS = 1
Ids = list[tuple[int, ...]]


def cases() -> dict[str, Callable[[], dict[str, Any]]]:
    """Case to what measures it."""
    return {"score-labels": speed, "score-maxdiff": difference}


def material(count: int) -> tuple[Ids, Ids]:
    """Prompts of `count` documents spread over the test side, and the labels."""
    renderer = Renderer(AutoTokenizer.from_pretrained(base_path()), max_tokens=CONTEXT)
    with (DATA / "banking77" / "test.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    words = label_texts([row["category"] for row in rows], words=True)
    texts = [row["text"] for row in rows][:: len(rows) // count][:count]
    prompts = [renderer.prompt([Message("system", instruction()), Message("user", text)]).ids for text in texts]
    return prompts, [renderer.answer(words[label]) for label in sorted(words)]


@cache
def _measured() -> dict[str, Any]:
    """Both sides by turns: seconds of each repeat, and every score."""
    prompts, choices = material(PROBED + (REPEATS + 1) * DOCUMENTS)
    torch.set_num_threads(THREADS)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        parameters = write_model(folder, "cpu")["parameters"]
        model = load_base(BaseConfig(path=str(folder / "model"))).model
        with Side(environment("lm-eval", own_torch=True), "peers/lm_eval_side.py", THREADS) as peer:
            version = peer.ask("prepare", folder=str(folder / "model"))["version"]
            peer.ask("score", batch_size=16, prompts=prompts[:1], choices=choices)  # the first run of all is slower
            tried = {str(size): _probed(peer, size, prompts, choices) for size in BATCH_SIZES}
            best = max(BATCH_SIZES, key=lambda size: tried[str(size)])
            repeats = []
            for number in range(REPEATS + 1):
                some = prompts[PROBED + number * DOCUMENTS : PROBED + (number + 1) * DOCUMENTS]
                repeats.append(_repeat(model, peer, best, some, choices))
    return {"parameters": parameters, "version": version, "tried": tried, "best": best, "repeats": repeats[1:], "all": repeats}


def _probed(peer: Side, size: int | str, prompts: Ids, choices: Ids) -> float:
    """Documents a processor second at a batch size; 0 where it does not work."""
    try:
        answer = peer.ask("score", batch_size=size, prompts=prompts[:PROBED], choices=choices)
    except SideFailed:
        return 0.0
    return round(PROBED / float(answer["busy"]), 3)


def _repeat(model: torch.nn.Module, peer: Side, size: int | str, prompts: Ids, choices: Ids) -> dict[str, Any]:
    began, busy = time.perf_counter(), time.process_time()
    ours = score_choices(model, prompts, choices, device=torch.device("cpu"))
    spent = {"ours": time.perf_counter() - began, "ours_busy": time.process_time() - busy}
    answer = peer.ask("score", batch_size=size, prompts=prompts, choices=choices)
    theirs = np.array(answer["scores"])
    agree = int((ours.argmax(axis=1) == theirs.argmax(axis=1)).sum())
    return spent | {
        "peer": answer["seconds"],
        "peer_busy": answer["busy"],
        "difference": float(np.abs(ours - theirs).max()),
        "agree": agree,
    }


def speed() -> dict[str, Any]:
    """Documents a second, ours over the peer's."""
    found = _measured()
    by_clock = {
        clock: sorted(one[f"peer{clock}"] / one[f"ours{clock}"] for one in found["repeats"]) for clock in ("", "_busy")
    }  # the first repeat warms both up
    told = min(by_clock.values(), key=statistics.median)
    rate = {name: round(DOCUMENTS / statistics.median(one[name] for one in found["repeats"]), 3) for name in ("ours", "peer")}
    return {
        "case": "score-labels",
        "ratio": round(statistics.median(told), 2),
        "unit": "documents a second, ours over lm-evaluation-harness'",
        "spread": [round(told[0], 2), round(told[-1], 2)],
        "repeats": REPEATS,
        "ours": {
            "documents_a_second": rate["ours"],
            "ratio_by_clock": round(statistics.median(by_clock[""]), 2),
            "ratio_by_processor": round(statistics.median(by_clock["_busy"]), 2),
            "parameters": found["parameters"],
            "documents_a_repeat": DOCUMENTS,
        },
        "peer": {"documents_a_second": rate["peer"], "batch_size": found["best"], "documents_a_processor_second_tried": found["tried"]},
        "peer_version": found["version"],
        "to_reach": 20,
    }


def difference() -> dict[str, Any]:
    """The greatest absolute difference of any label's log-probability under any document, and on how many the best label is the same."""
    found = _measured()
    each = sorted(one["difference"] for one in found["all"])
    documents = DOCUMENTS * len(each)
    return {
        "case": "score-maxdiff",
        "value": each[-1],
        "unit": "nats, greatest difference of a label's log-probability",
        "spread": [each[0], each[-1]],
        "repeats": len(each),
        "ours": {"documents": documents, "same_best_label": sum(one["agree"] for one in found["all"])},
        "peer": {"batch_size": found["best"]},
        "peer_version": found["version"],
        "to_reach": 1e-4,
    }
