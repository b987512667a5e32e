"""What the systems' answers cost at the recipe's prices, and whether a gain is worth it.

A model is charged by its tokens where the recipe states such a price, else by the seconds of an answer asked alone at the price of an
hour: what is answered in batches costs a machine less. Floors and constants have seconds only. Training is charged by its steps'
seconds. Nothing here runs a model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.evaluate.price_config import PricesConfig, TokenPrice
from tunesmith.evaluate.trial import Scored, System, is_rival
from tunesmith.score.costs import by_time, by_tokens, pays_after


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What was found of costs."""

    prices: PricesConfig
    costs: Mapping[str, float | None]
    """Key of a system -> cost of one answer; None where no price is stated for it."""
    training_seconds: float | None
    """None where it is not known, or no hour has a price."""

    @property
    def training(self) -> float | None:
        """What training cost."""
        hour = self.prices.hour
        return None if hour is None or self.training_seconds is None else by_time(self.training_seconds, hour)

    def of(self, one: Scored) -> float | None:
        """Cost of one answer of a system."""
        return self.costs.get(one.system.key)

    def pays_after(self, rival: Scored) -> int | None:
        """Answers after which training has paid for itself against another system; None where it never does, or nothing is known.

        It never does against a system that does better: cheap answers that are worse are no saving.
        """
        ours, theirs = self.costs.get("tuned"), self.of(rival)
        if self.training is None or ours is None or theirs is None or (rival.against is not None and rival.against.is_loss):
            return None
        return pays_after(self.training, dear=theirs, cheap=ours)

    def to_json(self, rival: Scored | None) -> dict[str, Any]:
        """The report's `verdict.costs`."""
        return {
            "currency": self.prices.currency,
            "training": self.training,
            "training_seconds": self.training_seconds,
            "against": None if rival is None else rival.system.key,
            "pays_after": None if rival is None else self.pays_after(rival),
        }


def bill_of(systems: Sequence[System], prices: PricesConfig, training_seconds: float | None) -> Bill:
    """The cost of one answer of each system: the mean over its answers."""
    return Bill(prices=prices, costs={one.key: _cost(one, prices) for one in systems}, training_seconds=training_seconds)


def _cost(system: System, prices: PricesConfig) -> float | None:
    rows, price = system.predictions, _token_price(system.key, prices)
    if price is not None:
        prompt, answer = sum(one.prompt_tokens for one in rows), sum(one.answer_tokens for one in rows)
        return by_tokens(prompt / len(rows), answer / len(rows), prompt=price.prompt, answer=price.answer, per=prices.per)
    return None if prices.hour is None else by_time(sum(one.seconds for one in rows) / len(rows), prices.hour)


def _token_price(key: str, prices: PricesConfig) -> TokenPrice | None:
    """What a system's tokens cost; None where it reads none, or only its time is charged."""
    if key in ("zero-shot", "few-shot"):
        return prices.base
    return prices.tuned if key == "tuned" or is_rival(key) else None
