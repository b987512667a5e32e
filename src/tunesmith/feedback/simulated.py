"""Simulated users who give thumbs on answers whose truth is planted: for measuring what screening finds, in tests and benchmarks.

Honest keys tell the truth with a given accuracy; the attacker's one key lies about every answer it speaks of. Reproducible: everything
follows from the seed.
"""

from dataclasses import dataclass
from random import Random

from tunesmith.core.rows import Message
from tunesmith.ledger.feedback import FeedbackRecord

ATTACKER = "attacker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Who speaks, how much, and about what."""

    honest: int = 12
    """Honest keys."""
    accuracy: float = 0.9
    """How often an honest opinion is right."""
    opinions: int = 600
    """Of everybody together."""
    prompts: int = 200
    """Answers they speak of, drawn evenly."""
    poisoned: float = 0.3
    """The attacker's share of all opinions."""
    spread: float = 0.0
    """How unevenly honest keys speak: standard deviation of the logarithm of their shares."""
    days: int = 1


def opinions_of(crowd: Crowd, seed: int) -> list[tuple[FeedbackRecord, bool]]:
    """Opinions in random order, each with whether it is right; a key speaks of an answer once, as long as there are others."""
    drawn = Random(seed)
    lies = round(crowd.opinions * crowd.poisoned)
    weights = [drawn.lognormvariate(0, crowd.spread) for _ in range(crowd.honest)]
    keys = drawn.choices([f"key-{number}" for number in range(crowd.honest)], weights, k=crowd.opinions - lies) + [ATTACKER] * lies
    drawn.shuffle(keys)
    good = [drawn.random() < 0.7 for _ in range(crowd.prompts)]
    turns = {key: drawn.sample(range(crowd.prompts), min(crowd.prompts, crowd.opinions)) for key in sorted(set(keys))}
    made = []
    for number, key in enumerate(keys):
        place = turns[key][0]
        turns[key] = [*turns[key][1:], place]
        right = key != ATTACKER and drawn.random() < crowd.accuracy
        day = 1 + drawn.randrange(crowd.days)
        made.append((_opinion(number, key, place, up=good[place] == right, day=day), right))
    return made


def _opinion(number: int, key: str, place: int, *, up: bool, day: int) -> FeedbackRecord:
    return FeedbackRecord(
        id=f"fb-{number:06d}",
        tenant="default",
        key_id=key,
        completion_id=f"chatcmpl-{place}",
        kind="thumbs",
        value="up" if up else "down",
        prompt=(Message("user", f"question {place}"),),
        answer=f"answer {place}",
        created=f"2026-11-{day:02d}T12:00:00Z",
    )
