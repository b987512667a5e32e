"""Training side by side with the tools a user would pick instead: same model, rows, batches, optimiser and length.

The peer is TRL (SFTTrainer, DPOTrainer) and, for a classification head, transformers' Trainer. Each case is first tried
with every setting of the peer that trains the same batches, and its fastest is taken. Then both sides run in turn, at
least three times, each time from fresh weights, and the ratio is the peer's seconds over ours for the same steps. What
shows that the same work was done: the losses of the last step of both.

    .venv/bin/python benchmarks/train.py --json > benchmarks/results/DATE-train.json
    .venv/bin/python benchmarks/train.py --case sft-shared --case sft-plain

Timed: from the first row of the first step to the end of the last step. Not timed: tokenising, loading weights, making
the trainer, two steps of warm-up. Timed where a case has them: the reference's log-probabilities, the pass over the
frozen trunk that fills a cache. `peak_mib` is the peak of resident memory in the timed part less what was held just
before it (weights loaded, optimiser not yet filled); `peak_rss_mib` is that peak as it stands. On CUDA both are of the
device's allocator, and the share of the peak rate (MFU) is of the device's stated one.

Needs the public data sets beside the checkout (on CUDA rows of their lengths will do). The peers' environments are made
under .bench. About 40 minutes on two quiet cores.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from training.cases import COSTLY, CPU, CUDA, Case
from training.peers import ROOT, Side, SideFailed, environment

DATA = ROOT.parent / "shared" / "data"
PROBE_STEPS = 2
LOSSES_AGREE = {"cpu": 1e-3, "cuda": 2e-2}
"""Settings of the peer are taken only where its first losses are ours to this share (in bf16 they are rounded): they then
trained the same."""

PEERS = {
    "trl": {"script": "peers/trl_side.py"},
    "trl-cuda": {"script": "peers/trl_side.py", "liger": True},
    "unsloth": {"script": "peers/unsloth_side.py", "own_torch": True},
}


def log(text: str) -> None:
    """A line to stderr."""
    print(text, file=sys.stderr, flush=True)


class Comparison:
    """Our side, one peer, and a folder that both can read."""

    def __init__(self, ours: Side, peer: Side | None, folder: str, args: argparse.Namespace) -> None:
        self.ours, self.peer, self.folder, self.args = ours, peer, folder, args
        self.machine = ours.ask("model", folder=folder, device=args.device)
        log(f"model: {self.machine['parameters'] / 1e6:.1f}M parameters; machine: {self.machine['gflops']:.0f} GFLOP/s")

    def measure(self, case: Case, liger: bool) -> dict[str, Any]:
        """One case: prepare, choose the peer's settings, then run both in turn.

        Raises:
            SideFailed: one of the two can't do it.
        """
        where = {"folder": self.folder, "device": self.args.device}
        material = self.ours.ask("rows", name=case.rows, count=case.batch_rows * case.steps)
        plan = self.ours.ask("prepare", case=asdict(case), material=material, compiled=self.args.compile, **where)
        tried: list[dict[str, Any]] = []
        version = candidate = None
        if self.peer:
            told = {"order": plan.pop("order"), "trainable": plan.pop("trainable"), "liger": liger}
            version = self.peer.ask("prepare", case=asdict(case), material=material, **told, **where)["version"]
            candidate, tried = self._choose(case)
        runs = list(self._repeats(case, candidate))
        done = self.ours.ask("count") | plan | {"too_long": material["too_long"], "instruction_tokens": material.get("instruction_tokens")}
        return self._result(case, runs, done) | {"peer_version": version, "peer_settings": candidate, "tried": tried}

    def _choose(self, case: Case) -> tuple[str, list[dict[str, Any]]]:
        """The peer's fastest candidate of those that train the same, and what all of them did.

        Raises:
            SideFailed: no candidate's losses are ours.
        """
        assert self.peer
        steps = min(PROBE_STEPS, case.steps * case.epochs - 1)
        losses, apart = self.ours.ask("warm", steps=steps + 1)["losses"], LOSSES_AGREE[self.args.device]
        tried: list[dict[str, Any]] = []
        for name in [*case.candidates, *(COSTLY if self.args.probe_all and case.kind == "sft" else ())]:
            try:
                found = self.peer.ask("probe", candidate=name, steps=steps)
                found["same_work"] = all(abs(a - b) <= apart * abs(a) for a, b in zip(losses, found.pop("losses"), strict=False))
            except SideFailed as error:
                found = {"rows_per_second": 0.0, "same_work": False, "failed": str(error)[:200]}
            tried.append({"settings": name} | found)
            log(f"  {case.name}: peer {name}: {found['rows_per_second']:.2f} rows/s" + ("" if found["same_work"] else ", other work"))
        fit = [one for one in tried if one["same_work"]]
        if not fit:
            raise SideFailed(f"no settings of the peer give our losses {losses}")
        best: str = max(fit, key=lambda one: one["rows_per_second"])["settings"]
        return best, tried

    def _repeats(self, case: Case, candidate: str | None) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
        """Our run and the peer's, in turn, after a warm-up of each."""
        self.ours.ask("warm", steps=2)
        if self.peer:
            self.peer.ask("warm", candidate=candidate)
        for number in range(self.args.repeats):
            ours = self.ours.ask("run")
            peer = self.peer.ask("run", candidate=candidate) if self.peer else None
            theirs = f", peer {peer['seconds']:.2f} s" if peer else ""
            log(f"  {case.name} {number + 1}/{self.args.repeats}: ours {ours['seconds']:.2f} s{theirs}")
            yield ours, peer

    def _result(self, case: Case, runs: list[tuple[dict[str, Any], dict[str, Any] | None]], done: dict[str, Any]) -> dict[str, Any]:
        """One line of the result."""
        rows = case.batch_rows * case.steps * case.epochs
        mine = [ours for ours, _ in runs]
        theirs = [peer for _, peer in runs if peer]
        seconds = _median(mine, "seconds")
        ratios = [peer["seconds"] / ours["seconds"] for ours, peer in runs if peer]
        result = {
            "case": case.name,
            "ratio": round(statistics.median(ratios), 3) if ratios else None,
            "unit": "peer seconds / our seconds",
            "spread": [round(min(ratios), 3), round(max(ratios), 3)] if ratios else None,
            "repeats": len(runs),
            "to_reach": case.to_reach,
            "ours": round(rows / seconds, 2),
            "rows": rows,
            "steps": case.steps * case.epochs,
            "batch_rows": case.batch_rows,
            "tokens_in_rows": done["rows_tokens"],
            "tokens_computed": mine[0]["computed_tokens"],
            "share_of_tokens_shared": round(1 - done["tree_tokens"] / done["rows_tokens"], 4),
            "instruction_tokens": done["instruction_tokens"] if "shared" in case.name else None,
            "rows_too_long": done["too_long"],
            "first_loss": mine[0]["losses"][0],
            "last_loss": mine[0]["losses"][-1],
            "flops": done["flops"],
            "mfu": round(done["flops"] / seconds / 1e9 / max(done["gflops"], self.machine["gflops"]), 4),
            "peak_mib": _median(mine, "peak_mib"),
            "peak_rss_mib": _median(mine, "peak_rss_mib"),
        }
        if theirs:
            result |= {
                "peer": round(rows / _median(theirs, "seconds"), 2),
                "peer_first_loss": theirs[0]["losses"][0],
                "peer_last_loss": theirs[0]["losses"][-1],
                "peer_peak_mib": _median(theirs, "peak_mib"),
                "peer_peak_rss_mib": _median(theirs, "peak_rss_mib"),
            }
        return result


