"""Answers that end in a number are right where it is the reference's, however it is written."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.score.measures import measure
from tunesmith.score.numeric import final_number, right
from tunesmith.score.prediction import Prediction


def value(text: str) -> Fraction | None:
    found = final_number(text)
    return None if found is None else found.value


def same(answer: str, reference: str) -> bool:
    found = right([Prediction(row_id="1", reference=reference, answer=answer)])
    assert found is not None
    return bool(found[0])


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2 + 3 = 5 apples\n#### 1,234", 1234),
        ("#### 5 of 9\nor rather\n#### $-3.50 per day, 9 days", Fraction(-7, 2)),
        ("#### none of them, so 7", 7),
        ("It takes 3 hours, so the answer is 42.", 42),
        ("**42**", 42),
        (r"so \boxed{-\frac{3}{4}} of 100", Fraction(-3, 4)),
        (r"\boxed{1} then \boxed{x = 2{,}500 \text{ m}^2} in 3 parts", 2500),
        (r"\boxed{7", 7),
        (r"\boxed{\text{all}} of 12", 12),
        (r"\$18", 18),
        (r"50\%", 50),
        (r"3 \times 10^{-4}", Fraction(3, 10_000)),
        ("3 x 10^4", 30_000),
        ("2.5e3", 2500),
        ("10^4", 10_000),
        ("1 1/2 cups", Fraction(3, 2)),
        ("1½", Fraction(3, 2)),
        ("¾", Fraction(3, 4)),
        ("⅞", Fraction(7, 8)),
        ("-$5", -5),
        ("$-5.", -5),
        ("−4", -4),
        ("pages 3-5", 5),
        ("2 - 9 m2", 9),
        ("5 cm^2", 5),
        ("9 km/h", 9),
        (".5", Fraction(1, 2)),
        ("3,5", Fraction(7, 2)),
        ("1,200,300.25 dollars", Fraction(4_801_201, 4)),
        ("1\u202f234", 1234),
        ("there is none", None),
        ("", None),
        ("version v1.2", None),
        ("5/0", None),
        ("0^-1", None),
    ],
)
def test_the_number_meant_is_found(text: str, number: Fraction | int | None) -> None:
    assert value(text) == number


def test_numbers_are_equal_as_numbers_and_only_so() -> None:
    assert same("#### 0.50", "#### 1/2") and same("1e3", "1,000.00") and same("-0", "0")
    assert not same("0.333", "1/3") and not same("10", "100") and not same("-5", "5") and not same("no idea", "#### 5")


def test_a_percentage_is_what_it_says_or_its_hundredth() -> None:
    assert same("50%", "50") and same("50", "50 percent") and same("0.5", "50%") and same("50%", "1/2") and same("50%", "50.0 %")
    assert not same("50", "0.5") and not same("5%", "50%") and not same("0.5%", "50%")


@pytest.mark.parametrize(
    "text",
    ["9" * 100_000, "1e999999999", "10^999999", "9" * 200 + "^" + "9" * 90, "1" + "," * 50_000, "\\boxed{" * 20_000, " " * 10**6 + "1 "],
)
def test_hostile_numbers_cost_little(text: str) -> None:
    found = final_number(text)
    assert found is None or found.value == 1


@settings(max_examples=150, deadline=None)
@given(st.integers(-(10**12), 10**12), st.integers(0, 4))
def test_every_way_to_write_a_number_is_that_number(units: int, decimals: int) -> None:
    number = Fraction(units, 10**decimals)
    plain = f"{'-' if units < 0 else ''}{abs(units) // 10**decimals:,}" + (f".{abs(units) % 10**decimals:0{decimals}d}" if decimals else "")
    whole = f"{number.numerator}/{number.denominator}"
    for text in (plain, plain.replace(",", ""), f"so #### {plain} dollars in 7 days", f"\\boxed{{{plain}}} of 9", f"It is {plain}.", whole):
        assert value(text) == number


def test_the_measure_counts_and_asks_for_references_with_a_number() -> None:
    one = measure("numeric_match")
    rows = [Prediction(row_id=str(n), reference="#### 4", answer=text) for n, text in enumerate(["4", "4.0", "5", "-"])]
    assert one.of(rows) == 0.5
    found = right(rows)
    assert found is not None and found.tolist() == [True, True, False, False]
    assert one.of([*rows, Prediction(row_id="x", reference="four", answer="4")]) is None
