"""The closing journey, once or many times: serve, be asked, be told, review, train the next round, promote if it earned it.

A champion trained on few rows is served by `tunesmith serve`; simulated users (`tunesmith.feedback.users`) ask it through the official
`openai` client and say what they think of each answer through `/v1/feedback`; a scripted reviewer looks through the queue of
`tunesmith review`, the wrong way round in 5% of decisions (`--reviewer-error`); `tunesmith next` trains and decides. What a new champion
is worth is measured on a set that neither training nor any gate reads (the arbiter's).

Rows are 15 labels of banking77 where the public data sets lie beside the checkout, else the sample that comes along. A loop is one seed:
which rows, which users, which errors.

- `loop-gain`: points of accuracy on the frozen test set that service won by a loop with clean feedback, mean over seeds (to reach: 3).
  By that set the gate chose whom to promote, so the figure flatters whoever won by luck; `arbiter` tells the gain on the set that chose
  nothing beside it, and is the one to believe.
- `loop-promoted-clean`: of 10 seeds with clean feedback (careful users 97% right, careless ones 60%), how many promoted (9).
- `loop-worse-poisoned`: of 10 seeds with 30% malicious opinions (random, targeted, colluding, copies), reviewed, in how many a worse
  model took the champion's place, by the plain accuracy on the arbiter's set (0).
- `loop-worse-unreviewed`: the same with nothing reviewed at all (`next.unreviewed: true`): the gate alone (0).

Of the sample, five labels: with all thirteen there are too few rows of each for a first model that is worth asking and test rows enough
for the gate.

    .venv/bin/python benchmarks/loop.py --story                       one loop, told in plain lines (make loop)
    .venv/bin/python benchmarks/loop.py --json --seeds 10 > benchmarks/results/DATE-loop.json
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gathered import measured_at
from looping.journey import Journey, Kind, Outcome
from looping.rows import DATA, Sizes

CASES = ("loop-gain", "loop-promoted-clean", "loop-worse-poisoned", "loop-worse-unreviewed")
SHORT = CASES[:3]
"""Told of the sample, whose models train all their weights: the loop that nobody reviews only where it is asked for."""
TO_REACH = {"loop-gain": 3.0, "loop-promoted-clean": 9, "loop-worse-poisoned": 0, "loop-worse-unreviewed": 0}
KINDS: dict[str, Kind] = {
    "loop-gain": "clean",
    "loop-promoted-clean": "clean",
    "loop-worse-poisoned": "poisoned",
    "loop-worse-unreviewed": "unreviewed",
}
"""Which loop a case is measured on."""
HEADINGS: dict[Kind, str] = {
    "clean": "With honest users, most of them careful",
    "poisoned": "With {poisoned:.0%} malicious users, reviewed",
    "unreviewed": "The same opinions, and nobody reviews them",
}
ROWS = {"banking77": "15 labels of banking77", "sample": "five of the labels of the sample that comes along, whose messages are invented"}
PLAYED = """\
Simulated: who asks, what they say of the answers (careful users are right in 97%, careless ones in 60%), and a reviewer who errs in {error:.0%}.
Rows: {rows}.
Real: the server, the openai client, the ledger, the training, and the gate that decides who serves."""
"""Said before a story."""
SAMPLE: dict[str, Any] = {
    "method": {"head": "class"},
    "train": {"epochs": 5, "learning_rate": 1e-3, "evaluations_per_epoch": 2, "early_stopping": {"patience": None}},
}
"""Of the champion's recipe for the sample, whose labels hang on the order of clauses: a head on a frozen base does not learn them."""
SPLIT = {"validation": 0.4}
"""Of the champion's rows: what chooses its checkpoint chooses that of every round after it, and a dozen rows choose by luck."""


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, help="loops of each kind")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--requests", type=int, help="of each loop; 1,000, of the sample 440")
    parser.add_argument("--champion", type=int, help="rows of the first champion; 150, of the sample 240: more make it harder to better")
    parser.add_argument("--reviewer-error", type=float, default=0.05)
    parser.add_argument("--poisoned", type=float, default=0.3, help="share of opinions that are malicious")
    parser.add_argument("--task", choices=("banking77", "sample"), help="banking77 where it is there, else the sample")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the public data sets")
    parser.add_argument("--case", action="append", choices=CASES, help="only these")
    parser.add_argument("--threads", type=int, help="of training on the sample; all cores where absent: too many where others work too")
    parser.add_argument("--story", action="store_true", help="one loop of each kind, told in plain lines")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    parser.add_argument("--keep", type=Path, help="folder to work in, kept afterwards: the same call goes on; a temporary one where absent")
    return parser.parse_args()