def _median(runs: list[dict[str, Any]], key: str) -> float:
    return statistics.median(run[key] for run in runs)


@contextmanager
def comparison(name: str, args: argparse.Namespace) -> Iterator[Comparison]:
    """Our side and the peer of that name, started and ended."""
    with ExitStack() as stack:
        peer = None
        if name != "none":
            python = environment(name, own_torch=bool(PEERS[name].get("own_torch")))
            peer = stack.enter_context(Side(python, str(PEERS[name]["script"]), args.threads))
        ours = stack.enter_context(Side(Path(sys.executable), "training/ours.py", args.threads))
        yield Comparison(ours, peer, stack.enter_context(tempfile.TemporaryDirectory()), args)


def show(one: dict[str, Any]) -> None:
    """A case in a few lines for people."""
    print(
        f"{one['case']}: {one['tokens_in_rows']:,} tokens in rows, {one['tokens_computed']:,} computed, {one['share_of_tokens_shared']:.0%} shared"
    )
    print(f"  ours {one['ours']} rows/s, peak {one['peak_mib']:.0f} MiB, last loss {one['last_loss']:.6f}, MFU {one['mfu']:.0%}")
    if one["ratio"] is not None:
        low, high = one["spread"]
        aim = f", to reach {one['to_reach']}" if one["to_reach"] else ""
        print(
            f"  peer {one['peer']} rows/s, peak {one['peer_peak_mib']:.0f} MiB, last loss {one['peer_last_loss']:.6f}, {one['peer_settings']}"
        )
        print(f"  {one['ratio']:.2f} times as fast ({low:.2f} to {high:.2f} over {one['repeats']}{aim})")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", action="append", help="only these; all where absent")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", type=int, help="optimiser steps an epoch, for all cases")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peer", action="append", choices=[*PEERS, "none"], help="none: our side alone, for its speed and MFU")
    parser.add_argument(
        "--compile", action="store_true", help="our layers compiled, as train.compile: on gives them; compiling is not timed"
    )
    parser.add_argument("--probe-all", action="store_true", help="try compiling, packing and length grouping of the peer too")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    args.peer = args.peer or (["trl"] if args.device == "cpu" else ["trl-cuda", "unsloth"])
    if args.repeats < 1 or (args.steps is not None and args.steps < 2):
        sys.exit("--repeats takes 1 or more, --steps 2 or more")
    if args.device == "cpu" and not DATA.is_dir():
        sys.exit("the public data sets are not beside the checkout (shared/data): nothing to measure")
    return args


