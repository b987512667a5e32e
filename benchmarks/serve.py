"""The gateway under load: beside `transformers serve`, in front of a remote engine, and when a model is rolled back.

The cases lie in benchmarks/serve_cases, whose modules say what is measured and how. The peer is run in its own environment under .bench,
which is made where it is missing. About 30 minutes on two quiet cores as it stands; with `--seconds 10` a few, to see that all of it works.

    .venv/bin/python benchmarks/serve.py --json > benchmarks/results/DATE-serve.json
    .venv/bin/python benchmarks/serve.py --case throughput-plain --seconds 10

Exit code 0 where every case was measured, whatever the figures; 1 where one was not.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from gathered import ROOT, log, measured
from serve_cases.overhead import gateway_ms
from serve_cases.throughput import MOST_CLIENTS, PEER, Plan, errors, throughput

MINUTES = 3
"""Of load on each side of each workload."""


MOST_MINUTES = 39
"""Whatever is under way then ends, and what was measured is told."""


def rollback() -> dict[str, Any]:
    """Seconds until the model that was rolled back to answers."""
    try:
        from serve_cases.rollback import measure
    except ModuleNotFoundError as error:
        raise LookupError(f"benchmarks/serve_cases/rollback.py is not there, or lacks {error.name}") from None

    told: dict[str, Any] = measure()
    return told


CASES: dict[str, Callable[[Plan], dict[str, Any]]] = {
    "throughput-shared": partial(throughput, "shared"),
    "throughput-plain": partial(throughput, "plain"),
    "errors": errors,
    "gateway-ms": lambda _: gateway_ms(),
    "rollback-s": lambda _: rollback(),
}


class OutOfTime(Exception):
    """The script has run for MOST_MINUTES."""


def _end(kind: int, _: object) -> None:
    """Out of time, or told to stop: an error on the way, so that what was started is killed."""
    if kind == signal.SIGALRM:
        raise OutOfTime(f"{MOST_MINUTES} minutes were up")
    sys.exit(128 + kind)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", action="append", metavar="NAME", help=f"only these; all where absent: {', '.join(CASES)}")
    parser.add_argument("--seconds", type=float, default=60.0 * MINUTES, help="of load on each side of each workload")
    parser.add_argument("--settings", choices=list(PEER), help="the peer's; all are tried where absent, and the best is taken")
    parser.add_argument("--clients", type=int, default=64, help="at the same time; the figures that are held to are those of 64")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    args = parser.parse_args()
    if unknown := set(args.case or ()) - set(CASES):
        sys.exit(f"no such case: {', '.join(sorted(unknown))}. The cases: {', '.join(CASES)}")
    if not 3 <= args.seconds <= 300:
        sys.exit("--seconds takes 3 to 300")
    if not 1 <= args.clients <= MOST_CLIENTS:
        sys.exit(f"--clients takes 1 to {MOST_CLIENTS}")
    plan, began = Plan(args.seconds, args.settings, args.clients), time.monotonic()
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGALRM, _end)
    results: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    for name in args.case or CASES:
        try:
            signal.alarm(max(1, round(MOST_MINUTES * 60 - (time.monotonic() - began))))
            results.append(measured(name, partial(CASES[name], plan)))
        except Exception as error:  # the next case is measured all the same, and the exit code tells
            failed.append({"case": name, "why": f"{type(error).__name__}: {error}"})
            log(f"  {name} was NOT MEASURED: {failed[-1]['why']}")
        finally:
            signal.alarm(0)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    machine = f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, fp32"
    told = {"commit": commit, "date": datetime.now(UTC).strftime("%Y-%m-%d"), "machine": machine, "load_seconds": args.seconds}
    told |= {"cases": results, "not_measured": failed}
    print(json.dumps(told) if args.json else "\n".join(json.dumps(one) for one in results))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
