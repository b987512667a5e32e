"""The arithmetic of costs keeps its laws."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.score.costs import Offer, by_time, by_tokens, money, of_another_right_answer, pays_after

costs = st.floats(1e-9, 1e6)
shares = st.floats(0.01, 1.0)
tokens = st.integers(0, 10**6)
prices = st.floats(0, 1e4)


def test_a_thousand_answers_at_stated_prices() -> None:
    """300 tokens of prompt at 0.15 and 20 of answer at 0.60 a million: 45 + 12 millionths; half a second at 1.80 an hour: 250 millionths."""
    assert by_tokens(300, 20, prompt=0.15, answer=0.60, per=1e6) == pytest.approx(57e-6)
    assert by_time(0.5, 1.80) == pytest.approx(250e-6)
    assert pays_after(10.0, dear=57e-6, cheap=32e-6) == 400_000


@given(a=tokens, b=tokens, answer=tokens, prompt_price=prices, answer_price=prices, per=st.floats(1, 1e9))
def test_tokens_add_up_and_the_unit_of_prices_does_not_matter(
    a: int, b: int, answer: int, prompt_price: float, answer_price: float, per: float
) -> None:
    def cost(prompt: int, answers: int, per: float = per, times: float = 1.0) -> float:
        return by_tokens(prompt, answers, prompt=times * prompt_price, answer=times * answer_price, per=per)

    assert cost(a + b, answer) == pytest.approx(cost(a, answer) + cost(b, 0))
    assert cost(a, answer) == pytest.approx(cost(a, answer, per=1000 * per, times=1000.0))


@given(dear=costs, cheap=costs, other=shares, gain=st.floats(1e-3, 0.9))
def test_a_further_right_answer_is_dearer_than_the_others_exactly_where_right_answers_are_dearer_on_the_whole(
    dear: float, cheap: float, other: float, gain: float
) -> None:
    """The claim on which the rule of "worth its price" rests."""
    better, worse = Offer(dear, other + gain), Offer(cheap, other)
    each = of_another_right_answer(better, worse, gain)
    if not math.isclose(better.per_right, worse.per_right, rel_tol=1e-6):
        assert (each > worse.per_right) == (better.per_right > worse.per_right)
    assert (each > 0) == (dear > cheap)


@given(spent=st.floats(0, 1e5), dear=costs, cheap=costs)
def test_it_pays_after_the_first_answer_that_covers_what_was_spent(spent: float, dear: float, cheap: float) -> None:
    found = pays_after(spent, dear=dear, cheap=cheap)
    if dear <= cheap:
        assert found is None
    elif found is not None:
        saved = dear - cheap
        assert found * saved >= spent * (1 - 1e-9)
        assert found == 0 or (found - 1) * saved <= spent * (1 + 1e-9)


def test_a_system_that_is_never_right_sells_no_right_answer() -> None:
    assert Offer(0.1, 0.0).per_right == math.inf
    assert Offer(0.0, 0.0).per_right == 0.0


@given(st.floats(1e-12, 1e9))
def test_amounts_are_written_with_three_digits_or_more(amount: float) -> None:
    written = float(money(amount).replace(",", ""))
    assert written == pytest.approx(amount, rel=0.0051)


def test_amounts_as_people_read_them() -> None:
    assert [money(one) for one in (0, 1234.56, 45.678, 0.0789, 0.000057)] == ["0", "1,235", "45.7", "0.0789", "0.0000570"]
