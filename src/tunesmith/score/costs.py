"""What answers cost: the arithmetic alone. Amounts are of one answer and in one currency; who asks states the prices."""

import math
from dataclasses import dataclass

SECONDS_AN_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Offer:
    """What a system costs an answer, and the share of its answers that are right, 0 to 1."""

    cost: float
    share: float

    @property
    def per_right(self) -> float:
        """Cost of a right answer: wrong ones are paid for too. inf where none is right and answers cost something, 0 where they are free."""
        if self.cost == 0:
            return 0.0
        return self.cost / self.share if self.share > 0 else math.inf


def by_tokens(prompt_tokens: float, answer_tokens: float, *, prompt: float, answer: float, per: float) -> float:
    """Cost of an answer from its tokens, at prices for `per` tokens."""
    return (prompt_tokens * prompt + answer_tokens * answer) / per


def by_time(seconds: float, hour: float) -> float:
    """Cost of so many seconds of a machine, at the price of an hour."""
    return seconds * hour / SECONDS_AN_HOUR


def of_another_right_answer(better: Offer, other: Offer, gain: float) -> float:
    """What each right answer costs that the better of two systems gives beyond the other: extra cost over extra share right.

    (c1 - c0) / gain, an incremental cost-effectiveness ratio. With gain = q1 - q0 it exceeds what the other pays for a right answer,
    c0 / q0, exactly where the better one pays more for a right answer on the whole: (c1 - c0) / (q1 - q0) > c0 / q0 <=> c1 / q1 > c0 / q0.

    Args:
        better: the system that is right more often.
        other: the one it is held against.
        gain: by how much more of the answers are right, above 0.

    Returns:
        Below 0 where the better one is also the cheaper one.
    """
    return (better.cost - other.cost) / gain


def pays_after(spent: float, *, dear: float, cheap: float) -> int | None:
    """Answers after which what was spent once has paid for itself by cheaper answers; None where they are not cheaper."""
    saved = dear - cheap
    if saved <= 0:
        return None
    answers = spent / saved
    return math.ceil(answers) if math.isfinite(answers) else None


def money(amount: float) -> str:
    """An amount with three digits that mean something, thousands set off: 1,230, 4.56, 0.0789; 0 where it is nothing."""
    if amount == 0 or not math.isfinite(amount):
        return "0" if amount == 0 else "\u221e"
    places = max(0, 2 - math.floor(math.log10(abs(amount))))
    return f"{amount:,.{min(places, 15)}f}"
