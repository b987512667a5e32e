"""The `evaluate.prices` section of a recipe: what answers cost, by tokens where they are bought, by the hour where a machine gives them."""

from typing import Self

from pydantic import Field, model_validator

from tunesmith.section import Section


class TokenPrice(Section):
    """What a model that is asked through an API costs by its tokens."""

    prompt: float = Field(ge=0, le=1e9)
    """For `per` tokens of prompt."""
    answer: float = Field(ge=0, le=1e9)
    """For `per` tokens of answer."""


class PricesConfig(Section):
    """What answers cost. Each system is charged for tokens where its price is stated, else for its seconds at the price of an hour."""

    currency: str = Field(default="EUR", min_length=1, max_length=8, pattern=r"^[^\s\x00-\x1f]+$")
    """As it is written after amounts; nothing is converted."""
    per: float = Field(default=1e6, gt=0, le=1e12)
    """So many tokens the token prices are for: 1e6 as APIs state them, 1e3 in older lists."""
    base: TokenPrice | None = None
    """The base asked without and with examples. Its seconds are charged where absent."""
    tuned: TokenPrice | None = None
    """The fine-tuned model, and those of `against`. Their seconds are charged where absent."""
    hour: float | None = Field(default=None, gt=0, le=1e9)
    """An hour of the machine: training is charged by it, and answers that no token price is stated for, one asked at a time, as they were timed."""
    right_answer: float | None = Field(default=None, gt=0, le=1e9)
    """What one more right answer is worth. Where absent, a gain is worth its price if a right answer costs no more by it than by a few-shot prompt."""

    @model_validator(mode="after")
    def _both_have_a_price(self) -> Self:
        if self.hour is None and (self.base is None or self.tuned is None):
            missing = "base and tuned" if self.base is self.tuned else "base" if self.base is None else "tuned"
            raise ValueError(f"nothing says what {missing} costs: state prices.hour, or token prices of both base and tuned")
        return self
