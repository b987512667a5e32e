"""What benchmark scripts share that gather their cases from a folder: one module a subject, with `cases`; see benchmarks/data.py."""

import argparse
import importlib
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
DATA = ROOT.parent / "shared" / "data"


def log(text: str) -> None:
    """A line to stderr."""
    print(text, file=sys.stderr, flush=True)


def known(folder: str) -> dict[str, Callable[[], dict[str, Any]]]:
    """Every case by name, module by module of a folder."""
    found: dict[str, Callable[[], dict[str, Any]]] = {}
    for path in sorted((HERE / folder).glob("*.py")):
        if path.stem == "__init__":
            continue
        offered = importlib.import_module(f"{folder}.{path.stem}").cases
        for name, measure in (offered() if callable(offered) else offered).items():
            if name in found:
                sys.exit(f"two modules have a case {name}: rename one")
            found[name] = measure
    return found


def measured(name: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a case tells, and how long it took."""
    log(f"{name} ...")
    began = time.perf_counter()
    result = measure()
    result["took_seconds"] = round(time.perf_counter() - began, 1)
    log(f"  {name}: {shown(result)}")
    return result


def shown(one: dict[str, Any]) -> str:
    """A case in a line for people."""
    figure = one.get("ratio", one.get("value"))
    low, high = one.get("spread") or (figure, figure)
    return f"{figure} {one['unit']} ({low} to {high} over {one.get('repeats', 1)}; to reach {one.get('to_reach')}), {one['took_seconds']} s"


def arguments(about: str, names: list[str], *, full: bool = False) -> argparse.Namespace:
    """The command line; `full`: whether there is something to measure again first."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", action="append", metavar="NAME", help=f"only these; all where absent: {', '.join(names)}")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    if full:
        parser.add_argument("--full", action="store_true", help="measure again what the cases replay")
    args = parser.parse_args()
    if unknown := set(args.case or ()) - set(names):
        sys.exit(f"no such case: {', '.join(sorted(unknown))}. The cases: {', '.join(names)}")
    if not DATA.is_dir():
        sys.exit("the public data sets are not beside the checkout (shared/data): nothing to measure")
    return args


def main(about: str, folder: str, *, full: Callable[[], None] | None = None) -> None:
    """Measure the cases of a folder and print what they tell; `about` is the script's own docstring.

    `full`: with `--full`, measures again what the cases replay, before they do.
    """
    cases = known(folder)
    args = arguments(about, list(cases), full=full is not None)
    if full is not None and args.full:
        full()
    results: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    for name in args.case or cases:
        try:
            results.append(measured(name, cases[name]))
        except Exception as error:  # the next case is measured all the same, and the exit code tells
            failed.append({"case": name, "why": f"{type(error).__name__}: {error}"})
            log(f"  {name} was NOT MEASURED: {failed[-1]['why']}")
    told = measured_at() | {"cases": results, "not_measured": failed}
    print(json.dumps(told) if args.json else "\n".join(f"{one['case']}: {shown(one)}" for one in results))
    sys.exit(1 if failed else 0)


def measured_at() -> dict[str, str]:
    """Commit, date and machine."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    return {"commit": commit, "date": datetime.now(UTC).strftime("%Y-%m-%d"), "machine": f"{platform.machine()}, {_cores()} cores"}


def _cores() -> int:
    import os

    return len(os.sched_getaffinity(0))
