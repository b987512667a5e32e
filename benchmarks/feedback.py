"""How much poisoned feedback is set aside, and how much honest feedback with it: simulated crowds with planted truth, 200 of each kind.

    python benchmarks/feedback.py [--crowds 200] [--out FILE]

Rates are means over crowds, with the worst twentieth beside them. `right` are honest opinions that are right; an honest opinion that is
wrong is set aside for good reason.
"""

import argparse
import json
from pathlib import Path

from tunesmith.feedback.config import ScreenConfig
from tunesmith.feedback.screening import suspicions
from tunesmith.feedback.simulated import ATTACKER, Crowd, opinions_of

CROWDS = {
    "usual": Crowd(),
    "uneven keys": Crowd(spread=1.0),
    "no overlap": Crowd(prompts=20_000),
    "no overlap, uneven keys": Crowd(prompts=20_000, spread=1.0),
    "three honest keys": Crowd(honest=3),
    "three honest keys, no overlap": Crowd(honest=3, prompts=20_000),
    "two honest keys": Crowd(honest=2),
    "careless honest keys (75%)": Crowd(accuracy=0.75),
    "half poisoned": Crowd(poisoned=0.5),
    "nobody lies": Crowd(poisoned=0.0),
    "nobody lies, uneven keys": Crowd(poisoned=0.0, spread=1.0),
    "nobody lies, no overlap": Crowd(poisoned=0.0, prompts=20_000),
    "nobody lies, no overlap, uneven keys": Crowd(poisoned=0.0, prompts=20_000, spread=1.0),
}


def measured(crowd: Crowd, crowds: int) -> dict[str, object]:
    """Shares set aside: of the attacker's opinions, of right honest ones, of wrong honest ones."""
    shares: dict[str, list[float]] = {"poisoned": [], "right": [], "wrong": []}
    for seed in range(crowds):
        made = opinions_of(crowd, seed)
        aside = suspicions([record for record, _ in made], ScreenConfig())
        for name, held in {
            "poisoned": [record for record, _ in made if record.key_id == ATTACKER],
            "right": [record for record, right in made if right],
            "wrong": [record for record, right in made if not right and record.key_id != ATTACKER],
        }.items():
            if held:
                shares[name].append(sum(record.id in aside for record in held) / len(held))
    return {name: told(held, low=name != "right") for name, held in shares.items() if held}


def told(held: list[float], *, low: bool) -> dict[str, float]:
    """Mean and the twentieth that is worst."""
    ordered = sorted(held, reverse=not low)
    return {"mean": round(sum(held) / len(held), 4), "worst 5%": round(ordered[len(ordered) // 20], 4)}


def main() -> None:
    """Print one JSON object."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--crowds", type=int, default=200)
    asked.add_argument("--out", type=Path)
    given = asked.parse_args()
    found = {name: measured(crowd, given.crowds) for name, crowd in CROWDS.items()}
    text = json.dumps({"crowds": given.crowds, "cases": found}, indent=1)
    if given.out:
        given.out.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
