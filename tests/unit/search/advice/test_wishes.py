"""Wishes that nothing could fulfil are refused; sizes and licences are read as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core.errors import RecipeError
from tunesmith.search.advice.wishes import Wishes, read_licences, read_size, shown_size


@pytest.mark.parametrize(("text", "size"), [("2GB", 2 * 10**9), ("500 MB", 5 * 10**8), ("1.5GiB", 3 * 2**29), (" 1tb ", 10**12), ("7b", 7)])
def test_a_size_is_read_with_its_unit(text: str, size: int) -> None:
    assert read_size(text) == size


@pytest.mark.parametrize("text", ["", "2", "GB", "-1GB", "2 gigabytes", "1e3GB", "0GB", "0.0001b", "2GB 3GB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(RecipeError, match="write a size above 0 with its unit"):
        read_size(text)


@given(st.integers(10**6, 10**14))
def test_a_size_that_is_shown_reads_back_to_three_digits(size: int) -> None:
    assert read_size(shown_size(size)) == pytest.approx(size, rel=5e-3)


def test_licences_are_read_once_each_in_lower_case() -> None:
    assert read_licences("Apache-2.0, mit,MIT,") == ("apache-2.0", "mit")
    with pytest.raises(RecipeError, match="names no licence"):
        read_licences(" , ")


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ({"latency_ms": 0.0}, "no answer takes that"),
        ({"latency_ms": float("nan")}, "no answer"),
        ({"context": 0}, "at least one token"),
        ({"max_size": 0}, "no model is that small"),
    ],
)
def test_a_wish_that_nothing_could_fulfil(wish: dict[str, float], told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        Wishes(**wish)  # type: ignore[arg-type]
