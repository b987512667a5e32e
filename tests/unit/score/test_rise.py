"""A rise of perplexity: by hand, exactly nothing where nothing changed, and covered where it did."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core.errors import DataError
from tunesmith.score.measures import Floats
from tunesmith.score.rise import rise


def drawn(random: np.random.Generator, documents: int) -> tuple[Floats, Floats, Floats]:
    """Documents of which a tenth lost 0.3 nats a token and the others 0.02."""
    tokens = np.maximum(20, random.lognormal(4.8, 0.5, documents)).round()
    lost = np.where(random.random(documents) < 0.1, 0.3, 0.02)
    base = -3.0 * tokens
    return base, base - lost * tokens, tokens


def test_two_documents_by_hand() -> None:
    """Perplexity 2 on both before; 4 on the shorter and 2 on the longer after: 2 ** (100 / 400) times as high."""
    tokens = np.array([100.0, 300.0])
    base, tuned = -np.log(2) * tokens, -np.log([4.0, 2.0]) * tokens
    found = rise(base, tuned, tokens)
    assert found.base == pytest.approx(2)
    assert found.tuned == pytest.approx(2 * 2**0.25)
    assert found.relative.value == pytest.approx(2**0.25 - 1)
    assert found.retained.value == pytest.approx(2**-0.25)
    assert found.retained.low == pytest.approx(1 / (1 + found.relative.high))
    assert (found.documents, found.units, found.tokens) == (2, 2, 400)


@given(st.lists(st.tuples(st.floats(-1e5, 0), st.integers(1, 5000)), min_size=2, max_size=30))
def test_the_same_likelihoods_are_no_rise_at_all(documents: list[tuple[float, int]]) -> None:
    logps, tokens = (np.array(part, dtype=np.float64) for part in zip(*documents, strict=True))
    found = rise(logps, logps, tokens, resamples=50)
    assert (found.relative.value, found.relative.low, found.relative.high) == (0.0, 0.0, 0.0)
    assert found.base == found.tuned
    assert found.retained.value == 1.0


def test_documents_without_a_token_count_for_nothing() -> None:
    base, tuned, tokens = drawn(np.random.default_rng(0), 30)
    with_empty = rise(np.append(base, 0.0), np.append(tuned, 0.0), np.append(tokens, 0.0))
    assert with_empty == rise(base, tuned, tokens)


def test_documents_that_belong_together_tell_less() -> None:
    base, tuned, tokens = drawn(np.random.default_rng(0), 60)
    alone = rise(base, tuned, tokens).relative
    threefold = [np.tile(part, 3) for part in (base, tuned, tokens)]
    together = rise(*threefold, groups=[str(place % 60) for place in range(180)])
    assert together.units == 60
    assert together.relative.value == pytest.approx(alone.value)
    assert together.relative.high == pytest.approx(alone.high, rel=1e-9)
    apart = rise(*threefold).relative
    assert apart.high - apart.low < 0.7 * (alone.high - alone.low)


def test_the_interval_covers_although_few_documents_carry_the_loss() -> None:
    random = np.random.default_rng(3)
    truth, covered, missed_above = np.expm1(0.1 * 0.3 + 0.9 * 0.02), 0, 0
    for _ in range(300):
        found = rise(*drawn(random, 60), resamples=400).relative
        covered += found.low <= truth <= found.high
        missed_above += found.high < truth
    assert covered / 300 >= 0.92
    assert missed_above / 300 <= 0.06


def test_what_can_not_be_compared_is_refused() -> None:
    one, two = np.array([-5.0]), np.array([-5.0, -6.0])
    with pytest.raises(DataError, match="at least 2"):
        rise(one, one, np.array([3.0]))
    with pytest.raises(DataError, match="at least 2"):
        rise(two, two, np.array([3.0, 2.0]), groups=["book", "book"])
    with pytest.raises(DataError, match="tuned model"):
        rise(two, np.array([-5.0, np.nan]), np.array([3.0, 2.0]))
    with pytest.raises(DataError, match="base"):
        rise(np.array([-np.inf, -1.0]), two, np.array([3.0, 2.0]))


def test_a_model_broken_beyond_all_numbers_still_has_a_rise() -> None:
    found = rise(np.array([-5.0, -6.0]), np.array([-1e9, -1e9]), np.array([3.0, 2.0]))
    assert 1e100 < found.relative.value < np.inf
