"""What the gateway adds in front of a remote engine: the median time of a chat through it, less that of asking the engine directly.

The engine is scripted.py: 50 ms and eight words, so that no model's noise is in the figure. Directly and through the gateway by turns, the
same requests, with four clients, each half of them streamed. The greater of the two medians' differences is told: of whole answers, and of
streamed ones to their last word.
"""

import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from gathered import log
from serve_cases.figures import percentile
from serve_cases.servers import HERE, Server, ServerFailed, free_port, load, serving, tunesmith

MILLISECONDS = 50
WORDS = 8
CLIENTS = 4
TURNS = 5
REQUESTS = 200
"""Of each turn and side."""
PATH = "/v1/chat/completions"


def _requests() -> list[dict[str, Any]]:
    turns = [{"role": "user", "content": f"Where is my card? {'It has been some time. ' * 8}"}]
    return [{"messages": turns, "most": WORDS, "stream": number % 2 == 1} for number in range(REQUESTS)]


def _medians(server: Server) -> dict[str, float]:
    """Milliseconds. ServerFailed where a request failed."""
    told = load(server, _requests(), seconds=60.0, clients=CLIENTS, patience=30.0, path=PATH)
    if failed := [one for one in told["answers"] if one["status"] != 200 or "error" in one]:
        raise ServerFailed(f"{server.name}: {len(failed)} of {len(told['answers'])} requests failed, one with {failed[0]}"[:600])
    times = {
        kind: [1000 * one["seconds"] for one in told["answers"] if one["streamed"] is (kind == "streamed")]
        for kind in ("whole", "streamed")
    }
    return {kind: percentile(many, 0.5) for kind, many in times.items()}


def gateway_ms() -> dict[str, Any]:
    """The case."""
    port = free_port()
    command = [sys.executable, str(HERE / "scripted.py"), str(port), str(MILLISECONDS), str(WORDS)]
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        engine = stack.enter_context(serving("the scripted engine", command, port, "scripted"))
        gateway = stack.enter_context(tunesmith(["--engine", f"http://127.0.0.1:{port}/v1"], scratch / "workspace", "scripted"))
        turns = []
        for number in range(TURNS + 1):
            direct, through = _medians(engine), _medians(gateway)
            turns.append({kind: (direct[kind], through[kind]) for kind in direct})
            log(f"  {number}/{TURNS}: {', '.join(f'{kind} {a:.1f} and {b:.1f} ms' for kind, (a, b) in turns[-1].items())}")
    del turns[0]  # the first warms up
    added = {kind: sorted(through - direct for direct, through in (one[kind] for one in turns)) for kind in turns[0]}
    worse = max(added.values(), key=statistics.median)
    return {
        "case": "gateway-ms",
        "value": round(statistics.median(worse), 2),
        "unit": "ms added at the median",
        "spread": [round(worse[0], 2), round(worse[-1], 2)],
        "repeats": TURNS,
        "ours": {kind: round(statistics.median(many), 2) for kind, many in added.items()},
        "engine_ms": {kind: round(statistics.median(direct for direct, _ in (one[kind] for one in turns)), 2) for kind in added},
        "clients": CLIENTS,
        "to_reach": 5,
    }
