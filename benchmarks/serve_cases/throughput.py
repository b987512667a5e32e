"""Tokens a second of our gateway beside `transformers serve`: 64 clients, the same requests, the same cores, by turns.

The peer runs in its own environment, on the same torch and transformers, in float32 as we do. On each workload it is first tried with and
without continuous batching, with each attention that works on a CPU, and its best is taken. Then both sides are loaded in turn, a slice each
and three slices in all, while the other is paused. Every slice sends requests that no slice before it did. A slice's rate is its tokens over
the seconds until its last answer. Of the first slice, texts are compared with what the model writes offline, on both sides.
"""

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from gathered import log
from serve_cases import figures
from serve_cases.servers import Server, ServerFailed, load, transformers_serve, tunesmith
from serve_cases.workload import SEED, WORKLOADS, Request
from training.peers import environment

SLICES = 3
COMPARED = 24
"""Greedy answers of each side, and drawn ones of ours, that are compared."""
MOST_CLIENTS = 256
PROBE_SECONDS, PROBE_PATIENCE = 12.0, 45.0
"""Of each setting of the peer that is tried; what is not answered then does not count."""
DRAWN: dict[str, float] = {"temperature": 0.8, "top_p": 0.9}
LATE = "not answered when the time was up"
A_SECOND = 60
"""Requests made ready for each second of a slice; more than any side answered."""
_PAGED = ("--continuous-batching", "--cb-num-blocks", "320")  # 82,000 places: more than 64 requests take; unbounded, it takes most memory
PEER = {
    "continuous batching": _PAGED,
    "continuous batching, 512 tokens a batch": (*_PAGED, "--cb-max-batch-tokens", "512"),
    "continuous batching, 512 tokens a batch, eager": (*_PAGED, "--cb-max-batch-tokens", "512", "--attn-implementation", "eager"),
    "one by one": (),
}
"""What is tried of the peer; attention is torch's own (sdpa) where nothing else is said."""
TO_REACH = {"shared": 2.0, "plain": 1.0}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked on the command line."""

    seconds: float
    """Of load on each side of a workload."""
    settings: str | None = None
    """The peer's; None: all are tried, and the best is taken."""
    clients: int = 64


def material(name: str, slices: int, seconds: float) -> list[list[Request]]:
    """The requests of each slice."""
    each = max(MOST_CLIENTS + COMPARED, round(seconds * A_SECOND))
    requests = WORKLOADS[name](slices * each, SEED)
    return [requests[start : start + each] for start in range(0, len(requests), each)]


def sent(server: Server, requests: Sequence[Request], seconds: float, clients: int, patience: float = 180.0) -> dict[str, Any]:
    """A slice, while nobody else runs."""
    server.resume()
    try:
        told: dict[str, Any] = load(server, [one.to_json() for one in requests], seconds=seconds, clients=clients, patience=patience)
    finally:
        server.pause()
    return told


def chosen(name: str, python: Path, folder: Path, plan: Plan) -> tuple[str, dict[str, Any]]:
    """The peer's best settings on a workload, and the tokens a second of all that were tried.

    Raises:
        ServerFailed: none works.
    """
    seconds = max(5.0, min(PROBE_SECONDS, plan.seconds / 6))
    (requests,) = material(name, 1, seconds)
    tried: dict[str, Any] = {}
    for settings, options in PEER.items():
        try:
            with transformers_serve(python, folder, options) as peer:
                sent(peer, requests[-1:], 1.0, clients=1)  # its first request sets it up
                found = figures.summed(sent(peer, requests, seconds, plan.clients, patience=PROBE_PATIENCE))
                wrong = [said for said in found["said"] if said != LATE]
                tried[settings] = f"failed: {wrong}"[:300] if wrong else round(found["tokens_a_second"], 1)
        except ServerFailed as error:
            tried[settings] = f"failed: {error}"[-300:]
        log(f"  {name}: peer, {settings}: {tried[settings]} tokens a second")
    fit = {settings: rate for settings, rate in tried.items() if isinstance(rate, float) and rate > 0}
    if not fit:
        raise ServerFailed(f"no settings of the peer answer every request: {tried}")
    return max(fit, key=lambda settings: fit[settings]), tried