def main() -> None:
    """Measure and print; exit code 1 where a case could not be measured."""
    args = arguments()
    known = {case.name: case for case in (CPU if args.device == "cpu" else CUDA)}
    if unknown := set(args.case or ()) - set(known):
        sys.exit(f"no such case: {', '.join(sorted(unknown))}. The cases: {', '.join(known)}")
    cases = [known[name] if args.steps is None else replace(known[name], steps=args.steps) for name in args.case or known]
    results: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    for name in args.peer:
        try:
            with comparison(name, args) as both:
                for case in cases:
                    log(f"{case.name} against {name}")
                    try:
                        results.append(both.measure(case, bool(PEERS.get(name, {}).get("liger"))) | {"peer_name": name})
                    except SideFailed as error:
                        failed.append({"case": case.name, "peer_name": name, "why": str(error)})
                        log(f"  {case.name} was not measured: {error}")
                machine = both.machine
        except SideFailed as error:
            failed.append({"case": "all", "peer_name": name, "why": str(error)})
            log(f"{name} was not measured: {error}")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    rate = machine["gflops"] if results else None
    result = {
        "commit": commit,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {args.threads} threads, fp32" if args.device == "cpu" else f"{platform.machine()}, CUDA, bf16",
        "matmul_gflops": rate and round(rate, 1),
        "parameters": machine["parameters"] if results else None,
        "cases": results,
        "not_measured": failed,
    }
    if args.json:
        print(json.dumps(result))
    else:
        print(f"{result['machine']}; {rate or 0:.0f} GFLOP/s in matrix products")
        for one in results:
            show(one)
    for one in failed:
        log(f"NOT MEASURED: {one['case']} against {one['peer_name']}: {one['why']}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
