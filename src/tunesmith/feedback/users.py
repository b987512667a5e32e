"""Simulated users of a model that knows labels: who asks what, and what they say of the answer, right, mistaken or malicious.

For showing what a whole loop of feedback comes to, in tests and benchmarks, where the truth of each request is known. Everything follows
from the seed. Malicious users come in four kinds (`ATTACKS`), in equal parts:

- **random**: one key says some wrong label of everything it asks.
- **targeted**: one key asks what belongs to one label and says another, always the same.
- **collusion**: several keys ask the same and agree on the same wrong label.
- **copies**: one key asks the same in nearly the same words again and again, and says one wrong label of all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

Attack = Literal["random", "targeted", "collusion", "copies"]
ATTACKS: tuple[Attack, ...] = ("random", "targeted", "collusion", "copies")
_TAILS = ("", ".", "!", " please", " thanks", ", please", "?", "??", " ...", " now")
"""What makes copies of a request differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """Who asks, and how often they are right."""

    requests: int = 1000
    poisoned: float = 0.0
    """Share of requests, and so of opinions, that are malicious users'."""
    mistaken: float = 0.15
    """Share of the other requests that are careless users'."""
    right: float = 0.97
    """How often a careful user names the right label."""
    careless: float = 0.6
    """How often a careless one does; else it is one drawn at random."""
    speaks: float = 0.9
    """Share of answers that anybody says something of, users of every kind alike."""
    careful_keys: int = 12
    careless_keys: int = 4
    colluders: int = 5
    """Keys that agree."""
    copied: int = 12
    """Copies of a request."""
    attacks: tuple[Attack, ...] = ATTACKS

    @property
    def keys(self) -> list[str]:
        """Names of all the keys that may speak."""
        honest = [f"careful-{n}" for n in range(self.careful_keys)] + [f"careless-{n}" for n in range(self.careless_keys)]
        if not self.poisoned:
            return honest
        return [*honest, *self.attacks, *(f"collusion-{n}" for n in range(1, self.colluders) if "collusion" in self.attacks)]


@dataclass(frozen=True, slots=True)
class Turn:
    """One request, and what will be said of its answer."""

    key: str
    text: str
    truth: str
    """The label that is right."""
    says: str | None
    """The label that its user will name; None: says nothing."""
    malicious: bool = False

    def opinion(self, answer: str, thumbs: bool, down: bool = False) -> dict[str, Any] | None:
        """What is sent of an answer: a thumb where the user feels like it, else the label; None: nothing.

        Args:
            answer: the model's label.
            thumbs: whether this user gives thumbs rather than labels where the answer is the one they would give.
            down: whether this user gives thumbs down rather than labels where it is another.
        """
        if self.says is None:
            return None
        agrees = answer == self.says
        return {"thumbs": "up" if agrees else "down"} if (thumbs if agrees else down) else {"label": self.says}


def turns_of(users: Users, rows: Sequence[tuple[str, str]], labels: Sequence[str], seed: int) -> list[Turn]:
    """Requests in random order.

    Args:
        users: who asks.
        rows: texts nobody has asked before, with their right labels; each is asked by one user at most, colluders and copies apart.
        labels: all there are, at least three.
        seed: of everything.

    Raises:
        ValueError: fewer rows than requests.
    """
    if len(rows) < users.requests:
        raise ValueError(f"{users.requests} requests take as many rows, and there are {len(rows)}")
    drawn, left = Random(seed), list(rows)
    drawn.shuffle(left)
    bad = round(users.requests * users.poisoned)
    made: list[Turn] = []
    for place, attack in enumerate(users.attacks):
        share = bad // len(users.attacks) + (place < bad % len(users.attacks))
        made += _ATTACKS[attack](users, left, labels, share, drawn)
    made += [_honest(users, *left.pop(), labels, drawn) for _ in range(users.requests - len(made))]
    drawn.shuffle(made)
    return made


def _honest(users: Users, text: str, truth: str, labels: Sequence[str], drawn: Random) -> Turn:
    careless = drawn.random() < users.mistaken
    key = f"careless-{drawn.randrange(users.careless_keys)}" if careless else f"careful-{drawn.randrange(users.careful_keys)}"
    right = drawn.random() < (users.careless if careless else users.right)
    return Turn(key, text, truth, _spoken(users, truth if right else _wrong(truth, labels, drawn), drawn))


def _spoken(users: Users, label: str, drawn: Random) -> str | None:
    return label if drawn.random() < users.speaks else None


def _wrong(truth: str, labels: Sequence[str], drawn: Random) -> str:
    return drawn.choice([label for label in labels if label != truth])


def _random(users: Users, left: list[tuple[str, str]], labels: Sequence[str], count: int, drawn: Random) -> list[Turn]:
    taken = [left.pop() for _ in range(count)]
    return [Turn("random", text, truth, _spoken(users, _wrong(truth, labels, drawn), drawn), malicious=True) for text, truth in taken]


def _targeted(users: Users, left: list[tuple[str, str]], labels: Sequence[str], count: int, drawn: Random) -> list[Turn]:
    """Of the label drawn first, as long as there are rows of it; then of the next."""
    victims = drawn.sample(list(labels), len(labels))
    instead = {victim: victims[place - 1] for place, victim in enumerate(victims)}
    order = sorted(range(len(left)), key=lambda place: victims.index(left[place][1]))[:count]
    taken = [left[place] for place in order]
    for place in sorted(order, reverse=True):
        del left[place]
    return [Turn("targeted", text, truth, _spoken(users, instead[truth], drawn), malicious=True) for text, truth in taken]


def _collusion(users: Users, left: list[tuple[str, str]], labels: Sequence[str], count: int, drawn: Random) -> list[Turn]:
    made: list[Turn] = []
    while len(made) < count:
        text, truth = left.pop()
        wrong = _wrong(truth, labels, drawn)
        keys = ["collusion", *(f"collusion-{n}" for n in range(1, users.colluders))][: count - len(made)]
        made += [Turn(key, text, truth, _spoken(users, wrong, drawn), malicious=True) for key in keys]
    return made


def _copies(users: Users, left: list[tuple[str, str]], labels: Sequence[str], count: int, drawn: Random) -> list[Turn]:
    made: list[Turn] = []
    while len(made) < count:
        text, truth = left.pop()
        wrong = _wrong(truth, labels, drawn)
        for copy in range(min(users.copied, count - len(made))):
            worn = text.rstrip(".!? ") + _TAILS[copy % len(_TAILS)]
            made.append(Turn("copies", worn, truth, _spoken(users, wrong, drawn), malicious=True))
    return made


_ATTACKS = {"random": _random, "targeted": _targeted, "collusion": _collusion, "copies": _copies}
