"""Is the challenger better? A test that may be looked at after every opinion, and stopped at any.

People are given one of two models by chance: the challenger with a known probability (its share), each person always the same. A person's
opinions hang together, so a person counts once, by the mean of their first 1, of their first 4 and of their first 16 opinions: three tests
that share the risk, so that one opinion of many people and many of a few both tell. Each test is a bet that the two are alike (Ville, 1939;
Waudby-Smith and Ramdas, 2024, on betting; Howard et al., 2021, section 4.2, on randomised comparisons): with g the model, s the share, y a
person's mean and c the mean of those before,

    X = (y - c) * (1/s where g is the challenger, else -1/(1 - s)),    wealth = mean over l of product of (1 + l * X).

The mean of X is the difference of the two models' means whatever c is, so the wealth of a bet on no difference grows beyond 1/a with
probability a at most, however often it is looked at; nothing is asymptotic. It holds where people are assigned by chance and who gives an
opinion at all does not hang on which of two equal models answered. It does not say how large the difference is.

Costs a millisecond a thousand opinions. Letters: N people, L bets.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import ceil, log
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Verdict = Literal["better", "worse", "unknown"]
FIRST = (1, 4, 16)
"""So many first opinions of a person make one figure; each test has the same part of the risk."""
_BETS_L = np.geomspace(0.01, 0.8, 8)
"""Parts of the greatest stake that can't ruin: small ones find small differences."""
_MIXED = 1.4
"""Log of what is lost by not knowing the best bet, about: a quarter of the bets are near it."""


@dataclass(frozen=True, slots=True)
class Opined:
    """One opinion of an answer."""

    asker: str
    """Whose request it was; opinions of one asker hang together."""
    challenger: bool
    """Whether the challenger answered."""
    good: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What people say of one model."""

    opinions: int = 0
    people: int = 0
    liked: float | None = None
    """Mean over people of the share of their opinions that are good; None where there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How the trial stands."""

    verdict: Verdict
    p_better: float
    """At most so probable is what was seen, at any look so far, where the challenger is no better."""
    p_worse: float
    """The same where it is no worse."""
    alpha: float
    """The risk of a false `better` or `worse`, both together."""
    champion: Side = field(default_factory=Side)
    challenger: Side = field(default_factory=Side)
    more: int | None = None
    """About so many more people's opinions show a difference of `points`; 0 where it should have shown by now; None where the verdict is known."""
    points: float | None = None
    """The difference seen, or `worth` where that is larger."""


def compared(opinions: Iterable[Opined], share: float, *, alpha: float = 0.05, worth: float = 0.05) -> Comparison:
    """Compare two models by opinions in the order they came.

    Args:
        opinions: all of them, of both models.
        share: the probability with which an asker was given the challenger.
        alpha: the risk of a wrong `better` or `worse`, over all looks.
        worth: the difference of shares that is worth knowing, for how many more opinions are told.

    Raises:
        ValueError: `share` or `alpha` is not between 0 and 1.
    """
    if not 0 < share < 1 or not 0 < alpha < 1:
        raise ValueError(f"share {share} and alpha {alpha} must lie between 0 and 1")
    seen = list(opinions)
    parts = [_wealth(means_N, challenger_N, share) for means_N, challenger_N in _people(seen)]
    p_better, p_worse = (min(1.0, 2 * len(FIRST) * float(np.exp(-max(part[side].max() for part in parts)))) for side in (0, 1))
    champion, challenger = (_side([one for one in seen if one.challenger == which]) for which in (False, True))
    verdict: Verdict = "unknown"
    if min(p_better, p_worse) <= alpha:
        verdict = "better" if p_better <= p_worse else "worse"
    more, points = (None, None) if verdict != "unknown" else _more(champion, challenger, share, alpha, worth)
    return Comparison(
        verdict=verdict, p_better=p_better, p_worse=p_worse, alpha=alpha,
        champion=champion, challenger=challenger, more=more, points=points,
    )  # fmt: skip


def _people(seen: Sequence[Opined]) -> list[tuple[Floats, NDArray[np.bool_]]]:
    """For each number of first opinions: the mean of each person's and who answered them, in the order in which they became known."""
    given: dict[tuple[str, bool], list[int]] = {}
    known: dict[int, list[tuple[float, bool]]] = {first: [] for first in FIRST}
    for one in seen:
        held = given.setdefault((one.asker, one.challenger), [0, 0])
        held[0] += one.good
        held[1] += 1
        if held[1] in known:
            known[held[1]].append((held[0] / held[1], one.challenger))
    return [(np.array([mean for mean, _ in told]), np.array([tried for _, tried in told], dtype=np.bool_)) for told in known.values()]


def _wealth(means_N: Floats, challenger_N: NDArray[np.bool_], share: float) -> tuple[Floats, Floats]:
    """Log-wealth after each person of those who bet on better, and of those who bet on worse; begins with 0."""
    before_N = (0.5 + np.concatenate([[0.0], np.cumsum(means_N)])[: len(means_N)]) / (1 + np.arange(len(means_N)))
    gains_N = (means_N - before_N) * np.where(challenger_N, 1 / share, -1 / (1 - share))
    stakes_L = _BETS_L * min(share, 1 - share)  # |gain| is at most 1 / min(share, 1 - share)
    sides = []
    for sign in (1, -1):
        logs_NL = np.cumsum(np.log1p(sign * gains_N[:, None] * stakes_L), axis=0)
        most_N = logs_NL.max(axis=1, initial=-np.inf)
        mean_N = most_N + np.log(np.exp(logs_NL - most_N[:, None]).mean(axis=1))
        sides.append(np.concatenate([[0.0], mean_N]))
    return sides[0], sides[1]


def _side(given: Sequence[Opined]) -> Side:
    people: dict[str, list[bool]] = {}
    for one in given:
        people.setdefault(one.asker, []).append(one.good)
    if not people:
        return Side()
    return Side(opinions=len(given), people=len(people), liked=sum(sum(held) / len(held) for held in people.values()) / len(people))


def _more(champion: Side, challenger: Side, share: float, alpha: float, worth: float) -> tuple[int, float]:
    """How many people more: the bet that is best for a difference grows by about its square over twice the variance of X a person."""
    people = champion.people + challenger.people
    known = [side for side in (champion, challenger) if side.liked is not None]
    liked = (sum(side.people * (side.liked or 0.0) for side in known) + 1) / (people + 2)
    seen = abs((challenger.liked or 0.0) - (champion.liked or 0.0)) if len(known) == 2 else 0.0
    variance = liked * (1 - liked) * (1 / share + 1 / (1 - share))
    for points in (max(seen, worth), worth):  # a difference seen that should have been shown by now is chance, or about to be
        needed = (log(2 * len(FIRST) / alpha) + _MIXED) * 2 * variance / points**2
        if needed > people:
            return ceil(needed - people), points
    return 0, worth
