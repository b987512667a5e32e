"""What the sequential test of a trial promises, by simulation: false alarms among equal models, and how soon a difference is found.

    python benchmarks/trial.py [--json] [--case NAME] [--trials 400]

Peeking after every opinion: a trial counts as a false alarm where any of its looks says `better` or `worse`. Equal models, 10,000 opinions:
everybody once; rare complaints with a tenth tried; 200 and 20 people of their own taste; people who complain of bad answers three times as
often as they praise good ones. Differences of 10 and 5 points: the share of trials that find it, and after how many opinions half of them
have. About ten minutes on one core.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.score.intervals import wilson
from tunesmith.score.sequential import Opined, compared

OPINIONS = 10_000


@dataclass(frozen=True)
class Crowd:
    """Who gives opinions in a simulated trial."""

    champion: float
    challenger: float
    share: float = 0.5
    users: int = OPINIONS
    taste: float = 0.0
    """Pseudo-opinions of each user's own rate (a beta); 0: all have the same."""
    praise: float = 1.0
    """How often a good answer gets an opinion, where a bad one always does."""
    opinions: int = OPINIONS

    def trial(self, seed: int) -> list[Opined]:
        """One trial."""
        draw = np.random.default_rng(seed)
        tried = draw.random(self.users) < self.share
        liked = np.where(tried, self.challenger, self.champion)
        rate = draw.beta(liked * self.taste, (1 - liked) * self.taste) if self.taste else liked
        answers = round(self.opinions / (1 - (1 - self.praise) * max(self.champion, self.challenger)))
        who = np.arange(answers) % self.users if self.users == self.opinions else draw.integers(0, self.users, answers)
        good = draw.random(answers) < rate[who]
        said = ~good | (draw.random(answers) < self.praise)
        told = [Opined(str(user), bool(tried[user]), bool(one)) for user, one in zip(who[said], good[said], strict=True)]
        return told[: self.opinions]


EQUAL = {
    "false-alarm-once": Crowd(0.7, 0.7),
    "false-alarm-rare": Crowd(0.97, 0.97, share=0.1),
    "false-alarm-200-people": Crowd(0.7, 0.7, users=200, taste=2.0),
    "false-alarm-20-people": Crowd(0.7, 0.7, users=20, taste=2.0),
    "false-alarm-complainers": Crowd(0.7, 0.7, users=2000, taste=4.0, praise=1 / 3),
}
DIFFERENT = {
    "power-10-points": Crowd(0.7, 0.8),
    "power-10-points-tenth": Crowd(0.7, 0.8, share=0.1),
    "power-5-points": Crowd(0.7, 0.75),
    "power-10-points-500-people": Crowd(0.7, 0.8, users=500, taste=8.0),
}


def alarms(crowd: Crowd, trials: int) -> dict[str, Any]:
    """How often equal models are called different at any look."""
    found = sum(compared(crowd.trial(seed), crowd.share).verdict != "unknown" for seed in range(trials))
    low, high = wilson(found, trials)
    return {"value": round(found / trials, 4), "unit": "share of trials", "spread": [round(low, 4), round(high, 4)], "bound": 0.05}


def power(crowd: Crowd, trials: int) -> dict[str, Any]:
    """How often a difference is found, and after how many opinions."""
    needed, wrong = [], 0
    for seed in range(trials):
        said = crowd.trial(seed)
        verdict = compared(said, crowd.share).verdict
        wrong += verdict == "worse"
        if verdict == "better":
            needed.append(_first(said, crowd.share))
    low, high = wilson(len(needed), trials)
    fixed = 2 * (1.96 + 0.84) ** 2 * 0.75 * 0.25 / (crowd.challenger - crowd.champion) ** 2 / (4 * crowd.share * (1 - crowd.share)) * 2
    return {
        "value": round(len(needed) / trials, 4),
        "unit": "share of trials that find it",
        "spread": [round(low, 4), round(high, 4)],
        "opinions, half of them have found it": None if len(needed) * 2 < trials else round(statistics.median(needed)),
        "opinions, nine in ten have": None if len(needed) < 0.9 * trials else sorted(needed)[int(0.9 * trials) - 1],
        "opinions of one look at 80% power, by normal approximation": round(fixed),
        "called worse": wrong,
    }


def _first(said: list[Opined], share: float) -> int:
    """At which opinion the verdict came: what was shown stays shown, so by halves."""
    low, high = 1, len(said)
    while low < high:
        middle = (low + high) // 2
        if compared(said[:middle], share).verdict == "unknown":
            low = middle + 1
        else:
            high = middle
    return low


def main() -> None:
    """Print one line of JSON."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cases: dict[str, tuple[Callable[[Crowd, int], dict[str, Any]], Crowd]] = {
        **{name: (alarms, crowd) for name, crowd in EQUAL.items()},
        **{name: (power, crowd) for name, crowd in DIFFERENT.items()},
    }
    asked.add_argument("--json", action="store_true", help="one line, without indents")
    asked.add_argument("--case", action="append", choices=sorted(cases))
    asked.add_argument("--trials", type=int, default=400)
    given = asked.parse_args()
    told = []
    for name in given.case or cases:
        measured, crowd = cases[name]
        found = measured(crowd, given.trials if measured is alarms else max(20, given.trials // 4))
        told.append({"case": name, **found, "repeats": given.trials if measured is alarms else max(20, given.trials // 4), "peer": None})
        print(f"{name}: {found}", file=sys.stderr, flush=True)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent, check=False)
    machine = {"machine": platform.machine(), "cpus": os.cpu_count()}
    whole = {"commit": commit.stdout.strip(), "date": datetime.now(UTC).strftime("%Y-%m-%d"), "machine": machine, "cases": told}
    print(json.dumps(whole, indent=None if given.json else 1))


if __name__ == "__main__":
    main()