def log(text: str) -> None:
    """A line to stderr."""
    print(text, file=sys.stderr, flush=True)


def story(text: str) -> None:
    """A line to stdout, at once."""
    print(text, flush=True)


def case(name: str, found: Sequence[Outcome]) -> dict[str, Any]:
    """One case in the form of every benchmark."""
    values = [_value(name, one) for one in found]
    told: dict[str, Any] = {
        "case": name,
        "value": round(statistics.mean(values), 2) if name == "loop-gain" else sum(values),
        "unit": _unit(name, found),
    }
    spread = [round(min(values), 2), round(max(values), 2)]
    if name == "loop-gain":
        gains = [100 * (one.arbiter_after - one.arbiter_before) for one in found]
        told["arbiter"] = {"value": round(statistics.mean(gains), 2), "spread": [round(min(gains), 2), round(max(gains), 2)]}
    return told | {"spread": spread, "repeats": len(values), "to_reach": TO_REACH[name], "loops": [one.to_json() for one in found]}


def _line(told: dict[str, Any]) -> str:
    beside = f"; {told['arbiter']['value']} on the arbiter's set, which chose nothing" if "arbiter" in told else ""
    return f"{told['case']}: {told['value']} {told['unit']} (to reach {told['to_reach']}){beside}"


def _unit(name: str, found: Sequence[Outcome]) -> str:
    return "points" if name == "loop-gain" else f"of {len(found)}"


def _value(name: str, one: Outcome) -> float:
    if name == "loop-gain":
        return 100 * (one.test_after - one.test_before)
    return int(one.promoted) if name == "loop-promoted-clean" else int(one.worse)


def main() -> int:
    """Measure, print; 1 where a loop failed."""
    args = arguments()
    args.task = args.task or ("banking77" if (args.data / "banking77").is_dir() else "sample")
    wanted = args.case or (SHORT if args.story and args.task == "sample" else CASES)
    kinds = list(dict.fromkeys(KINDS[name] for name in wanted))
    tell: Callable[[str], None] = story if args.story else log
    found: dict[Kind, list[Outcome]] = {kind: [] for kind in kinds}
    failed: list[dict[str, Any]] = []
    if args.story:
        story(PLAYED.format(error=args.reviewer_error, rows=ROWS[args.task]))
    with tempfile.TemporaryDirectory() as temporary:
        for seed in range(args.first_seed, args.first_seed + (1 if args.story else args.seeds)):
            folder = (args.keep or Path(temporary)) / f"seed-{seed}"
            made, split = ({}, {}) if args.task == "banking77" else (SAMPLE, SPLIT)
            if made and args.threads:
                made = SAMPLE | {"train": SAMPLE["train"] | {"threads": args.threads}}
            journey = Journey(
                args.task, _sizes(args), seed, folder, tell, args.poisoned, args.reviewer_error, args.data, recipe=made, split=split
            )
            for kind in kinds:
                if args.story:
                    story(f"\n{HEADINGS[kind].format(poisoned=args.poisoned)}:")
                try:
                    found[kind].append(journey.loop(kind))
                    log(f"seed {seed}, {kind}: {found[kind][-1].sentence}")
                except Exception as error:  # the next loop is measured all the same, and the exit code tells
                    failed.append({"case": kind, "seed": seed, "why": f"{type(error).__name__}: {error}"})
                    log(f"seed {seed}, {kind} was NOT MEASURED: {failed[-1]['why']}")
    results = [case(name, found[KINDS[name]]) for name in wanted if found[KINDS[name]]]
    told = measured_at() | {"task": args.task, "requests": _sizes(args).traffic, "cases": results, "not_measured": failed}
    if args.json:
        print(json.dumps(told))
    elif not args.story:
        print("\n".join(_line(one) for one in results))
    return 1 if failed else 0


def _sizes(args: argparse.Namespace) -> Sizes:
    """The sample has fewer rows."""
    if args.task == "banking77":
        return Sizes(champion=args.champion or 150, traffic=args.requests or 1000)
    return Sizes(labels=5, champion=args.champion or 240, traffic=args.requests or 440, test=230, arbiter=170)


if __name__ == "__main__":
    sys.exit(main())