@cache
def measured(name: str, plan: Plan) -> dict[str, Any]:
    """Both sides under a workload."""
    from serve_cases.model import write_served

    python = environment("transformers-serve")
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        folder = Path(scratch)
        parameters = write_served(folder)
        seconds, best, tried = plan.seconds, plan.settings, {}
        if best is None:
            best, tried = chosen(name, python, folder / "model", plan)
        peer = stack.enter_context(transformers_serve(python, folder / "model", PEER[best]))
        peer.pause()
        ours = stack.enter_context(tunesmith([str(folder / "model")], folder / "workspace", folder.resolve().name))
        sides = {"ours": ours, "peer": peer}
        loads = _in_turn(name, sides, plan)
        drawn = _drawn(ours)
        ours.pause()
        checked = _checked(folder / "model", name, loads, drawn, seconds)
    slices = {side: [figures.summed(one) for one in many] for side, many in loads.items()}
    return {"slices": slices, "tried": tried, "best": best, "parameters": parameters, "checked": checked}


def _in_turn(name: str, sides: dict[str, Server], plan: Plan) -> dict[str, list[dict[str, Any]]]:
    """A warm-up of each side, then slices by turns."""
    loads: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}
    for server in sides.values():
        sent(server, WORKLOADS[name](8, SEED + 1), 60.0, clients=4)
    seconds = plan.seconds / SLICES
    for number, requests in enumerate(material(name, SLICES, seconds)):
        for side, server in sides.items():
            loads[side].append(sent(server, requests, seconds, plan.clients))
            found = figures.summed(loads[side][-1])
            log(f"  {name} {number + 1}/{SLICES}, {side}: {found['tokens_a_second']:.1f} tokens a second, {found['errors']} errors")
            if loads[side][-1]["unused"] is False:
                raise ServerFailed(f"{side} answered all {len(requests)} requests of a slice before its time was up: make more ready")
    return loads


def _drawn(server: Server) -> list[tuple[Request, str]]:
    """Answers of ours that are drawn, all at the same time."""
    requests = [replace(one, stream=False) for one in WORKLOADS["plain"](COMPARED, SEED + 2)]
    asked = [one.to_json() | DRAWN | {"seed": SEED} for one in requests]
    server.resume()
    told = load(server, asked, seconds=60.0, clients=len(asked))
    return [(requests[one["index"]], one["text"]) for one in told["answers"]]


def _checked(folder: Path, name: str, loads: dict[str, list[dict[str, Any]]], drawn: list[tuple[Request, str]], seconds: float) -> Any:
    from serve_cases.answers import Offline

    from tunesmith.infer.sampling import Sampling

    offline = Offline(folder)
    requests = material(name, SLICES, seconds / SLICES)[0]
    told = {}
    for side, many in loads.items():
        some = [one for one in many[0]["answers"] if one["status"] == 200][:COMPARED]
        told[side] = offline.compared([requests[one["index"]] for one in some], [one["text"] for one in some], Sampling())
    told["ours_drawn"] = offline.compared([one for one, _ in drawn], [text for _, text in drawn], Sampling(**DRAWN, seed=SEED))
    return told


def throughput(name: str, plan: Plan) -> dict[str, Any]:
    """The case of a workload."""
    found = measured(name, plan)
    ours, theirs = found["slices"]["ours"], found["slices"]["peer"]
    from importlib.metadata import version

    return {
        "case": f"throughput-{name}",
        **figures.ratio(ours, theirs),
        "unit": "tokens a second, ours over transformers serve's",
        "ours": figures.together(ours) | {"answers": found["checked"]["ours"], "drawn": found["checked"]["ours_drawn"]},
        "peer": figures.together(theirs) | {"answers": found["checked"]["peer"], "settings": found["best"], "tried": found["tried"]},
        "peer_version": f"transformers {version('transformers')}",
        "clients": plan.clients,
        "parameters": found["parameters"],
        "to_reach": TO_REACH[name],
    }


def errors(plan: Plan) -> dict[str, Any]:
    """Requests of both workloads that our gateway neither answered whole nor refused with 429."""
    slices = [one for name in WORKLOADS for one in measured(name, plan)["slices"]["ours"]]
    told = figures.together(slices)
    each = [one["errors"] for one in slices]
    return {
        "case": "errors",
        "value": told["errors"],
        "unit": "requests that failed, of our gateway",
        "spread": [min(each), max(each)],
        "repeats": len(each),
        "ours": {"requests": told["requests"], "refused": told["refused"], "said": told["errors_said"]},
        "to_reach": 0,
    }
